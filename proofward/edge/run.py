"""A device's run: answers as windows end, proofs behind them, roots on the chain as blocks come.

Windows that ended since the last post make the next one, so each is on the chain a block after it ended. The
chain is spoken to beside the answers: it keeps no window waiting, and a chain that is away costs nothing but
the post's time.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from proofward.chain.errors import ChainTimeout, ChainUnreachable, FinalityStalled, RpcError
from proofward.chain.pallets import system
from proofward.client import Client
from proofward.edge import log as logs
from proofward.edge.device import Answered, Device
from proofward.edge.errors import EdgeError
from proofward.protocol import SYSTEM_RANDOM
from proofward.protocol.sessions import session_id
from proofward.zkml import InputRangeError

T = TypeVar("T")
Told = Callable[[Answered, float, float | None], None]
MAX_WAITING = 4096
"""Windows that may wait for the chain or for their proof; then the device stops."""
AGAIN_SECONDS = 1.0
AGAIN_MOST_SECONDS = 60.0
"""Pauses before a chain that is away is asked again: the first, and the longest of those that follow."""
LAST_SECONDS = 300.0
"""For which it is still asked when the last window has ended."""
_AWAY = (ChainUnreachable, ChainTimeout, FinalityStalled, RpcError, OSError)
"""A chain that is away; what it says to a post that it took is another matter."""


@dataclass
class Report:
    """What a run did: milliseconds from a window's end to its answer with commitments, and to its proof."""

    windows: int = 0
    left: int = 0
    proved: int = 0
    posted: int = 0
    answer_ms: list[float] = field(default_factory=list)
    proof_ms: list[float] = field(default_factory=list)
    blocks_to_post: list[int] = field(default_factory=list)


def run(
    device: Device,
    windows: Iterator[NDArray[np.float64]],
    out: Path,
    *,
    sample: int = 1_000_000,
    client: Client | None = None,
    told: Told | None = None,
) -> Report:
    """Answer every window, and prove as many millionths as `sample` says: all at once, or, of those that a
    post holds, the ones that the block behind it picks. Without a client nothing is posted, and all are
    proved. A window outside the model's range is left out, and `told` has no part of it.

    Raises EdgeError, ProvingError, ChainError, DispatchError.
    """
    if client is None and sample != 1_000_000:
        raise EdgeError(
            "without a chain there is no beacon, so all windows are proved; leave --sample out", code="usage"
        )
    account = bytes(client.signer.public_key) if client is not None else None
    writer = logs.Writer(out)
    try:
        begun = logs.Run(
            run=session_id(account or bytes(32), SYSTEM_RANDOM(32)).hex(),
            manifest_hash=device.public.manifest_hash.hex(),
            sample=sample,
            account=None if account is None else account.hex(),
            genesis=None if client is None else client.chain.genesis.hex(),
        )
        writer.line(begun)
        poster = None if client is None else _Poster(client, begun, writer, device)
        report = _serve(device, windows, writer, poster, sample == 1_000_000, told)
        if poster is not None:
            poster.finish(report)
        writer.sync()
        return report
    finally:
        writer.close()


def _serve(
    device: Device,
    windows: Iterator[NDArray[np.float64]],
    writer: logs.Writer,
    poster: _Poster | None,
    prove_all: bool,
    told: Told | None,
) -> Report:
    report = Report()
    try:
        for window in windows:
            ended, number = time.perf_counter(), report.windows
            try:
                answered = device.answer(number, window)
            except InputRangeError:
                # A sensor that came off says nothing of a patient; the next window may.
                writer.line(logs.Left(number=number))
                report.left += 1
                continue
            line = logs.Window(
                number=number,
                input=answered.input_commitment.hex(),
                output=answered.output_commitment.hex(),
            )
            writer.line(line)
            answer_ms = (time.perf_counter() - ended) * 1000
            writer.secret(
                number=number,
                values=answered.values[0].tolist(),
                outputs=answered.outputs[0].tolist(),
                salts=[salt.hex() for salt in answered.salts],
            )
            if poster is not None:
                poster.put(line, answered)
            proof_ms = None
            if prove_all:
                proof = device.prove(answered)
                writer.line(logs.Proved(number=number, proof=proof.hex()))
                proof_ms = (time.perf_counter() - ended) * 1000
                report.proof_ms.append(proof_ms)
                report.proved += 1
            report.windows += 1
            report.answer_ms.append(answer_ms)
            if told is not None:
                told(answered, answer_ms, proof_ms)
    except BaseException:
        if poster is not None:
            poster.abandon()
        raise
    return report


_Ended = tuple[logs.Window, Answered]


class _Poster:
    """Posts what has ended, in a thread of its own; proves what the beacon picks."""

    def __init__(self, client: Client, begun: logs.Run, writer: logs.Writer, device: Device) -> None:
        self._client, self._run, self._writer, self._device = client, begun, writer, device
        self._waiting: queue.Queue[_Ended | None] = queue.Queue(MAX_WAITING)
        self._took: list[int] = []
        self._proved = 0
        self._failure: Exception | None = None
        self._stop = threading.Event()
        self._give_up = math.inf
        self._away: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="edge-poster", daemon=True)
        self._thread.start()

    def put(self, line: logs.Window, answered: Answered) -> None:
        """A window ended. Raises what the chain refused, or EdgeError when it has been away too long."""
        if self._failure is not None:
            raise self._failure
        try:
            self._waiting.put_nowait((line, answered))
        except queue.Full:
            raise EdgeError(
                f"{MAX_WAITING} windows wait for the chain: {self._away or 'it does not finalise'}",
                code="chain-timeout",
            ) from None

    def finish(self, report: Report) -> None:
        """Post what is left. Raises what the chain refused, and what keeps it away for `LAST_SECONDS`."""
        self._give_up = time.monotonic() + LAST_SECONDS
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=1.0)
                break
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        report.posted = len(self._took)
        report.blocks_to_post = self._took
        report.proved += self._proved

    def abandon(self) -> None:
        """Stop, with what waits unposted."""
        self._stop.set()
        with contextlib.suppress(queue.Full):  # then it waits for nothing, and looks at _stop next
            self._waiting.put_nowait(None)
        self._thread.join(30.0)

    def _work(self) -> None:
        try:
            first = number = 0
            while not self._stop.is_set() and (head := self._waiting.get()) is not None:
                batch, over = [head], False
                while len(batch) < 1 << 16:
                    try:
                        more = self._waiting.get_nowait()
                    except queue.Empty:
                        break
                    if more is None:
                        over = True
                        break
                    batch.append(more)
                self._post(number, first, batch)
                first, number = first + len(batch), number + 1
                if over:
                    return
        except Exception as error:  # noqa: BLE001 - handed to the run, which ends with it
            self._failure = error

    def _post(self, number: int, first: int, batch: list[_Ended]) -> None:
        root = logs.root_of(bytes.fromhex(self._run.run), [line for line, _ in batch]).hex()
        post = logs.Post(number=number, first=first, count=len(batch), root=root, block=0)
        self._writer.sync()
        call = system.remark(logs.remark(self._run, post))
        head, receipt = self._insist(
            lambda: (
                self._client.chain.finalised_head().number,
                self._client.send(f"edge:{self._run.run}:{number}", call),  # once, however often it is tried
            )
        )
        post = post.model_copy(update={"block": receipt.block})
        self._writer.line(post)
        self._took.append(receipt.block - head)
        if self._run.sample < 1_000_000:
            beacon = self._insist(lambda: _hash_of(self._client, receipt.block + 1))
            for one in logs.chosen(self._run, post, beacon):
                proof = self._device.prove(batch[one - first][1])
                self._writer.line(logs.Proved(number=one, proof=proof.hex()))
                self._proved += 1

    def _insist(self, action: Callable[[], T]) -> T:
        """What the chain says, whenever it is there again. Raises what it refuses, and what keeps it away
        when the run is given up.
        """
        pause = AGAIN_SECONDS
        while True:
            try:
                found = action()
                self._away = None
                return found
            except _AWAY as error:
                self._away = error
                if self._stop.wait(min(pause, max(0.0, self._give_up - time.monotonic()))):
                    raise
                if time.monotonic() >= self._give_up:
                    raise
                pause = min(2 * pause, AGAIN_MOST_SECONDS)


def _hash_of(client: Client, block: int) -> bytes:
    """The hash of a block once it is final."""
    while client.chain.finalised_head().number < block:
        time.sleep(0.05)
    return client.chain.block_hash(block)
