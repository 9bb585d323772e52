"""`proofward job submit|list|show|watch|cancel|again|open|contest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proofward.cli.amounts import finite, shown, units
from proofward.cli.countdown import counting
from proofward.cli.models import IgnoreExtra, records_of
from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    DevOption,
    JsonOption,
    MeasurementOption,
    OptionalSigner,
    SignerOption,
    emit,
    hex0x,
    note,
    pins,
    reporting,
)

if TYPE_CHECKING:
    from proofward.client import Answer, Offer, Outcome
    from proofward.client.epochs import GoneKeys

app = typer.Typer(no_args_is_help=True, help="Submit, watch and open jobs.")

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, 0x and 64 hex digits.")]
ArtifactOption = Annotated[
    Path | None, typer.Option(help="The model's public artefact, if it is not where it was.")
]
StateOption = Annotated[
    Path | None, typer.Option(help="Where job secrets are kept; default: $PROOFWARD_STATE.")
]


@app.command("submit")
def submit(
    model: Annotated[str, typer.Argument(help="Id or name.")],
    records: Annotated[
        str, typer.Option("--input", help="Records: CSV or JSON file, `-` for standard input.")
    ],
    artifact: Annotated[Path, typer.Option(help="The model's public artefact.")],
    ignore_extra_columns: IgnoreExtra = False,
    price: Annotated[
        str | None, typer.Option(help="In UNIT; default: the model's price, or what the workers ask for.")
    ] = None,
    deadline: Annotated[
        int | None, typer.Option(help="Blocks from now; default: time for a claim of each worker.")
    ] = None,
    min_level: Annotated[
        str | None, typer.Option(help="simulated or hardware; default: hardware, with --dev simulated.")
    ] = None,
    allow_dev_setup: Annotated[
        bool | None, typer.Option(help="Admit a model whose keys one party made.")
    ] = None,
    worker: Annotated[list[str] | None, typer.Option(help="Seal to this account (may be repeated).")] = None,
    workers: Annotated[int, typer.Option(help="How many workers to choose, 1 to 8.")] = 3,
    verify_workers: Annotated[bool, typer.Option(help="Verify the chosen workers' quotes here too.")] = False,
    uncontestable: Annotated[
        bool,
        typer.Option(
            "--uncontestable", help="Take a model whose manifest is too large to contest a result of it."
        ),
    ] = False,
    measurement: MeasurementOption = None,
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

    plancks = None if price is None else units(price)
    with (
        reporting(as_json),
        Client(chain, signer, development=dev, state=state, measurements=pins(measurement)) as client,
    ):
        job = client.submit(
            model,
            records_of(records, load_public(artifact), ignore_extra_columns, as_json),
            artifact=artifact,
            price=plancks,
            deadline=deadline,
            min_level=level(min_level),
            allow_dev_setup=allow_dev_setup,
            recipients=[account(one) for one in worker] if worker else workers,
            verify_workers=verify_workers,
            uncontestable=uncontestable,
            offered=lambda offer: note(True, _offered(offer)),  # a script reads the job's id
        )
        value: dict[str, Any] = {
            "job": str(job),
            "model": job.model,
            "block": job.block,
            "deadline": job.deadline,
            **_told(job.offer),
            "seconds": job.seconds,
        }
        if not wait:
            emit(as_json, value, [str(job)])
            return
        note(as_json, f"{job} in block {job.block}, deadline block {job.deadline}")
        with counting(as_json, client, _line) as told:
            outcome = client.wait(job, progress=told)
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

    Example: proofward job show 0x1f… --chain ws://127.0.0.1:9944
    """
    from proofward.cli.render import plain, said
    from proofward.client import Client

    with reporting(as_json), Client(chain) as client:
        outcome, lost = client.show(job), client.keys_gone(job)
        record = plain(outcome.record)
        emit(
            as_json,
            {
                "state": outcome.state,
                **record,
                "undelivered": plain(outcome.undelivered),
                "keys_gone": plain(lost),
            },
            [
                _line(outcome),
                *(f"  {key:18} {said(record[key], key)}" for key in record),
                *_gone(outcome, lost),
            ],
        )


@app.command("list")
def list_jobs(
    state: StateOption = None, chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False
) -> None:
    """List the jobs whose secrets are kept here, and where each stands.

    Example: proofward job list
    """
    from proofward.client import Client

    with reporting(as_json), Client(chain, state=state) as client:
        found = [(job, client.look(job)) for job in client.store.jobs()]
        rows = [
            {
                "job": hex0x(job),
                "state": "unknown" if outcome is None else outcome.state,
                "block": None if outcome is None else outcome.block,
                "deadline": None if outcome is None else outcome.record.deadline,
                "paid": 0 if outcome is None else outcome.paid,
            }
            for job, outcome in found
        ]
        lines = [
            f"{hex0x(job)}  "
            + ("not on the chain, or forgotten since" if outcome is None else _line(outcome))
            for job, outcome in found
        ]
        emit(as_json, rows, lines or [f"no jobs of this chain in {client.store.directory}"])


@app.command("again")
def again(
    job: JobArgument,
    records: Annotated[
        str, typer.Option("--input", help="The job's records: CSV or JSON file, `-` for standard input.")
    ],
    artifact: Annotated[Path, typer.Option(help="The model's public artefact.")],
    ignore_extra_columns: IgnoreExtra = False,
    measurement: MeasurementOption = None,
    signer: SignerOption = "//Alice",
    dev: DevOption = False,
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """End a job of your own that nobody has claimed, and submit its records again, sealed to today's keys.

    For one whose workers have changed their keys since (`job show` says so), or that was refunded. The
    records must be the same; terms and number of workers are the old ones.

    Example: proofward job again 0x1f… --input record.csv --artifact build/models/mlp/public --dev
    """
    from proofward.client import Client
    from proofward.zkml import load_public

    with (
        reporting(as_json),
        Client(chain, signer, development=dev, state=state, measurements=pins(measurement)) as client,
    ):
        rows = records_of(records, load_public(artifact), ignore_extra_columns, as_json)
        fresh = client.submit_again(job, rows, artifact=artifact)
        note(True, _offered(fresh.offer))
        value = {
            "job": str(fresh),
            "instead_of": job,
            "block": fresh.block,
            "deadline": fresh.deadline,
            **_told(fresh.offer),
        }
        emit(as_json, value, [str(fresh)])


@app.command("cancel")
def cancel(
    job: JobArgument,
    signer: SignerOption = "//Alice",
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """End a job of your own that no worker has claimed yet; price and deposits come back.

    Example: proofward job cancel 0x1f… --signer hospital.key
    """
    from proofward.client import Client

    with reporting(as_json), Client(chain, signer, state=state) as client:
        outcome = client.cancel(job)
        emit(
            as_json,
            {"job": hex0x(outcome.job), "state": outcome.state, "block": outcome.block},
            [_line(outcome)],
        )


@app.command("watch")
def watch(
    job: JobArgument,
    timeout: Annotated[
        float | None, typer.Option(callback=finite, help="Seconds; default: as long as it takes.")
    ] = None,
    signer: OptionalSigner = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Wait for a job's end. With --signer the refund is called for when the deadline has passed.

    Example: proofward job watch 0x1f… --timeout 60
    """
    from proofward.client import Client

    with reporting(as_json), Client(chain, signer) as client:
        for line in _gone(client.show(job), client.keys_gone(job)):
            note(as_json, line)
        with counting(as_json, client, _line) as told:
            outcome = client.wait(job, timeout=timeout, progress=told)
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


@app.command("contest")
def contest(
    job: JobArgument,
    artifact: ArtifactOption = None,
    signer: SignerOption = "//Alice",
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Show the chain that a result that you paid for does not open; the worker loses a part of its stake.

    The reply key of this one job becomes public, and with it whatever was sealed. Refused for a result that
    opens.

    Example: proofward job contest 0x1f… --signer hospital.key
    """
    from proofward.client import Client

    with reporting(as_json), Client(chain, signer, state=state) as client:
        found = client.contest(job, artifact=artifact)
        value = {"job": job, "fault": found.fault, "slashed": found.slashed, "block": found.block}
        told = f"does not open ({found.fault}): the worker lost {shown(found.slashed)}, block {found.block}"
        emit(as_json, value, [told])


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "job": hex0x(answer.job),
        "values": answer.values,
        "outputs": answer.outputs,
        "decisions": answer.decisions,
        "names": answer.names,
    }


def _gone(outcome: Outcome, lost: list[GoneKeys]) -> list[str]:
    """Who cannot open the job any more, and what to do when nobody can."""
    from proofward.cli.render import address
    from proofward.client.epochs import nobody_left

    lines = [
        f"{address(one.worker)} cannot open it any more: sealed to its epoch {one.sealed}, "
        + ("registered no more" if one.present is None else f"now at epoch {one.present}")
        for one in lost
    ]
    if lost and nobody_left(outcome.record, lost):
        lines.append(
            f"nobody is left who can: `proofward job again {hex0x(outcome.job)} --input FILE --artifact DIR` "
            "ends it and seals it to the keys of now"
        )
    return lines


def _offered(offer: Offer) -> str:
    """What a job costs, and who can have it."""
    found = len(offer.recipients)
    fewer = f" of {offer.wanted} wanted: others cannot, or ask for far more" if found < offer.wanted else ""
    return f"{shown(offer.price)} for the one whose result is accepted, of {found} worker(s){fewer}"


def _told(offer: Offer) -> dict[str, Any]:
    return {"price": offer.price, "recipients": list(offer.recipients), "wanted": offer.wanted}


def _line(outcome: Outcome) -> str:
    from proofward.cli.render import address

    who = f" by {address(outcome.worker)}" if outcome.worker is not None else ""
    where = f" in block {outcome.block}" if outcome.block is not None else ""
    paid = f", {shown(outcome.paid)} paid" if outcome.paid else ""
    contested = outcome.undelivered
    broken = f"; does not open ({contested.fault}), as its client showed" if contested else ""
    return f"{outcome.state}{who}{where}{paid}{broken}"
