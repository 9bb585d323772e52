"""The client compares epochs, and submits again what nobody can open any more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proofward.chain.pallets.jobs import Accepted, Claimed, JobRecord, Refunded
from proofward.client import Client, Job, Offer
from proofward.client.epochs import GoneKeys, gone, nobody_left
from proofward.client.job import Demand, Outcome, outcome
from proofward.client.sealing import Owner, seal
from proofward.client.store import JobStore
from proofward.client.workers import Choice
from proofward.errors import Refused
from proofward.protocol import (
    DEV_SETUP,
    HpkePrivateKey,
    JobContext,
    JobPayload,
    Level,
    RecipientKey,
    seal_job,
)
from proofward.zkml import Artifact
from tests.evidence import RECORD
from tests.node.world import ACCOUNT, OTHER, WORKER, job
from tests.vectors.make import value

THIRD = value("third")


def envelope(**epochs: int) -> bytes:
    """Sealed to the first, second and third worker's key of an epoch each."""
    names = {"first": ACCOUNT, "second": OTHER, "third": THIRD}
    public = HpkePrivateKey.generate().public
    keys = [RecipientKey(names[name], epoch, public) for name, epoch in epochs.items()]
    context = JobContext(value("genesis"), value("job"), value("client"), value("model"), value("commitment"))
    return seal_job(context, JobPayload(1, (1,), bytes(32), public), keys)


@pytest.mark.parametrize(
    ("present", "changes", "lost", "nobody"),
    [
        ({ACCOUNT: 4, OTHER: 7}, {}, [], False),
        ({ACCOUNT: 5, OTHER: 8}, {}, [], False),  # the epoch before the present one is held still
        ({ACCOUNT: 6, OTHER: 8}, {}, [GoneKeys(ACCOUNT, 4, 6)], False),
        ({ACCOUNT: 6}, {}, [GoneKeys(ACCOUNT, 4, 6), GoneKeys(OTHER, 7, None)], True),
        ({ACCOUNT: 6, OTHER: 7}, {"declined_by": (OTHER,)}, [GoneKeys(ACCOUNT, 4, 6)], True),
        ({ACCOUNT: 4, OTHER: 9}, {"rejected_by": (OTHER,)}, [], False),
    ],
    ids=["none", "rotated once", "one of two", "both", "the other declined", "the gone one is out anyway"],
)
def test_who_has_lost_the_keys_is_told_by_epochs(
    present: dict[bytes, int], changes: dict[str, Any], lost: list[GoneKeys], nobody: bool
) -> None:
    record = job(recipients=(ACCOUNT, OTHER), **changes)
    found = gone(record, envelope(first=4, second=7), present)
    assert found == lost
    assert nobody_left(record, found) is nobody
    claimed = replace(record, status=Claimed(ACCOUNT, 1, 100, 1))
    assert not nobody_left(claimed, found), "whoever claimed it has opened it"


class Again(Client):
    """A client of one job: what it would do to the chain is written down."""

    def __init__(self, record: JobRecord, artifact: Artifact, state: Path) -> None:
        self.record, self.public = record, artifact.public
        self.store = JobStore(state, value("genesis"))
        self.done: list[tuple[str, Any]] = []

    def show(self, job: Job | str | bytes) -> Outcome:
        return outcome(self.record.id, self.record)

    def artifact_of(self, *_: Any) -> Any:
        return self.public

    def cancel(self, job: Job | str | bytes) -> Outcome:
        self.done.append(("cancel", job))
        return self.show(job)

    def choose_workers(self, model: bytes, demand: Demand, wanted: Any, **rest: Any) -> list[Choice]:
        self.done.append(("choose", (demand, wanted, rest)))
        return [Choice(WORKER, 1)]

    def submit(self, model: str | bytes, x: Any, **terms: Any) -> Any:
        self.done.append(("submit", terms))
        return Job(self.record.id, self.record.model, 5, 65, Offer(1, (WORKER.account,), 1), {})


@pytest.mark.parametrize("state", ["queued", "refunded", "claimed", "accepted"])
def test_a_job_is_submitted_again_on_its_terms_when_nobody_works_it(
    state: str, artifact: Artifact, tmp_path: Path
) -> None:
    sealed = seal(artifact.public, RECORD, Owner(value("genesis"), value("client")), value("model"), [WORKER])
    ends = {
        "queued": job().status,
        "refunded": Refunded(9),
        "claimed": Claimed(ACCOUNT, 1, 100, 1),
        "accepted": Accepted(ACCOUNT, Level.SIMULATED, DEV_SETUP, bytes(32), bytes(32), bytes(32), 9),
    }
    slow = value("declined it")
    record = replace(job(), id=sealed.context.job, status=ends[state], declined_by=(slow,))
    client = Again(record, artifact, tmp_path)
    client.store.save(sealed.secrets(artifact.public.manifest_hash, artifact.path))
    if state in ("claimed", "accepted"):
        with pytest.raises(Refused, match=state):
            client.submit_again(record.id, RECORD)
        assert client.done == []
        return
    with pytest.raises(Refused, match="not the input"):
        client.submit_again(record.id, np.asarray(RECORD) + 0.5)
    assert client.done == []
    again = client.submit_again(record.id, RECORD)
    assert again.offer.wanted == len(record.recipients), "that fewer took it this time is told"
    *before, (chose, (demand, wanted, rest)), (what, terms) = client.done
    assert before == ([("cancel", record.id)] if state == "queued" else [])
    assert (chose, what) == ("choose", "submit")
    assert demand == Demand(record.min_level, record.allow_dev_setup, record.price)
    assert (wanted, rest) == (len(record.recipients), {"last": (slow,)})
    assert terms["recipients"] == [WORKER.account]
    assert (terms["price"], terms["min_level"], terms["allow_dev_setup"]) == (
        record.price,
        record.min_level,
        record.allow_dev_setup,
    )
