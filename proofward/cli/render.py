"""Records of the chain as people and programs read them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from proofward.chain import accounts
from proofward.errors import Refused
from proofward.protocol import Level, ProtocolError, Setup

_ACCOUNTS = (
    "publisher", "client", "worker", "account", "member", "successor",
    "recipients", "rejected_by", "released_by",
)  # fmt: skip


def address(account_id: bytes) -> str:
    """An account as people write it."""
    return accounts.ss58(account_id)


def level(label: str | None) -> Level | None:
    """A level by its label. Raises Refused."""
    if label is None:
        return None
    try:
        return Level.from_label(label)
    except ProtocolError as error:
        raise Refused(error.message, code="usage") from error


def plain(value: Any, name: str = "") -> Any:
    """A record as JSON-ready values: bytes as 0x hex, accounts as addresses, enums by their label."""
    if isinstance(value, Setup):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: plain(getattr(value, field.name), field.name) for field in fields(value)}
        return found or type(value).__name__.lower()
    if isinstance(value, Enum):
        return str(getattr(value, "label", value.name.lower()))
    if isinstance(value, bytes):
        return address(value) if name in _ACCOUNTS and len(value) == 32 else "0x" + value.hex()
    if isinstance(value, dict):
        return {key: plain(one, key) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one, name) for one in value]
    return value
