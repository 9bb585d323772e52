"""Proofs beside answers: in time whatever is asked, the soonest due first, and none lost with an enclave."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.chain.pallets.sessions import Asked, ProvedPage, SessionRecord, WindowRecord
from proofward.protocol import Level
from proofward.protocol.enclave import EnclaveError
from proofward_node.enclave_link import EnclaveDown
from proofward_node.session_pace import BURST, FEW, LEAST_BLOCK_SECONDS, SHARE, Pace
from proofward_node.session_proving import Proving
from proofward_node.session_report import line, told

MODEL = b"m" * 32
BEACON_BLOCKS = 33


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
