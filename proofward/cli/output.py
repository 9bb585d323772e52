"""How every verb speaks: text or JSON on standard output, `error: what, to what, what to do` on standard
error, and the exit codes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any

import typer

from proofward import extras, logs
from proofward.cli.streams import OutputLost, say
from proofward.cli.waiting import spoke, ticking
from proofward.database import by_disk
from proofward.errors import ProofwardError, Refused


class Exit(IntEnum):
    """Exit codes; docs/cli.md lists them."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    TIMEOUT = 5
    NOT_ANCHORED = 6
    INCOMPLETE = 7
    NOT_VERIFIABLE = 8
    AT_RISK = 9
    TRY_AGAIN = 75
    INTERRUPTED = 130
    OUTPUT_LEFT = 141


TRACEBACK = "PROOFWARD_TRACEBACK"
"""The environment's variable with which a failure's line has its traceback before it."""
DEFAULT_CHAIN = "ws://127.0.0.1:9944"

ChainOption = Annotated[
    str, typer.Option("--chain", envvar="PROOFWARD_CHAIN", help="A node's ws:// address.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DevOption = Annotated[
    bool,
    typer.Option("--dev", help="Admit level `simulated` and `setup: dev`. Development chains only."),
]
MeasurementOption = Annotated[
    list[str] | None,
    typer.Option(help="Seal only to this software, whose quotes are verified here; may be repeated."),
]
SignerOption = Annotated[
    str,
    typer.Option(
        "--signer",
        envvar="PROOFWARD_SIGNER",
        help="//Name on a development chain, a key file (mode 0600), or unix:PATH of a signer.",
    ),
]
OptionalSigner = Annotated[
    str | None,
    typer.Option(
        "--signer",
        envvar="PROOFWARD_SIGNER",
        help="//Name on a development chain, a key file (mode 0600), or unix:PATH of a signer.",
    ),
]

_BY_CODE = {
    "chain-unreachable": Exit.UNREACHABLE,
    "gateway-unreachable": Exit.UNREACHABLE,
    "not-found": Exit.NOT_FOUND,
    "no-such-block": Exit.NOT_FOUND,
    "timeout": Exit.TIMEOUT,
    "chain-timeout": Exit.TIMEOUT,
    "usage": Exit.USAGE,
    "outbox-busy": Exit.TIMEOUT,
    "files-unusable": Exit.USAGE,
    "bad-url": Exit.USAGE,
    "cannot-listen": Exit.USAGE,
    "data-unusable": Exit.USAGE,
    "port-in-use": Exit.USAGE,
    "outbox-unusable": Exit.USAGE,
    "unreadable": Exit.USAGE,
    "disk-failed": Exit.TRY_AGAIN,
    "output-lost": Exit.TRY_AGAIN,
    "output-left": Exit.OUTPUT_LEFT,
    "bad-account": Exit.USAGE,
    "bad-table": Exit.USAGE,
    "bad-config": Exit.USAGE,
    "missing-extra": Exit.USAGE,
    "bad-spec": Exit.USAGE,
    "bad-members": Exit.USAGE,
    "folder-used": Exit.USAGE,
    "no-boot-nodes": Exit.USAGE,
    "signer-unreachable": Exit.UNREACHABLE,
    "node-missing": Exit.USAGE,
    "no-network": Exit.NOT_FOUND,
    "no-such-node": Exit.NOT_FOUND,
    "no-finality-proof": Exit.TIMEOUT,
    "unproved": Exit.TIMEOUT,
    "not-finalising": Exit.TIMEOUT,
}


def emit(as_json: bool, value: Any, lines: list[str], *, paint: Callable[[str], str] = str) -> None:
    """Print a result: `value` as JSON, or `lines` as text, which `paint` gives its colours."""
    spoke()
    if as_json:
        say(json.dumps(value, default=_plain, sort_keys=True))
    else:
        say("\n".join(lines), paint=paint)


def note(as_json: bool, line: str) -> None:
    """Print progress: on standard output as text, on standard error beside JSON."""
    spoke()
    say(line, err=as_json)


@contextmanager
def reporting(as_json: bool, *, serves: bool = False) -> Iterator[None]:
    """Turn expected failures into one line and an exit code; anything else is a bug and keeps its
    traceback. A verb that does not serve until it is stopped says every two seconds that it goes on.
    """
    try:
        going_on = contextlib.nullcontext() if serves else ticking()
        with going_on, logs.warnings_by(_warn), extras.explained(), _files():
            yield
    except ProofwardError as error:
        raise typer.Exit(explain(as_json, error)) from None
    except KeyboardInterrupt:
        interrupted(as_json)
        sys.exit(Exit.INTERRUPTED)


def explain(as_json: bool, error: ProofwardError) -> Exit:
    """Say what failed; gives the exit code of it."""
    try:
        document(as_json, error.code, error.message)
    except OutputLost as lost:
        error = lost
    if os.environ.get(TRACEBACK):
        say("".join(traceback.format_exception(error)).rstrip(), err=True)
    say(f"error: {error.message}", err=True)
    return _exit(error)


def interrupted(as_json: bool) -> None:
    """Say that it was ended from outside."""
    with contextlib.suppress(OutputLost):
        document(as_json, "interrupted", "it was interrupted")
    say("interrupted", err=True)


def document(as_json: bool, code: str, message: str) -> None:
    """A failure on standard output, where JSON was asked for. Raises OutputLost."""
    if as_json:
        say(json.dumps({"error": {"code": code, "message": message}}, sort_keys=True))


def _warn() -> None:
    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@contextmanager
def _files() -> Iterator[None]:
    """A disk that is full, a folder that is a file, no permission: nothing that a traceback would mend."""
    try:
        yield
    except OSError as error:
        raise unusable(error) from error
    except (MemoryError, RecursionError) as error:
        raise Refused(
            "memory or depth ran out: a file or an answer is too large, or nested too deeply, for this "
            "machine: name another one; where none is, it is a fault of the program: report what it says "
            f"with {TRACEBACK}=1",
            code="unreadable",
        ) from error
    except UnicodeEncodeError as error:
        if not any("\ud800" <= one <= "\udfff" for one in error.object):  # as a shell hands over other bytes
            raise
        raise Refused(
            "a name that was given, or that of a file, is no text in UTF-8: write it otherwise, or rename "
            "the file",
            code="usage",
        ) from error
    except sqlite3.Error as error:
        raise Refused(
            f"the outbox, or another database of this account, cannot be used ({error}): free space, or mend "
            "the permissions of the folder that PROOFWARD_STATE or the configuration names",
            code="files-unusable",
        ) from error


def unusable(error: OSError) -> Refused:
    """What a file, or a connection, could not be used for."""
    what = error.filename or "a file, or a connection,"
    return Refused(
        f"{what} cannot be used ({error.strerror or error}): free space, mend its permissions, or name "
        "another one",
        code="files-unusable",
    )


def _exit(error: ProofwardError) -> Exit:
    from proofward.chain.errors import ChainTimeout, ChainUnreachable

    reason = error.__cause__ or error.__context__
    if isinstance(reason, Exception) and by_disk(reason):
        return Exit.TRY_AGAIN
    if isinstance(error, ChainUnreachable):
        return Exit.UNREACHABLE
    if isinstance(error, ChainTimeout):
        return Exit.TIMEOUT
    return _BY_CODE.get(error.code, Exit.REFUSED)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def pins(measurement: list[str] | None) -> list[bytes] | None:
    """What `--measurement` pins; None where it is not given. Raises Refused."""
    from proofward.client.ids import hash32

    return None if measurement is None else [hash32(one, "measurement") for one in measurement]


def hex0x(value: bytes) -> str:
    """Bytes as people write them."""
    return "0x" + value.hex()


__all__ = [
    "DEFAULT_CHAIN",
    "ChainOption",
    "DevOption",
    "Exit",
    "JsonOption",
    "OptionalSigner",
    "SignerOption",
    "emit",
    "hex0x",
    "note",
    "reporting",
]
