"""Proofward: a worker network for confidential, provable inference.

`proofward.Client` is loaded on first use, so that importing a room does not load the chain's libraries.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from proofward.client import Client

        return Client
    raise AttributeError(f"module 'proofward' has no attribute {name!r}")
