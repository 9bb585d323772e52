"""The aggregator's whole run: enclave, door, registration, rounds, and what is written at the end."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proofward.chain import SubstrateClient
from proofward.chain.extrinsic import Signer
from proofward.files import write_whole
from proofward_federation.errors import FederationError
from proofward_federation.network.card import Card, card_of, onnx_of
from proofward_federation.network.door import Door
from proofward_federation.network.host import Host
from proofward_federation.network.ledger import announced
from proofward_federation.process import aggregator
from proofward_federation.study import Study

LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Serving:
    """How an aggregator serves: `chain` and `listen` are addresses, `out` keeps the rounds, `provider` makes
    quotes; `linger` and `wait` in seconds, for updates and for sites. `kind` is a test's own host.
    """

    chain: str
    keypair: Signer
    out: Path
    listen: str
    provider: str
    linger: float
    wait: float
    tell: Callable[[str], None]
    kind: type[Host] = Host


def serve(study: Study, serving: Serving) -> Card:
    """Run a study that ends in a model; write model.onnx, card.json and transcript.json.

    Raises FederationError, EnclaveError, ChainError.
    """
    if study.kind != "logistic":
        raise FederationError("only a `logistic` study ends in a model and a card", code="unknown-rule")
    out = serving.out
    with _attended(study, serving) as (host, name):
        host.run(name)
        host.transcript().save(out / "transcript.json")
        logged = [(one.opened, one.published) for one in host.logged]
        card = card_of(host.client, host.transcript(), logged)
    write_whole(out / "card.json", card.document())
    write_whole(out / "model.onnx", onnx_of(card))
    return card


def tally(study: Study, serving: Serving, *, every: int) -> int:
    """Run a study of counts, a round every `every` blocks; give the number of sums.

    counts.csv and transcript.json are written anew after each. Raises as `serve` does.
    """
    if study.kind != "counts":
        raise FederationError("only a study of `counts` has a round a period", code="unknown-rule")
    with _attended(study, serving) as (host, name):
        for _turn in host.periods(name, every):
            sums = {one.told.number: one.told.values for one in host.logged}
            write_whole(serving.out / "counts.csv", counts_csv(study, sums))
            host.transcript().save(serving.out / "transcript.json")
        return len(host.logged)


def counts_csv(study: Study, sums: Mapping[int, Sequence[int]]) -> bytes:
    """Published sums by round, in ones, as `federation watch` takes them: a row a round, a column a cell.

    The row of a round that came to no sum is empty, so that no week stands in another's place.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(study.columns)
    nothing = [""] * len(study.columns)
    for number in range(max(sums) + 1):
        values = sums.get(number)
        rows.writerow(nothing if values is None else [repr(value / study.units) for value in values])
    return text.getvalue().encode()


@contextmanager
def _attended(study: Study, serving: Serving) -> Iterator[tuple[Host, bytes]]:
    """A registered host whose door is open, and the study that has its sites. Raises as `serve` does."""
    address, _, port = serving.listen.rpartition(":")
    if not address or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65_535:
        raise FederationError(f"{serving.listen!r} is no HOST:PORT", code="cannot-listen")
    tell = serving.tell
    with SubstrateClient.connect(serving.chain) as client, aggregator(serving.provider) as call:
        host = serving.kind(
            client, serving.keypair, call, study, state=serving.out, linger=serving.linger, tell=tell
        )
        host.register()
        with opened(Door(host), address, int(port)) as found:
            tell(f"listens on {address}:{found}")
            yield host, _awaited(host, serving.wait)


@contextmanager
def opened(door: Door, address: str, port: int) -> Iterator[int]:
    """A door on a thread of its own; gives its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="door", daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(door.open(address, port), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(door.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _awaited(host: Host, wait: float) -> bytes:
    """The study's id once as many sites have joined as it asks for."""
    end = time.monotonic() + wait
    told, name = False, None
    while time.monotonic() < end:
        name = host.find()
        if name is not None:
            host.attend(name)
            record = announced(host.client, name)
            if record.next or sum(member.active for member in record.members) == len(record.members) > 0:
                return name
            if not told:
                host.tell(f"study 0x{name.hex()} is on the chain; waiting for its sites")
                told = True
        time.sleep(LOOK_SECONDS)
    if name is not None:  # who has not joined by now is not waited for
        joined = sum(member.active for member in announced(host.client, name).members)
        if joined >= host.study.cohort:
            return name
    raise FederationError(f"no study was announced, or too few sites joined, in {wait:g} s", code="no-study")
