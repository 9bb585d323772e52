"""Records of the chain as people and programs read them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from proofward.chain import accounts
from proofward.cli.amounts import shown
from proofward.errors import Refused
from proofward.protocol import Level, ProtocolError, Setup

_ACCOUNTS = (
    "publisher", "client", "worker", "account", "member", "successor",
    "recipients", "rejected_by", "released_by", "declined_by",
)  # fmt: skip
_AMOUNTS = ("price", "deposit", "record_deposit", "bond", "stake", "balance", "serves")
"""Fields that hold plancks, or a table of them."""


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


def said(value: Any, name: str = "") -> str:
    """A JSON-ready value as people read it: amounts in UNIT, no literals of Python's."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        inner = (f"{key} {said(one, name if name in _AMOUNTS else key)}" for key, one in value.items())
        return ", ".join(inner) or "none"
    if isinstance(value, list | tuple):
        nested = any(isinstance(one, dict) for one in value)
        return ("; " if nested else ", ").join(said(one, name) for one in value) or "none"
    if isinstance(value, int) and name in _AMOUNTS:
        return shown(value)
    return str(value)
