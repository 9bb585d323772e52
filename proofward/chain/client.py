"""The chain, as the rest of the product sees it: reads, signed extrinsics, and waiting for finality.

Only what is *finalised* is reported as done. On the embedded chain and on a node with one author every
block is final as soon as it is there.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from proofward.chain import answers
from proofward.chain.accounts import ss58
from proofward.chain.answers import SaidBlock, SaidHeader
from proofward.chain.errors import (
    ChainError,
    ChainTimeout,
    ChainUnreachable,
    DispatchError,
    ExtrinsicInvalid,
    FinalityStalled,
    RpcError,
    invalid_extrinsic,
)
from proofward.chain.extrinsic import (
    ERA_PERIOD,
    Chain,
    Extrinsic,
    SignedExtrinsic,
    Signer,
    extrinsic_hash,
    sign_extrinsic,
)
from proofward.chain.finality import STALL_BLOCKS
from proofward.chain.heads import Head, HeadFeed, briefly
from proofward.chain.runtime import Event, Runtime
from proofward.chain.transport import Transport
from proofward.chain.values import Call

POLL: Final = 0.1
"""Seconds between two looks at the finalised head."""
TOLD_POLL: Final = 1.0
"""The same for who is told of new heads, and looks only in case one was missed."""
RESEND_BLOCKS: Final = 4
"""Blocks after which an extrinsic that is in none of them is sent again."""
ALREADY_IN_POOL: Final = 1013
"""The node's code for an extrinsic that waits already."""
_PAGE: Final = 500
_CACHED_BLOCKS: Final = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header fields and its body."""

    number: int
    hash: bytes
    parent: bytes
    extrinsics: tuple[Extrinsic, ...]
    raw: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call in a block, on its own or inside a batch or sudo, and the extrinsic that carries it."""

    index: int
    hash: bytes
    signer: bytes | None
    pallet: str
    name: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A finalised extrinsic. `error` is None when it did what it was to do."""

    block: int
    block_hash: bytes
    index: int
    hash: bytes
    events: tuple[Event, ...]
    error: DispatchError | None

    def raise_for_error(self) -> Inclusion:
        """This one. Raises its DispatchError when there is one."""
        if self.error is not None:
            raise self.error
        return self

    def find(self, pallet: str, name: str) -> Event | None:
        """The first event of that name."""
        return next((one for one in self.events if (one.pallet, one.name) == (pallet, name)), None)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


class SubstrateClient:
    """One chain at one address. Safe to use from several threads; `close` it, or use it as a context
    manager.
    """

    _feed: HeadFeed | None = None

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._signing: dict[bytes, threading.Lock] = {}
        self._runtime: Runtime | None = None
        self._blocks: dict[bytes, Block] = {}
        self._events: dict[bytes, list[Event]] = {}
        self._reading = threading.Lock()
        self._told: dict[tuple[str, bytes], tuple[bytes, int]] = {}
        self._telling = threading.Lock()
        self.genesis = self.block_hash(0)

    @classmethod
    def connect(cls, url: str, *, patience: float | None = None) -> SubstrateClient:
        """Connect to ws://host:port, trying for `patience` seconds, ten if not given. Raises
        ChainUnreachable.
        """
        transport = Transport(url, patience=patience)
        try:
            client = cls(transport)
        except BaseException:
            transport.close()
            raise
        transport.hold_to(_hex(client.genesis))
        return client

    def close(self) -> None:
        """Close the connection."""
        if self._feed is not None:
            self._feed.close()
        self._transport.close()

    def subscribe(self) -> HeadFeed:
        """From now on learn of finalised heads by subscription instead of asking: for who waits a lot. What
        this client reads is then of the newest head that it was told of.
        """
        if self._feed is None:
            self._feed = HeadFeed(self.url, _hex(self.genesis))
        return self._feed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The node's address."""
        return self._transport.url

    @property
    def witness(self) -> str:
        """Whose word a read is."""
        return f"the word of the node at {self.url}, without proof"

    @property
    def calls(self) -> int:
        """Requests made so far."""
        return self._transport.calls

    def rpc(self, method: str, *params: Any) -> Any:
        """What the answer to one JSON-RPC call says, as `proofward.chain.answers` reads it. Raises RpcError
        and ChainUnreachable.
        """
        return self._said(method, params, self._transport.call(method, params))

    def _said(self, method: str, params: Sequence[Any], answer: Any) -> Any:
        try:
            return answers.read(method, params, answer)
        except ValueError:
            told = f"what answers there is no node of such a chain, by {method}"
            raise ChainUnreachable(self.url, told) from None

    # ---- the chain itself -----------------------------------------------------------------

    @property
    def chain_name(self) -> str:
        """The chain's name, as its node says."""
        return str(self.rpc("system_chain"))

    @property
    def chain_type(self) -> str:
        """`Development`, `Local` or `Live`."""
        kind = self.rpc("system_chainType")
        return kind if isinstance(kind, str) else "Custom"

    @property
    def node(self) -> str:
        """The node's name and version."""
        return f"{self.rpc('system_name')} {self.rpc('system_version')}"

    @property
    def runtime(self) -> Runtime:
        """The runtime of the finalised head; fetched again when the chain was upgraded (see `sign`)."""
        return self._runtime or self._load_runtime()

    def fresh_runtime(self) -> Runtime:
        """The runtime of the finalised head, asked for anew when it may have changed. Raises ChainError."""
        return self._load_runtime()

    def _load_runtime(self) -> Runtime:
        with self._lock:
            told = self._feed and self._feed.latest
            if self._runtime and self._feed and self._feed.spec_version == self._runtime.spec_version:
                return self._runtime
            head = _hex(told.hash if told else self.rpc("chain_getFinalizedHead"))
            spec_version, transaction_version = self.rpc("state_getRuntimeVersion", head)
            if self._runtime is None or self._runtime.spec_version != spec_version:
                metadata = self.rpc("state_getMetadata", head)
                self._runtime = Runtime(metadata, spec_version, transaction_version)
            return self._runtime

    def finalised_head(self) -> Head:
        """The newest finalised block."""
        told = self._feed and self._feed.latest
        if told:
            return told
        name = self.rpc("chain_getFinalizedHead")
        return Head(self.header(name).number, name)

    def best_number(self) -> int:
        """Number of the newest block that the node knows, final or not."""
        told = None if self._feed is None else self._feed.best
        return int(self.rpc("chain_getHeader").number) if told is None else told

    def best_head(self) -> Head:
        """The newest block that the node knows, final or not; asked for each time."""
        name = self.rpc("chain_getBlockHash")
        return Head(self.header(name).number, name)

    def require_finality(self) -> None:
        """Raises FinalityStalled while blocks go on and are not finalised: what is sent then may hang for
        hours.
        """
        finalised = self.finalised_head().number
        lag = self.best_number() - finalised
        if lag > STALL_BLOCKS:
            raise FinalityStalled(self.url, finalised, lag)

    def header(self, block_hash: bytes) -> SaidHeader:
        """A block's header. Raises ChainError when the node has no such block."""
        found: SaidHeader | None = self.rpc("chain_getHeader", _hex(block_hash))
        if found is None:
            raise ChainError(f"the node has no block {_hex(block_hash)}", code="no-such-block")
        return found

    def read_proof(self, keys: Sequence[bytes], at: bytes) -> list[bytes]:
        """The nodes of the state's trie at a block that show what stands under keys."""
        nodes: list[bytes] = self.rpc("state_getReadProof", list(map(_hex, keys)), _hex(at))
        return nodes

    def block_hash(self, number: int) -> bytes:
        """The hash of a block. Raises ChainError when the chain has not got so far."""
        if self._feed is not None and (told := self._feed.hash_of(number)) is not None:
            return told
        return self._ask_hash(number) if self._feed is None else self._feed.name(number, self._ask_hash)

    def _ask_hash(self, number: int) -> bytes:
        name: bytes | None = self.rpc("chain_getBlockHash", number)
        if name is None:
            raise ChainError(f"the chain at {self.url} has no block {number}", code="no-such-block")
        return name

    def block(self, which: int | bytes) -> Block:
        """A block by number or hash, its body taken apart."""
        name = self.block_hash(which) if isinstance(which, int) else which
        with self._reading:  # several that wait for one block fetch it once
            if name not in self._blocks:
                _keep(self._blocks, name, self._fetch_block(name))
            return self._blocks[name]

    def _fetch_block(self, name: bytes) -> Block:
        said: SaidBlock | None = self.rpc("chain_getBlock", _hex(name))
        if said is None:
            raise ChainError(f"the node has no block {_hex(name)}", code="no-such-block")
        runtime, raw = self.runtime, said.extrinsics
        extrinsics = tuple(runtime.read_extrinsic(data, index) for index, data in enumerate(raw))
        return Block(said.header.number, name, said.header.parent, extrinsics, raw)

    def follow(self, start: int | None = None, *, stop: threading.Event | None = None) -> Iterator[Head]:
        """Every finalised block from `start` (default: the present head) on, without end or until `stop` is
        set.
        """
        head = self.finalised_head()
        number = head.number if start is None else start
        while stop is None or not stop.is_set():
            if number <= head.number:
                yield Head(number, self.block_hash(number))
                number += 1
                continue
            if stop is None:
                time.sleep(POLL)
            else:
                stop.wait(POLL)
            head = self.finalised_head()

    def wait_block(self, number: int, timeout: float = 60.0) -> Head:
        """Wait until block `number` is finalised. Raises ChainTimeout."""
        deadline = time.monotonic() + timeout
        while (head := self.finalised_head()).number < number:
            if time.monotonic() > deadline:
                raise ChainTimeout(
                    f"block {number} was not finalised in {timeout:g} s; the chain is at {head.number}"
                )
            time.sleep(POLL)
        return Head(number, self.block_hash(number))

    # ---- state ----------------------------------------------------------------------------

    def query_raw(self, pallet: str, item: str, *keys: Any, at: bytes | None = None) -> bytes | None:
        """The bytes of a storage item at a block (default: the finalised head); None when it is absent."""
        key = self.runtime.storage_key(pallet, item, *keys)
        value: bytes | None = self.rpc("state_getStorage", _hex(key), _hex(at or self.finalised_head().hash))
        return value

    def query(self, pallet: str, item: str, *keys: Any, at: bytes | None = None) -> Any:
        """A storage item as a Python value (see proofward.chain.values); its default, or None, when it is
        absent.
        """
        return self.runtime.decode_storage(pallet, item, self.query_raw(pallet, item, *keys, at=at))

    def query_many(
        self, pallet: str, item: str, keys: Iterable[tuple[Any, ...]], at: bytes | None = None
    ) -> list[Any]:
        """The same item under several keys, in one request."""
        values = self.query_many_raw(pallet, item, keys, at)
        return [self.runtime.decode_storage(pallet, item, value) for value in values]

    def query_many_raw(
        self, pallet: str, item: str, keys: Iterable[tuple[Any, ...]], at: bytes | None = None
    ) -> list[bytes | None]:
        """The bytes of the same item under several keys, in one request; None of those that are absent."""
        names = [self.runtime.storage_key(pallet, item, *key) for key in keys]
        if not names:
            return []
        values = self._read_many(names, _hex(at or self.finalised_head().hash))
        return [values.get(name) for name in names]

    def _read_many(self, names: list[bytes], block: str) -> dict[bytes, bytes | None]:
        found: dict[bytes, bytes | None] = self.rpc("state_queryStorageAt", list(map(_hex, names)), block)
        return found

    def iterate(
        self, pallet: str, item: str, *keys: Any, at: bytes | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """All entries of a map (below `keys`, of a map of several), as (key, value) at one block."""
        runtime, block = self.runtime, _hex(at or self.finalised_head().hash)
        prefix = _hex(runtime.storage_key(pallet, item, *keys))
        last = prefix
        while True:
            names: list[bytes] = self.rpc("state_getKeysPaged", prefix, _PAGE, last, block)
            values = self._read_many(names, block) if names else {}
            for name in names:
                if (value := values.get(name)) is not None:
                    key = runtime.decode_key(pallet, item, name)
                    yield key, runtime.decode_storage(pallet, item, value)
            if len(names) < _PAGE:
                return
            last = _hex(names[-1])

    def keys(
        self, pallet: str, item: str, *keys: Any, limit: int, at: bytes | None = None, start: bytes = b""
    ) -> Iterator[Any]:
        """Up to `limit` keys of a map (below `keys`, of a map of several) at one block, without the values,
        in the order of their hashes; those behind `start`, if given, which continues the prefix.
        """
        runtime, block = self.runtime, _hex(at or self.finalised_head().hash)
        prefix = _hex(runtime.storage_key(pallet, item, *keys))
        last, left = prefix + start.hex(), limit
        while left > 0:
            names: list[bytes] = self.rpc("state_getKeysPaged", prefix, min(_PAGE, left), last, block)
            if not names:
                return
            for name in names:
                yield runtime.decode_key(pallet, item, name)
            last, left = _hex(names[-1]), left - len(names)

    def constant(self, pallet: str, name: str) -> Any:
        """A pallet's constant, decoded. Raises MetadataError."""
        return self.runtime.constant(pallet, name)

    def runtime_call(self, api: str, method: str, params: bytes = b"", *, at: bytes | None = None) -> bytes:
        """A runtime API's answer (SCALE) to SCALE-encoded parameters."""
        block = _hex(at or self.finalised_head().hash)
        answer: bytes = self.rpc("state_call", f"{api}_{method}", _hex(params), block)
        return answer

    def timestamp(self, at: bytes | None = None) -> int:
        """The time of a block, milliseconds since 1970."""
        return int(self.query("Timestamp", "Now", at=at))

    def balance(self, account: bytes, *, at: bytes | None = None) -> int:
        """What an account can spend, in the smallest unit (10^-12)."""
        return int(self.query("System", "Account", account, at=at)["data"]["free"])

    def events(self, block_hash: bytes) -> list[Event]:
        """The events of a block, in order."""
        with self._reading:
            if block_hash not in self._events:
                data = self.query_raw("System", "Events", at=block_hash)
                _keep(self._events, block_hash, list(self.runtime.events(data)) if data else [])
            return list(self._events[block_hash])

    def find_calls(self, block_hash: bytes, pallet: str, name: str) -> list[FoundCall]:
        """Every call `pallet.name` in a block, nested ones included, whether it succeeded or not."""
        return [
            FoundCall(
                extrinsic.index, extrinsic.hash, extrinsic.signer, call.pallet, call.name, dict(call.args)
            )
            for extrinsic in self.block(block_hash).extrinsics
            if extrinsic.call is not None
            for call in _calls_in(extrinsic.call)
            if (call.pallet, call.name) == (pallet, name)
        ]

    # ---- extrinsics -----------------------------------------------------------------------

    def nonce(self, account: bytes) -> int:
        """The next nonce of an account, counting what waits in the node's pool."""
        return int(self.rpc("system_accountNextIndex", ss58(account)))

    def finalised_nonce(self, account: bytes, at: bytes | None = None) -> int:
        """The next nonce of an account at a finalised block."""
        return int(self.query("System", "Account", account, at=at)["nonce"])

    def sign(
        self,
        call: Call,
        signer: Signer,
        *,
        nonce: int | None = None,
        tip: int = 0,
        period: int = ERA_PERIOD,
        behind: Head | None = None,
    ) -> SignedExtrinsic:
        """Sign a call for the `period` blocks behind a block (default: the finalised head). Raises
        MetadataError when it does not fit.
        """
        runtime = self._load_runtime()
        head = behind or self.finalised_head()
        return sign_extrinsic(
            runtime.encode_call(call),
            signer,
            values=runtime.values,
            extensions=runtime.metadata.extensions,
            chain=Chain(self.genesis, runtime.spec_version, runtime.transaction_version),
            nonce=self.nonce(bytes(signer.public_key)) if nonce is None else nonce,
            tip=tip,
            birth=head.number,
            birth_hash=head.hash,
            period=period,
        )

    def broadcast(self, extrinsic: SignedExtrinsic | bytes) -> bytes:
        """Hand an extrinsic to the node; gives its hash. Sending the same one again is no error while it
        waits.

        Raises ExtrinsicInvalid when the node refuses it.
        """
        data = extrinsic.data if isinstance(extrinsic, SignedExtrinsic) else extrinsic
        try:
            taken: bytes = self.rpc("author_submitExtrinsic", _hex(data))
            return taken
        except RpcError as error:
            if error.rpc_code == ALREADY_IN_POOL:
                return extrinsic_hash(data)
            if (refusal := invalid_extrinsic(error)) is not None:
                raise refusal from None
            raise

    def broadcast_many(self, extrinsics: Sequence[SignedExtrinsic]) -> list[ExtrinsicInvalid | None]:
        """Hand several extrinsics to the node in one message, in their order; gives what it says against
        each. Raises RpcError when it takes no batches, or fails otherwise.
        """
        refusals = []
        method, each = "author_submitExtrinsic", [[_hex(one.data)] for one in extrinsics]
        for params, answer in zip(each, self._transport.call_many(method, each), strict=True):
            refusal = None
            if not isinstance(answer, RpcError):
                self._said(method, params, answer)
            elif answer.rpc_code != ALREADY_IN_POOL:
                refusal = invalid_extrinsic(answer)
                if refusal is None:
                    raise answer
            refusals.append(refusal)
        return refusals

    def wait_finalised(
        self, extrinsic: SignedExtrinsic, timeout: float = 60.0, *, taken: bool = False
    ) -> Inclusion:
        """Wait until an extrinsic is in a finalised block. `taken` says that the node has just taken it: then
        its nonce was free.

        Every few blocks it is sent again if the node has lost it: one that restarts does. Raises
        ExtrinsicInvalid when its era ends or another extrinsic takes its nonce, ChainTimeout after `timeout`
        seconds: it may still be included then.
        """
        deadline = self._now() + timeout
        number = extrinsic.first_block + 1
        sent_at = extrinsic.first_block if taken else None
        while True:
            head = self.finalised_head()
            while number <= min(head.number, extrinsic.last_block):
                if (included := self.inclusion_in(self.block_hash(number), extrinsic.hash)) is not None:
                    return included
                number += 1
            if head.number >= extrinsic.last_block:
                raise ExtrinsicInvalid(
                    f"extrinsic {_hex(extrinsic.hash)} was not included in its era", code="expired"
                )
            if sent_at is None or head.number >= sent_at + RESEND_BLOCKS:
                if self._used(extrinsic.signer, head) > extrinsic.nonce:
                    raise ExtrinsicInvalid(
                        f"another extrinsic took nonce {extrinsic.nonce}: sign again", code="nonce-used"
                    )
                if sent_at is not None and self._waiting(extrinsic.signer, head) <= extrinsic.nonce:
                    with contextlib.suppress(ExtrinsicInvalid):
                        self.broadcast(extrinsic)
                sent_at = head.number
            if self._now() > deadline:
                lag = self.best_number() - head.number
                raise ChainTimeout(
                    f"extrinsic {_hex(extrinsic.hash)} was not finalised in {timeout:g} s; finality is at "
                    f"block {head.number}, {max(lag, 0)} behind the newest"
                )
            self._pause(head)

    def _used(self, account: bytes, head: Head) -> int:
        return self._once("final", account, head, lambda: self.finalised_nonce(account, head.hash))

    def _waiting(self, account: bytes, head: Head) -> int:
        """The nonce up to which the node's pool or its newest blocks have everything: what it has lost is
        sent again, and nothing else.
        """
        return self._once("pool", account, head, lambda: self.nonce(account))

    def _once(self, what: str, account: bytes, head: Head, read: Callable[[], int]) -> int:
        """What is read once a head for all that wait."""
        with briefly(self._telling):
            told = self._told.get((what, account))
            if told is None or told[0] != head.hash:
                told = self._told[what, account] = head.hash, read()
            return told[1]

    def _now(self) -> float:
        """Seconds, on a clock that only goes forward."""
        return time.monotonic()

    def _pause(self, seen: Head) -> None:
        """Wait a moment for a head behind `seen`."""
        if self._feed is not None and self._feed.latest is not None:
            self._feed.wait(seen.number, TOLD_POLL)
        else:
            time.sleep(POLL)

    def inclusion_in(self, block_hash: bytes, extrinsic: bytes) -> Inclusion | None:
        """An extrinsic (by hash) in a block; None when it is not in there."""
        block = self.block(block_hash)
        for one in block.extrinsics:
            if one.hash == extrinsic:
                events = [event for event in self.events(block_hash) if event.extrinsic == one.index]
                error = self.runtime.failure(events)
                return Inclusion(block.number, block_hash, one.index, one.hash, tuple(events), error)
        return None

    def submit(self, call: Call, signer: Signer, *, tip: int = 0, timeout: float = 60.0) -> Inclusion:
        """Sign, send and wait. Raises DispatchError when it failed on the chain, and what `broadcast` and
        `wait_finalised` raise. Nothing is written down: a caller that must not act twice uses the Outbox.
        """
        with self.signing(bytes(signer.public_key)):
            extrinsic = self.sign(call, signer, tip=tip)
            try:
                self.broadcast(extrinsic)
            except ExtrinsicInvalid as error:
                # after a lost connection the first try may have landed: the blocks tell
                if error.code not in ("nonce-used", "put-aside"):
                    raise
        return self.wait_finalised(extrinsic, timeout).raise_for_error()

    def submit_unfinal(
        self, call: Call, signer: Signer, *, timeout: float = 60.0, every: float = 0.5
    ) -> Inclusion:
        """As `submit`, but wait only until the node's best chain has it, which may yet be undone: for what
        brings finality back, since nothing is finalised meanwhile. Looks `every` so many seconds.
        """
        with self.signing(bytes(signer.public_key)):
            head = self.best_head()
            extrinsic = self.sign(call, signer, behind=head)
            self.broadcast(extrinsic)
        number, deadline = head.number + 1, time.monotonic() + timeout
        while time.monotonic() < deadline:
            if number > self.best_head().number:
                time.sleep(every)
                continue
            if (included := self.inclusion_in(self.block_hash(number), extrinsic.hash)) is not None:
                return included.raise_for_error()
            number += 1
        raise ChainTimeout(f"extrinsic {_hex(extrinsic.hash)} was in no block in {timeout:g} s")

    def signing(self, account: bytes) -> threading.Lock:
        """Held from the choice of a nonce to the broadcast, so that two threads never choose the same."""
        with self._lock:
            return self._signing.setdefault(account, threading.Lock())


def _keep(cache: dict[bytes, T], key: bytes, value: T) -> None:
    cache[key] = value
    while len(cache) > _CACHED_BLOCKS:
        del cache[next(iter(cache))]


def _calls_in(value: Any) -> Iterator[Call]:
    if isinstance(value, Call):
        yield value
        value = value.args
    if isinstance(value, dict):
        for one in value.values():
            yield from _calls_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _calls_in(one)
