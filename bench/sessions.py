"""`python -m bench.sessions`: sessions on this machine, all ends on it, the embedded chain beside them.

    python -m bench.sessions                            # make bench-sessions: about ten minutes
    python -m bench.sessions --seconds 30 --no-ezkl
    python -m bench.sessions --chain ws://127.0.0.1:9944 --chain-pid 4711 --window 40   # a real node

A run begins to count when the first window has been proved, its time was over and it was paid for: from then
on the pages of earlier windows are proved while the records of later ones are answered. One run prints:
committed inferences a second in that time, what was sampled and proved in it, the processor time of each
process, latency of single records, the enclave's memory, chain transactions an inference, what an inference
costs, and two peers over the same records: ezkl's prove one by one, and ONNX Runtime behind aiohttp with no
guarantee at all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import ClientSession, web

from bench import models
from bench.baseline import EzklBaseline
from bench.models import Model
from proofward.amounts import UNIT
from proofward.chain.pallets import sessions
from proofward.client.session import Session
from proofward.client.sessions import SessionOrder
from proofward.devnet.chains import Devnet
from proofward.protocol.keys import ReceiptKey
from proofward.protocol.session_frames import Channel, Records, parse_message
from proofward.zkml import Artifact, CompileOptions, Evaluation, compile_model
from proofward.zkml.quantiser import AffineQuantiser
from proofward_demo.data import train
from tests.e2e.session_scene import Running, Scene, free_port, scene

FRAME = 128
"""Records in a frame of the throughput's runs, and in a request to ONNX Runtime."""
SINGLES = 400
WINDOW_BLOCKS = 120
CHECKPOINT_BLOCKS = 12
"""The defaults of a worker and a client."""
EZKL_PROOFS = 5
MACHINE_DOLLARS_AN_HOUR = 0.05
"""A small cloud machine of two cores."""
UNIT_DOLLARS = 0.01
"""What a UNIT is taken to be worth, where fees are told in dollars."""


@dataclass(frozen=True)
class Plan:
    """What is measured: for how many seconds, at which shares of proved pages, how fast (records a second),
    in windows of how many blocks, and on whose chain (None: an embedded one).
    """

    seconds: float
    shares: list[float]
    rate: float
    window: int
    chain: Running | None

    def on_chain(self) -> AbstractContextManager[Devnet | Running]:
        """The chain, while it is used."""
        return nullcontext(self.chain) if self.chain else Devnet(steady=True)


def bench(plan: Plan, *, ezkl: bool, flat: bool, out: Path) -> None:
    """Measure, print, and write the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = next(one for one in train() if one.kind == "mlp")
        artifact = compile_model(
            model.onnx,
            model.calibration,
            folder / "models" / "mlp",
            name="mlp",
            options=CompileOptions(lane="groth16", batch=16, record_openings=not flat),
            evaluation=Evaluation(model.records, model.truth),
        )
        quantiser = artifact.manifest.input.quantiser
        assert isinstance(quantiser, AffineQuantiser)
        records = model.records[quantiser.taken(model.records)]
        report: dict[str, Any] = {
            "chain": plan.chain.url if plan.chain else "embedded",
            "cores": os.cpu_count(),
            "frame": FRAME,
            "seconds": plan.seconds,
            "window": plan.window,
            "runs": [],
        }
        report["parts"] = _parts(artifact, records)
        _say(report["parts"])
        with plan.on_chain() as chain, scene(chain, artifact, folder, CHECKPOINT_BLOCKS) as stage:
            for share in plan.shares:
                report["runs"].append(_run(stage, records, plan, share))
                _say(report["runs"][-1])
            report["latency_ms"] = _latency(stage, records, plan)
            _say(report["latency_ms"])
        report["onnxruntime"] = asyncio.run(_plain(model.onnx, records, min(plan.seconds, 10)))
        _say(report["onnxruntime"])
        if ezkl:
            report["ezkl"] = _ezkl(models.mlp(), records)
            _say(report["ezkl"])
        best = report["runs"][0]["committed_a_second"]
        report["ratios"] = {"to onnxruntime": best / report["onnxruntime"]["a_second"]}
        if ezkl:
            report["ratios"]["to ezkl"] = best / report["ezkl"]["a_second"]
        _say(report["ratios"])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


def _parts(artifact: Artifact, records: np.ndarray) -> dict[str, Any]:
    """Processor time of one record in one end, by what it goes to, and of a page's proof: microseconds of one
    thread, `FRAME` records a frame. The client commits to every page as the enclave does.
    """
    public, salt, batch = artifact.public, bytes(32), artifact.manifest.batch
    rows = public.quantize(records[np.arange(FRAME) % len(records)])
    pages = [rows[at : at + batch] for at in range(0, FRAME, batch)]
    outputs = [artifact.infer(page) for page in pages]
    message = Records(0, FRAME, rows.astype("<i8").tobytes()).encode()
    channel, key = Channel(salt, salt, salt, salt, enclave=True), ReceiptKey(salt)
    parts: dict[str, Callable[[], object]] = {
        "quantiser": lambda: public.quantize(records[np.arange(FRAME) % len(records)]),
        "model": lambda: [artifact.infer(page) for page in pages],
        "commitments": lambda: [
            (public.commit_input(page, salt), public.commit_output(out, salt))
            for page, out in zip(pages, outputs, strict=True)
        ],
        "signatures": lambda: [key.sign(message[:100]) for _ in range(len(pages) + 1)],
        "frames and AEAD": lambda: (parse_message(message), channel.seal(message)),
    }
    spent = {name: _thread_us(part, 10) / FRAME for name, part in parts.items()}
    whole = sum(spent.values())
    started = time.process_time()
    artifact.prove(pages[0], salt, salt)
    return {
        "us_a_record": spent,
        "shares": {name: us / whole for name, us in spent.items()},
        "proof_of_a_page_cpu_ms": (time.process_time() - started) * 1000,
    }


def _thread_us(part: Callable[[], object], times: int) -> float:
    part()
    started = time.thread_time()
    for _ in range(times):
        part()
    return (time.thread_time() - started) / times * 1e6


def _run(stage: Scene, records: np.ndarray, plan: Plan, share: float) -> dict[str, Any]:
    """Ask as fast as answers come, or at a rate; it counts once windows are proved and paid meanwhile."""
    before = stage.rpc.finalised_head().number
    order = SessionOrder(records=8_000_000, sample=share, window_blocks=plan.window)
    with stage.client.session(stage.model, order=order) as session, Steady(stage, session.id) as steady:
        sent = _blocks(records, lambda: not steady.over(plan.seconds), plan.rate)
        for _, outputs in session.run_blocks(sent):
            steady.records += len(outputs)
        counted = steady.counted()
        memory, name, counts = _resident(stage), session.id, session.counts
    finish(stage, name)
    calls = _calls(stage, name, before)
    fees = _fees(stage, before)
    machine = MACHINE_DOLLARS_AN_HOUR / 3600 / counted["committed_a_second"]
    chain_cost = fees / UNIT * UNIT_DOLLARS / steady.records
    return {
        "sample": share,
        **counted,
        "in_all": {
            "records": steady.records,
            "vouched": counts.vouched,
            "pages": counts.pages,
            "resent": counts.resent,
            "losses": counts.losses,
            "sampled": sum(event["pages"] for event in _events(stage, name, before, "Drawn")),
            "proved": len(_pages(stage, name, before)),
            "unpaid": steady.records - sum(e["records"] for e in _events(stage, name, before, "Finished")),
        },
        "enclave_mb": memory,
        "events_on_the_chain": calls,
        "inferences_a_transaction": steady.records / max(sum(calls.values()), 1),
        "dollars_an_inference": {
            "formula": f"machine {MACHINE_DOLLARS_AN_HOUR}/h / rate + fees x {UNIT_DOLLARS} / inferences",
            "machine": machine,
            "chain": chain_cost,
            "sum": machine + chain_cost,
        },
    }


class Steady:
    """Watches a session from beside: `records` are those answered so far, as its user counts them."""

    def __init__(self, stage: Scene, name: bytes) -> None:
        self.records = 0
        self._stage, self._name = stage, name
        self._next = stage.rpc.finalised_head().number + 1
        self._seen: list[tuple[float, str, dict[str, Any]]] = []
        self._began: tuple[float, int, dict[str, float]] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Steady:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def over(self, seconds: float) -> bool:
        """Whether so many seconds were counted."""
        return self._began is not None and time.perf_counter() - self._began[0] >= seconds

    def counted(self) -> dict[str, Any]:
        """What was done since the first window was paid."""
        assert self._began is not None
        began, records, cpu = self._began
        took, done = time.perf_counter() - began, self.records - records
        used = {name: spent - cpu[name] for name, spent in self._cpu().items()}
        seen = [(name, fields) for at, name, fields in self._seen if at > began]
        return {
            "committed_a_second": done / took,
            "seconds": took,
            "load": os.getloadavg()[0],
            "cpu_seconds": used,
            "cpu_of_all_cores": sum(used.values()) / took / (os.cpu_count() or 1),
            "committed_by_cpu": done / sum(used.values()) * (os.cpu_count() or 1),
            "meanwhile": {
                "windows_posted": sum(name == "Checkpointed" for name, _ in seen),
                "pages_committed": sum(f["pages"] for name, f in seen if name == "Checkpointed"),
                "pages_sampled": sum(fields["pages"] for name, fields in seen if name == "Drawn"),
                "pages_proved": sum(len(fields["pages"]) for name, fields in seen if name == "Proved"),
                "windows_paid": sum(name == "Finished" for name, _ in seen),
                "inferences_paid": sum(fields["records"] for name, fields in seen if name == "Finished"),
            },
        }

    def _watch(self) -> None:
        with self._stage.chain.connect() as rpc:
            while not self._stop.wait(1.0):
                for number in range(self._next, rpc.finalised_head().number + 1):
                    now = time.perf_counter()
                    for event in rpc.events(rpc.block_hash(number)):
                        if event.pallet == sessions.PALLET and event.fields.get("session") == self._name:
                            self._seen.append((now, event.name, dict(event.fields)))
                    self._next = number + 1
                if self._began is None and any(name == "Finished" for _, name, _ in self._seen):
                    self._began = time.perf_counter(), self.records, self._cpu()

    def _cpu(self) -> dict[str, float]:
        """Processor seconds so far of each process."""
        worker = self._stage.worker
        pids = {
            "client": os.getpid(),
            "node": worker.node_pid,
            "enclave": worker.events("enclave-started")[-1]["pid"],
            "chain": self._stage.chain.pid,
        }
        return {name: _cpu_seconds(pid) for name, pid in pids.items() if pid is not None}


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _blocks(records: np.ndarray, go: Callable[[], bool], rate: float) -> Iterator[np.ndarray]:
    begun = time.perf_counter()
    for number in count():
        time.sleep(max(0.0, begun + number * FRAME / rate - time.perf_counter()))
        if not go():
            return
        yield records[(np.arange(FRAME) + number * FRAME) % len(records)]


def _events(stage: Scene, name: bytes, since: int, kind: str) -> list[dict[str, Any]]:
    found = []
    for number in range(since, stage.rpc.finalised_head().number + 1):
        for event in stage.rpc.events(stage.rpc.block_hash(number)):
            if (event.pallet, event.name) == (sessions.PALLET, kind) and event.fields["session"] == name:
                found.append(dict(event.fields))
    return found


def _pages(stage: Scene, name: bytes, since: int) -> list[int]:
    return [page for event in _events(stage, name, since, "Proved") for page in event["pages"]]


def _calls(stage: Scene, name: bytes, since: int) -> dict[str, int]:
    """Transactions of a session by the event that each left."""
    kinds = ("Opened", "Checkpointed", "Drawn", "Proved", "Finished", "Closed", "Settled")
    return {kind: len(_events(stage, name, since, kind)) for kind in kinds}


def _fees(stage: Scene, since: int) -> int:
    """What worker and client paid in fees since a block, smallest unit."""
    ours, paid = {stage.account, stage.client.account}, 0
    for number in range(since + 1, stage.rpc.finalised_head().number + 1):
        for event in stage.rpc.events(stage.rpc.block_hash(number)):
            if event.name == "TransactionFeePaid" and bytes(event.fields["who"]) in ours:
                paid += int(event.fields["actual_fee"])
    return paid


def finish(stage: Scene, name: bytes) -> None:
    """See the session to its end, by the chain's own pace while proofs are owed."""
    end = time.monotonic() + (240 if isinstance(stage.chain, Devnet) else 1_800)
    while (record := sessions.get(stage.rpc, name)) is not None:
        if time.monotonic() > end:
            raise SystemExit(f"the session did not end: {stage.worker.log_tail(5)}")
        windows = list(sessions.windows(stage.rpc, record).values())
        head = stage.rpc.finalised_head().number
        if windows and all(one.drawn is not None and not one.owed for one in windows):
            stage.chain.skip_to(max(one.due for one in windows) + 1)
        elif windows and all(one.drawn is None for one in windows):
            stage.chain.skip_to(min(head + 10, max(one.until for one in windows) - record.window))
        time.sleep(0.5)


def _latency(stage: Scene, records: np.ndarray, plan: Plan) -> dict[str, float]:
    """Milliseconds of one record a frame, one at a time."""
    order = SessionOrder(sample=0.01, window_blocks=plan.window)
    with stage.client.session(stage.model, order=order) as session:
        took = sorted(_timed(session, records[at % len(records)]) for at in range(SINGLES))
    return {"p50": statistics.median(took), "p95": took[int(SINGLES * 0.95)], "records": SINGLES}


def _timed(session: Session, record: np.ndarray) -> float:
    started = time.perf_counter()
    session.infer(record)
    return (time.perf_counter() - started) * 1000


def _resident(stage: Scene) -> float:
    """Megabytes of the enclave's process."""
    pid = stage.worker.events("enclave-started")[-1]["pid"]
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the enclave is gone")


async def _plain(onnx: bytes, records: np.ndarray, seconds: float) -> dict[str, Any]:
    """The same records through ONNX Runtime behind aiohttp, `FRAME` a request, from a thread."""
    import onnxruntime

    runtime = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    given = runtime.get_inputs()[0].name
    width = records.shape[1]

    async def answer(request: web.Request) -> web.Response:
        rows = np.frombuffer(await request.read(), dtype=np.float32).reshape(-1, width)
        return web.Response(body=np.asarray(runtime.run(None, {given: rows})[0]).tobytes())

    port, ready = free_port(), threading.Event()

    def serve() -> None:
        async def main() -> None:
            app = web.Application()
            app.router.add_post("/", answer)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            ready.set()
            await asyncio.Future()

        asyncio.run(main())

    threading.Thread(target=serve, daemon=True).start()
    ready.wait(20)
    done, end = 0, time.perf_counter() + seconds
    async with ClientSession() as client:
        started = time.perf_counter()
        for block in _blocks(records.astype(np.float32), lambda: time.perf_counter() < end, math.inf):
            async with client.post(f"http://127.0.0.1:{port}/", data=block.tobytes()) as reply:
                await reply.read()
            done += len(block)
        took = time.perf_counter() - started
    return {"a_second": done / took, "records": done}


def _ezkl(model: Model, records: np.ndarray) -> dict[str, float]:
    """ezkl's prove of a network of the same shape, one record after the other."""
    with EzklBaseline(model) as baseline:
        started = time.perf_counter()
        for record in records[:EZKL_PROOFS]:
            baseline.prove(record)
        return {"a_second": EZKL_PROOFS / (time.perf_counter() - started)}


def _say(value: Any) -> None:
    print(json.dumps(value, default=float), flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.sessions", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="that are counted, for each share")
    parser.add_argument("--shares", default="0.01,0.05", help="of the pages that are proved")
    parser.add_argument("--flat", action="store_true", help="pages in one commitment (--no-record-openings)")
    parser.add_argument("--rate", type=float, default=math.inf, help="records a second at most")
    parser.add_argument("--window", type=int, default=WINDOW_BLOCKS, help="blocks that a window may take")
    parser.add_argument("--chain", help="WebSocket of a running development chain; default: embedded")
    parser.add_argument("--chain-pid", type=int, help="its process, whose processor time is counted")
    parser.add_argument("--no-ezkl", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("build/bench-sessions.json"))
    given = parser.parse_args()
    shares = [float(share) for share in given.shares.split(",")]
    chain = Running(given.chain, given.chain_pid) if given.chain else None
    plan = Plan(given.seconds, shares, given.rate, given.window, chain)
    bench(plan, ezkl=not given.no_ezkl, flat=given.flat, out=given.out)


if __name__ == "__main__":
    main()
