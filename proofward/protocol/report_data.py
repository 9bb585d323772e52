"""The 64 bytes that a quote carries for us, and so what it vouches for (Intel TDX: TDREPORT.REPORTDATA)."""

from __future__ import annotations

from proofward.protocol.bounds import ACCOUNT_LENGTH, HASH_LENGTH, RECEIPT_KEY_LENGTH
from proofward.protocol.hashes import sha512
from proofward.protocol.keys import require_hpke_key
from proofward.protocol.types import require_length

_WORKER = b"proofward/worker/v1"
_SETUP = b"proofward/setup/v2"
_CONTRIBUTION = b"proofward/contribution/v1"


def _bind(domain: bytes, *parts: bytes) -> bytes:
    return sha512(domain + b"".join(len(part).to_bytes(4, "little") + part for part in parts))


def worker_report_data(
    *, genesis: bytes, account: bytes, hpke_key: bytes, receipt_key: bytes, epoch: int, block_hash: bytes
) -> bytes:
    """report_data of a worker's quote, 64 bytes: SHA-512 over the domain and each field behind its u32 LE
    length.

    `epoch` enters as u32 LE; `block_hash` is that of a finalised block among the last 256, which dates the
    quote.
    """
    require_length("genesis", genesis, HASH_LENGTH)
    require_length("account", account, ACCOUNT_LENGTH)
    require_hpke_key(hpke_key)
    require_length("receipt_key", receipt_key, RECEIPT_KEY_LENGTH)
    require_length("block_hash", block_hash, HASH_LENGTH)
    return _bind(_WORKER, genesis, account, hpke_key, receipt_key, epoch.to_bytes(4, "little"), block_hash)


def setup_report_data(
    *,
    genesis: bytes,
    publisher: bytes,
    manifest_hash: bytes,
    circuit_digest: bytes,
    vk_hash: bytes,
    block_hash: bytes,
) -> bytes:
    """report_data of an attested setup's quote, 64 bytes, in the same form: for one publisher's one manifest.

    The manifest names the proving key's hash among its files; `block_hash` dates the quote as a worker's.
    """
    require_length("genesis", genesis, HASH_LENGTH)
    require_length("publisher", publisher, ACCOUNT_LENGTH)
    require_length("manifest_hash", manifest_hash, HASH_LENGTH)
    require_length("circuit_digest", circuit_digest, HASH_LENGTH)
    require_length("vk_hash", vk_hash, HASH_LENGTH)
    require_length("block_hash", block_hash, HASH_LENGTH)
    return _bind(_SETUP, genesis, publisher, manifest_hash, circuit_digest, vk_hash, block_hash)


def contribution_report_data(*, circuit_digest: bytes, phase1: bytes, contribution: bytes) -> bytes:
    """report_data of an enclave's contribution to a ceremony, 64 bytes, in the same form.

    `phase1` is the SHA-256 of the powers' file; `contribution` the transcript's hash after the contribution,
    which holds all that came before, so that the quote is for one place in one ceremony.
    """
    require_length("circuit_digest", circuit_digest, HASH_LENGTH)
    require_length("phase1", phase1, HASH_LENGTH)
    require_length("contribution", contribution, HASH_LENGTH)
    return _bind(_CONTRIBUTION, circuit_digest, phase1, contribution)
