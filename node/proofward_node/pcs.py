"""Intel's `early` collateral: the TCB info and the quoting enclave's identity that the PCS gives with
`update=early`, in the place of the standard ones (Intel SGX and TDX PCS API v4).
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import aiohttp

from proofward.attestation import INTEL_PCS_URL, AttestationError, Collateral, fetch_collateral, parse_quote
from proofward_node import replies

SECONDS, MAX_BYTES = 20.0, 1 << 20
"""How long one answer may take, and how long it may be."""
_PARTS = {
    "tcb_info": ("tcb?fmspc={fmspc}&update=early", "tcbInfo", "TCB-Info-Issuer-Chain"),
    "qe_identity": ("qe/identity?update=early", "enclaveIdentity", "SGX-Enclave-Identity-Issuer-Chain"),
}


async def standard(quote: bytes, url: str | None) -> Collateral:
    """The set that verifiers use. Raises AttestationError(no-collateral)."""
    return await fetch_collateral(url or INTEL_PCS_URL, quote)


async def early(quote: bytes, base: Collateral, url: str | None) -> Collateral:
    """The set that Intel publishes on the day of a recovery; lists and roots are those of `base`.

    Raises AttestationError(no-collateral).
    """
    root = re.sub(r"/(sgx|tdx)/certification.*$", "", (url or INTEL_PCS_URL).rstrip("/"))
    fields = json.loads(base.to_json())
    family = parse_quote(quote).fmspc.hex().upper()
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for part, (path, name, header) in _PARTS.items():
                address = f"{root}/tdx/certification/v4/{path.format(fmspc=family)}"
                async with session.get(address) as reply:
                    reply.raise_for_status()
                    body = (await replies.body(reply, MAX_BYTES)).decode()
                    chain = unquote(reply.headers[header])
                document, signature = signed_part(body, name)
                fields |= {
                    part: document, f"{part}_signature": signature, f"{part}_issuer_chain": chain,
                }  # fmt: skip
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
        raise AttestationError(
            f"{root} gave no early collateral: {error or type(error).__name__}", code="no-collateral"
        ) from None
    return Collateral.from_json(json.dumps(fields))


def signed_part(body: str, name: str) -> tuple[str, str]:
    """The document of a PCS answer `{"<name>": {...}, "signature": "<hex>"}`, as the very text that is
    signed, and its signature. Raises ValueError.
    """
    found = re.match(rf'\s*\{{\s*"{name}"\s*:\s*', body)
    if found is None:
        raise ValueError(f"the answer does not begin with {name}")
    try:
        _, end = json.JSONDecoder().raw_decode(body, found.end())
        signature = json.loads(body)["signature"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"the answer has no signature: {error}") from None
    if not isinstance(signature, str):
        raise ValueError("the answer has no signature")
    return body[found.end() : end], signature
