"""One request's record: what came, what went on, what came back; and the receipt over it (ACI section 7)."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

from proofward.aci.documents import API_VERSION, sign_receipt
from proofward.aci.jcs import tagged
from proofward.errors import ProofwardError
from proofward_gateway.keys import RECEIPT_KEY_ID, Keys


class Refusal(ProofwardError):
    """A request that is answered with an error of ACI's section 10: status, type, and OpenAI's `code`."""

    code = "request-refused"

    def __init__(self, status: int, kind: str, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.wire_code = status, kind, code

    def document(self) -> dict[str, Any]:
        """OpenAI's shape, which is Anthropic's too by its outer `type`."""
        return {
            "type": "error",
            "error": {"message": self.message, "type": self.kind, "code": self.wire_code, "param": None},
        }


MAX_REASON: Final = 500
"""Characters. With its other texts bounded too, no receipt is longer than a chain reads (16 KiB)."""


class Exchange:
    """Hashes and lengths of one request and its answer; never a byte of either."""

    def __init__(self, keys: Keys, endpoint: str, body: bytes, *, direct: bool) -> None:
        self.keys, self.endpoint, self._direct = keys, endpoint, direct
        self.id = f"rcpt-{secrets.token_hex(16)}"
        self.model: str | None = None
        self.chat_id: str | None = None
        self._received = tagged(body)
        self._forwarded: str | None = None
        self._upstream: dict[str, Any] | None = None
        self._weights: dict[str, Any] | None = None
        self._proof: dict[str, Any] | None = None
        self._sent, self.length = hashlib.sha256(), 0
        self.closed = False

    def restored(self, body: bytes) -> None:
        """What the request said once its encryption was removed."""
        self._received = tagged(body)

    def forwarded(self, body: bytes) -> None:
        """The exact bytes for the upstream; called when its connection stands, before the first leaves."""
        self._forwarded = tagged(body)

    def weighed(self, model: str, digest: str) -> None:
        """The model runs here, with weights of this digest, measured as they were loaded."""
        self._weights = {"model_id": model, "digest": digest, "measured": "at-load"}

    def proved(self, model: str, facts: dict[str, Any]) -> None:
        """The answer is a proved model's: a proof of it was verified here, whose job says which weights."""
        self._proof = {"model_id": model, **facts}

    def verified(self, model: str, session_id: str) -> None:
        """The upstream's attestation holds: the session says how."""
        self._upstream = {"result": "verified", "required": True, "model_id": model, "session_id": session_id}

    def unverified(self, model: str, reason: str, *, required: bool, upstream: str | None = None) -> None:
        """There is no attestation that holds."""
        self._upstream = {
            "result": "failed",
            "required": required,
            "model_id": model,
            "reason": reason[:MAX_REASON],
        }
        if upstream is not None:
            self._upstream["upstream_name"] = upstream

    def emitted(self, data: bytes) -> None:
        """Bytes of the answer, in their order, as they are given to the connection."""
        self._sent.update(data)
        self.length += len(data)

    def receipt(self, *, now: int, aborted: str | None = None) -> dict[str, Any]:
        """The signed receipt; once. `aborted` says why an answer ended early: the hash is then of what had
        been given to the connection by then.
        """
        if self.closed:
            raise RuntimeError("a request has one receipt")
        self.closed = True
        events: list[dict[str, Any]] = [{"type": "request.received", "body_hash": self._received}]
        if self._forwarded is not None:
            events.append({"type": "request.forwarded", "body_hash": self._forwarded})
        if not self._direct:
            missing = {
                "result": "failed",
                "required": True,
                "model_id": self.model or "",
                "reason": "the request was refused before an upstream was chosen",
            }
            events.append({"type": "upstream.verified", **(self._upstream or missing)})
        if self._weights is not None and self._forwarded is not None:
            events.append({"type": "model.weights", **self._weights})
        if self._proof is not None and aborted is None:
            events.append({"type": "proof.verified", **self._proof})
        events.append({"type": "response.returned", "body_hash": f"sha256:{self._sent.hexdigest()}"})
        if aborted is not None:
            events.append({"type": "response.aborted", "reason": aborted, "bytes": self.length})
        unsigned = {
            "api_version": API_VERSION,
            "receipt_id": self.id,
            "chat_id": self.chat_id,
            "model": self.model,
            "workload_keyset_digest": self.keys.digest,
            "endpoint": self.endpoint,
            "method": "POST",
            "served_at": now,
            "event_log": events,
            "key_id": RECEIPT_KEY_ID,
        }
        return sign_receipt(unsigned, self.keys.receipt)
