"""Storage keys as FRAME makes them: hashes of the pallet's and the item's names, then of a map's keys."""

from __future__ import annotations

import hashlib
from typing import Literal

import xxhash

Hasher = Literal["blake2_128_concat", "twox_64_concat", "identity"]


def twox(data: bytes, bits: int) -> bytes:
    """Substrate's twox hash: XXH64 with the seeds 0, 1, ... one after the other."""
    return b"".join(
        xxhash.xxh64_intdigest(data, seed=seed).to_bytes(8, "little") for seed in range(bits // 64)
    )


def blake2(data: bytes, bits: int) -> bytes:
    """BLAKE2b of so many bits."""
    return hashlib.blake2b(data, digest_size=bits // 8).digest()


def value_key(pallet: str, item: str) -> bytes:
    """The storage key of a pallet's value, or the prefix of its map."""
    return twox(pallet.encode(), 128) + twox(item.encode(), 128)


def map_key(pallet: str, item: str, key: bytes, hasher: Hasher = "blake2_128_concat") -> bytes:
    """The storage key of a map's entry."""
    match hasher:
        case "blake2_128_concat":
            hashed = blake2(key, 128)
        case "twox_64_concat":
            hashed = twox(key, 64)
        case "identity":
            hashed = b""
    return value_key(pallet, item) + hashed + key
