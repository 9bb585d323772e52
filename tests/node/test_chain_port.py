"""What the worker's view of the chain asks a node for, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proofward.chain import SubstrateClient
from proofward.chain.heads import Head
from proofward.chain.pallets import jobs
from proofward_node.chain_port import WATCHED, WATCHED_HEADS, ChainPort
from proofward_node.config import ConfigError

ONE, TWO, GONE = (bytes([number]) * 32 for number in range(3))


class Node:
    """A chain on which `GONE` is no job; it counts what is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.height = 5
        self.times: list[bytes] = []
        self.reads: list[set[bytes]] = []
        monkeypatch.setattr(jobs.Known, "many", lambda _, *asked: self._records(*asked))

    def _records(self, _: object, jobs: Sequence[bytes], at: bytes) -> dict[bytes, Any]:
        self.reads.append({*jobs})
        return {job: (job, at) for job in jobs if job != GONE}

    def finalised_head(self) -> Head:
        return Head(self.height, self.height.to_bytes(32, "big"))

    def timestamp(self, at: bytes) -> int:
        self.times.append(at)
        return 0

    def port(self) -> ChainPort:
        port = ChainPort("ws://127.0.0.1:1", "//Bob", None, None)
        port._client = cast(SubstrateClient, SimpleNamespace(
            finalised_head=self.finalised_head, timestamp=self.timestamp,
        ))  # fmt: skip
        return port


async def ask(port: ChainPort, job: bytes) -> Any:
    return await port.job(job)


async def test_jobs_under_way_are_read_together_and_once_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch)
    port = node.port()
    assert (await ask(port, ONE), await ask(port, TWO), await ask(port, GONE)) == (
        (ONE, node.finalised_head().hash), (TWO, node.finalised_head().hash), None,
    )  # fmt: skip
    assert await ask(port, ONE) == (ONE, node.finalised_head().hash)
    node.reads.clear()
    node.height += 1
    found = await asyncio.gather(*(ask(port, job) for job in (TWO, ONE, GONE)))
    assert found == [(TWO, node.finalised_head().hash), (ONE, node.finalised_head().hash), None]
    assert node.reads == [{ONE, TWO, GONE}]
    assert len(node.times) == 2


async def test_what_nobody_asks_for_any_more_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch)
    port = node.port()
    await port.jobs([ONE])
    node.height += WATCHED_HEADS
    await port.job(TWO)
    assert node.reads == [{ONE}, {TWO}]
    many = [number.to_bytes(32, "big") for number in range(1000, 1000 + 2 * WATCHED)]
    await port.jobs(many)
    node.height += 1
    await port.job(TWO)
    assert len(node.reads[-1]) == WATCHED


def test_a_signer_that_is_not_there_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="signer serve"):
        ChainPort("ws://127.0.0.1:1", f"unix:{tmp_path / 'nobody'}", None, None)
