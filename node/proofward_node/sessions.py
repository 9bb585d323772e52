"""The worker's sessions: offers on the chain, clients at the door, checkpoints, proofs, ends.

What must happen on the chain is read from the chain each time, and from the journal of vouchers: there is no
recovery that differs from the ordinary way. An extrinsic has one key for each act of each window, so it goes
out once. Proofs are made beside all that, and records are taken no faster than they can be proved.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from proofward.chain import SubstrateClient
from proofward.chain.pallets import models as chain_models
from proofward.chain.pallets import sessions
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.sessions import Offer, ProvedPage, SessionRecord, Terms, WindowRecord
from proofward.chain.values import Call
from proofward.logs import Logger
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.sessions import most_pages, sampled
from proofward_node import session_endings
from proofward_node.chain_port import ChainPort
from proofward_node.enclave_link import EnclaveDown
from proofward_node.metrics import Metrics
from proofward_node.ports import ChainDown, Head
from proofward_node.reasons import Code, Reason
from proofward_node.session_ahead import Ahead
from proofward_node.session_door import Live, SessionRefused
from proofward_node.session_endings import Ending
from proofward_node.session_journal import SessionJournal, Vouched
from proofward_node.session_link import SessionLink
from proofward_node.session_pace import MOST_WAITING, WINDOW_BLOCKS, Load, Pace, checkpoint_every
from proofward_node.session_proving import Proving

log = Logger("proofward_node.sessions")

OFFERS_EVERY_BLOCKS: Final = 10
"""Blocks between two looks at our offers."""
LAST_VOUCHER_BLOCKS: Final = 8
"""Blocks after a session's end for which its client's connection stays, for a last voucher."""
IDLE_BLOCKS: Final = 600
"""Blocks without a client after which a session that owes nothing is closed, so that its slot is free again.
"""
WAIVE_BLOCKS: Final = 10
"""Blocks before a window's end in which a session is waived whose enclave is away (half its window, if less).
"""
HOLD_SECONDS: Final = 0.25
"""Seconds that go by before the next frame is heard when records were refused for now."""
_FULL: Final = 0.5
"""Of what the longest windows give, the least that the offered ones should."""


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """What the operator offers (None: nothing, what runs comes to its end), after how many blocks or pages a
    checkpoint is made, and for how many blocks a client may leave what it was answered without its voucher.
    """

    terms: Terms | None
    checkpoint_blocks: int
    checkpoint_pages: int
    proofs_at_once: int
    voucher_blocks: int


@dataclass
class Sessions:
    """Keeps the worker's sessions."""

    chain: ChainPort
    socket: Path
    journal: SessionJournal
    policy: SessionPolicy
    metrics: Metrics
    on_outcome: Callable[[str], None] = lambda outcome: None
    on_reason: Callable[[bytes, Reason, Head], None] = lambda session, reason, head: None
    _served: Mapping[bytes, ModelRecord] = field(default_factory=dict)
    _lives: dict[bytes, Live] = field(default_factory=dict)
    _tasks: dict[tuple[bytes, str], asyncio.Task[None]] = field(default_factory=dict)
    _seen: dict[bytes, int] = field(default_factory=dict)
    _there: dict[bytes, int] = field(default_factory=dict)
    _ended: set[bytes] = field(default_factory=set)
    _noted: dict[bytes, set[Reason]] = field(default_factory=dict)
    closing: bool = False
    _windows: dict[bytes, tuple[SessionRecord, Mapping[int, WindowRecord]]] = field(default_factory=dict)
    _late: bool = False
    _dropped: set[bytes] = field(default_factory=set)
    _told: set[bytes] = field(default_factory=set)
    _recalled: set[bytes] = field(default_factory=set)
    _ahead: Ahead = field(default_factory=Ahead)
    _sleep: Callable[[float], Coroutine[None, None, None]] = asyncio.sleep
    _height: int = 0
    _offers_at: int = -OFFERS_EVERY_BLOCKS
    _asking: SessionLink | None = None
    _others: set[asyncio.Task[None]] = field(default_factory=set)
    _pace: Pace = field(init=False)
    _proving: Proving = field(init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(self.policy.proofs_at_once)
        self._proving = Proving(self.link, self._hand_in, self._pace, self.policy.proofs_at_once)

    @property
    def genesis(self) -> bytes:
        """The chain's."""
        return self.chain.genesis

    # the door -------------------------------------------------------------------------------------

    def link(self) -> SessionLink:
        """See `session_door.Host`."""
        return SessionLink(self.socket)

    async def admit(self, session: bytes) -> tuple[SessionRecord, ModelRecord]:
        """See `session_door.Host`."""
        record = await self.chain.ask(lambda client: sessions.get(client, session))
        if record is None or record.worker != self.chain.account:
            raise SessionRefused.by("unknown-session")
        if session in self._dropped:
            raise SessionRefused.by("voucher-overdue")
        if self.closing and session not in {one.id for one in self._ahead.sessions}:
            raise SessionRefused.by("draining")  # who has something to vouch for may still do so
        if (await self.chain.finalised()).number > record.end + LAST_VOUCHER_BLOCKS:
            raise SessionRefused.by("session-ended")
        model = await self.chain.ask(lambda client: chain_models.get(client, record.model))
        if model is None:
            raise SessionRefused.by("unknown-model")
        return record, model

    def refused(self, session: bytes, code: str) -> None:
        """See `session_door.Host`."""
        if session in self._there:
            self._note(session, Code.SESSION_REFUSED, code)

    def _note(self, name: bytes, code: Code, detail: str = "") -> None:
        """Write down what befell a session or a model, once: a client may come again and again."""
        reason, noted = Reason(code, detail), self._noted.setdefault(name, set())
        if reason not in noted:
            noted.add(reason)
            self.on_reason(name, reason, Head(self._height, b"", 0))

    def entered(self, live: Live) -> None:
        """See `session_door.Host`."""
        live.checkpoint_at = self._height
        older, self._lives[live.record.id] = self._lives.get(live.record.id), live
        if older is not None:
            self._beside(older.end("stale-connection"))
        self._ahead.found(live.record, live.unvouched, live.records)
        self.metrics.session_clients.set(len(self._lives))

    def left(self, live: Live) -> None:
        """See `session_door.Host`."""
        if self._lives.get(live.record.id) is live:
            del self._lives[live.record.id]
        self._seen[live.record.id] = self._height
        self.metrics.session_clients.set(len(self._lives))

    async def take(self, live: Live, frame: bytes) -> None:
        """See `session_door.Host`: whether records are refused for now is decided before each frame. A
        voucher is on the disk before anything else is heard.
        """
        record = live.record
        idle = self._idle()
        self._ahead.begin(record)
        try:
            behind = self._waits_for_the_chain(record) or (not idle and self._behind(record))
            reply = await live.frame(frame, lambda reply: self._heard(record, reply), behind=behind)
        finally:
            self._ahead.end(record)
        if live.unvouched >= min(self.policy.checkpoint_pages, most_pages(record.sample)):
            await self._checkpoint(live)
        if behind and "voucher" not in reply:
            self.metrics.session_held.inc(HOLD_SECONDS)
            await self._sleep(HOLD_SECONDS)

    def _heard(self, record: SessionRecord, reply: dict[str, Any]) -> None:
        if "voucher" in reply:
            try:
                self._vouched(record, reply["voucher"])
            except sqlite3.Error as error:
                self._recalled.discard(record.id)  # the enclave has it, and is asked for it at the next block
                log.error("voucher-not-kept", session=record.id.hex(), message=str(error))
                raise SessionRefused.by("disk-failed") from None
        self._ahead.made(record, reply)

    def _vouched(self, record: SessionRecord, voucher: dict[str, Any]) -> None:
        self.journal.save(Vouched(record.id, **voucher))
        self.metrics.session_records.inc(max(0, voucher["records"] - record.records))
        self._ahead.vouched(record, voucher["number"], voucher["pages"], voucher["records"])
        self._proving.try_out(record, voucher["number"], voucher["pages"] - 1)
        self._tend(record)

    def _waits_for_the_chain(self, record: SessionRecord) -> bool:
        """Whether enough is vouched for that is not posted, or cannot be before a window is over: a client
        that ended the session now would not pay for what came on top.
        """
        waiting = self.journal.waiting(record.id, record.next)
        return waiting >= MOST_WAITING or record.next - record.oldest + waiting >= sessions.MAX_WINDOWS

    def _idle(self) -> bool:
        """Whether nothing is to be proved, nor may be but for what clients force of windows that are open:
        a frame is always taken then, however long a proof takes.
        """
        return not self._ahead.sessions and not any(True for _ in self._to_prove())

    def _behind(self, record: SessionRecord) -> bool:
        """Whether the session's records should wait: while more may be owed than can be proved in time,
        whenever clients vouch for their pages and whatever they force.
        """
        open_ones = [
            (one, window)
            for one, windows in self._windows.values()
            for window in windows.values()
            if not window.excused and self._height <= window.until
        ]
        running = [record, *self._ahead.sessions, *(one for one, _ in open_ones)]
        shortest = min(one.window for one in (*running, *(live.record for live in self._lives.values())))
        force_room, draw_room = self._pace.room(self._to_prove(), self._height, shortest)
        forced = self._pace.work(self._ahead.forceable(open_ones))
        drawn = self._pace.work(self._ahead.proofs())
        return self._late or forced > force_room or forced + drawn > draw_room

    def _every(self, window: int) -> int:
        return checkpoint_every(self.policy.checkpoint_blocks, window)

    def pace(self, model: bytes, sample: int, window: int) -> dict[str, Any] | None:
        """See `session_door.Host`."""
        record = self._served.get(model)
        if record is None:
            return None

        pages, last = min(self.policy.checkpoint_pages, most_pages(sample)), WINDOW_BLOCKS[-1]
        rates, most = dict[int, float](), 0.0
        for blocks in (window, *range(window + 10, last, 10), last):
            posted = self._pace.posted(blocks, pages, record.batch)
            if rates and posted <= most:
                break  # of longer windows still less can be posted
            load = Load(model, sample, blocks, self._every(blocks), record.batch)
            rates[blocks] = min(self._pace.steady(load), posted)
            most = max(most, rates[blocks])
        return {
            "records_a_second": rates[window],
            "most_records_a_second": most,
            "window": window,
            "window_for_most": next(blocks for blocks, rate in rates.items() if rate >= 0.95 * most),
            "proof_seconds": self._pace.seconds(model),
            "block_seconds": self._pace.block_seconds,
            "measured": self._pace.measured(model),
        }

    def _look_at_terms(self) -> None:
        """Say once a model that windows as short as are offered hold clients up."""
        terms, paces = self.policy.terms, []
        if terms is None:
            return
        for model in self._served:
            found = self.pace(model, terms.most_sampled, terms.least_window)
            if found is None or not found["measured"]:
                continue
            paces.append(found["records_a_second"])
            short = found["records_a_second"] < _FULL * found["most_records_a_second"]
            if short and model not in self._told:
                self._told.add(model)
                log.warning("sessions-window-short", model=model.hex(), **found)
        if paces:
            self.metrics.session_pace.set(min(paces))

    async def _checkpoint(self, live: Live) -> None:
        live.checkpoint_at = self._height
        try:
            await live.ask("session_checkpoint", pages=most_pages(live.record.sample))
        except (EnclaveError, EnclaveDown, ConnectionError) as error:
            log.warning("checkpoint-failed", session=live.record.id.hex(), message=str(error))

    def _beside(self, action: Coroutine[None, None, None]) -> None:
        """What waits for a client holds up no block."""
        task = asyncio.create_task(action)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    # blocks ---------------------------------------------------------------------------------------

    async def offer(self, head: Head, served: Mapping[bytes, ModelRecord]) -> None:
        """See to what is offered; for a worker that is registered. Raises ChainDown."""
        self._served = served
        if head.number - self._offers_at >= OFFERS_EVERY_BLOCKS:
            self._offers_at = head.number
            self._look_at_terms()
            await self._offer()

    async def step(self, head: Head) -> None:
        """See to all sessions at a finalised block, registered or not, enclave or not: their bonds are down.
        What takes long goes on beside. Raises ChainDown.
        """
        self._height = head.number
        self._pace.block(head.number, head.time_ms / 1000)
        self._late = self._pace.late((one[1:] for one in self._to_prove()), head.number)
        # before the chain is asked: one that begins now is not gone
        opened = {name: live.record.opened_at for name, live in self._lives.items()}
        ours = {**opened, **self.journal.sessions(), **self._there}
        records = await self.chain.ask(lambda client: sessions.of_worker(client, self.chain.account))
        self.metrics.sessions.set(len(records))
        self.metrics.session_owed.set(self._proving.waiting)
        self.metrics.session_proof_seconds.set(self._pace.slowest)
        for record in records:
            if record.id not in self._there:
                self.journal.begin(record.id, record.opened_at)
            self._there[record.id] = max(head.number, record.opened_at)
            await self._recall(record)
            live = self._lives.get(record.id)
            if live is not None:
                live.record, live.allowed = record, record.records + record.room
                if head.number > record.end + LAST_VOUCHER_BLOCKS:
                    self._beside(live.end("session-ended"))
                elif (
                    head.number - live.checkpoint_at >= self._every(record.window) or head.number > record.end
                ):
                    self._beside(self._checkpoint(live))
            self._tend(record)
        for record in self._ahead.overdue(head.number, self.policy.voucher_blocks):
            await self._drop(record)
        names = {record.id for record in records}
        self._dropped &= names
        self._recalled &= names
        self._ahead.keep(names | self._lives.keys())
        for gone in ours.keys() - names:
            if await self.chain.ask(lambda client, gone=gone: sessions.get(client, gone)) is None:  # type: ignore[misc]
                await self._over(gone, ours[gone])

    async def _over(self, name: bytes, since: int) -> None:
        """It is off the chain, by whomever's call: say how it ended, once, and forget it."""
        if name not in self._ended:
            ending = await self.chain.ask(lambda client: session_endings.read(client, name, since))
            self._ended.add(name)
            self._say(name, ending)
        try:
            await self._forget(name)
        except (EnclaveDown, EnclaveError):
            return  # it is tried again at the next block
        self._ended.discard(name)

    def _say(self, name: bytes, ending: Ending) -> None:
        code = ending.reason.code
        told = {"session": name.hex(), "block": ending.block, "message": str(ending.reason)}
        if code is Code.SESSION_SETTLED:
            log.info("session-settled", **told)
        else:
            self.metrics.session_windows.labels(code.removeprefix("session-")).inc()
            log.error("session-bond-lost" if code is Code.SESSION_FAILED else str(code), **told)
        self.on_reason(name, ending.reason, Head(ending.block, ending.hash, 0))
        if ending.paid or code is not Code.SESSION_SETTLED:
            self.on_outcome(code)

    async def _drop(self, record: SessionRecord) -> None:
        """End a session whose client does not vouch: what it did not vouch for can never be picked, so it
        holds no room; what it did is proved and paid.
        """
        try:
            await self._ask("session_drop", session=record.id)
        except (EnclaveDown, EnclaveError) as error:
            log.warning("session-drop-failed", session=record.id.hex(), message=str(error))
            return
        self._ahead.drop(record.id)
        if record.id not in self._dropped:
            self._dropped.add(record.id)
            self.metrics.session_windows.labels("dropped").inc()
            log.warning("session-unvouched", session=record.id.hex(), blocks=self.policy.voucher_blocks)
            self._note(record.id, Code.SESSION_UNVOUCHED, f"after {self.policy.voucher_blocks} blocks")
        if (live := self._lives.get(record.id)) is not None:
            self._beside(live.end("voucher-overdue"))

    async def abandon(self) -> None:
        """Stop what goes on beside; it is taken up at the next start."""
        tasks = [*self._tasks.values(), *self._others]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._proving.abandon()
        await asyncio.gather(*(live.end("stopping") for live in list(self._lives.values())))
        self.journal.close()

    def _tend(self, record: SessionRecord) -> None:
        """Each waits for blocks, and what is owed soon must not wait for what has time."""
        for what, act in (("owed", self._see_to_owed), ("accounts", self._see_to_accounts)):
            running = self._tasks.get((record.id, what))
            if running is None or running.done():
                self._tasks[record.id, what] = asyncio.create_task(self._guarded(record, act))

    async def _guarded(
        self, record: SessionRecord, act: Callable[[SessionRecord], Coroutine[None, None, None]]
    ) -> None:
        try:
            now = await self.chain.ask(lambda client: sessions.get(client, record.id))
            if now is not None:
                await act(now)
        except (ChainDown, EnclaveDown, EnclaveError) as error:
            log.error("session-failed", session=record.id.hex(), code=error.code, message=error.message)

    async def _offer(self) -> None:
        """Make our offers what the operator set, for every model that we serve and that is for sessions: as
        many places as no session has. One that failed or was waived does not give its place back by itself.
        """
        terms = self.policy.terms
        if terms is None or self.closing:
            return
        for model, record in self._served.items():
            if record.retired:
                self._note(model, Code.SESSION_OFFER, "its publisher retired it")
                continue
            least, now, running = await self.chain.ask(
                lambda client, model=model: _offered(client, model, self.chain.account)  # type: ignore[misc]
            )
            if least is None or least > terms.price:
                asks = "did not open it to sessions" if least is None else f"asks for {least:,} at least"
                self._note(model, Code.SESSION_OFFER, f"its publisher {asks}")
                continue
            places = terms.capacity - running
            if now is not None and (replace(now.terms, capacity=terms.capacity), now.free) == (terms, places):
                continue
            key = f"offer:{model.hex()}:{self._height}"
            if places > 0:
                log.info("sessions-offered", model=model.hex(), places=places, running=running)
                await self._send(key, sessions.offer(model, replace(terms, capacity=places)))
            elif now is not None and now.free > 0:
                await self._send(key, sessions.withdraw(model))

    # one session ----------------------------------------------------------------------------------

    async def _see_to_owed(self, record: SessionRecord) -> None:
        """Have the beacon asked, and proved what is owed; a session whose pages are lost is waived."""
        windows = await self.chain.ask(lambda client: sessions.windows(client, record))
        self._windows[record.id] = record, windows
        self._ahead.posted(record)
        if await self._lost(record, windows):
            # the oldest may be over and to be finished first: what was refused then is tried again after it
            key = f"session:{record.id.hex()}:waive:{record.oldest}"
            await self._send(key, sessions.waive(record.id))
            return
        self._proving.over(record.id, record.oldest)
        for number, window in windows.items():
            self._owe(record, number, window)
        await self._draw(record, windows)

    async def _lost(self, record: SessionRecord, windows: Mapping[int, WindowRecord]) -> bool:
        """Whether the session's pages are gone, or will be missed: an enclave that is away is waited for, but
        not until a window is over. Raises EnclaveDown.
        """
        owing = [one for one in windows.values() if not one.excused]
        try:
            return bool(owing) and not await self._has(record.id)
        except EnclaveDown:
            dues = [one.due for one in owing if one.drawn is None or one.owed]
            head = (await self.chain.finalised()).number
            if not dues or min(dues) - head > min(WAIVE_BLOCKS, record.window // 2):
                raise
            log.error("enclave-stays-away", session=record.id.hex(), due=min(dues), block=head)
            return True

    async def _see_to_accounts(self, record: SessionRecord) -> None:
        """Post what is vouched for, end what is over."""
        now: SessionRecord | None = record
        if self.closing and self._height < record.end:
            await self._close(record, Code.SESSION_DRAINED)
            return
        while now is not None:
            vouched = self.journal.get(now.id, now.next)
            if (
                vouched is None
                or now.next - now.oldest >= sessions.MAX_WINDOWS
                or not await self._post(vouched)
            ):
                break
            now = await self.chain.ask(lambda client: sessions.get(client, record.id))
        if now is not None:
            await self._end(now)

    async def _post(self, vouched: Vouched) -> bool:
        call = sessions.checkpoint(
            session=vouched.session,
            number=vouched.number,
            root=vouched.root,
            pages=vouched.pages,
            records=vouched.records,
            signature=vouched.signature,
            voucher=vouched.voucher,
        )
        done = await self._send(f"session:{vouched.session.hex()}:checkpoint:{vouched.number}", call)
        if done:
            self.metrics.session_windows.labels("posted").inc()
        return done

    async def _draw(self, record: SessionRecord, windows: Mapping[int, WindowRecord]) -> None:
        """Ask the beacon which pages of windows are picked, of all that it knows of at once."""
        head = (await self.chain.finalised()).number
        ready = [
            number
            for number, one in windows.items()
            if one.drawn is None and head >= one.until - record.window
        ]
        key = f"session:{record.id.hex()}:draw"
        calls = (self._send(f"{key}:{number}", sessions.draw(record.id, number)) for number in ready)
        if any(await asyncio.gather(*calls)):
            now = await self.chain.ask(lambda client: sessions.windows(client, record))
            for number in ready:
                if number in now:
                    self._owe(record, number, now[number])

    async def _recall(self, record: SessionRecord) -> None:
        """Vouchers that an earlier process took and did not post; one that it died over, or that the disk did
        not take, the enclave has.
        """
        if record.id in self._recalled:
            return
        try:
            held = (await self._ask("session_vouchers", session=record.id))["vouchers"]
        except EnclaveError:
            held = []  # the enclave has lost the session: it is waived
        except EnclaveDown:
            return
        for one in held:
            if one["number"] >= record.next and self.journal.get(record.id, one["number"]) is None:
                self.journal.save(Vouched(record.id, **one))
        self._recalled.add(record.id)
        self._ahead.posted(record)
        number = record.next
        while (one := self.journal.get(record.id, number)) is not None:
            self._ahead.vouched(record, number, one.pages, one.records)
            number += 1

    def _to_prove(self) -> Iterator[tuple[int, int, bytes, float]]:
        """(from block, due, model, proofs) of the open windows: of those not drawn, as many as will be
        picked, from when they are.
        """
        for record, windows in self._windows.values():
            for number, one in windows.items():
                if one.excused or self._height > one.due:
                    continue
                if one.drawn is None:
                    yield one.until - record.window, one.due, record.model, sampled(one.pages, record.sample)
                left = self._proving.left(record.id, number)
                if owed := len(one.owed) if left is None else left:
                    yield self._height, one.due, record.model, owed

    def _owe(self, record: SessionRecord, number: int, window: WindowRecord) -> None:
        if window.owed and not window.excused and self._height <= window.due:
            self._proving.owe(record, number, window)

    async def _hand_in(self, session: bytes, number: int, pages: list[ProvedPage]) -> bool:
        """Proofs of pages of one window, in one call."""
        names = "-".join(str(page.page) for page in pages)
        key = f"session:{session.hex()}:prove:{number}:{names}"
        done = await self._send(key, sessions.prove(session, number, pages))
        if done:
            self.metrics.session_proofs.inc(len(pages))
        return done

    async def _end(self, record: SessionRecord) -> None:
        windows = await self.chain.ask(lambda client: sessions.windows(client, record))
        head = (await self.chain.finalised()).number
        key = f"session:{record.id.hex()}"
        for number in range(record.oldest, record.next):
            window = windows.get(number)
            if window is None or head <= window.due:
                return
            if not await self._send(f"{key}:finish:{number}", sessions.finish(record.id)):
                return
            self.metrics.session_windows.labels("finished").inc()
            if await self._has(record.id):
                await self._ask("session_release", session=record.id, number=number)
        live = self._lives.get(record.id)
        quiet = head - max(self._seen.get(record.id, 0), record.opened_at) > IDLE_BLOCKS
        if head < record.end and (record.id in self._dropped or (live is None and quiet)):
            await self._close(
                record, Code.SESSION_UNVOUCHED if record.id in self._dropped else Code.SESSION_IDLE
            )
        over = live is None and head > record.end + LAST_VOUCHER_BLOCKS
        if over:
            await self._send(f"{key}:settle", sessions.settle(record.id))

    async def _close(self, record: SessionRecord, why: Code) -> None:
        """End the serving; what was answered is still vouched for, checkpointed, proved and paid."""
        if await self._send(f"session:{record.id.hex()}:close", sessions.close(record.id)):
            if why is not Code.SESSION_UNVOUCHED:  # which has been noted
                self._note(record.id, why)
            if (live := self._lives.get(record.id)) is not None:
                self._beside(self._checkpoint(live))

    async def _forget(self, name: bytes) -> None:
        if (live := self._lives.get(name)) is not None:
            self._beside(live.end("session-ended"))
        self._proving.over(name)
        self._windows.pop(name, None)
        self._ahead.forget(name)
        await self._ask("session_close", session=name)
        self.journal.forget(name)
        self._seen.pop(name, None)
        self._there.pop(name, None)
        self._noted.pop(name, None)

    async def _has(self, name: bytes) -> bool:
        """Whether the enclave still holds the session. Raises EnclaveDown."""
        status = await self._ask("session_status")
        self.metrics.session_bytes.set(status["bytes"])
        return name in status["sessions"]

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        if self._asking is None:
            self._asking = SessionLink(self.socket)
        return await self._asking.call(method, params)

    async def _send(self, key: str, call: Call) -> bool:
        """Whether it did what it is for; a session that it ended is seen to at the next block."""
        sent = await self.chain.send(key, call)
        if sent.error is not None:
            log.warning("session-call-refused", key=key, call=call.name, error=sent.error, block=sent.block)
            about = Code.SESSION_CALL if "session" in call.args else Code.SESSION_OFFER
            name = call.args.get("session") or call.args["model"]
            self._note(name, about, f"the chain refused {call.name}: {sent.error}")
            return False
        log.info("session-call", key=key, call=call.name, block=sent.block)
        return sent.event(sessions.PALLET, "Failed") is None


async def withdraw_offer(chain: ChainPort, model: bytes) -> bool:
    """Take back what an earlier configuration offered of a model; whether there was such an offer. Raises
    ChainDown.
    """
    offer = await chain.ask(lambda client: sessions.offer_of(client, model, chain.account))
    if offer is None:
        return False
    head = (await chain.finalised()).number
    sent = await chain.send(f"withdraw:{model.hex()}:{head}", sessions.withdraw(model))
    if sent.error is not None:
        log.warning("session-call-refused", call="withdraw", error=sent.error, block=sent.block)
    return sent.error is None


def _offered(client: SubstrateClient, model: bytes, worker: bytes) -> tuple[int | None, Offer | None, int]:
    """The publisher's least price, our offer and how many sessions run, as of one block."""
    at = client.finalised_head().hash
    running = sum(one.model == model for one in sessions.of_worker(client, worker, at))
    return sessions.floor(client, model, at), sessions.offer_of(client, model, worker, at), running
