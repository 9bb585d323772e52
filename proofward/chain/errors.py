"""What can go wrong between us and a chain. Every error has a stable kebab-case `code`."""

from __future__ import annotations

from typing import Any, Final

from proofward.errors import CodedError


class ChainError(CodedError):
    """The base: something about the chain."""

    code = "chain-error"


class ChainUnreachable(ChainError):
    """No node answers at the address, after retries."""

    code = "chain-unreachable"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"no node answers at {url} ({reason}): start one (`proofward devnet`) or give another --chain",
        )


class ChainTimeout(ChainError):
    """The chain is there, but what was waited for did not happen in time."""

    code = "chain-timeout"


class FinalityStalled(ChainError):
    """Blocks go on and are not finalised: too few of the validators agree."""

    code = "finality-stalled"

    def __init__(self, url: str, finalised: int, lag: int) -> None:
        super().__init__(
            f"the chain at {url} does not finalise: it stands at block {finalised}, {lag} behind the newest; "
            "nothing was sent: try again when it goes on (docs/network.md, 'When finality stalls')"
        )


MAX_TOLD: Final = 400
"""Characters of a node's own words in a message: it may send megabytes."""


class RpcError(ChainError):
    """A JSON-RPC error of the node."""

    code = "rpc-error"

    def __init__(self, method: str, code: int, message: str, data: Any = None) -> None:
        detail = f"{message}: {data}" if data not in (None, "") else message
        told = detail if len(detail) <= MAX_TOLD else f"{detail[:MAX_TOLD]}…"
        super().__init__(f"{method} was refused by the node ({code}): {told}")
        self.rpc_code = code
        self.rpc_message = message
        self.data = data


class MetadataError(ChainError):
    """The chain's metadata, or a value laid out by it, is not what this client can read or write."""

    code = "metadata-mismatch"


class ExtrinsicInvalid(ChainError):
    """An extrinsic never entered a block, and will not: `code` says why."""

    code = "invalid"


class DispatchError(ChainError):
    """An extrinsic was included and failed. Its fee is gone, its effects are not there.

    `pallet` and `name` are the error's; `docs` its documentation in the runtime.
    """

    code = "dispatch-error"

    def __init__(self, pallet: str, name: str, docs: str = "") -> None:
        super().__init__(f"{pallet}.{name}" + (f": {docs}" if docs else ""))
        self.pallet = pallet
        self.name = name
        self.docs = docs

    def __str__(self) -> str:
        return self.message

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DispatchError) and (self.pallet, self.name) == (other.pallet, other.name)

    def __hash__(self) -> int:
        return hash((self.pallet, self.name))


# The texts in which a Substrate node refuses an extrinsic (sp_runtime::transaction_validity), as error codes.
_REFUSALS = {
    "inability to pay": "cannot-pay",
    "will be valid in the future": "nonce-in-future",
    "is outdated": "nonce-used",
    "bad signature": "bad-signature",
    "ancient birth block": "expired",
    "exhaust the block limits": "too-heavy",
    "call is not expected": "call-refused",
    "custom error": "custom",
    "invalid signing address": "bad-signer",
    "temporarily banned": "put-aside",
    "verification error": "not-verified",
}

_ADVICE = {
    "cannot-pay": "the account cannot pay the fee: fund it",
    "nonce-used": "another extrinsic of this account took its nonce: sign again",
    "nonce-in-future": "an earlier extrinsic of this account is missing",
    "expired": "its era is over: sign again",
    "too-heavy": "it does not fit a block",
    "bad-signature": "its signature or the data it was signed over (genesis, runtime version) is wrong",
    "not-verified": "its runtime could not judge it: it was signed for another version, or makes it fail",
    "put-aside": "the node had it before and does not take it again for half an hour: it may be in a block",
}


def invalid_extrinsic(error: RpcError) -> ExtrinsicInvalid | None:
    """The refusal that a node's error 1002, 1010 or 1012 stands for; None when it is another error."""
    if error.rpc_code not in (1002, 1010, 1012):
        return None
    text = f"{error.rpc_message} {error.data}".lower()
    code = next((code for words, code in _REFUSALS.items() if words in text), "invalid")
    return ExtrinsicInvalid(
        f"the node refused the extrinsic: {_ADVICE.get(code, error.data or text)}", code=code
    )
