"""What a waiting verb says: each change of a job, and between changes the blocks that are left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from proofward.cli.output import note
from proofward.cli.waiting import EVERY_SECONDS

if TYPE_CHECKING:
    from proofward.client import Client, Outcome


@contextmanager
def counting(
    as_json: bool, client: Client, line: Callable[[Outcome], str]
) -> Iterator[Callable[[Outcome], None]]:
    """Give what `Client.wait` tells of changes, as `line` words them; beside it a line every two seconds says
    that it goes on.
    """
    from proofward.chain import ChainError, FinalityWatch

    watch = FinalityWatch()
    last: list[Outcome] = []
    stop = threading.Event()

    def told(outcome: Outcome) -> None:
        last[:] = [outcome]
        note(as_json, line(outcome))

    def tick() -> None:
        while not stop.wait(EVERY_SECONDS):
            if not last or last[0].ended:
                continue
            try:
                head = client.chain.finalised_head().number
                finality = watch.saw(head, client.chain.best_number())
            except ChainError:
                continue  # the waiting verb itself says so
            left = last[0].record.deadline - head
            note(as_json, f"{last[0].state}; block {head}, {max(left, 0)} blocks to the deadline")
            if finality.reason is not None:
                note(as_json, f"finality is stalled: {finality.reason}")

    ticker = threading.Thread(target=tick, name="countdown", daemon=True)
    ticker.start()
    try:
        yield told
    finally:
        stop.set()
        ticker.join(EVERY_SECONDS)
