"""Proofs beside answers: in time whatever is asked, the soonest due first, and none lost with an enclave."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from proofward.chain.pallets.sessions import (
    MAX_WINDOWS,
    Asked,
    Drawn,
    ProvedPage,
    SessionRecord,
    Terms,
    WindowRecord,
)
from proofward.client.sessions import SessionOrder
from proofward.protocol import Level
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.sessions import sampled
from proofward_node.config import SessionsConfig
from proofward_node.enclave_link import EnclaveDown
from proofward_node.holding import Holding
from proofward_node.holding import read as read_hold
from proofward_node.journal import Journal
from proofward_node.metrics import WINDOW_OUTCOMES, Metrics
from proofward_node.ports import Head
from proofward_node.reasons import Code, Reason
from proofward_node.session_door import Live, SessionRefused
from proofward_node.session_journal import SessionJournal, Vouched
from proofward_node.session_pace import (
    BEACON_BLOCKS,
    FEASIBLE,
    FEW,
    LEAST_BLOCK_SECONDS,
    MOST_WAITING,
    Load,
    Pace,
)
from proofward_node.session_proving import Proving
from proofward_node.session_report import line, told
from proofward_node.sessions import SessionPolicy, Sessions
from tests.node.session_world import SESSION, Keeper, Ledger, keeper, step
from tests.node.session_world import record as world_record
from tests.node.world import ACCOUNT, GENESIS

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


@dataclass
class Client:
    """An enclave's and a client's end of one session: frames make pages, and vouchers cover all so far."""

    record: SessionRecord
    made: int = 0
    vouched: int = 0
    taken: int = 0
    refused: int = 0
    posted: list[int] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "session_checkpoint":
            self.checkpoints.append(params["pages"])
            return {}
        assert method == "session_frame"
        pages, voucher = 0, {}
        if params["frame"] == b"voucher":
            told = min(self.made - self.vouched, *self.checkpoints[-1:], 1 << 16)
            self.posted.append(told)
            self.vouched += told
            number = self.record.next + len(self.posted) - 1
            voucher = {"voucher": {
                "number": number, "root": b"", "pages": self.vouched, "records": self.vouched,
                "signature": b"", "voucher": b"",
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
        policy = SessionPolicy(Terms(1, 1, 4, sample, window), 8, 1024, 1, 100)
        chain = SimpleNamespace(account=b"w" * 32)
        journal = SimpleNamespace(save=lambda one: None, waiting=self.waiting)
        self.worker = Sessions(chain, Path(), journal, policy, Metrics(), _sleep=self.sleep)  # type: ignore[arg-type]
        self.worker._pace = pace = Pace(1)
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

    def waiting(self, session: bytes, number: int) -> int:
        return sum(len(client.posted) for client in self.clients if client.record.id == session)

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


@settings(max_examples=60)
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
    pace = Pace(1)
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


def test_blocks_that_come_faster_than_they_did_count_as_they_came() -> None:
    pace = Pace(1)
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


def paced(seconds: float, block: float) -> Pace:
    pace = Pace(1)
    for _ in range(FEW):
        pace.learn(MODEL, seconds)
    for number in range(40):
        pace.block(number, number * block)
    return pace


@pytest.mark.parametrize(("seconds", "block", "window"), [(0.25, 1.0, 40), (0.4, 1.0, 120), (0.8, 2.0, 60)])
def test_a_client_that_vouches_at_once_is_let_in_at_the_pace_that_is_told(
    seconds: float, block: float, window: int
) -> None:
    every = 12
    told = paced(seconds, block).steady(Load(MODEL, 10_000, window, every, 1)) * block
    model = Model(seconds, block, 10_000, window, 1)
    taken = []
    for number in range(BEACON_BLOCKS + 2 * window + 6 * every):
        for _ in range(int(told) // 64 + 2):  # a little more than it is told
            model.frame(0, 64)
        if number % every == 0:
            model.vouch(0)
        model.step()
        taken.append(model.clients[0].made)
    since = len(taken) - 1 - 6 * every
    had = (taken[-1] - taken[since]) / (6 * every)
    assert 0.85 * told - 8 < had


def test_windows_of_the_default_length_take_all_that_the_cores_can_prove() -> None:
    offered, wanted = SessionsConfig(price=1), SessionOrder()
    assert wanted.window_blocks == offered.least_window_blocks
    for seconds, block in [(0.16, 1.0), (0.25, 1.0), (0.4, 1.0), (0.4, 2.0), (0.8, 2.0)]:
        pace = paced(seconds, block)
        default, longest, shortest = (
            pace.steady(Load(MODEL, 10_000, blocks, max(offered.checkpoint_blocks, blocks // 30), 16))
            for blocks in (offered.least_window_blocks, 600, 10)
        )
        assert default > 0.9 * FEASIBLE * 16 / 0.01 / seconds, seconds
        assert default > 0.9 * min(longest, 16 / 0.01 / seconds), seconds
        assert shortest < 0.01 * default, seconds


def test_the_door_tells_the_pace_and_the_operator_hears_of_windows_that_are_too_short() -> None:
    model = Model(seconds=0.25, block=1.0, sample=10_000, window=10, clients=1)
    model.worker._served = {MODEL: SimpleNamespace(batch=16)}  # type: ignore[dict-item]
    assert model.worker.pace(b"x" * 32, 10_000, 10) is None
    found = model.worker.pace(MODEL, 10_000, 10)
    assert found is not None
    assert found["measured"]
    assert found["records_a_second"] < 20 < 4000 < found["most_records_a_second"]
    longer = model.worker.pace(MODEL, 10_000, found["window_for_most"])
    assert longer is not None
    assert longer["records_a_second"] >= 0.95 * found["most_records_a_second"]
    with capture_logs() as logs:
        model.worker._look_at_terms()
        model.worker._look_at_terms()
    (said,) = logs
    assert (said["event"], said["window_for_most"]) == ("sessions-window-short", found["window_for_most"])
    assert model.worker.metrics.session_pace._value.get() == found["records_a_second"]


def test_a_voucher_that_a_full_disk_did_not_take_is_asked_of_the_enclave_again(tmp_path: Path) -> None:
    model = Model(0.25, 2, 10_000, 120, 1)
    (live,), (client,), worker = model.lives, model.clients, model.worker
    worker.journal = journal = SessionJournal(tmp_path / "sessions.sqlite")
    worker._recalled.add(live.record.id)  # as every block finds it
    model.frame(0)

    def full(_: Vouched) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setattr(journal, "save", full)
        with pytest.raises(SessionRefused) as refused:
            model.vouch(0)
    assert refused.value.code == "disk-failed"
    assert [one["event"] for one in logs] == ["voucher-not-kept"]
    number = live.record.next
    assert (client.posted, journal.get(live.record.id, number)) == ([8], None)
    held: dict[str, Any] = {
        "number": number,
        "root": b"",
        "pages": 8,
        "records": 8,
        "signature": b"",
        "voucher": b"",
    }

    async def ask(method: str, **params: Any) -> dict[str, Any]:
        assert (method, params) == ("session_vouchers", {"session": live.record.id})
        return {"vouchers": [held]}

    worker._ask = ask  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "save", full)
        with pytest.raises(sqlite3.OperationalError):  # which stops the daemon: it says what to do
            asyncio.run(worker._recall(live.record))
    asyncio.run(worker._recall(live.record))
    assert journal.get(live.record.id, number) == Vouched(live.record.id, **held)
    journal.close()


def test_what_is_vouched_for_and_not_posted_is_no_more_than_can_be_while_a_session_ends(
    tmp_path: Path,
) -> None:
    """A client that is answered faster than windows are posted, and then closes, pays for what it had."""
    model = Model(seconds=0.001, block=2.0, sample=10_000, window=60, clients=1)
    (client,), (live,), worker = model.clients, model.lives, model.worker
    worker.journal = journal = SessionJournal(tmp_path / "sessions.sqlite")
    while not client.refused:
        model.frame(0, 64)
        model.vouch(0)
    assert journal.waiting(client.record.id, client.record.next) == MOST_WAITING == client.taken
    live.record = client.record = replace(client.record, next=2)  # both are posted
    model.frame(0, 64)
    assert (client.refused, client.taken) == (1, 3)
    model.vouch(0)
    live.record = client.record = replace(client.record, next=MAX_WINDOWS, oldest=0)
    model.frame(0, 64)  # as many are open as may be
    live.record = client.record = replace(client.record, oldest=1)
    model.frame(0, 64)
    assert (client.refused, client.taken) == (2, 4)
    journal.close()


def test_a_pace_that_is_told_is_one_that_can_be_posted() -> None:
    model = Model(seconds=0.001, block=2.0, sample=10_000, window=10, clients=1)
    model.worker._served = {MODEL: SimpleNamespace(batch=16)}  # type: ignore[dict-item]
    for window in (60, 600):
        found = model.worker.pace(MODEL, 10_000, window)
        assert found is not None
        assert found["records_a_second"] == 31 * 1024 * 16 / ((33 + window + 4) * 2.0)


def test_a_checkpoint_holds_no_more_pages_than_are_sampled_at_the_ordered_share() -> None:
    model = Model(seconds=0.001, block=2.0, sample=500_000, window=120, clients=1)
    (client,), most = model.clients, 256
    assert most < model.worker.policy.checkpoint_pages
    for _ in range(4):
        assert client.checkpoints == []
        model.frame(0, 64)
    assert client.checkpoints == [most]
    for _ in range(5):
        model.frame(0, 64)
    client.checkpoints = [most]
    model.vouch(0)
    assert (client.posted, model.lives[0].unvouched) == ([most], 320)
    assert client.checkpoints == [most, most]  # what came meanwhile, at once
    model.vouch(0)
    assert (client.posted, model.lives[0].unvouched) == ([most, most], 64)
    assert model.worker._pace.steady(Load(MODEL, 500_000, 120, 8, 1)) <= most / (8 * 2.0)


def test_a_session_never_has_more_windows_than_the_chain_lets_be_open() -> None:
    model = Model(seconds=0.25, block=1.0, sample=10_000, window=10, clients=1)
    for blocks in (5, 120, 600):
        every = model.worker._every(blocks)
        assert (BEACON_BLOCKS + blocks) / every < MAX_WINDOWS
    assert model.worker._every(120) == model.worker.policy.checkpoint_blocks


def test_a_client_that_never_vouches_is_ended_and_its_room_is_another_ones() -> None:
    """It fills the room, and stays, connected or not; who vouches meanwhile is served on."""
    model = Model(seconds=0.4, block=1.0, sample=20_000, window=20, clients=2)
    ended, asked = [], []

    async def end(code: str) -> None:
        ended.append(code)

    async def ask(method: str, **params: Any) -> dict[str, Any]:
        asked.append((method, params["session"]))
        return {}

    model.lives[0].end = end  # type: ignore[method-assign]
    model.worker._ask = ask  # type: ignore[method-assign]
    never, other = (client.record.id for client in model.clients)
    limit = model.worker.policy.voucher_blocks

    def overdue() -> None:
        for one in model.worker._ahead.overdue(model.height, limit):
            asyncio.run(model.worker._drop(one))

    while not model.clients[0].refused:
        model.frame(0)
    before = model.clients[1].taken
    for block in range(limit + 2):
        model.frame(1)
        if block % 8 == 7:
            model.vouch(1)
        model.step()
        overdue()
    assert asked == [("session_drop", never)]
    assert ended == ["voucher-overdue"]
    held_up = model.clients[1].taken - before
    assert model.worker._ahead.proofs()[MODEL] < 5
    for block in range(limit):
        model.frame(1)
        if block % 8 == 7:
            model.vouch(1)
        model.step()
        overdue()
    assert asked == [("session_drop", never)]  # who vouches every eight blocks is never ended
    assert model.clients[1].taken - before > held_up
    record = replace(model.clients[0].record, worker=b"w" * 32)

    async def finalised() -> Any:
        return SimpleNamespace(number=model.height)

    async def chain(_: Any) -> SessionRecord:
        return record

    model.worker.chain = SimpleNamespace(account=b"w" * 32, ask=chain, finalised=finalised)  # type: ignore[assignment]
    with pytest.raises(SessionRefused) as refused:
        asyncio.run(model.worker.admit(never))
    assert refused.value.code == "voucher-overdue"
    assert other not in model.worker._dropped


@dataclass
class Enclave:
    """A link whose proofs are made at once, or fail as a test says."""

    faults: dict[int, Exception] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    up: bool = True

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


async def test_a_bond_that_a_strangers_call_took_is_told_and_counts_for_the_circuit(tmp_path: Path) -> None:
    ledger, journal = Ledger(), Journal(tmp_path / "journal.sqlite", GENESIS + ACCOUNT)
    holding, noted = Holding(tmp_path / "hold.json", journal), list[tuple[bytes, Reason, Head]]()
    names = [bytes([at]) * 32 for at in range(3)]
    ledger.records = {name: world_record(id=name, opened_at=10) for name in names}

    def start() -> Keeper:
        return keeper(
            ledger, tmp_path, on_outcome=holding.outcome, on_reason=lambda *told: noted.append(told)
        )

    worker = start()
    await step(worker, ledger, blocks=3)
    ledger.end("Failed", names[0], number=4, bond=7, refunded=0)
    worker.down = True  # what ended is told though the enclave cannot be told, and once
    with capture_logs() as logs:
        await step(worker, ledger, blocks=2)
        assert names[0] in worker.journal.sessions()
        worker.down = False
        await step(worker, ledger, blocks=2)
    (said,) = [one for one in logs if one["event"] == "session-bond-lost"]
    assert (said["session"], said["block"], said["log_level"]) == (names[0].hex(), 14, "error")
    assert "window 4" in said["message"]
    assert holding.lost == 1
    assert names[0] not in worker.journal.sessions()
    # Of what ended while no process ran, too; by then the block is far behind, and found with few reads.
    worker.journal.close()
    ledger.block(200)
    ledger.end("Failed", names[1], number=0, bond=7, refunded=0)
    ledger.block(900)
    ledger.end("Settled", names[2], paid=5, refunded=0)
    ledger.block(900)
    ledger.reads = 0
    again = start()
    await step(again, ledger)
    assert ledger.reads < 40
    counted = {
        outcome: again.metrics.session_windows.labels(outcome)._value.get() for outcome in WINDOW_OUTCOMES
    }
    assert counted == {**dict.fromkeys(WINDOW_OUTCOMES, 0), "failed": 1}
    told = {name: (reason.code, head.number) for name, reason, head in noted}
    assert told[names[1]] == (Code.SESSION_FAILED, 219)
    assert told[names[2]] == (Code.SESSION_SETTLED, 1120)
    again.journal.close()
    journal.close()


async def test_two_bonds_of_sessions_in_a_row_break_the_circuit_and_a_paid_session_between_them_does_not(
    tmp_path: Path,
) -> None:
    with closing(Journal(tmp_path / "journal.sqlite", GENESIS + ACCOUNT)) as journal:
        holding = Holding(tmp_path / "hold.json", journal)
        for outcome in (Code.SESSION_FAILED, Code.SESSION_SETTLED, "lapsed"):
            holding.outcome(outcome)
        assert read_hold(tmp_path / "hold.json") is None
        holding.outcome(Code.SESSION_FAILED)
        hold = read_hold(tmp_path / "hold.json")
    assert hold is not None
    assert (hold.code, hold.detail) == (
        Code.BROKEN_CIRCUIT, "2 bonds lost in a row, the last one session-failed",
    )  # fmt: skip


async def test_an_ending_whose_block_the_node_dropped_is_said_to_be_unseen(tmp_path: Path) -> None:
    ledger, codes = Ledger(records={SESSION: world_record()}), list[Code]()
    worker = keeper(ledger, tmp_path, on_reason=lambda _, reason, head: codes.append(reason.code))
    await step(worker, ledger)
    ledger.end("Failed", number=0, bond=7, refunded=0)
    ledger.block(300)
    ledger.kept = 200
    await step(worker, ledger)
    assert codes == [Code.SESSION_UNSEEN]
    assert worker.metrics.session_windows.labels("unseen")._value.get() == 1
    worker.journal.close()
