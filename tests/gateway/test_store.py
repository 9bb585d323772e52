"""Receipts on disk: none that was acknowledged is lost, whatever the moment of a kill."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from proofward_gateway.store import Store, StoreError


def receipt(number: int) -> dict[str, Any]:
    return {"receipt_id": f"rcpt-{number}", "chat_id": "same", "served_at": 1000, "event_log": ["x" * 300]}


def opened(folder: Path, now: float = 1000.0) -> Store:
    return Store(folder, retention_days=30, clock=lambda: now)


async def test_a_store_cut_off_anywhere_holds_a_prefix_of_what_was_written(tmp_path: Path) -> None:
    store, log = opened(tmp_path / "a"), tmp_path / "a" / "receipts.sqlite-wal"
    ends = []
    for number in range(8):
        await store.put_receipt(receipt(number), None)
        ends.append(log.stat().st_size)
    whole, base = log.read_bytes(), (tmp_path / "a" / "receipts.sqlite").read_bytes()
    store.close()
    cuts = {end + off for end in ends for off in (-4096, -1, 0, 1) if 0 <= end + off <= len(whole)}
    for cut in sorted(cuts):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "receipts.sqlite").write_bytes(base)
        (folder / "receipts.sqlite-wal").write_bytes(whole[:cut])
        again = opened(folder)
        held = [await again.receipt(f"rcpt-{number}") is not None for number in range(8)]
        again.close()
        assert held == [end <= cut for end in ends], cut
        shutil.rmtree(folder)


@pytest.mark.parametrize("point", range(12))
def test_kill_9_loses_no_receipt_that_was_acknowledged(tmp_path: Path, point: int) -> None:
    """The writer is killed after its n-th word that a receipt is on disk, while others are on their way."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_write_for_ever(tmp_path, write))
        finally:
            os._exit(1)
    os.close(write)
    told = bytearray()
    while len(told) <= point:
        told += os.read(read, 1)
    os.kill(child, signal.SIGKILL)
    while more := os.read(read, 64):
        told += more
    os.waitpid(child, 0)
    os.close(read)

    async def count() -> int:
        store = opened(tmp_path)
        found = [await store.receipt(f"rcpt-{number}") is not None for number in range(len(told))]
        store.close()
        return sum(found)

    assert len(told) > point
    assert asyncio.run(count()) == len(told)


async def _write_for_ever(folder: Path, pipe: int) -> None:
    store = opened(folder)
    for number in range(100_000):
        await store.put_receipt(receipt(number), None)
        os.write(pipe, b".")


async def test_a_receipt_is_final_and_has_one_form(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.put_receipt(receipt(1), b"owner")
    with pytest.raises(StoreError):
        await store.put_receipt({**receipt(1), "model": "other"}, None)
    with sqlite3.connect(tmp_path / "receipts.sqlite") as other, pytest.raises(sqlite3.IntegrityError):
        other.execute("UPDATE receipts SET document = '{}'")
    await store.put_receipt(receipt(2), None)
    found = await store.receipt("rcpt-1")
    assert found is not None
    assert (found.document, found.credential) == (receipt(1), b"owner")
    newest = await store.receipt("same")
    assert newest is not None
    assert newest.document["receipt_id"] == "rcpt-2"
    store.close()


async def test_sessions_outlive_the_receipts_that_cite_them(tmp_path: Path) -> None:
    day = 24 * 3600
    store = opened(tmp_path, now=1000)
    await store.put_receipt(receipt(1), None)
    await store.put_session("s", {"a": 1})
    store.close()
    store = opened(tmp_path, now=1000 + 31 * day)
    assert await store.receipt("rcpt-1") is None
    assert await store.session("s") == {"a": 1}
    store.close()
    store = opened(tmp_path, now=1000 + 38 * day)
    assert await store.session("s") is None
    store.close()


def test_a_store_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot hold receipts"):
        opened(tmp_path / "file")
    opened(tmp_path / "newer").close()
    with sqlite3.connect(tmp_path / "newer" / "receipts.sqlite") as other:
        other.execute("PRAGMA user_version = 9")
    with pytest.raises(StoreError, match="the release that wrote it"):
        opened(tmp_path / "newer")
