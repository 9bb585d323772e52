"""What a checkout has beside the library and a wheel has not: chain spec, development chain, compiler."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds `proofward/`: the checkout's root, or site-packages."""


def part(name: str) -> Path:
    """The path of a part of the checkout (`chain/spec`, `devnet`), whether it is there or not."""
    return ROOT / name


def here() -> bool:
    """Whether the library runs from a checkout."""
    return (ROOT / "devnet" / "main.mjs").is_file()
