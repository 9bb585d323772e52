"""`proofward worker list`; the package proofward-node brings the operator's verbs."""

from __future__ import annotations

import typer

from proofward.cli.output import DEFAULT_CHAIN, ChainOption, JsonOption, emit, reporting

app = typer.Typer(no_args_is_help=True, help="Run a worker and look after it.")


@app.command("list")
def list_workers(chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False) -> None:
    """List the registered workers.

    Example: proofward worker list
    """
    from proofward.cli import listings

    with reporting(as_json):
        workers = listings.workers(chain)
        lines = [
            f"{one['account']}  {one['level']:9}  epoch {one['epoch']}  {one['open_claims']} claims  "
            f"expires in {one['expires_in_seconds']} s"
            for one in workers
        ]
        emit(as_json, workers, lines or ["no workers are registered"])
