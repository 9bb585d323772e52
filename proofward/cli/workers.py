"""`proofward worker list` and `report`; the package proofward-node brings the operator's verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.output import DEFAULT_CHAIN, ChainOption, JsonOption, SignerOption, emit, hex0x, reporting

HashOption = Annotated[str | None, typer.Option(help="Only those that rest on this one; 0x and hexadecimal.")]
BundleArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A bundle of the job.")]

app = typer.Typer(no_args_is_help=True, help="Run a worker and look after it.")


@app.command("list")
def list_workers(
    root: HashOption = None,
    measurement: HashOption = None,
    platform: HashOption = None,
    banned: Annotated[bool, typer.Option("--banned", help="Only those that are banned.")] = False,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """List the registered workers, and what each rests on: whose word (root), which software, which machine.
    What governance takes away takes those along that rest on it.

    Examples: proofward worker list

              proofward worker list --measurement 0x3c… --json
    """
    from proofward.cli import listings
    from proofward.client.ids import hash32

    wanted = {"root": root, "measurement": measurement, "platform": platform}
    with reporting(as_json):
        pinned = {name: hex0x(hash32(text, name)) for name, text in wanted.items() if text is not None}
        workers = [
            one
            for one in listings.workers(chain)
            if all(one[name] == value for name, value in pinned.items()) and (one["banned"] or not banned)
        ]
        lines = []
        for one in workers:
            state = "banned  " if one["banned"] else "retired  " if one["retired_at"] is not None else ""
            lines += [
                f"{one['account']}  {state}{one['level']:9}  epoch {one['epoch']}  "
                f"{one['open_claims']} claims  expires in {one['expires_in_seconds']} s",
                *(f"    {name:11}  {one[name]}" for name in wanted),
            ]
        emit(as_json, workers, lines or ["no such workers are registered"])


@app.command()
def report(
    first: BundleArgument,
    second: BundleArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Show the chain two results of one job that one receipt key signed. The worker loses a part of its
    stake, of which you have a part, and works no more until governance lets it.

    Example: proofward worker report job.bundle.json other.bundle.json --signer my.key
    """
    from proofward.client.reports import report_two_results

    with reporting(as_json):
        found = report_two_results(chain, signer, first, second)
        emit(
            as_json,
            {"worker": found.worker, "job": found.job, "slashed": found.slashed, "block": found.block},
            [
                f"worker   {hex0x(found.worker)} is banned",
                f"slashed  {found.slashed} plancks in block {found.block}, for job {hex0x(found.job)}",
            ],
        )
