"""Files that are read whole or refused, and the one place that does it."""

from __future__ import annotations

import ast
import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proofward.attestation import AttestationError, Collateral
from proofward.errors import ProofwardError
from proofward.files import (
    TooLong,
    copy_whole,
    read_stream,
    read_whole,
    replacing,
    write_new,
    write_together,
    write_whole,
)
from proofward.zkml.errors import CompileError
from proofward.zkml.external import whole
from proofward_node.tcb import TcbUnknown, _quote_of
from tests.test_rooms import PACKAGES, ROOT

#: Without any of these a source need not be parsed.
HINT = re.compile(r"open\(|write_(text|bytes)|os\.replace|\.replace\([^,]*\)|rename|link|shutil|O_CREAT")
MODE = re.compile(r"[rbt]*[wx][rbt+]*")
#: The modules that make or replace files themselves, by why they may.
BY_HAND_WITH_REASON = {
    "a folder that is renamed when it is whole": {
        "enclave_runtime/proofward_enclave/setup.py",
        "proofward/client/fetching.py",
        "proofward/zkml/artifact.py",
        "proofward/zkml/compile.py",
        "proofward/zkml/ezkl/build.py",
        "proofward/zkml/groth16/ceremony.py",
        "proofward/zkml/groth16/compiler/build.py",
    },
    "a folder that goes with whoever made it": {
        "demo/proofward_demo/federated.py",
        "demo/proofward_demo/processes.py",
        "gateway/proofward_gateway/model.py",
        "proofward/devnet/chains.py",
        "proofward/evidence/model.py",
        "proofward/network/spec.py",
        "proofward/zkml/ezkl/audit.py",
        "proofward/zkml/ezkl/child.py",
        "proofward/zkml/ezkl/solidity.py",
    },
    "a lock, or a database that SQLite writes": {
        "node/proofward_node/journal.py",
        "proofward/client/session_run.py",
    },
    "a log of lines, each on the disk before it is posted": {"proofward/edge/log.py"},
    "the old file is moved away, not replaced": {"node/proofward_node/backup.py"},
    "a file of the kernel's": {"enclave_runtime/proofward_enclave/providers/tsm.py"},
}
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


def test_what_is_written_bit_by_bit_replaces_nothing_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(b"old")
    with pytest.raises(BufferError):
        write_by_stream(path, b"new", BufferError)
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(path, b"old")]
    write_by_stream(path, b"new")
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(path, b"new")]


def test_a_copy_is_private_whatever_its_source_is(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"key")
    source.chmod(0o644)
    copy_whole(source, target)
    assert target.read_bytes() == b"key"
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("there", [True, False], ids=["to-a-file", "to-nothing-yet"])
def test_a_link_is_followed_and_stays(tmp_path: Path, there: bool) -> None:
    link, folder = tmp_path / "latest", tmp_path / "kept"
    folder.mkdir()
    link.symlink_to("kept/report")
    if there:
        (folder / "report").write_bytes(b"old")
    for write in (write_whole, write_by_stream):
        write(link, write.__name__.encode())
        assert link.readlink() == Path("kept/report")
        assert (folder / "report").read_bytes() == write.__name__.encode()
    assert list(folder.iterdir()) == [folder / "report"]


def test_what_a_link_leads_to_is_not_left_half_written(tmp_path: Path) -> None:
    link, folder = tmp_path / "latest", tmp_path / "kept"
    folder.mkdir()
    link.symlink_to(folder / "report")
    (folder / "report").write_bytes(b"old")
    with pytest.raises(BufferError):
        write_by_stream(link, b"new", BufferError)
    assert [(one, one.read_bytes()) for one in folder.iterdir()] == [(folder / "report", b"old")]


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("link")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(link, b"")
    assert list(tmp_path.iterdir()) == [link]


def test_a_new_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("elsewhere")
    with pytest.raises(FileExistsError):
        write_new(link, b"key")
    assert list(tmp_path.iterdir()) == [link]


def write_by_stream(path: Path, data: bytes, error: type[Exception] | None = None) -> None:
    with replacing(path) as file:
        file.write(data)
        if error is not None:
            raise error


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_path_without_a_name_is_no_file(path: str) -> None:
    with pytest.raises(IsADirectoryError, match="names no file"):
        write_whole(Path(path), b"")


def modules() -> Iterator[Path]:
    return (path for folder in PACKAGES.values() for path in (ROOT / folder).glob("proofward*/**/*.py"))


def writes_by_hand(node: ast.AST) -> bool:
    """Whether this makes or replaces a file: `open` for writing, `write_text`, `rename` and their like."""
    match node:
        case ast.Attribute(attr="O_CREAT"):
            return True
        case ast.Call(ast.Attribute(ast.Name("os"), name)):
            return name in {"replace", "rename", "link"}
        case ast.Call(ast.Attribute(ast.Name("shutil"), name)):
            return name in {"copy", "copy2", "copyfile", "move"}
        case ast.Call(ast.Name("open") | ast.Attribute(attr="open"), args, keywords):
            said = [*args, *(each.value for each in keywords)]
            return any(isinstance(one, ast.Constant) and MODE.fullmatch(str(one.value)) for one in said)
        case ast.Call(ast.Attribute(attr="replace"), args, keywords):  # of a path; a text's takes two
            return len(args) == 1 and not keywords
        case ast.Call(ast.Attribute(attr=name)):
            return name in {"write_text", "write_bytes", "rename", "hardlink_to"}
    return False


def written_by_hand(source: str) -> bool:
    return HINT.search(source) is not None and any(map(writes_by_hand, ast.walk(ast.parse(source))))


@pytest.mark.parametrize(
    "source",
    [
        "open(path, 'w')",
        "path.open(mode='xb')",
        "path.write_text(text)",
        "path.write_bytes(data)",
        "os.replace(draft, path)",
        "draft.replace(path)",
        "os.open(path, os.O_WRONLY | os.O_CREAT)",
        "shutil.copyfile(source, path)",
    ],
)
def test_a_file_written_by_hand_is_seen(source: str) -> None:
    assert written_by_hand(source)


@pytest.mark.parametrize(
    "source", ["open(path)", "path.open('ab')", "text.replace('w', 'x')", "replace(a, b=1)"]
)
def test_what_writes_no_file_is_let_be(source: str) -> None:
    assert not written_by_hand(source)


def test_nobody_writes_a_named_file_half() -> None:
    found = {str(path.relative_to(ROOT)) for path in modules() if written_by_hand(path.read_text())}
    assert found == {"proofward/files.py"}.union(*BY_HAND_WITH_REASON.values())


def test_nobody_else_reads_one_byte_more_than_the_limit() -> None:
    found = {str(path.relative_to(ROOT)) for path in modules() if BY_HAND.search(path.read_text())}
    assert found == {"proofward/files.py"}
