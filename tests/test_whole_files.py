"""Files that are read whole or refused, and the one place that does it."""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from proofward.attestation import AttestationError, Collateral
from proofward.errors import ProofwardError
from proofward.files import TooLong, read_stream, read_whole, write_new, write_together, write_whole
from proofward.zkml.errors import CompileError
from proofward.zkml.external import whole
from proofward_node.tcb import TcbUnknown, _quote_of
from tests.test_rooms import PACKAGES, ROOT

OUT_BY_HAND = re.compile(r"\bout\.write_(text|bytes)\(")
BY_HAND = re.compile(r"\.read\([\w.]+ \+ 1\)")


def test_a_file_of_the_limit_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_whole(path, 8) == b"12345678"
    with pytest.raises(TooLong, match="more than 7 bytes"):
        read_whole(path, 7)


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(TooLong):
        read_whole(Path("/dev/zero"), 1 << 16)


@pytest.mark.parametrize(
    ("read", "error"),
    [(whole, CompileError), (Collateral.from_file, AttestationError), (_quote_of, TcbUnknown)],
)
def test_a_file_of_somebody_else_s_without_end_is_refused(
    read: Callable[[Path], object], error: type[ProofwardError]
) -> None:
    with pytest.raises(error, match=r"/dev/zero .*more than"):
        read(Path("/dev/zero"))


def test_a_stream_is_left_where_it_was_refused() -> None:
    stream = io.BytesIO(bytes(100))
    with pytest.raises(TooLong):
        read_stream(stream, 9)
    assert stream.tell() == 10


def test_none_of_several_files_is_replaced_when_the_disk_is_full_at_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    salts, proof = tmp_path / "salts", tmp_path / "proof"
    for path in (salts, proof):
        path.write_bytes(b"old")
    calls = iter((None, OSError(errno.ENOSPC, "full")))

    def fsync(_: int) -> None:
        if (error := next(calls)) is not None:
            raise error

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="full"):
            write_together([(salts, b"new", 0o600), (proof, b"new", 0o600)])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"salts": b"old", "proof": b"old"}
    write_together([(salts, b"new", 0o600), (proof, b"new", 0o600)])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"salts": b"new", "proof": b"new"}


def test_a_new_file_replaces_none_and_is_not_left_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    write_new(path, b"old")
    with pytest.raises(FileExistsError):
        write_new(path, b"new")
    assert path.read_bytes() == b"old"
    monkeypatch.delattr(os, "fsync")
    with pytest.raises(AttributeError):
        write_new(tmp_path / "another", b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_or_a_device_is_written_to_and_not_replaced_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    write_whole(path, b"proof")
    assert os.read(reader, 9) == b"proof"
    assert list(tmp_path.iterdir()) == [path]
    salts = tmp_path / "pipe.salts"
    write_together([(salts, b"salts", 0o600), (path, b"proof", 0o666)])
    assert os.read(reader, 9) == b"proof"
    os.close(reader)
    assert path.is_fifo()
    assert sorted(tmp_path.iterdir()) == [path, salts]


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_path_without_a_name_is_no_file(path: str) -> None:
    with pytest.raises(IsADirectoryError, match="names no file"):
        write_whole(Path(path), b"")


def test_nobody_writes_a_named_file_half() -> None:
    modules = [path for folder in PACKAGES.values() for path in (ROOT / folder).glob("proofward*/**/*.py")]
    found = {str(path.relative_to(ROOT)) for path in modules if OUT_BY_HAND.search(path.read_text())}
    assert found <= {"demo/proofward_demo/federated.py"}


def test_nobody_else_reads_one_byte_more_than_the_limit() -> None:
    modules = [path for folder in PACKAGES.values() for path in (ROOT / folder).glob("proofward*/**/*.py")]
    assert modules
    found = {str(path.relative_to(ROOT)) for path in modules if BY_HAND.search(path.read_text())}
    assert found == {"proofward/files.py"}
