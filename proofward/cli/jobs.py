"""`proofward job submit|show|watch|open`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proofward.cli.models import IgnoreExtra, records_of
from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    DevOption,
    JsonOption,
    OptionalSigner,
    SignerOption,
    emit,
    hex0x,
    note,
    reporting,
)

if TYPE_CHECKING:
    from proofward.client import Answer, Outcome

app = typer.Typer(no_args_is_help=True, help="Submit, watch and open jobs.")

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, 0x and 64 hex digits.")]
ArtifactOption = Annotated[
    Path | None, typer.Option(help="The model's public artefact, if it is not where it was.")
]
StateOption = Annotated[
    Path | None, typer.Option(help="Where job secrets are kept [default: $PROOFWARD_STATE].")
]


@app.command("submit")
def submit(
    model: Annotated[str, typer.Argument(help="Id or name.")],
    records: Annotated[
        str, typer.Option("--input", help="Records: CSV or JSON file, `-` for standard input.")
    ],
    artifact: Annotated[Path, typer.Option(help="The model's public artefact.")],
    ignore_extra_columns: IgnoreExtra = False,
    price: Annotated[float | None, typer.Option(help="In UNIT; default: the model's price.")] = None,
    deadline: Annotated[int | None, typer.Option(help="Blocks from now; default: two claims.")] = None,
    min_level: Annotated[
        str | None, typer.Option(help="simulated or hardware [default: hardware; simulated with --dev].")
    ] = None,
    allow_dev_setup: Annotated[
        bool | None, typer.Option(help="Admit a model whose keys one party made.")
    ] = None,
    worker: Annotated[list[str] | None, typer.Option(help="Seal to this account (may be repeated).")] = None,
    workers: Annotated[int, typer.Option(help="How many workers to choose, 1 to 8.")] = 3,
    verify_workers: Annotated[bool, typer.Option(help="Verify the chosen workers' quotes here too.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the verdict and open the answer.")] = False,
    signer: SignerOption = "//Alice",
    dev: DevOption = False,
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Seal records to attested workers and put the job into its model's queue.

    Example: proofward job submit breast-cancer-mlp --input record.csv --artifact build/models/mlp/public
    --dev --wait
    """
    from proofward.chain import account
    from proofward.cli.render import level
    from proofward.client import Client
    from proofward.zkml import load_public

    with reporting(as_json), Client(chain, signer, development=dev, state=state) as client:
        job = client.submit(
            model,
            records_of(records, load_public(artifact), ignore_extra_columns, as_json),
            artifact=artifact,
            price=None if price is None else round(price * 10**12),
            deadline=deadline,
            min_level=level(min_level),
            allow_dev_setup=allow_dev_setup,
            recipients=[account(one) for one in worker] if worker else workers,
            verify_workers=verify_workers,
        )
        value: dict[str, Any] = {
            "job": str(job),
            "model": job.model,
            "block": job.block,
            "deadline": job.deadline,
            "recipients": list(job.recipients),
            "seconds": job.seconds,
        }
        if not wait:
            emit(as_json, value, [str(job)])
            return
        note(as_json, f"{job} in block {job.block}, deadline block {job.deadline}")
        outcome = client.wait(job, progress=lambda one: note(as_json, _line(one)))
        value |= {"state": outcome.state, "worker": outcome.worker, "paid": outcome.paid}
        answer = client.open(job) if outcome.state == "accepted" else None
        value |= _answer(answer) if answer is not None else {}
        emit(
            as_json,
            value,
            str(answer).splitlines() if answer is not None else [_line(outcome)],
        )
    raise typer.Exit(0 if answer is not None else 1)


@app.command("show")
def show(job: JobArgument, chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False) -> None:
    """Show where a job stands.

    Example: proofward job show 0x1f… --chain ws://127.0.0.1:8000
    """
    from proofward.cli.render import plain
    from proofward.client import Client

    with reporting(as_json), Client(chain) as client:
        outcome = client.show(job)
        record = plain(outcome.record)
        emit(
            as_json,
            {"state": outcome.state, **record},
            [_line(outcome), *(f"  {key:18} {record[key]}" for key in record)],
        )


@app.command("watch")
def watch(
    job: JobArgument,
    timeout: Annotated[float | None, typer.Option(help="Seconds; default: as long as it takes.")] = None,
    signer: OptionalSigner = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Wait for a job's end. With --signer the refund is called for when the deadline has passed.

    Example: proofward job watch 0x1f… --timeout 60
    """
    from proofward.client import Client

    with reporting(as_json), Client(chain, signer) as client:
        outcome = client.wait(job, timeout=timeout, progress=lambda one: note(as_json, _line(one)))
        emit(
            as_json,
            {
                "job": hex0x(outcome.job),
                "state": outcome.state,
                "worker": outcome.worker,
                "block": outcome.block,
                "paid": outcome.paid,
            },
            [],
        )
    raise typer.Exit(0 if outcome.state == "accepted" else 1)


@app.command("open")
def open_job(
    job: JobArgument,
    artifact: ArtifactOption = None,
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Open a job's answer, after it has opened the proven commitment. Only who submitted the job can.

    Example: proofward job open 0x1f…
    """
    from proofward.client import Client

    with reporting(as_json), Client(chain, state=state) as client:
        answer = client.open(job, artifact=artifact)
        emit(as_json, _answer(answer), str(answer).splitlines())


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "job": hex0x(answer.job),
        "values": answer.values,
        "outputs": answer.outputs,
        "decisions": answer.decisions,
        "names": answer.names,
    }


def _line(outcome: Outcome) -> str:
    from proofward.cli.render import address

    who = f" by {address(outcome.worker)}" if outcome.worker is not None else ""
    where = f" in block {outcome.block}" if outcome.block is not None else ""
    paid = f", {outcome.paid / 10**12:g} UNIT paid" if outcome.paid else ""
    return f"{outcome.state}{who}{where}{paid}"
