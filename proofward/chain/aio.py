"""The chain client for asyncio: the same methods, as coroutines that wait in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from proofward.chain.client import Block, FoundCall, Inclusion, SubstrateClient
from proofward.chain.extrinsic import SignedExtrinsic, Signer
from proofward.chain.heads import Head
from proofward.chain.runtime import Event
from proofward.chain.values import Call

_P = ParamSpec("_P")
_T = TypeVar("_T")


class AsyncSubstrateClient:
    """Wraps a SubstrateClient, which stays reachable as `sync` (its typed pallet readers take that one)."""

    def __init__(self, sync: SubstrateClient) -> None:
        self.sync = sync

    @classmethod
    async def connect(cls, url: str, *, patience: float | None = None) -> AsyncSubstrateClient:
        return cls(await asyncio.to_thread(SubstrateClient.connect, url, patience=patience))

    async def run(
        self, action: Callable[Concatenate[SubstrateClient, _P], _T], *args: _P.args, **options: _P.kwargs
    ) -> _T:
        """`action(client, *args)` in a thread: for the readers in proofward.chain.pallets."""
        return await asyncio.to_thread(action, self.sync, *args, **options)

    async def close(self) -> None:
        await asyncio.to_thread(self.sync.close)

    async def __aenter__(self) -> AsyncSubstrateClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def genesis(self) -> bytes:
        return self.sync.genesis

    async def finalised_head(self) -> Head:
        return await asyncio.to_thread(self.sync.finalised_head)

    async def block_hash(self, number: int) -> bytes:
        return await asyncio.to_thread(self.sync.block_hash, number)

    async def block(self, which: int | bytes) -> Block:
        return await asyncio.to_thread(self.sync.block, which)

    async def events(self, block_hash: bytes) -> list[Event]:
        return await asyncio.to_thread(self.sync.events, block_hash)

    async def query(self, pallet: str, item: str, *keys: Any, at: bytes | None = None) -> Any:
        return await asyncio.to_thread(self.sync.query, pallet, item, *keys, at=at)

    async def find_calls(self, block_hash: bytes, pallet: str, name: str) -> list[FoundCall]:
        return await asyncio.to_thread(self.sync.find_calls, block_hash, pallet, name)

    async def runtime_call(
        self, api: str, method: str, params: bytes = b"", *, at: bytes | None = None
    ) -> bytes:
        return await asyncio.to_thread(self.sync.runtime_call, api, method, params, at=at)

    async def sign(
        self, call: Call, signer: Signer, *, nonce: int | None = None, tip: int = 0
    ) -> SignedExtrinsic:
        return await asyncio.to_thread(self.sync.sign, call, signer, nonce=nonce, tip=tip)

    async def broadcast(self, extrinsic: SignedExtrinsic | bytes) -> bytes:
        return await asyncio.to_thread(self.sync.broadcast, extrinsic)

    async def wait_finalised(self, extrinsic: SignedExtrinsic, timeout: float = 60.0) -> Inclusion:
        return await asyncio.to_thread(self.sync.wait_finalised, extrinsic, timeout)

    async def submit(self, call: Call, signer: Signer, *, tip: int = 0, timeout: float = 60.0) -> Inclusion:
        return await asyncio.to_thread(self.sync.submit, call, signer, tip=tip, timeout=timeout)

    async def follow(self, start: int | None = None) -> AsyncIterator[Head]:
        """Every finalised block from `start` on; leaving the loop ends it."""
        stop = threading.Event()
        heads = self.sync.follow(start, stop=stop)
        try:
            while (head := await asyncio.to_thread(next, heads, None)) is not None:
                yield head
        finally:
            stop.set()
