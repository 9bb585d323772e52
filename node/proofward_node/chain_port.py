"""The chain as the node uses it: `proofward.chain`'s client and outbox, each on a thread of its own.

The threads are daemons: a call that hangs never keeps the process from leaving on SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from proofward.attestation import (
    INTEL_PCS_URL,
    AttestationError,
    Collateral,
    TrustRoot,
    fetch_collateral,
    parse_quote,
)
from proofward.attestation.tcb import Rules
from proofward.chain import (
    Call,
    ChainError,
    Outbox,
    SubstrateClient,
    accounts,
)
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import attestation, jobs, models, workers
from proofward.chain.pallets.jobs import JobRecord
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.protocol import Lane
from proofward_node.config import ConfigError
from proofward_node.outgoing import Outgoing
from proofward_node.ports import ChainDown, ChainMoved, Head, Sent
from proofward_node.registration import RegistrationRefused

_T = TypeVar("_T")

READERS = 4
SENDERS = 160
"""Reads at once; and extrinsics that may be waited for at once: the claims that a worker holds at most, and
its registration, its offers and its sessions' calls.
"""
SWEEP_BLOCKS = 4
"""Heads between two looks after extrinsics that nobody waits for."""
WATCHED_HEADS = 16
WATCHED = 256
"""Heads for which a job's record that was asked for is read along with others; and how many such there are.
"""


@dataclass(frozen=True, slots=True)
class Attested:
    """What the chain knows of a platform and by which rules it judges it; times in Unix seconds on its clock.
    `collateral` is the one that lasts longest, None when it has none.
    """

    quote: bytes
    now: int
    rules: Rules
    roots: tuple[TrustRoot, ...]
    collateral: Collateral | None
    collateral_until: int | None
    registered_until: int | None


class ChainPort:
    """The `proofward_node.ports.Chain` of a real chain.

    Args:
        url: ws:// address of a node.
        signer: `//Name` (development chains only) or the path of a key file of mode 0600.
        outbox: file of the signed extrinsics; None for a port that only reads.
        genesis: the only chain to work on, as 0x and 64 hex digits, when given.
    """

    def __init__(self, url: str, signer: str, outbox: Path | None, genesis: str | None) -> None:
        self._url, self._signer, self._outbox_path, self._pinned = url, signer, outbox, genesis
        self._keypair = _keypair(signer)
        self.account = _account_of(self._keypair)
        self._client: SubstrateClient | None = None
        self._outbox: Outbox | None = None
        self._outgoing: Outgoing | None = None
        self._reads, self._sends = _Threads("chain-reads", READERS), _Threads("chain-sends", SENDERS)
        self._head: Head | None = None
        self._records: dict[bytes, JobRecord | None] = {}
        self._asked: dict[bytes, int] = {}
        self._known = jobs.Known()
        self._balance: tuple[bytes, int] | None = None
        self._heading, self._reading = asyncio.Lock(), asyncio.Lock()
        self._news = asyncio.Event()

    @property
    def genesis(self) -> bytes:
        """Hash of the chain's first block."""
        return self._open.genesis

    @property
    def calls(self) -> int:
        """Requests made to the node so far."""
        return 0 if self._client is None else self._client.calls

    @property
    def connected(self) -> bool:
        """Whether `connect` has succeeded."""
        return self._client is not None

    @property
    def _open(self) -> SubstrateClient:
        if self._client is None:
            raise ChainDown(f"not connected to {self._url}")
        return self._client

    async def connect(self) -> None:
        """Connect and open the outbox.

        Raises:
            ChainDown: nobody answers. ChainMoved: another chain than the pinned one. ConfigError: a
            development key elsewhere.
        """
        client = await self._read(lambda: SubstrateClient.connect(self._url))
        if self._pinned is not None and client.genesis.hex() != self._pinned.removeprefix("0x"):
            raise ChainMoved(
                f"the chain at {self._url} has genesis 0x{client.genesis.hex()}, not the configured "
                f"{self._pinned}; "
                "correct chain.url or chain.genesis"
            )
        if accounts.is_dev_source(self._signer):
            kind = await self._read(lambda: client.chain_type)
            if kind != "Development":
                raise ConfigError(
                    f"worker.dev_account is for development chains, and {self._url} is {kind}; set "
                    "worker.key_file"
                )
        try:
            if (path := self._outbox_path) is not None:
                self._outbox = await self._sends.run(lambda: Outbox(path, client))
        except ChainError as error:
            raise ChainMoved(error.message) from error
        if self._outbox is not None:
            self._outgoing = Outgoing(self._outbox, self._keypair, self._send)
            loop = asyncio.get_running_loop()
            client.subscribe().listen(lambda: _on_loop(loop, self._news.set))
        self._client = client

    async def reconcile(self) -> None:
        """Learn what came of extrinsics that an earlier process signed; what can still land goes out again.
        Raises ChainDown while one of them may still land: what it does is not known before.
        """
        outbox = self._outbox
        if outbox is not None:
            await self._send(lambda: outbox.reconcile())
            if waiting := outbox.pending():
                names = ", ".join(f"{entry.call} ({entry.key})" for entry in waiting)
                raise ChainDown(f"what an earlier process signed is not settled yet: {names}")

    async def sweep(self) -> None:
        """Look after extrinsics that nobody waits for any more."""
        outbox = self._outbox
        if outbox is not None:
            await self._send(outbox.sweep)

    async def news(self, seconds: float) -> None:
        """Wait for the next finalised head, for so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            with contextlib.suppress(ChainError, OSError):
                self._client.close()

    # reads ----------------------------------------------------------------------------------------

    async def finalised(self) -> Head:
        """The finalised head."""

        def read() -> Head:
            head = self._open.finalised_head()
            if self._head is not None and head.hash == self._head.hash:
                return self._head
            return Head(head.number, head.hash, self._open.timestamp(head.hash))

        async with self._heading:  # the time of each head is asked for once
            head = await self._read(read)
            if self._head is None or head.number > self._head.number:
                self._head, self._records = head, {}
            return self._head

    async def best(self) -> int:
        """Number of the newest block, final or not."""
        return await self._read(lambda: self._open.best_number())

    async def ask(self, action: Callable[[SubstrateClient], _T]) -> _T:
        """What a function reads of the chain. Raises ChainDown."""
        return await self._read(lambda: action(self._open))

    async def job(self, job: bytes) -> JobRecord | None:
        """A job's record."""
        return (await self.jobs([job])).get(job)

    async def jobs(self, jobs: Sequence[bytes]) -> dict[bytes, JobRecord]:
        """Those of some jobs that there are, as of one finalised head. Each is read once a block, together
        with those that were asked for lately: several jobs under way are one request.
        """
        self._watch(jobs, (await self.finalised()).number)
        async with self._reading:
            head, known = self._head, self._records  # of a newer head, when it came while others read
            assert head is not None
            if not known.keys() >= {*jobs}:
                missing = [one for one in {*jobs, *self._asked} if one not in known]
                found = await self._read(lambda: self._known.many(self._open, missing, head.hash))
                known.update({one: found.get(one) for one in missing})
        return {one: record for one in jobs if (record := known[one]) is not None}

    def _watch(self, jobs: Sequence[bytes], number: int) -> None:
        for job in jobs:
            self._asked.pop(job, None)
            self._asked[job] = number
        while self._asked:
            job, asked = next(iter(self._asked.items()))
            if len(self._asked) <= WATCHED and asked + WATCHED_HEADS > number:
                break
            del self._asked[job]

    async def block_hash(self, number: int) -> bytes:
        """The hash of a block."""
        return await self._read(lambda: self._open.block_hash(number))

    async def sealed(self, job: bytes) -> bytes | None:
        """A job's envelope, while it is open."""
        return await self._read(lambda: jobs.sealed(self._open, job))

    async def open_jobs(self, limit: int, after: bytes | None = None) -> list[bytes]:
        """See `proofward_node.ports.Chain.open_jobs`."""
        return await self._read(lambda: jobs.open_for(self._open, self.account, limit, after=after))

    async def models(self, ids: Sequence[bytes]) -> list[ModelRecord]:
        """Those of some models that there are."""
        return list((await self._read(lambda: models.many(self._open, ids))).values())

    async def live_models(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """See `proofward_node.ports.Chain.live_models`."""
        return await self._read(lambda: models.live(self._open, pairs))

    async def judge(self, lane: Lane) -> bytes | None:
        """See `proofward_node.ports.Chain.judge`."""
        contract = await self._read(lambda: models.verifier(self._open, lane))
        return None if contract is None else contract.code_hash

    async def serving(self) -> dict[bytes, int]:
        """The models that the chain says we serve, with the least price of each."""
        return await self._read(lambda: workers.serving(self._open, self.account))

    async def last_epoch(self) -> int | None:
        """Our account's last epoch, through retirement too."""
        return await self._read(lambda: workers.last_epoch(self._open, self.account))

    async def unbonding(self) -> int:
        """Blocks for which a stake stays after `retire`."""
        return await self._read(lambda: int(self._open.constant("Workers", "Unbonding")))

    async def worker(self) -> WorkerRecord | None:
        """Our own record."""
        return await self._read(lambda: workers.get(self._open, self.account))

    async def collateral_missing(self, quote: bytes) -> bool:
        """Whether the chain holds no collateral for this quote's platform that is still good for a while."""
        try:
            parsed = parse_quote(quote)
        except AttestationError as error:
            raise RegistrationRefused(f"the enclave's quote cannot be read: {error}") from error

        def read() -> bool:
            now = self._open.timestamp()
            return not any(
                one.expires_at > now + _COLLATERAL_MARGIN_MS
                for one in attestation.collateral(self._open, parsed.fmspc, parsed.ca)
            )

        return await self._read(read)

    async def attested(self, quote: bytes | None = None) -> Attested | None:
        """What the chain knows of the platform of a quote (default: the registered one); None when there is
        none. Raises AttestationError: a quote that cannot be read.
        """
        return await self._read(lambda: self._attested(quote))

    def _attested(self, quote: bytes | None) -> Attested | None:
        chain = self._open
        record = workers.get(chain, self.account)
        if quote is None:
            found = None if record is None else workers.registration(chain, record)
            if found is None:
                return None
            quote = bytes(found.args["quote"])
        parsed = parse_quote(quote)
        held = attestation.collateral(chain, parsed.fmspc, parsed.ca)
        newest = max(held, key=lambda one: one.expires_at, default=None)
        policy = attestation.policy(chain)
        return Attested(
            quote=quote,
            now=chain.timestamp() // 1000,
            rules=Rules(
                frozenset(policy.also_accepted), policy.grace_seconds, policy.min_evaluation_number,
                policy.allow_smt, policy.allow_dynamic_platform, policy.allow_cached_keys,
            ),
            roots=tuple(TrustRoot(root.id.hex(), root.level, root.der) for root in attestation.roots(chain)),
            collateral=None if newest is None else Collateral.decode(newest.encoded),
            collateral_until=None if newest is None else newest.expires_at // 1000,
            registered_until=None if record is None else record.expires_at // 1000,
        )  # fmt: skip

    async def balance(self) -> int:
        """Our free balance, in the smallest unit. Read once a block."""
        head = (await self.finalised()).hash
        if self._balance is None or self._balance[0] != head:
            free = await self._read(lambda: self._open.balance(self.account, at=head))
            self._balance = head, free
        return self._balance[1]

    async def fetch_collateral(self, quote: bytes, url: str | None) -> bytes:
        """Collateral for a quote from a PCCS (default: Intel's), encoded for the chain. Raises
        RegistrationRefused.
        """
        try:
            return (await fetch_collateral(url or INTEL_PCS_URL, quote)).encode()
        except AttestationError as error:
            raise RegistrationRefused(
                f"no collateral for this platform: {error}; set enclave.pccs_url"
            ) from error

    # extrinsics -----------------------------------------------------------------------------------

    async def send(self, key: str, call: Call) -> Sent:
        """See `proofward_node.ports.Chain.send`."""
        if self._outgoing is None:
            raise ChainDown(f"not connected to {self._url}")
        return await self._outgoing.send(key, call)

    async def _read(self, action: Callable[[], _T]) -> _T:
        return await _translated(self._reads.run(action))

    async def _send(self, action: Callable[[], _T]) -> _T:
        return await _translated(self._sends.run(action))


_COLLATERAL_MARGIN_MS = 24 * 3600 * 1000
"""Collateral that ends sooner than this is renewed with the next registration."""


class _Threads:
    """Runs functions on daemon threads, `count` at once."""

    def __init__(self, name: str, count: int) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._loop, name=f"{name}-{number}", daemon=True).start()

    def _loop(self) -> None:
        while True:
            self._tasks.get()()

    def run(self, action: Callable[[], _T]) -> asyncio.Future[_T]:
        """The result of `action`, as a future of the running loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def deliver(setter: Callable[[Any], None], value: Any) -> None:
            if not future.done():
                setter(value)

        def task() -> None:
            try:
                setter, value = future.set_result, action()
            except Exception as error:  # noqa: BLE001 - handed to the awaiting coroutine
                setter, value = future.set_exception, error  # type: ignore[assignment]
            _on_loop(loop, lambda: deliver(setter, value))

        self._tasks.put(task)
        return future


def _on_loop(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
        loop.call_soon_threadsafe(action)


async def _translated(future: asyncio.Future[_T]) -> _T:
    try:
        return await future
    except (ChainError, OSError) as error:
        raise ChainDown(str(error)) from error


def _keypair(source: str) -> Signer:
    try:
        return accounts.keypair_of(source)
    except accounts.AccountError as error:
        raise ConfigError(f"the worker's key cannot be used: {error.message}") from error


def _account_of(keypair: Signer) -> bytes:
    try:
        return bytes(keypair.public_key)
    except ChainError as error:
        raise ConfigError(f"the worker's signer cannot be used: {error.message}") from error
