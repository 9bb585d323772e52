"""`proofward audit export|verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.output import DEFAULT_CHAIN, ChainOption, JsonOption, emit, note, reporting
from proofward.cli.verdicts import EXITS, emit_checks, vars_of

app = typer.Typer(no_args_is_help=True, help="What a chain did, for an auditor's own files.")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The file to write; its manifest goes into OUT.manifest.json.")],
    first: Annotated[int, typer.Option("--from", min=0, help="The first block.")] = 0,
    last: Annotated[
        int | None, typer.Option("--to", min=0, help="The last block; default: the head.")
    ] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Write blocks and the events of jobs, sessions, studies, workers, models, attestation, members and
    finality: a line of JSON each. More than 1,000,000 lines go into further files, OUT.2 and so on, of whole
    blocks, each with a manifest and a root of its own.

    Keep the roots, which it prints, where nobody can change them.

    Example: proofward audit export --from 0 --to 5000 --out 2026-11.jsonl
    """
    from proofward.client import audit

    with reporting(as_json):
        told = audit.export(chain, out, first=first, last=last, progress=lambda line: note(as_json, line))
        for path, made in told:
            value = {
                "out": str(path),
                "lines": made.lines,
                "root": made.root,
                "from": made.first,
                "to": made.last,
                "head": made.head,
                "genesis": made.genesis,
                "pallets": list(made.pallets),
            }
            emit(
                as_json,
                value,
                [
                    f"blocks  {made.first} to {made.last} (0x{made.head}) of the chain 0x{made.genesis}",
                    f"lines   {made.lines} in {path}",
                    f"root    {made.root}",
                ],
            )


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="An export; its manifest is beside it.")],
    root: Annotated[str | None, typer.Option(help="Pin the root, 64 hex digits.")] = None,
    chain: Annotated[str | None, typer.Option(help="Read every line again from this node.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify an export: which line was edited, dropped, added or reordered.

    Example: proofward audit verify 2026-11.jsonl --root 9f2c…
    """
    from proofward.client import audit
    from proofward.client.ids import hash32

    with reporting(as_json):
        pinned = None if root is None else hash32(root, "root")
        verdict = audit.verify(file, root=pinned, chain=chain)
        value = {
            "outcome": verdict.outcome.name.lower().replace("_", "-"),
            "checks": [vars_of(check) for check in verdict.checks],
        }
        emit_checks(as_json, value, verdict.checks, verdict.word)
    raise typer.Exit(EXITS[verdict.outcome.name])
