"""Faults by seed on a real network, with a stream of jobs: `python -m tests.network.campaign`.

Prints the finality lag of a time without faults, and for each seed what befell the validators, how long
finality stood, and how long it took to come back; at the end what became of every job. Each line has in
`wrong` what it should not say (`tests.network.judging`).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofward.amounts import UNIT
from proofward.chain import ChainError, Outbox, SubstrateClient, accounts
from proofward.chain.pallets import attestation, balances, workers
from proofward.chain.pallets.models import ModelRecord, Terms
from proofward.client import Client
from proofward.errors import ProofwardError
from proofward.network import control, namespaces
from proofward.network.state import VALIDATORS, Network, load
from proofward.publisher.publish import publish
from proofward.zkml import CompileOptions, Evaluation, compile_model
from proofward_demo.data import DemoModel, train
from proofward_demo.processes import Worker
from proofward_enclave.measure import simulated_measurement
from tests.network.judging import FAULTS, TWO_GONE, Bounds, wrong

PARTED_SECONDS = 60.0
GONE_SECONDS = 40.0
CALM_SECONDS = 15.0
BACK_SECONDS = 180.0
DEADLINE_BLOCKS = 1_500
CLAIM_BLOCKS = 200
PUBLISHER, CLIENT = "//Alice//models", "//Alice//jobs"
WORKERS = {"first": "//Alice//first", "second": "//Alice//second"}
FUNDS = 10**16
"""Plancks for each of them: 10,000 UNIT."""
SAMPLES = 16
"""Records that are taken in turn; some later ones are outside what the model was calibrated for."""


def lag(network: Network, seconds: float) -> dict[str, Any]:
    """Finality lag, block time and memory of a time without faults."""
    lags: list[int] = []
    memory = {True: 0, False: 0}
    until, looked = time.monotonic() + seconds, 0.0
    with SubstrateClient.connect(network.node("rpc").url) as client:
        first, began = client.best_number(), time.monotonic()
        while time.monotonic() < until:
            finalised = client.finalised_head().number
            lags.append(max(0, client.best_number() - finalised))
            if time.monotonic() - looked > 10:
                seen = control.status(load(network.folder)).nodes
                for validates in memory:
                    sizes = (node.resident or 0 for node in seen if (node.name in VALIDATORS) is validates)
                    memory[validates] = max(memory[validates], *sizes, 0)
                looked = time.monotonic()
            time.sleep(0.5)
        blocks, spent = client.best_number() - first, time.monotonic() - began
    return {
        "seconds": round(spent),
        "blocks": blocks,
        "block_seconds": round(spent / max(1, blocks), 2),
        "lag_median": statistics.median(lags),
        "lag_p95": sorted(lags)[int(0.95 * (len(lags) - 1))],
        "lag_most": max(lags),
        "validator_mb": memory[True] // 10**6,
        "archive_mb": memory[False] // 10**6,
    }


@dataclass
class Stream:
    """A model, two workers, and a client that submits one job after the other until it is stopped. Each has
    an account of its own, so that nobody else's extrinsics take their nonces.
    """

    network: Network
    folder: Path
    stack: ExitStack
    workers: list[Worker] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    refused: Counter[str] = field(default_factory=Counter)
    first_block: int = 0
    _told: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        """Publish, register, and begin to submit."""
        model = next(one for one in train() if one.kind == "mlp")
        url, models = self.network.node("rpc").url, self.folder / "models"
        artifact = compile_model(
            model.onnx,
            model.calibration,
            models / "mlp",
            name="campaign",
            options=CompileOptions(lane="groth16"),
            evaluation=Evaluation(model.records, model.truth),
        )
        chain = self.stack.enter_context(SubstrateClient.connect(url))
        self.first_block = chain.finalised_head().number
        rich = accounts.dev_keypair("//Alice")
        allow = attestation.allow_measurement(simulated_measurement(), "campaign")
        chain.submit(attestation.sudo(allow), rich).raise_for_error()
        for account in (PUBLISHER, CLIENT, *WORKERS.values()):
            give = balances.transfer(accounts.address(account), FUNDS)
            chain.submit(give, rich).raise_for_error()
        outbox = Outbox(self.folder / "publisher.sqlite", chain)
        terms = Terms(UNIT, 0, 10**11, CLAIM_BLOCKS)
        record = publish(chain, outbox, accounts.dev_keypair(PUBLISHER), artifact.public, terms=terms).record
        sockets = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="pw-")))
        names = tuple(WORKERS.items())
        for name, account in names:
            worker = Worker(name, account, self.folder / name, sockets, url, models, PUBLISHER)
            self.stack.callback(worker.stop)
            worker.start()
            self.workers.append(worker)
        recipients = [accounts.address(account) for _, account in names]
        wait_for(
            lambda: all(record.id in workers.serving(chain, one) for one in recipients), "workers to serve"
        )
        client = self.stack.enter_context(
            Client(url, CLIENT, development=True, artifacts=[models], state=self.folder / "client")
        )
        thread = threading.Thread(target=self._submit, args=(client, model, record, recipients), daemon=True)
        thread.start()
        self.stack.callback(thread.join, 90.0)
        self.stack.callback(self.stop.set)

    def _submit(self, client: Client, model: DemoModel, record: ModelRecord, to: list[bytes]) -> None:
        number = 0
        while not self.stop.is_set():
            try:
                x = model.records[number % SAMPLES]
                client.submit(record.id, x, recipients=to, deadline=DEADLINE_BLOCKS)
                number += 1
            except ProofwardError as error:
                self.refused[error.code] += 1
                self.stop.wait(2.0)

    def since(self) -> dict[str, int]:
        """What the workers logged since this was asked the last time: jobs accepted, stalls of finality."""
        done = [one for worker in self.workers for one in worker.events("job-done")]
        now = Counter(
            accepted=sum(one.get("outcome") == "accepted" for one in done),
            stalls=sum(len(one.events("finality-stalled")) for one in self.workers),
        )
        grew = {name: count - self._told[name] for name, count in now.items()}
        self._told = now
        return {**grew, "workers": len(self.workers)}

    def settle(self) -> dict[str, Any]:
        """Wait for the end of each job, and count what finalised blocks say of each."""
        self.stop.set()
        time.sleep(10.0)
        seen: dict[str, Counter[bytes]] = {}
        with SubstrateClient.connect(self.network.node("rpc").url) as chain:
            first, end = self.first_block, time.monotonic() + BACK_SECONDS
            while True:
                head = chain.finalised_head().number
                for number in range(first, head + 1):
                    for event in chain.events(chain.block_hash(number)):
                        if event.pallet == "Jobs" and "job" in event.fields:
                            seen.setdefault(event.name, Counter())[event.fields["job"]] += 1
                first = head + 1
                submitted, accepted = seen.get("Submitted", Counter()), seen.get("Accepted", Counter())
                if set(accepted) >= set(submitted) or time.monotonic() > end:
                    break
                time.sleep(2.0)
        return {
            "submitted": len(submitted),
            "accepted": len(accepted),
            "accepted_twice": sum(count > 1 for count in accepted.values()),
            "lost": len(set(submitted) - set(accepted)),
            "lapsed": len(seen.get("Lapsed", ())),
            "rejected": len(seen.get("Rejected", ())),
            "submissions_held_back": dict(self.refused),
            "stalls_logged": sum(len(one.events("finality-stalled")) for one in self.workers),
            "resumptions_logged": sum(len(one.events("finality-resumed")) for one in self.workers),
        }


def fault(network: Network, seed: int) -> dict[str, Any]:
    """What this seed does to the validators, and how long it took to be whole again."""
    luck = random.Random(seed)
    kind = FAULTS[seed % len(FAULTS)]
    names = luck.sample(VALIDATORS, 2)
    before = control.status(network)
    worst = 0
    began = time.monotonic()
    if kind == "one killed":
        control.kill(network, names[0])
        worst, grew = _watch(network, GONE_SECONDS)
        mending = time.monotonic()
        control.start(network, names[0])
    elif kind == "two killed":
        for name in names:
            control.kill(network, name)
        worst, grew = _watch(network, GONE_SECONDS)
        mending = time.monotonic()
        control.start(control.start(network, names[0]), names[1])
    elif kind == "parted 2|2":
        rest = [name for name in VALIDATORS if name not in names]
        control.partition(network, f"{','.join([*names, 'rpc'])} | {','.join(rest)}")
        worst, grew = _watch(network, PARTED_SECONDS)
        mending = time.monotonic()
        control.heal(load(network.folder))
    else:
        control.kill(network, names[0])
        mending = time.monotonic()  # the watch is part of it, so this time is a bound from above
        control.start(network, names[0], fresh=True)
        worst, grew = _watch(network, CALM_SECONDS)
    back = _back(network, names)
    return {
        "seed": seed,
        "fault": kind,
        "nodes": names if kind in TWO_GONE else names[:1],
        "finalised_during": grew,
        "worst_lag": worst,
        "back_seconds": None if back is None else round(back - mending, 1),
        "seconds": round(time.monotonic() - began, 1),
        "finalised": control.status(load(network.folder)).finalised - before.finalised,
    }


def _watch(network: Network, seconds: float) -> tuple[int, int]:
    """The worst lag of a time, as the RPC node sees it, and by how much finality grew in its second half."""
    worst, half = 0, None
    middle = time.monotonic() + seconds / 2
    for now in control.looks(network, seconds):
        rpc = now.nodes[-1]
        if rpc.best is None or rpc.finalised is None:
            continue
        worst = max(worst, rpc.best - rpc.finalised)
        if half is None and time.monotonic() > middle:
            half = rpc.finalised
        last = rpc.finalised
    return worst, 0 if half is None else last - half


def _back(network: Network, names: list[str]) -> float | None:
    """When all nodes ran, finality was near the head again, and those that were gone made blocks or voted."""
    for now in control.looks(network, BACK_SECONDS):
        finals = [node.finalised for node in now.nodes]
        known = [one for one in finals if one is not None]
        whole = len(known) == len(finals) and max(known) - min(known) <= 3
        if whole and now.best - now.finalised <= 4 and set(names) <= set(now.authors):
            return time.monotonic()
    return None


def wait_for(ready: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + BACK_SECONDS
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"waited too long for {what}")
        time.sleep(1.0)


def _end(folder: Path) -> None:
    if (folder / "network.json").exists():
        control.down(load(folder))


def main() -> int:
    """Exit code 1 when anything is `wrong`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--lag-seconds", type=float, default=600.0)
    parser.add_argument(
        "--back-seconds", type=float, default=Bounds.back_seconds, help="more where others want the machine"
    )
    parser.add_argument("--spec", type=Path, help="another spec than that of the committed runtime")
    options = parser.parse_args()
    bounds = Bounds(back_seconds=options.back_seconds)
    good = True

    def tell(line: dict[str, Any]) -> None:
        nonlocal good
        found = wrong(line, bounds)
        good &= not found
        print(json.dumps({**line, "wrong": found}), flush=True)

    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="proofward-campaign-")))
        apart = namespaces.refusal() is None
        stack.callback(_end, scratch / "four")
        network = control.up(
            scratch / "four", spec=options.spec, apart=apart, tell=lambda line: print(line, file=sys.stderr)
        )
        tell({"calm": lag(network, options.lag_seconds)})
        stream = Stream(network, scratch, stack)
        stream.start()
        for seed in range(options.first, options.first + options.seeds):
            if FAULTS[seed % len(FAULTS)] == "parted 2|2" and not apart:
                tell({"seed": seed, "left out": namespaces.refusal()})
                continue
            try:
                found = fault(load(network.folder), seed)
            except ChainError as error:
                found = {"seed": seed, "error": str(error)}
            time.sleep(CALM_SECONDS)
            tell({**found, **stream.since()})
        tell({"seeds": options.seeds, "jobs": stream.settle()})
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
