"""The two endpoints that services of private inference had before ACI: a quote over one key, and a signature
of that key over an answer's hashes. For clients that know nothing else; they say less than ACI's.

Source: nearai/private-ml-sdk and nearai/vllm-proxy, `verifiers/`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proofward.aci.documents import check_receipt, nonce_of, one_event
from proofward.aci.errors import AciError
from proofward.protocol import sha256
from proofward_enclave.providers.base import ProviderError
from proofward_gateway.exchange import Refusal
from proofward_gateway.keys import Workload

ALGORITHM: Final = "ed25519"


class Legacy:
    """Both endpoints, over the key that signs receipts."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    async def report(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The report for `nonce` (a fresh one when there is none) and `signing_algo`.

        The quote's report_data is the key's 32 bytes and the nonce's 32; with `include_tls_fingerprint=true`
        the first half is SHA-256 over the key and the TLS key's SHA-256. Raises Refusal.
        """
        _algorithm(query)
        try:
            nonce = nonce_of(query.get("nonce") or secrets.token_hex(32))
        except AciError as error:
            raise Refusal(400, error.type, error.message) from None
        key = _public(self._workload.keys.receipt)
        if (named := query.get("signing_address")) not in (None, key):
            raise Refusal(
                404, "not_found", f"no key here is {str(named)[:80]}", code="unknown_signing_address"
            )
        tls, first = None, bytes.fromhex(key)
        if query.get("include_tls_fingerprint") == "true":
            tls = self._workload.keys.keyset.tls_keys[0].spki_sha256
            first = sha256(first + bytes.fromhex(tls))
        try:
            evidence = await self._workload.quote(first + bytes.fromhex(nonce))
        except ProviderError as error:
            raise Refusal(503, "attestation_unavailable", error.message) from None
        if evidence is None:
            raise Refusal(429, "rate_limit_error", "too many quotes are asked for: try again later")
        report: dict[str, Any] = {
            "signing_address": key,
            "signing_algo": ALGORITHM,
            "signing_public_key": key,
            "request_nonce": nonce,
            "intel_quote": evidence.quote.hex(),
            "nvidia_payload": None,
            "event_log": [],
            "tls_cert_fingerprint": tls,
            "info": {"collateral": self._workload.collateral_of(evidence)},
        }
        return {**report, "all_attestations": [report]}

    def signature(self, receipt: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
        """The signature over `SHA-256 of the request:SHA-256 of the answer` (hex) of a stored receipt.

        The store is the host's: only what these keys have signed before is signed again. Raises Refusal.
        """
        _algorithm(query)
        keys = self._workload.keys
        try:
            events = check_receipt(receipt, keys.keyset)
            if any(one.get("type") == "response.aborted" for one in events):
                raise AciError("the answer ended early: its receipt says where")
            text = ":".join(
                str(one_event(events, kind)["body_hash"]).removeprefix("sha256:")
                for kind in ("request.received", "response.returned")
            )
        except AciError as error:
            told = f"this answer is not signed by the present keys ({error.message}): ask for its receipt"
            raise Refusal(404, "not_found", told, code="signature_unavailable") from None
        return {
            "text": text,
            "signature": keys.receipt.sign(text.encode("ascii")).hex(),
            "signing_address": _public(keys.receipt),
            "signing_algo": ALGORITHM,
        }


def _algorithm(query: Mapping[str, str]) -> None:
    if query.get("signing_algo", ALGORITHM) != ALGORITHM:
        raise Refusal(
            400, "invalid_request_error", f"signing_algo must be {ALGORITHM}", code="unsupported_signing_algo"
        )


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()
