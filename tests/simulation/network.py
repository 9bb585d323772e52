"""Blocks, their finality and the pool, and `proofward.chain`'s client of them.

State is what finalised blocks made of it, as our readers see it; a nonce counts what waits as well, as a
node's does. A block that is not finalised may be taken back, and its extrinsics go into the pool again.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proofward.chain.client import Inclusion, SubstrateClient
from proofward.chain.errors import DispatchError, ExtrinsicInvalid
from proofward.chain.extrinsic import ERA_PERIOD, SignedExtrinsic, Signer
from proofward.chain.heads import Head
from proofward.chain.outbox import Outbox
from proofward.chain.values import Call
from proofward.protocol import sha256
from tests.node.world import GENESIS
from tests.simulation.fibers import TurnLock, park
from tests.simulation.market import FEE, Market

#: Blocks in which news may be on its way between reading the chain and signing.
GRACE = 8


@dataclass
class Block:
    number: int
    hash: bytes
    body: list[SignedExtrinsic]


class Network:
    """One chain with one node. `tick` makes a block; `late` is how far finality is behind."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.market = Market()
        self.blocks = [Block(0, GENESIS, [])]
        self.final = 0
        self.late, self.stalled = 1, 0
        self.pool: dict[bytes, SignedExtrinsic] = {}
        self.calls: dict[bytes, Call] = {}
        self.receipts: dict[tuple[bytes, bytes], Inclusion] = {}
        self.nonces: Counter[bytes] = Counter()
        self.history: dict[int, Market] = {0: self.market.copy()}
        self.signed = 0
        self.known_to_fail: list[tuple[int, bytes, str, str]] = []
        self.included: Counter[str] = Counter()

    # blocks ---------------------------------------------------------------------------------------

    @property
    def best(self) -> int:
        return len(self.blocks) - 1

    def tick(self) -> None:
        """One block time."""
        self._build()
        if self.stalled > 0:
            self.stalled -= 1
            return
        while self.final < self.best - self.late:
            self.final += 1
            self._execute(self.blocks[self.final])

    def _build(self) -> None:
        number, nonces, body = len(self.blocks), self.best_nonces(), list[SignedExtrinsic]()
        for one in sorted(self.pool.values(), key=lambda one: (one.signer, one.nonce)):
            if one.last_block < number or one.nonce < nonces[one.signer]:
                del self.pool[one.hash]
            elif one.nonce == nonces[one.signer]:
                nonces[one.signer] += 1
                body.append(self.pool.pop(one.hash))
        name = sha256(self.blocks[-1].hash + self.rng.randbytes(4))
        self.blocks.append(Block(number, name, body))

    def _execute(self, block: Block) -> None:
        for index, one in enumerate(block.body):
            call = self.calls[one.hash]
            self.nonces[one.signer] += 1
            error, events = self.market.include(one.signer, call, block.number)
            self.included[call.name] += 1
            failure = None if error is None else DispatchError("Jobs", error)
            self.receipts[block.hash, one.hash] = Inclusion(
                block.number, block.hash, index, one.hash, events, failure
            )
        self.history[block.number] = self.market.copy()
        self.history.pop(block.number - GRACE - 1, None)

    def reorganise(self, depth: int) -> None:
        """Take back up to `depth` blocks that are not final; others come in their place."""
        for _ in range(min(depth, self.best - self.final)):
            for one in self.blocks.pop().body:
                self.pool[one.hash] = one

    # the pool -------------------------------------------------------------------------------------

    def best_nonces(self) -> Counter[bytes]:
        nonces = Counter(self.nonces)
        for block in self.blocks[self.final + 1 :]:
            nonces.update(one.signer for one in block.body)
        return nonces

    def take(self, one: SignedExtrinsic) -> None:
        nonces = self.best_nonces()
        if any(one.hash == had.hash for block in self.blocks[self.final + 1 :] for had in block.body):
            raise ExtrinsicInvalid("a block had it", code="put-aside")
        if one.nonce < nonces[one.signer]:
            raise ExtrinsicInvalid("its nonce is used", code="nonce-used")
        if one.last_block <= self.best:
            raise ExtrinsicInvalid("its era is over", code="bad-signature")
        if self.market.free[one.signer] < FEE:
            raise ExtrinsicInvalid("it cannot pay", code="cannot-pay")
        for other in self.pool.values():
            if (other.signer, other.nonce) == (one.signer, one.nonce) and other.hash != one.hash:
                raise ExtrinsicInvalid("the pool has another one with this nonce", code="invalid")
        self.pool[one.hash] = one

    def sign(self, call: Call, account: bytes, nonce: int) -> SignedExtrinsic:
        self.signed += 1
        data = b"%d %s" % (self.signed, call.name.encode())
        one = SignedExtrinsic(data, sha256(data), account, nonce, self.final, self.final + ERA_PERIOD - 1)
        self.calls[one.hash] = call
        past = sorted(self.history.items(), reverse=True)
        if all(state.would_fail(account, call, number + 1) for number, state in past):
            error = self.market.would_fail(account, call, self.final + 1)
            self.known_to_fail.append((self.final, account, call.name, str(error)))
        return one


class SimulatedClient(SubstrateClient):
    """The product's client of a simulated node: its reads and its pool; how it waits is its own code.

    Args:
        point: called where the world may interfere: it may raise.
    """

    def __init__(self, network: Network, point: Callable[[str], None]) -> None:
        self._network, self._point = network, point
        self._locks: dict[bytes, TurnLock] = {}
        self.genesis = GENESIS

    def finalised_head(self) -> Head:
        self._point("read")
        return Head(self._network.final, self._network.blocks[self._network.final].hash)

    @property
    def chain_type(self) -> str:
        return "Live"

    def best_number(self) -> int:
        self._point("read")
        return self._network.best

    def block_hash(self, number: int) -> bytes:
        self._point("read")
        return self._network.blocks[number].hash

    def inclusion_in(self, block_hash: bytes, extrinsic: bytes) -> Inclusion | None:
        self._point("read")
        return self._network.receipts.get((block_hash, extrinsic))

    def finalised_nonce(self, account: bytes, at: bytes | None = None) -> int:
        self._point("read")
        return self._network.nonces[account]

    def nonce(self, account: bytes) -> int:
        self._point("read")
        nonce = self._network.best_nonces()[account]
        waiting = {one.nonce for one in self._network.pool.values() if one.signer == account}
        while nonce in waiting:
            nonce += 1
        return nonce

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
        self._point("sign")
        assert nonce is not None
        return self._network.sign(call, bytes(signer.public_key), nonce)

    def broadcast(self, extrinsic: SignedExtrinsic | bytes) -> bytes:
        assert isinstance(extrinsic, SignedExtrinsic)
        self._point("before the broadcast")
        self._network.take(extrinsic)
        self._point("after the broadcast")
        return extrinsic.hash

    def broadcast_many(self, extrinsics: Sequence[SignedExtrinsic]) -> list[ExtrinsicInvalid | None]:
        refusals = list[ExtrinsicInvalid | None]()
        for one in extrinsics:
            try:
                self.broadcast(one)
                refusals.append(None)
            except ExtrinsicInvalid as error:
                refusals.append(error)
        return refusals

    def signing(self, account: bytes) -> threading.Lock:
        return self._locks.setdefault(account, TurnLock())  # type: ignore[return-value]

    def _once(self, what: str, account: bytes, head: Head, read: Callable[[], int]) -> int:
        return read()

    def _now(self) -> float:
        return float(self._network.best)

    def _pause(self, _: Head) -> None:
        park()
        self._point("wait")


def simulated_outbox(outbox: Outbox, point: Callable[[str], None]) -> Outbox:
    """An outbox whose disk may fail, whose locks park, and which does not wait for the real disk."""
    outbox._lock = TurnLock()  # type: ignore[assignment]
    outbox.sync = "OFF", "OFF"
    outbox._db.execute("PRAGMA synchronous=OFF")
    insert, close = outbox._insert, outbox._close

    def checked(action: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            point("disk")
            found = action(*args, **kwargs)
            point("written")
            return found

        return run

    outbox._insert, outbox._close = checked(insert), checked(close)  # type: ignore[method-assign]
    return outbox
