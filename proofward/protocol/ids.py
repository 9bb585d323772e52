"""Ids and digests: how a job, a model and an artefact's files are named."""

from __future__ import annotations

from proofward.protocol import scale
from proofward.protocol.bounds import ACCOUNT_LENGTH, HASH_LENGTH
from proofward.protocol.hashes import blake2_256, sha256
from proofward.protocol.types import SCALE_LANE, Lane, require_length

_JOB = b"proofward/job/v1"
_MODEL = b"proofward/model/v2"
_REPLY = b"proofward/reply/v1"

_MODEL_RECORD = scale.Record(
    "ModelId",
    {
        "publisher": scale.H256,
        "weights_digest": scale.H256,
        "manifest_hash": scale.H256,
        "lane": SCALE_LANE,
        "vk_hash": scale.H256,
        "key_hash": scale.H256,
    },
)


def job_id(client: bytes, nonce: bytes) -> bytes:
    """blake2_256("proofward/job/v1" || client account || nonce), 32 bytes. The nonce is `reply_nonce` of the
    key that the job's output is to be sealed to; no enclave does a job whose nonce is another.
    """
    require_length("client", client, ACCOUNT_LENGTH)
    require_length("nonce", nonce, HASH_LENGTH)
    return blake2_256(_JOB + client + nonce)


def reply_nonce(reply_key: bytes) -> bytes:
    """sha256("proofward/reply/v1" || the HPKE public key), 32 bytes: a job's id commits to its reply key, so
    that its client can show later what was sealed to it, and no client can show another's.
    """
    return sha256(_REPLY + reply_key)


def model_id(
    *,
    publisher: bytes,
    weights_digest: bytes,
    manifest_hash: bytes,
    lane: Lane,
    vk_hash: bytes,
    key_hash: bytes,
) -> bytes:
    """blake2_256("proofward/model/v2" || SCALE(all of them)), 32 bytes: nothing of a model changes under
    its id.

    `vk_hash` is the SHA-256 of the verifying key's file in the artefact, `key_hash` of the key as the lane's
    contract takes it.
    """
    return blake2_256(
        _MODEL
        + _MODEL_RECORD.encode(
            {
                "publisher": publisher,
                "weights_digest": weights_digest,
                "manifest_hash": manifest_hash,
                "lane": lane.name.capitalize(),
                "vk_hash": vk_hash,
                "key_hash": key_hash,
            }
        )
    )


def weights_digest(onnx: bytes) -> bytes:
    """SHA-256 of the ONNX file."""
    return sha256(onnx)


def vk_hash(vk: bytes) -> bytes:
    """SHA-256 of the serialised verifying key."""
    return sha256(vk)


def manifest_hash(manifest_json: bytes) -> bytes:
    """SHA-256 of manifest.json as it lies in the artefact."""
    return sha256(manifest_json)
