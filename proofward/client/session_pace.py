"""Whether a session is let in as fast as it is wanted: asked of its worker before it is opened.

The worker's windows bound it: all that clients may have proved at once must be provable in one. What it says
is its own word, and binds it to nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from proofward.client.web import FetchError, get
from proofward.errors import Refused

_MAX_BYTES = 4096
_SECONDS = 5.0
TOLD_BELOW = 0.5
"""Of what the worker's cores can prove, a pace below which a client is told that its window is short."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Records a second with windows of `window` blocks; `most` with longer ones, of `window_for_most` blocks.
    `measured`: whether by proofs of that model that the worker made, enough to go by.
    """

    records: float
    most: float
    window: int
    window_for_most: int
    measured: bool

    def words(self) -> str:
        """What to say of it."""
        rate = f"{self.records:,.0f} records a second"
        said = f"with windows of {self.window} blocks the worker takes about {rate}"
        if self.window_for_most > self.window:
            said += f", with {self.window_for_most} (--window {self.window_for_most}) {self.most:,.0f}"
        return said


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    records_a_second: FiniteFloat
    most_records_a_second: FiniteFloat
    window_for_most: int
    measured: bool


def ask_pace(endpoint: str, model: bytes, sample: int, window: int) -> Pace:
    """The worker's word. Raises FetchError where it gives none."""
    address = f"{endpoint.rstrip('/')}/sessions/pace?model={model.hex()}&sample={sample}&window={window}"
    try:
        told = _Told.model_validate_json(get(address, _MAX_BYTES, _SECONDS, whole=_SECONDS))
    except ValidationError as error:
        raise FetchError("says nothing of its pace that can be read") from error
    return Pace(
        told.records_a_second, told.most_records_a_second, window, told.window_for_most, told.measured
    )


def look_at_pace(
    endpoint: str,
    model: bytes,
    sample: int,
    window: int,
    wanted: float | None,
    tell: Callable[[str], None] | None,
) -> None:
    """Refuse a window with which the worker takes fewer records a second than are `wanted`, and `tell` of one
    that is short, or that could not be looked at; without `tell` that is a warning of Python's. Raises
    Refused.
    """
    if wanted is None and tell is None:
        return
    tell = tell or _warn
    try:
        pace = ask_pace(endpoint, model, sample, window)
    except FetchError as error:
        tell(f"how many records a second are taken was not checked: {endpoint} {error.message}")
        return
    if not pace.measured:
        tell("how many records a second are taken was not checked: the worker has not made enough proofs yet")
    elif wanted is not None and pace.records < wanted:
        raise Refused(
            f"{wanted:,.0f} records a second are wanted, and {pace.words()}", code="window-too-short"
        )
    elif pace.records < TOLD_BELOW * pace.most:
        tell(f"the window is short: {pace.words()}")


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
