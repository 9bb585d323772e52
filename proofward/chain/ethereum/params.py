"""The parameters of Ethereum's JSON-RPC, read strictly, and its errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from proofward.chain.errors import ChainError

REVERTED: Final = 3
FAILED: Final = -32000
INVALID_REQUEST: Final = -32600
NO_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL: Final = -32603
NOT_PARSED: Final = -32700
TAGS: Final = ("latest", "safe", "finalized", "pending", "earliest")
MAX_LIST: Final = 1_024
"""Addresses, or topics of one position, that a filter may name."""

_QUANTITY: Final = re.compile(r"0[xX][0-9a-fA-F]+")

BlockRef = str | int | bytes
"""A tag, a number, or a block's Ethereum hash (32 bytes)."""


class EthError(ChainError):
    """An Ethereum JSON-RPC error: its number in `rpc_code`, what a contract said in `data` (0x)."""

    code = "eth-error"

    def __init__(self, rpc_code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code
        self.data = data

    @property
    def body(self) -> dict[str, Any]:
        """The `error` member of a response."""
        body: dict[str, Any] = {"code": self.rpc_code, "message": self.message}
        return body if self.data is None else {**body, "data": self.data}


class BadParameter(EthError):
    """A parameter that is not what the method takes."""

    def __init__(self, message: str) -> None:
        super().__init__(INVALID_PARAMS, message)


def data(value: Any, length: int | None = None) -> bytes:
    """Bytes from 0x-hexadecimal, or bytes as they are."""
    if isinstance(value, str) and value[:2] in ("0x", "0X"):
        try:
            value = bytes.fromhex(value[2:])
        except ValueError:
            raise BadParameter(f"{_shown(value)} is not hexadecimal") from None
    if not isinstance(value, bytes | bytearray):
        raise BadParameter(f"{_shown(value)} is not 0x-hexadecimal")
    if length is not None and len(value) != length:
        raise BadParameter(f"{length} bytes are due, not {len(value)}")
    return bytes(value)


def address(value: Any) -> bytes:
    """20 bytes. Raises BadParameter."""
    return data(value, 20)


def word(value: Any) -> bytes:
    """32 bytes. Raises BadParameter."""
    return data(value, 32)


def quantity(value: Any) -> int:
    """A number of at most 256 bits: an int, or 0x-hexadecimal."""
    found = int(value, 16) if isinstance(value, str) and _QUANTITY.fullmatch(value) else value
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 1 << 256:
        raise BadParameter(f"{_shown(value)} is no quantity: 0x-hexadecimal is due")
    return found


def flag(value: Any) -> bool:
    """A boolean. Raises BadParameter."""
    if not isinstance(value, bool):
        raise BadParameter(f"{_shown(value)} is neither true nor false")
    return value


def block(value: Any) -> BlockRef:
    """A tag, number or hash, or an object that holds one of them (EIP-1898)."""
    if isinstance(value, dict):
        if (value.get("blockHash") is None) == (value.get("blockNumber") is None):
            raise BadParameter("a block object holds one of blockHash and blockNumber")
        return word(value["blockHash"]) if value.get("blockHash") is not None else block(value["blockNumber"])
    if isinstance(value, str) and value in TAGS:
        return value
    if isinstance(value, bytes) or (isinstance(value, str) and len(value) == 66):
        return word(value)
    try:
        return quantity(value)
    except BadParameter:
        raise BadParameter(
            f"{_shown(value)} is no block: a number, a hash or one of {', '.join(TAGS)}"
        ) from None


def fields(value: Any) -> dict[str, Any]:
    """A JSON object, its nulls left out."""
    if not isinstance(value, dict):
        raise BadParameter(f"{_shown(value)} is no object")
    return {str(name): one for name, one in value.items() if one is not None}


def anything(value: Any) -> Any:
    """Whatever it is: a parameter that is read later, or not at all."""
    return value


_KINDS: Final[dict[str, Callable[[Any], Any]]] = {
    "address": address,
    "any": anything,
    "block": block,
    "data": data,
    "flag": flag,
    "object": fields,
    "quantity": quantity,
    "word": word,
}


def read(method: str, kinds: str, given: Any) -> list[Any]:
    """The parameters of one call, by kind; a kind with `?` may be left out, or null. Raises BadParameter."""
    if given is None:
        given = []
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise BadParameter(f"the parameters of {method} must be a list")
    wanted = kinds.split()
    if len(given) > len(wanted):
        raise BadParameter(f"{method} takes {len(wanted)} parameters, not {len(given)}")
    found: list[Any] = []
    for position, kind in enumerate(wanted):
        value = given[position] if position < len(given) else None
        if value is None:
            if not kind.endswith("?"):
                raise BadParameter(f"parameter {position + 1} of {method} is missing")
            found.append(None)
            continue
        try:
            found.append(_KINDS[kind.rstrip("?")](value))
        except EthError as error:
            raise BadParameter(f"parameter {position + 1} of {method}: {error.message}") from None
    return found


def some(value: Any, kind: Callable[[Any], bytes]) -> set[bytes] | None:
    """One value or a list of them, as a filter names addresses and topics; None (anything) when there is
    none, or null among them.
    """
    if value is None or value == []:
        return None
    several = list(value) if isinstance(value, list | tuple) else [value]
    if len(several) > MAX_LIST:
        raise BadParameter(f"a filter names at most {MAX_LIST} values at one place, not {len(several)}")
    return None if None in several else {kind(one) for one in several}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
