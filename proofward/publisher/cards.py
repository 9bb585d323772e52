"""A model's card: where the model comes from, followed back by the distribution that writes such cards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proofward.check import Check
from proofward.errors import NotFound, ProofwardError
from proofward.files import read_whole

if TYPE_CHECKING:
    from proofward.chain import SubstrateClient

Follow = Callable[[bytes, bytes, "SubstrateClient | None"], list[Check]]
"""(ONNX file, card, chain or None) -> what was compared."""
READERS: Final[dict[str, Follow]] = {}
"""By the card's `format`; whoever writes a format registers its reader here."""
MAX_CARD: Final = 256 << 20


class CardError(ProofwardError):
    """A card that nobody here reads."""

    code = "bad-card"


def follow(onnx: bytes, path: Path, client: SubstrateClient | None) -> list[Check]:
    """From a model back along its card. Raises NotFound, CardError, and what the format's reader raises."""
    try:
        data = read_whole(path, MAX_CARD)
        reader = READERS[json.loads(data)["format"]]
    except OSError as error:
        raise NotFound(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RecursionError):
        known = ", ".join(sorted(READERS)) or "none: install proofward-federation"
        raise CardError(f"{path} is no card of a format that is read here ({known})") from None
    return reader(onnx, data, client)
