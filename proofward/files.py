"""Files that are read and written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from proofward.errors import ProofwardError


class TooLong(ProofwardError, ValueError):
    """A file or stream has more bytes than its reader takes."""

    code = "too-long"


def read_whole(path: Path, limit: int) -> bytes:
    """All bytes of a file, which are `limit` at most. Raises OSError, TooLong."""
    with path.open("rb") as file:
        return read_stream(file, limit)


def read_stream(stream: BinaryIO, limit: int) -> bytes:
    """What is left of a stream, which are `limit` bytes at most. Raises OSError, TooLong."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise TooLong(f"it has more than {limit} bytes")
    return data


def sibling(path: Path, after: str, *, before: str = "") -> Path:
    """The file in the same folder whose name is this one's with something more. Raises IsADirectoryError:
    the path, such as `.`, has no name.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, "it names no file", str(path))
    return path.with_name(f"{before}{path.name}{after}")


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` in the place of a file, in one step that survives a loss of power: others see the old file
    or the new one. `mode` is the file's, less the process's umask. A device or a pipe is written to, and a
    symbolic link is followed: both stay.

    Raises OSError, with the old file as it was.
    """
    write_together([(path, data, mode)])


def write_together(files: Sequence[tuple[Path, bytes, int]]) -> None:
    """As `write_whole` for several files; none is replaced before all are written. Raises OSError."""
    staged: list[tuple[Path, Path]] = []
    try:
        for path, data, mode in files:
            if _is_stream(path):
                path.write_bytes(data)
                continue
            staged.append(_staged(path))
            with _new(staged[-1][0], mode) as file:
                file.write(data)
        for draft, place in staged:
            os.replace(draft, place)
    except BaseException:
        for draft, _ in staged:
            draft.unlink(missing_ok=True)
        raise
    for folder in {place.parent for _, place in staged}:
        _sync(folder)


@contextmanager
def replacing(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """As `write_whole` of what the block writes into the stream; nothing is replaced when the block raises.
    Raises OSError.
    """
    if _is_stream(path):
        with path.open("wb") as stream:
            yield stream
        return
    draft, place = _staged(path)
    with _new(draft, mode) as file:
        yield file
    try:
        os.replace(draft, place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(place.parent)


def copy_whole(source: Path, path: Path, *, mode: int = 0o600) -> None:
    """As `write_whole` of what is in another file, of any length. Raises OSError."""
    with source.open("rb") as read, replacing(path, mode=mode) as written:
        shutil.copyfileobj(read, written)


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file that is not there yet; nothing half-written stays. Raises OSError: FileExistsError."""
    with _new(path, mode) as file:
        file.write(data)
    _sync(path.parent)


@contextmanager
def _new(path: Path, mode: int) -> Iterator[BinaryIO]:
    """A file that is not there yet: on the disk when the block ends, gone when it raises."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _staged(path: Path) -> tuple[Path, Path]:
    """Where a file is written first, and where it is put then: where a link leads, there being one."""
    place = _followed(path)
    return sibling(place, f".{secrets.token_hex(4)}", before="."), place


def _followed(path: Path) -> Path:
    if not path.is_symlink():
        return path
    with suppress(FileNotFoundError):
        path.stat()  # a loop, or somebody else's link in a shared folder, is the kernel's to refuse
    return Path(os.path.realpath(path))


def _is_stream(path: Path) -> bool:
    """Whether this is a device, a pipe or a socket, or `/dev/stdout`, wherever that leads."""
    try:
        found = path.stat().st_mode
    except OSError:
        return False
    if path.is_symlink() and path.absolute().parent == Path("/dev"):
        return True
    return not (stat.S_ISREG(found) or stat.S_ISDIR(found))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
