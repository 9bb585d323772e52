"""The command line: verbs over the library. No logic and no cryptography here.

Each verb imports what it needs when it is called, so that `proofward --help` is quick.
"""

from __future__ import annotations

import typer

from proofward.cli import evidence, jobs, models, system, workers

app = typer.Typer(
    name="proofward",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Confidential, provable inference: sealed jobs, attested workers, proofs that a contract checks.",
)
app.command("devnet")(system.devnet)
app.command("demo")(system.demo)
app.add_typer(models.app, name="model")
app.add_typer(workers.app, name="worker")
app.add_typer(jobs.app, name="job")
app.command("verify")(evidence.verify)
app.command("prove")(evidence.prove)
app.command("compile")(models.compile_model)
app.command("doctor")(system.doctor)


def main() -> None:
    """The `proofward` command."""
    app()
