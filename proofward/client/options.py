"""What a job is submitted on besides its records: named once for `Client` and `AsyncClient`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from proofward.client.job import Offer
from proofward.protocol import Level

DEFAULT_RECIPIENTS = 3
"""Workers that a job is sealed to unless the caller says otherwise: enough that one may die, few that can
read it.
"""


class SubmitOptions(TypedDict, total=False):
    """What `Client.submit` and `Client.submit_many` take by name; each may be left out.

    Args:
        artifact: folder of the model's public artefact, unless the client's `artifacts` hold it.
        price: in the smallest unit; default the model's price, or what the dearest of the workers asks
            for. None is drawn that asks for far more than the others; those that are named get what they
            ask.
        offered: told what a job will cost, and whom it is for, before anything is sent; what it raises,
            `submit` raises, and nothing is.
        deadline: blocks from now; default time for a claim of each recipient.
        min_level, allow_dev_setup: default `hardware` and False; in development `simulated` and True.
        recipients: accounts, or how many workers to choose (1 to 8; default 3).
        verify_workers: verify each chosen worker's quote here, not only on the chain; of one that fails,
            another is drawn in its place, unless `recipients` name it.
        uncontestable: take a model whose manifest is too large for the chain to judge a result by.
    """

    artifact: str | Path | None
    price: int | None
    offered: Callable[[Offer], None]
    deadline: int | None
    min_level: Level | None
    allow_dev_setup: bool | None
    recipients: Sequence[bytes] | int
    verify_workers: bool
    uncontestable: bool


def require_known(options: SubmitOptions) -> None:
    """Refuse a name that is none of these, as Python does. Raises TypeError."""
    for name in options.keys() - SubmitOptions.__optional_keys__:
        raise TypeError(
            f"a job is not submitted with {name!r}; {', '.join(SubmitOptions.__annotations__)} are"
        )
