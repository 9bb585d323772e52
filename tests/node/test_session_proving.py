"""Proofs beside answers: in time whatever is asked, the soonest due first, and none lost with an enclave."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from proofward.chain.pallets.sessions import Asked, Drawn, ProvedPage, SessionRecord, Terms, WindowRecord
from proofward.protocol import Level
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.sessions import sampled
from proofward_node.enclave_link import EnclaveDown
from proofward_node.metrics import Metrics
from proofward_node.session_door import Live
from proofward_node.session_pace import BEACON_BLOCKS, BURST, FEW, LEAST_BLOCK_SECONDS, SHARE, Pace
from proofward_node.session_proving import Proving
from proofward_node.session_report import line, told
from proofward_node.sessions import SessionPolicy, Sessions

MODEL = b"m" * 32


def record(name: bytes = b"s" * 32, **changes: Any) -> SessionRecord:
    made = SessionRecord(
        id=name, client=b"c" * 32, worker=b"w" * 32, model=MODEL, voucher_key=bytes(32),
        receipt_key=bytes(32), epoch=1, level=Level.SIMULATED, min_level=Level.SIMULATED, price=1, sample=1,
        window=10, opened_at=0, end=100, escrow=0, owed=0, bond=0, deposit=0, oldest=0, next=9, pages=0,
        records=0, paid=0,
    )  # fmt: skip
    return replace(made, **changes)


def window(due: int, *pages: int) -> WindowRecord:
    asked = tuple(Asked(page, 0, False) for page in pages)
    return WindowRecord(bytes(32), 0, 100, 1600, 0, 0, due - 10, due, None, asked, False)


@settings(deadline=None)  # a busy machine is no fault
@given(
    seconds=st.floats(0.01, 3.0),
    share=st.floats(0.001, 1.0),
    blocks=st.integers(5, 60),
    asks=st.lists(st.tuples(st.floats(0.0, 40.0), st.integers(1, 60)), min_size=1, max_size=30),
)
def test_what_the_pace_lets_in_is_proved_within_its_window(
    seconds: float, share: float, blocks: int, asks: list[tuple[float, int]]
) -> None:
    """A client that sends pages whenever it is let: what the beacon picks of them is proved in turn,
    `BEACON_BLOCKS` after they were taken.
    """
    clock = [0.0]
    pace = Pace(1, lambda: clock[0])
    for _ in range(FEW):
        pace.learn(MODEL, seconds)
    for number in range(20):
        pace.block(number, float(number))
    taken: list[tuple[float, float]] = []  # when, and seconds of proving
    for pause, pages in asks:
        clock[0] += pause
        for _ in range(pages):
            clock[0] += pace.wait(blocks)
            pace.charge(MODEL, share)
            taken.append((clock[0], share * seconds))
    free = 0.0
    for at, cost in taken:
        begun = max(free, at + BEACON_BLOCKS)
        free = begun + cost
        assert free <= at + BEACON_BLOCKS + BURST * blocks + cost + 1e-6


@dataclass
class Client:
    """An enclave's and a client's end of one session: frames make pages, and vouchers cover all so far."""

    record: SessionRecord
    made: int = 0
    vouched: int = 0
    taken: int = 0
    refused: int = 0
    posted: list[int] = field(default_factory=list)

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "session_checkpoint":
            return {}
        assert method == "session_frame"
        pages, voucher = 0, {}
        if params["frame"] == b"voucher":
            self.posted.append(self.made - self.vouched)
            self.vouched = self.made
            number = self.record.next + len(self.posted) - 1
            voucher = {"voucher": {
                "number": number, "root": b"", "pages": self.made, "records": self.made, "signature": b"",
                "voucher": b"",
            }}  # fmt: skip
        elif params["behind"]:
            self.refused += 1
        else:
            self.taken, pages = self.taken + 1, params["frame"][0]
        self.made += pages
        counts = {"unvouched": self.made - self.vouched, "records": self.made, "pages": pages}
        return {"frames": [], **counts, **voucher}


class Model:
    """A worker of one slot at a chain's pace, with `Sessions` itself at its door: what is due first is proved
    first, once it is drawn or forced.
    """

    def __init__(self, seconds: float, block: float, sample: int, window: int, clients: int) -> None:
        self.seconds, self.block, self.now, self.height, self.spare = seconds, block, 0.0, 100, 0.0
        policy = SessionPolicy(Terms(1, 1, 4, sample, window), 8, 1024, 1)
        chain, journal = SimpleNamespace(account=b"w" * 32), SimpleNamespace(save=lambda one: None)
        self.worker = Sessions(chain, Path(), journal, policy, Metrics(), _sleep=self.sleep)  # type: ignore[arg-type]
        self.worker._pace = pace = Pace(1, lambda: self.now)
        self.worker._proving = SimpleNamespace(try_out=lambda *_: None, left=lambda *_: None)  # type: ignore[assignment]
        self.worker._tend = lambda record: None  # type: ignore[method-assign]
        self.worker._height = self.height
        for _ in range(FEW):
            pace.learn(MODEL, seconds)
        for number in range(self.height - 40, self.height + 1):
            pace.block(number, number * block)
        self.clients = [
            Client(record(bytes([at]) * 32, sample=sample, window=window, end=10**6, next=0))
            for at in range(clients)
        ]
        self.lives = [self.connect(client) for client in self.clients]

    async def sleep(self, seconds: float) -> None:
        self.slept = seconds

    def connect(self, client: Client) -> Live:
        live = Live(client.record, None, client, 1, 10**9, 0)  # type: ignore[arg-type]
        self.worker.entered(live)
        return live

    def frame(self, at: int, pages: int = 8) -> None:
        asyncio.run(self.worker.take(self.lives[at], bytes([pages])))
        self.now += 0.01

    def vouch(self, at: int) -> None:
        if self.clients[at].made > self.clients[at].vouched:
            asyncio.run(self.worker.take(self.lives[at], b"voucher"))

    def force(self) -> None:
        """Eight more pages of each window that is open, or all."""
        for one, windows in self.worker._windows.values():
            for number, old in windows.items():
                asked = {page.page for page in old.asked}
                free = [page for page in range(old.first, old.first + old.pages) if page not in asked]
                picked = 0 if old.drawn else sampled(old.pages, one.sample)
                some = free[picked:][: 8 - sum(page.fee for page in old.asked)]
                if some and self.height <= old.until:
                    forced = (*old.asked, *(Asked(page, 1, False) for page in some))
                    due = max(old.due, self.height + one.window)
                    windows[number] = replace(old, asked=forced, due=due)  # type: ignore[index]

    def step(self) -> None:
        """A block: what is vouched for is posted, what is known is drawn, and its time of proving goes by."""
        self.height += 1
        self.now = max(self.now, self.height * self.block)
        for at, client in enumerate(self.clients):
            one, windows = self.worker._windows.get(client.record.id, (client.record, {}))
            windows = dict(windows)
            for pages in client.posted:
                until = self.height + BEACON_BLOCKS + one.window
                windows[one.next] = WindowRecord(
                    bytes(32), one.pages, pages, pages, 0, self.height, until, until, None, (), False
                )
                one = replace(one, next=one.next + 1, pages=one.pages + pages, records=one.pages + pages)
            client.posted.clear()
            client.record = self.lives[at].record = one
            for number, old in windows.items():
                if old.drawn is None and self.height >= old.until - one.window:
                    asked = {page.page for page in old.asked}
                    free = (page for page in range(old.first, old.first + old.pages) if page not in asked)
                    some = (Asked(next(free), 0, False) for _ in range(sampled(old.pages, one.sample)))
                    windows[number] = replace(old, drawn=Drawn(b"", 1), asked=(*old.asked, *some))
            self.worker._windows[one.id] = one, windows
            self.worker._ahead.posted(one)
        self.prove()
        self.worker._height = self.height
        self.worker._pace.block(self.height, self.height * self.block)
        self.worker._late = self.worker._pace.late((one[1:] for one in self.worker._to_prove()), self.height)

    def prove(self) -> None:
        everything = [
            (old.due, name, number)
            for name, (_, windows) in self.worker._windows.items()
            for number, old in windows.items()
        ]
        self.spare += self.block
        for due, name, number in sorted(everything):
            windows: dict[int, WindowRecord] = self.worker._windows[name][1]  # type: ignore[assignment]
            while windows[number].owed and self.spare >= self.seconds:
                self.spare -= self.seconds
                page = windows[number].owed[0]
                asked = tuple(
                    replace(one, proved=one.proved or one.page == page) for one in windows[number].asked
                )
                windows[number] = replace(windows[number], asked=asked)
            assert not windows[number].owed or self.height < due, "a bond is lost"
            if self.height > due:
                del windows[number]
        if not any(
            windows[number].owed for _, windows in self.worker._windows.values() for number in windows
        ):
            self.spare = min(self.spare, self.seconds)  # time that nothing was proved in is gone


@settings(deadline=None, max_examples=60)
@given(
    share=st.floats(0.02, 0.4),
    block=st.sampled_from([1.0, 2.0, 6.0]),
    sample=st.sampled_from([10_000, 20_000, 200_000]),
    window=st.sampled_from([10, 20, 60]),
    clients=st.integers(1, 4),
    acts=st.lists(st.tuples(st.integers(0, 30), st.sampled_from("----vaf"), st.integers(0, 3)), max_size=60),
)
@example(share=0.1, block=1.0, sample=200_000, window=10, clients=2, acts=[(20, "-", 0)] * 12)
@example(share=0.1, block=1.0, sample=10_000, window=10, clients=2, acts=[(8, "a", 0)] * 50 + [(0, "f", 0)])
def test_whenever_clients_vouch_and_whatever_they_force_is_proved_in_time(
    share: float, block: float, sample: int, window: int, clients: int, acts: list[tuple[int, str, int]]
) -> None:
    """Clients that ask as fast as they are let, batch their pages in checkpoints, withhold vouchers and give
    all at once, or force all that they may.
    """
    model = Model(share * block, block, sample, window, clients)
    model.frame(0, 1)
    assert model.clients[0].taken == 1  # the first page of an idle worker, whatever a proof takes
    for frames, act, who in acts:
        for at in range(frames):
            model.frame((who + at) % clients)
        for at in {"v": [who % clients], "a": range(clients)}.get(act, []):
            model.vouch(at)
        if act == "f":
            model.force()
        model.step()
    for at in range(clients):
        model.vouch(at)
    for _ in range(BEACON_BLOCKS + 2 * window + 2):
        model.step()


def test_vouchers_that_were_withheld_and_come_all_at_once_lose_no_bond() -> None:
    model = Model(seconds=0.4, block=1.0, sample=20_000, window=10, clients=4)
    for _ in range(100):
        for at in range(4):
            model.frame(at)
        model.step()
    assert all(client.refused for client in model.clients)
    for at in range(4):
        model.vouch(at)
    for blocks in range(BEACON_BLOCKS + 12):
        if blocks == 30:
            model.force()
        model.step()


def test_a_new_connection_forgets_nothing_of_what_its_session_owes() -> None:
    model = Model(seconds=0.4, block=1.0, sample=20_000, window=10, clients=1)
    for _ in range(500):  # one frame each
        model.worker.left(model.lives[0])
        model.lives[0] = model.connect(model.clients[0])
        model.frame(0)
    assert model.clients[0].taken < 60
    assert model.clients[0].refused > 400


def test_an_honest_client_at_a_modest_rate_is_served_on() -> None:
    model = Model(seconds=0.1, block=6.0, sample=20_000, window=10, clients=1)
    for block in range(200):
        model.frame(0)
        if block % 8 == 7:
            model.vouch(0)
        model.step()
    assert model.clients[0].refused == 0
    # However long a proof takes, the first page of an idle worker is taken.
    slowest = Model(seconds=60.0, block=1.0, sample=20_000, window=10, clients=2)
    slowest.frame(0)
    slowest.frame(1)
    assert [client.taken for client in slowest.clients] == [1, 0]
    # And one that asks for more than is proved is refused for a while, never for good.
    slow = Model(seconds=2.0, block=1.0, sample=20_000, window=10, clients=1)
    taken = []
    for block in range(400):
        slow.frame(0)
        if block % 8 == 7:
            slow.vouch(0)
        slow.step()
        taken.append(slow.clients[0].taken)
    assert all(later > before for before, later in zip(taken, taken[120:], strict=False))


def test_windows_that_cannot_all_be_proved_in_time_are_seen_before() -> None:
    pace = Pace(1, lambda: 0.0)
    pace.learn(MODEL, 0.5)
    assert pace.seconds(MODEL) == 1.0  # one proof, alone, says little
    for _ in range(FEW - 1):
        pace.learn(MODEL, 0.5)
    for number in range(20):
        pace.block(number, float(number))
    owed = [(40, MODEL, 10.0), (30, MODEL, 10.0)]
    assert not pace.late(owed, 10)  # 5 s of proving by the end of 16, 10 s by that of 26
    assert pace.late(owed, 19)  # the sooner one alone
    assert pace.late([*owed, (35, MODEL, 20.0)], 10)
    for _ in range(20):
        pace.learn(MODEL, 1.5)  # beside answers it takes longer than it did alone
    assert pace.late(owed, 10)
    # What was let in before counts by what it takes now.
    pace.charge(MODEL, 10.0)
    assert pace.wait(10) > 0


def test_blocks_that_come_faster_than_they_did_count_as_they_came() -> None:
    pace = Pace(1, lambda: 0.0)
    for number in range(40):
        pace.block(number, 2.0 * number)
    assert pace.block_seconds == 2.0
    for number in range(40, 60):
        pace.block(number, 78.0 + 0.5 * (number - 39))
    assert pace.block_seconds == 0.5
    pace.block(59, 0.0)  # what was seen already changes nothing
    assert pace.block_seconds == 0.5
    for number in range(60, 90):
        pace.block(number, 88.0)  # at once
    assert pace.block_seconds == LEAST_BLOCK_SECONDS
    assert not pace.late([(140, MODEL, 3.0)], 90)


def test_a_worker_with_time_to_spare_holds_nobody_up() -> None:
    clock = [0.0]
    pace = Pace(1, lambda: clock[0])
    for _ in range(FEW):
        pace.learn(MODEL, 0.1)
    for _ in range(1000):
        assert pace.wait(10) == 0
        pace.charge(MODEL, 0.5)
        clock[0] += 0.05 / SHARE + 1e-9


@dataclass
class Enclave:
    """A link whose proofs are made at once, or fail as a test says."""

    faults: dict[int, Exception] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert method == "session_prove"
        await asyncio.sleep(0)
        self.asked.append(params["page"])
        if (fault := self.faults.pop(params["page"], None)) is not None:
            raise fault
        return {"input_commitment": b"i", "output_commitment": b"o", "path": [], "proof": b"p"}

    def close(self) -> None:
        pass


class Chain:
    """Counts what is handed in; the first `refused` calls do not count."""

    def __init__(self, refused: int = 0) -> None:
        self.refused = refused
        self.calls: list[list[int]] = []
        self.counted: set[int] = set()

    async def hand_in(self, session: bytes, number: int, pages: list[ProvedPage]) -> bool:
        self.calls.append([page.page for page in pages])
        await asyncio.sleep(0)
        if self.refused:
            self.refused -= 1
            return False
        self.counted.update(page.page for page in pages)
        return True


def proving(enclave: Enclave, chain: Chain, slots: int = 1) -> Proving:
    return Proving(lambda: enclave, chain.hand_in, Pace(slots), slots)  # type: ignore[arg-type, return-value]


async def until_quiet(made: Proving) -> None:
    while tasks := [*made._provers, *made._others]:
        await asyncio.wait(tasks)


def test_the_window_that_is_due_first_is_proved_first_and_eight_pages_are_one_call() -> None:
    enclave, chain = Enclave(), Chain()

    async def run() -> None:
        made = proving(enclave, chain)
        made.owe(record(), 1, window(90, *range(100, 110)))
        made.owe(record(), 0, window(50, *range(10)))
        made.owe(record(), 0, window(50, *range(10)))  # the next block says it again
        assert made.waiting == 20
        await until_quiet(made)
        assert made.waiting == 0

    asyncio.run(run())
    assert enclave.asked == [*range(10), *range(100, 110)]
    assert chain.calls == [[*range(8)], [8, 9], [*range(100, 108)], [108, 109]]


def test_an_enclave_that_dies_amid_proofs_loses_none_and_what_is_made_is_handed_in() -> None:
    enclave = Enclave({2: EnclaveDown("gone"), 4: EnclaveError("no proof was made", code="prover-failed")})
    chain = Chain(refused=1)

    async def run() -> None:
        made = proving(enclave, chain)
        for _ in range(4):  # four blocks
            owed = [page for page in range(6) if page not in chain.counted]
            made.owe(record(), 0, window(50, *owed))
            await until_quiet(made)

    asyncio.run(run())
    assert chain.counted == set(range(6))
    assert chain.calls[0] == [0, 1]


def test_a_window_that_is_over_is_not_proved_any_more() -> None:
    enclave, chain = Enclave(), Chain()

    async def run() -> None:
        made = proving(enclave, chain)
        made.owe(record(), 0, window(50, 0, 1))
        made.owe(record(), 1, window(60, 2, 3))
        made.over(record().id, 1)
        await until_quiet(made)
        made.over(record().id)
        assert made.waiting == 0

    asyncio.run(run())
    assert chain.counted == {2, 3}


def test_worker_why_says_what_a_session_waits_for() -> None:
    open_one = record(escrow=100, end=100)
    table: list[tuple[str, SessionRecord, dict[int, WindowRecord], int, int]] = [
        ("running", open_one, {}, 0, 50),
        ("its escrow is exhausted", replace(open_one, owed=100), {}, 0, 50),
        ("over: to be settled", open_one, {}, 0, 101),
        ("over: settled after block 130", open_one, {0: window(130, 1)}, 0, 101),
        ("window 3 was not proved in time", open_one, {3: window(40, 1)}, 0, 50),
        ("32 windows are open", replace(open_one, next=32), {0: window(90, 1)}, 2, 50),
    ]
    for words, one, windows, waiting, head in table:
        found = told(one, windows, waiting, head)
        assert found["state"].startswith(words), (words, found["state"])
        assert found["session"] in line(found)
    owing = told(open_one, {0: window(90, 1, 2), 1: window(80, 3)}, 0, 50)
    assert (owing["pages_owed"], owing["next_due"]) == (3, 80)
