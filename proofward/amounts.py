"""Amounts: whole plancks inside, UNIT for people."""

from __future__ import annotations

from typing import Final

DECIMALS: Final = 12
UNIT: Final = 10**DECIMALS
"""Plancks."""
