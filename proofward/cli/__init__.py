"""The command line: verbs over the library. No logic and no cryptography here.

Each verb imports what it needs when it is called, so that `proofward --help` is quick.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from proofward.cli import evidence, jobs, models, setup, system, workers
from proofward.cli.verbs import Groups, extend

app = typer.Typer(
    name="proofward",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Confidential, provable inference: sealed jobs, attested workers, proofs that a contract checks.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"proofward {version('proofward')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("devnet")(system.devnet)
app.add_typer(models.app, name="model")
app.add_typer(setup.app, name="setup")
app.add_typer(workers.app, name="worker")
app.add_typer(jobs.app, name="job")
app.command("verify")(evidence.verify)
app.command("prove")(evidence.prove)
app.command("compile")(models.compile_model)
app.command("doctor")(system.doctor)
extend(Groups(root=app, model=models.app, worker=workers.app, job=jobs.app))


def main() -> None:
    """The `proofward` command."""
    app()
