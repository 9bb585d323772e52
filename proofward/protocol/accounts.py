"""Signatures of the chain's accounts."""

from __future__ import annotations

import sr25519


def is_signed(account: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the sr25519 key of an account (32 bytes) has signed exactly `message`."""
    try:
        return len(signature) == 64 and bool(sr25519.verify(signature, message, account))
    except ValueError:  # the account is no point of the group
        return False
