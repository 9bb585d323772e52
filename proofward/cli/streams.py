"""The three standard streams, of which any may be closed, full, or left by who read it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

import typer

from proofward.errors import ProofwardError
from proofward.terminal import shown


class OutputLost(ProofwardError):
    """Standard output cannot be written; `output-left` when who read it has gone."""

    code = "output-lost"


def open_all() -> None:
    """Have all three, so that no file gets the number of a closed one; any name of a file can be printed."""
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: str, *, err: bool = False, paint: Callable[[str], str] = str) -> None:
    """Print a line, in which nothing that others wrote steers the terminal; `paint` gives it its colours
    after that. What standard error does not take is left out; raises OutputLost for standard output.
    """
    try:
        typer.echo(paint(shown(text, keep="\n\t")), err=err)
    except OSError as error:
        if not err:
            raise lost(error) from error
        _discard(2)


def lost(error: OSError) -> OutputLost:
    """What standard output did not take a line for; nothing is written there any more."""
    _discard(1)
    if isinstance(error, BrokenPipeError):
        return OutputLost("who read standard output has left before its end", code="output-left")
    return OutputLost(f"standard output cannot be written ({error.strerror}): free space, or name another")


def _discard(number: int) -> None:
    """Have nothing fail on a stream again, at the interpreter's end least of all."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
