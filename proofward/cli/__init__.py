"""The command line: verbs over the library. No logic and no cryptography here.

Each verb imports what it needs when it is called, so that `proofward --help` is quick.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer

from proofward.cli import (
    accounts,
    audit,
    beacon,
    edge,
    entries,
    evidence,
    jobs,
    members,
    models,
    network,
    sessions,
    setup,
    signer,
    statements,
    streams,
    system,
    workers,
)
from proofward.cli.output import Exit, document, explain, interrupted, unusable
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
        streams.say(f"proofward {version('proofward')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("devnet")(system.devnet)
app.add_typer(accounts.app, name="account")
entries.add_to(models.app)
app.add_typer(models.app, name="model")
app.add_typer(setup.app, name="setup")
app.add_typer(workers.app, name="worker")
app.add_typer(jobs.app, name="job")
app.add_typer(beacon.app, name="beacon")
members.add_to(network.app)
app.add_typer(network.app, name="network")
app.add_typer(audit.app, name="audit")
app.add_typer(sessions.app, name="session")
app.add_typer(signer.app, name="signer")
app.add_typer(statements.app, name="statement")
app.add_typer(edge.app, name="edge")
app.command("verify")(evidence.verify)
app.command("prove")(evidence.prove)
app.command("compile")(models.compile_model)
app.command("doctor")(system.doctor)
extend(Groups(root=app, model=models.app, worker=workers.app, job=jobs.app))


_UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""What the command line's parser raises: the parent of the one such error that typer makes public."""


def main() -> None:
    """The `proofward` command. A usage error is JSON too where JSON was asked for."""
    streams.open_all()
    try:
        code = _run("--json" in sys.argv)
    except OSError as error:  # verbs explain their own files': it is the completion's, or standard output
        code = explain(False, streams.lost(error) if error.filename is None else unusable(error))
    except streams.OutputLost as error:
        code = explain(False, error)
    sys.exit(code if isinstance(code, int) else 0)


def _run(as_json: bool) -> Any:
    try:
        return app(standalone_mode=False)
    except _UsageError as error:
        document(as_json, "usage", error.format_message())
        error.show()
        return Exit.USAGE
    except typer.Abort:
        interrupted(as_json)
        return Exit.INTERRUPTED
