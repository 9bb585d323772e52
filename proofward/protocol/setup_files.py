"""The files that an attested setup leaves beside its artefact, for whoever publishes it."""

from __future__ import annotations

from typing import Final

QUOTE_FILE: Final = "setup.quote"
BLOCK_FILE: Final = "setup.block"
"""The height, in decimal digits, of the block that the quote is dated by."""
COLLATERAL_FILE: Final = "setup.collateral"
