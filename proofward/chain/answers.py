"""The form that a node's answers must have, before anything is read out of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proofward.consensus.header import from_json


def fits(method: str, params: object, answer: Any) -> bool:
    """Whether an answer has its method's form; what is asked for may be absent, and other methods have none
    here.
    """
    form = _FORMS.get(method)
    if form is None or (answer is None and params and method in _MAY_BE_ABSENT):
        return True
    try:
        return form(answer)
    except (LookupError, TypeError, ValueError):
        return False


def _bytes(value: Any) -> bool:
    return value[:2] == "0x" and bytes.fromhex(value[2:]) is not None


def _hash(value: Any) -> bool:
    return len(value) == 66 and _bytes(value)


def _all_bytes(values: Any) -> bool:
    return isinstance(values, list) and all(map(_bytes, values))


def _header(value: Any) -> bool:
    return bool(from_json(value)) and _hash(value["parentHash"])


def _block(value: Any) -> bool:
    return _header(value["block"]["header"]) and _all_bytes(value["block"]["extrinsics"])


def _version(value: Any) -> bool:
    return all(type(value[name]) is int for name in ("specVersion", "transactionVersion"))


def _changes(sets: Any) -> bool:
    pairs = [pair for one in sets for pair in one["changes"]]
    return isinstance(sets, list) and all(
        _bytes(key) and (value is None or _bytes(value)) for key, value in pairs
    )


_MAY_BE_ABSENT: Final = {"chain_getBlockHash", "chain_getHeader", "chain_getBlock", "state_getStorage"}
_FORMS: Final[dict[str, Callable[[Any], bool]]] = {
    "author_pendingExtrinsics": _all_bytes,
    "author_submitExtrinsic": _hash,
    "chain_getBlock": _block,
    "chain_getBlockHash": _hash,
    "chain_getFinalizedHead": _hash,
    "chain_getHeader": _header,
    "rpc_methods": lambda value: isinstance(value["methods"], list),
    "state_call": _bytes,
    "state_getKeysPaged": _all_bytes,
    "state_getMetadata": _bytes,
    "state_getReadProof": lambda value: _all_bytes(value["proof"]),
    "state_getRuntimeVersion": _version,
    "state_getStorage": _bytes,
    "state_queryStorageAt": _changes,
    "system_accountNextIndex": lambda value: type(value) is int,
}
