"""SQLite files with a version: brought up to date when they are opened, one step after the other.

The version is `PRAGMA user_version`, 0 in a new file and in files made before there were versions.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from proofward.errors import ProofwardError


class NewerSchema(ProofwardError):
    """A file that a later release has written."""

    code = "newer-schema"


class DiskFailed(ProofwardError):
    """The disk is full or fails, and the file is as it was: there is nothing to restore."""

    code = "disk-failed"


def by_disk(error: Exception) -> bool:
    """Whether the disk is full or fails, so that it may pass; a file that is damaged stays so."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
        return code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def blame_disk(error: Exception, path: Path) -> None:
    """Raise DiskFailed if opening the file failed by its disk; what else is wrong is the caller's to tell."""
    if by_disk(error):
        raise DiskFailed(
            f"{path} cannot be written, the disk is full or fails ({error}): free space, and start again"
        ) from error


def migrate(database: sqlite3.Connection, steps: Sequence[Sequence[str]]) -> None:
    """Run the statements that lead from the file's version to the newest: `steps[n]` leads from n to n + 1.

    Each step is a transaction of its own, and its version is in it: a process that dies between two finds the
    first one done. The connection must be in autocommit mode. Raises NewerSchema, sqlite3.DatabaseError.
    """
    while (version := _version(database)) < len(steps):
        database.execute("BEGIN IMMEDIATE")
        try:
            if _version(database) == version:  # else another process was faster
                for statement in steps[version]:
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {version + 1}")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")
    if version > len(steps):
        raise NewerSchema(
            f"its schema has version {version}, above {len(steps)}: use the release that wrote it"
        )


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])
