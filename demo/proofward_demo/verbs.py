"""`proofward demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.output import JsonOption, reporting
from proofward.cli.verbs import Groups


def register(groups: Groups) -> None:
    """The entry point of group `proofward.cli`."""
    groups.root.command("demo")(demo)


def demo(
    chain: Annotated[str | None, typer.Option(help="Use this chain instead of an embedded one.")] = None,
    out: Annotated[Path, typer.Option(help="Where to write the results.")] = Path("build/demo.json"),
    as_json: JsonOption = False,
) -> None:
    """Run one sealed job after another, faults included, on the embedded chain.

    Example: proofward demo --out build/demo.json
    """
    from proofward_demo.run import run

    with reporting(as_json, serves=True):  # it has progress of its own
        code = run(chain=chain, out=out, as_json=as_json)
    raise typer.Exit(code)
