"""The canary search finds what it should, and not what it should not."""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.canary import Canary, in_files, in_memory, in_text

VALUES = [11, -22, 3333, 44444, 5, 66]


HOLDER = """
import mmap, sys
path, secret = sys.argv[1], bytearray.fromhex(sys.stdin.readline())
with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize(
    "text",
    [
        secret := bytes(range(32)),
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b64encode(secret),
        base64.b64encode(b"{" + secret + b"}"),
        base64.urlsafe_b64encode(b"{{" + secret + b"}"),
    ],
    ids=["raw", "hex", "HEX", "base64", "base64 shifted", "base64url shifted twice"],
)
def test_bytes_are_found_in_every_form(text: bytes) -> None:
    canary = Canary.of_bytes(bytes(range(32)))
    assert in_text(canary, log=b"before " + text + b" after")
    assert not in_text(canary, log=b"before " + text[:-16] + b" after")


@pytest.mark.parametrize(
    "text",
    [
        struct.pack("<6q", *VALUES),
        struct.pack(">6q", *VALUES),
        struct.pack("<6d", *VALUES),
        json.dumps(VALUES).encode(),
        json.dumps(VALUES, separators=(",", ":")).encode(),
        struct.pack("<6q", *VALUES).hex().encode(),
    ],
    ids=["LE", "BE", "float", "JSON", "tight JSON", "hex"],
)
def test_integers_are_found_in_every_form(text: bytes) -> None:
    canary = Canary.of_integers(VALUES)
    assert in_text(canary, log=b"\x00 before " + text + b" after")
    assert not in_text(canary, log=text[4:])


def test_files_are_searched_across_chunks_and_in_a_wal(tmp_path: Path) -> None:
    secret = secrets.token_bytes(32)
    canary = Canary.of_bytes(secret)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "big").write_bytes(bytes((1 << 20) - 7) + secret + bytes(100))
    database = sqlite3.connect(tmp_path / "j.db")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (b BLOB)")
    database.execute("INSERT INTO t VALUES (?)", (secret,))
    database.commit()
    places = {hit.split(":")[0].rsplit("/", 1)[1] for hit in in_files(canary, tmp_path)}
    assert places == {"big", "j.db-wal"}
    assert not in_files(Canary.of_bytes(secrets.token_bytes(32)), tmp_path)
    database.close()


def test_memory_is_searched_mapped_files_too(tmp_path: Path) -> None:
    """From another process, so that the search itself does not put a secret into the memory it reads."""
    own, mapped = secrets.token_bytes(32), secrets.token_bytes(32)
    (tmp_path / "mapped").write_bytes(bytes(5000) + mapped)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "mapped")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(own.hex() + "\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "ready\n"
        hits = in_memory(Canary.of_bytes(own), holder.pid)
        assert any("anonymous" in hit or "heap" in hit for hit in hits)
        assert any("mapped" in hit for hit in in_memory(Canary.of_bytes(mapped), holder.pid))
        assert not in_memory(Canary.of_bytes(secrets.token_bytes(32)), holder.pid)


def test_a_process_of_nobody_cannot_be_searched() -> None:
    with pytest.raises(FileNotFoundError):
        in_memory(Canary.of_bytes(bytes(range(32))), 2**22 + 1)


def test_a_short_canary_is_refused() -> None:
    with pytest.raises(ValueError, match="by accident"):
        Canary.of_bytes(b"short")
    with pytest.raises(ValueError, match="by accident"):
        Canary.of_integers([1, 2, 3])
