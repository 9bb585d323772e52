"""How another distribution brings verbs: an entry point of group `proofward.cli` that names a `register`.

`proofward-node` adds the operator's verbs so, and the demo its own; the library imports neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

import typer

GROUP = "proofward.cli"


@dataclass(frozen=True, slots=True)
class Groups:
    """Where verbs can be added: `proofward VERB`, `proofward model VERB` and so on."""

    root: typer.Typer
    model: typer.Typer
    worker: typer.Typer
    job: typer.Typer


def extend(groups: Groups) -> None:
    """Let each installed distribution register its verbs, in the order of their names.

    One that cannot be loaded is named on standard error and left out: the others' verbs work.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        try:
            register: Callable[[Groups], None] = entry.load()
        except ImportError as error:
            owner = entry.dist.name if entry.dist is not None else entry.name
            typer.echo(f"warning: {owner} cannot be loaded ({error}): install it again", err=True)
            continue
        register(groups)
