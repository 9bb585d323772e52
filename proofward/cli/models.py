"""`proofward model publish|list|show|audit` and `proofward compile`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from proofward.cli.amounts import finite, shown, units
from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    Exit,
    JsonOption,
    SignerOption,
    emit,
    hex0x,
    note,
    reporting,
)
from proofward.cli.verdicts import emit_checks, vars_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from proofward.zkml import Manifest, PublicArtifact
    from proofward.zkml.lanes import Estimate
    from proofward.zkml.manifest import Compared, LaneChoice, Task

    Floats = NDArray[np.float64]

app = typer.Typer(no_args_is_help=True, help="Publish, list and audit models.")

Calibration = Annotated[Path | None, typer.Option(help="Representative records: CSV or JSON, one a row.")]
EvaluationFile = Annotated[
    Path | None, typer.Option("--evaluation", help="Held-out records; the last column is the truth.")
]
ExpectedFile = Annotated[
    Path | None,
    typer.Option(
        "--expected",
        help="The training library's own predictions, CSV or JSON: predict, predict_proba:CLASS or "
        "decision_function, beside the features or in calibration's order. An answer that differs is "
        "refused.",
    ),
]
NameOption = Annotated[str | None, typer.Option(help="The model's name; default: the file's.")]
BatchOption = Annotated[int, typer.Option(help="Records that one job can carry, 1 to 32.")]
SrsOption = Annotated[Path | None, typer.Option(help="A real universal SRS for the ezkl lane.")]
LaneOption = Annotated[str, typer.Option(help="auto, groth16 or ezkl.")]
TaskOption = Annotated[
    str | None,
    typer.Option(
        help="What the outputs are, where the model leaves it open: binary, multiclass, multilabel, "
        "regression or multi-target."
    ),
]
OutputOption = Annotated[
    str | None, typer.Option("--output", help="Of several outputs, the one that is proven, by its name.")
]
LoincOption = Annotated[
    Path | None,
    typer.Option(
        "--loinc",
        help="LOINC codes by feature name, as a JSON object: FHIR Observations are matched by them.",
    ),
]
TruthOption = Annotated[
    str | None,
    typer.Option(help="The truth's column by its name; default: the one that is no feature, or the last."),
]
IgnoreExtra = Annotated[
    bool, typer.Option("--ignore-extra-columns", help="Leave out columns that the model has no feature for.")
]
AccuracyBound = Annotated[
    float,
    typer.Option(callback=finite, help="Greatest loss of accuracy or r2 of the integers against the floats."),
]
MaxDisagreement = Annotated[
    float | None,
    typer.Option(
        callback=finite,
        help="Greatest share of decisions that differ from the float model's; default 0.01, or the "
        "accuracy bound where that is larger.",
    ),
]
MaxShift = Annotated[
    float,
    typer.Option(
        callback=finite,
        help="Greatest shift of any probability or score against the float model; of a regression in "
        "standard deviations of its answers.",
    ),
]
RecordOpenings = Annotated[
    bool,
    typer.Option(
        "--record-openings/--no-record-openings",
        help="Whether one record of a batch can be shown without the others; without it a batch is one "
        "hash, which takes a third of the rows (groth16).",
    ),
]


@app.command("publish")
def publish(
    source: Annotated[Path, typer.Argument(help="An ONNX file, or the folder of a compiled artefact.")],
    calibration: Calibration = None,
    evaluation: EvaluationFile = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to compile to; default: beside the ONNX file.")
    ] = None,
    name: NameOption = None,
    lane: LaneOption = "auto",
    batch: BatchOption = 1,
    task: TaskOption = None,
    output: OutputOption = None,
    loinc: LoincOption = None,
    truth: TruthOption = None,
    ignore_extra_columns: IgnoreExtra = False,
    accuracy_bound: AccuracyBound = 0.005,
    max_disagreement: MaxDisagreement = None,
    max_shift: MaxShift = 0.1,
    record_openings: RecordOpenings = True,
    expected: ExpectedFile = None,
    srs: SrsOption = None,
    price: Annotated[str, typer.Option(help="Least price of a job, in UNIT.")] = "1",
    share: Annotated[
        float,
        typer.Option(min=0, max=90, callback=finite, help="Your part of each price, in per cent, 0 to 90."),
    ] = 0.0,
    bond: Annotated[str, typer.Option(help="What a worker puts down for a claim, in UNIT.")] = "0.1",
    claim_blocks: Annotated[int, typer.Option(help="Blocks after which a claim lapses, 5 to 600.")] = 60,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Compile a model and publish its record, its verifying key and its terms. Nothing is published twice.

    Example: proofward model publish mlp.onnx --calibration train.csv --evaluation held.csv --signer //Alice
    """
    from proofward.chain.pallets.models import Terms
    from proofward.publisher import build as building
    from proofward.publisher import publish as publishing
    from proofward.zkml import CompileOptions

    terms = Terms(units(price), round(share * 10**4), units(bond), claim_blocks)
    reading = building.Reading(output, truth, ignore_extra_columns, loinc, expected)
    with reporting(as_json):
        options = CompileOptions(
            task=cast("Task | None", task),
            lane=cast("LaneChoice", lane),
            batch=batch,
            record_openings=record_openings,
            accuracy_bound=accuracy_bound,
            max_disagreement=max_disagreement,
            max_shift=max_shift,
            srs=srs,
        )
        artifact = building.artifact(
            source,
            calibration,
            evaluation,
            out=out,
            name=name,
            options=options,
            reading=reading,
            progress=lambda line: note(as_json, line),
        )
        done = publishing.publish_at(
            chain,
            signer,
            artifact.public,
            terms=terms,
            evidence=artifact.path,
            progress=lambda line: note(as_json, line),
        )
        accuracy, reason = artifact.manifest.accuracy, artifact.manifest.lane_params.get("lane_reason")
        value = {
            "model": done.model,
            "name": done.record.name,
            "lane": done.record.lane.label,
            "setup": done.record.setup.label,
            "lane_reason": reason,
            "verifier": done.contract.address,
            "published": done.published,
            "artifact": str(artifact.path),
            "task": artifact.manifest.output.task,
            "outputs": artifact.manifest.output.names,
            "accuracy": accuracy.model_dump(by_alias=True),
            "expected": expected_json(artifact.manifest.expected),
        }
        emit(
            as_json,
            value,
            [
                f"model    {hex0x(done.model)}  ({done.record.name})",
                f"lane     {done.record.lane.label}: {reason}",
                f"setup    {done.record.setup.label}",
                *report_lines(artifact.manifest),
                f"verifier {hex0x(done.contract.address)}, the lane's",
                f"artefact {artifact.path}",
            ],
        )


def compile_model(
    onnx: Annotated[Path, typer.Argument(help="The ONNX file.")],
    calibration: Annotated[Path, typer.Option(help="Representative records: CSV or JSON, one a row.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The artefact's folder; must not exist. Default: beside the ONNX file."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Measure and print rows, time, memory and agreement; make no keys."),
    ] = False,
    evaluation: EvaluationFile = None,
    name: NameOption = None,
    lane: LaneOption = "auto",
    batch: BatchOption = 1,
    task: TaskOption = None,
    output: OutputOption = None,
    loinc: LoincOption = None,
    truth: TruthOption = None,
    ignore_extra_columns: IgnoreExtra = False,
    accuracy_bound: AccuracyBound = 0.005,
    max_disagreement: MaxDisagreement = None,
    max_shift: MaxShift = 0.1,
    record_openings: RecordOpenings = True,
    expected: ExpectedFile = None,
    srs: SrsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a model to an artefact, without a chain.

    Examples: proofward compile mlp.onnx --calibration train.csv --out build/models/mlp

              proofward compile mlp.onnx --calibration train.csv --evaluation held.csv --dry-run
    """
    from proofward.publisher import build as building
    from proofward.zkml import CompileOptions

    reading = building.Reading(output, truth, ignore_extra_columns, loinc, expected)
    with reporting(as_json):
        options = CompileOptions(
            task=cast("Task | None", task),
            lane=cast("LaneChoice", lane),
            batch=batch,
            record_openings=record_openings,
            accuracy_bound=accuracy_bound,
            max_disagreement=max_disagreement,
            max_shift=max_shift,
            srs=srs,
        )
        if dry_run:
            taken, found = building.dry_run(
                onnx,
                calibration,
                evaluation,
                options=options,
                reading=reading,
                progress=lambda line: note(as_json, line),
            )
            emit(as_json, {"lane": taken, **estimate_json(found)}, estimate_lines(taken, found))
            return
        artifact = building.artifact(
            onnx,
            calibration,
            evaluation,
            out=out,
            name=name,
            options=options,
            reading=reading,
            progress=lambda line: note(as_json, line),
        )
        manifest = artifact.manifest
        accuracy, reason = manifest.accuracy, manifest.lane_params.get("lane_reason")
        value = {
            "artifact": str(artifact.path),
            "manifest_hash": artifact.public.manifest_hash,
            "lane": manifest.lane,
            "setup": manifest.setup,
            "task": manifest.output.task,
            "outputs": manifest.output.names,
            "features": None
            if manifest.input.features is None
            else [f.name for f in manifest.input.features],
            "accuracy": accuracy.model_dump(by_alias=True),
            "expected": expected_json(manifest.expected),
            "constraints": manifest.constraints,
            "lane_reason": reason,
        }
        emit(
            as_json,
            value,
            [
                f"artefact {artifact.path}",
                f"lane     {manifest.lane}: {reason}",
                f"setup    {manifest.setup}",
                *report_lines(manifest),
            ],
        )


@app.command("list")
def list_models(
    everything: Annotated[bool, typer.Option("--all", help="Retired models too.")] = False,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """List the published models.

    Example: proofward model list --chain ws://127.0.0.1:9944
    """
    from proofward.cli import listings

    with reporting(as_json):
        models = listings.models(chain, everything)
        lines = [
            f"{model['id']}  {model['name']:24} {model['lane']:8} setup: {model['setup']:10} "
            f"{shown(model['terms']['price'])}" + ("  retired" if model["retired_at"] is not None else "")
            for model in models
        ]
        emit(as_json, models, lines or ["no models are published"])


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="Id or name.")],
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Show one model's record.

    Example: proofward model show breast-cancer-mlp
    """
    from proofward.cli import listings
    from proofward.cli.render import said

    with reporting(as_json):
        value = listings.model(chain, model)
        emit(as_json, value, [f"{key:16} {said(value[key], key)}" for key in value])


@app.command("audit")
def audit(
    onnx: Annotated[Path, typer.Argument(help="The ONNX file.")],
    artifact: Annotated[Path, typer.Option(help="The public artefact's folder.")],
    model: Annotated[
        str | None, typer.Option(help="Id or name on the chain: compare its record and contract too.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Records of your own, with the truth: CSV or JSON, one a row.")
    ] = None,
    expected: ExpectedFile = None,
    truth: TruthOption = None,
    ptau: Annotated[
        Path | None, typer.Option(help="The powers (.ptau) that the ceremony of the keys began with.")
    ] = None,
    max_disagreement: Annotated[
        float,
        typer.Option(
            callback=finite, help="Greatest share of decisions on them that may differ from ONNX Runtime's."
        ),
    ] = 0.01,
    max_shift: Annotated[
        float,
        typer.Option(
            callback=finite,
            help="Largest shift of the circuit's answers from --expected, as the publisher accepted it.",
        ),
    ] = 0.1,
    output: OutputOption = None,
    card: Annotated[
        Path | None, typer.Option(help="Where the model comes from (`federation card`): followed back.")
    ] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Recompute every field of a published manifest from the ONNX file, and run both models side by side.

    Exit 0: verified; 1: refused; 7: incomplete; 8: NOT VERIFIABLE, the keys rest on whoever made them.

    Example: proofward model audit mlp.onnx --artifact build/models/mlp/public --records mine.csv
    """
    from proofward.publisher.audit import Brought
    from proofward.publisher.audit import audit as recompute

    with reporting(as_json):
        done = recompute(
            onnx,
            artifact,
            model,
            chain,
            brought=Brought(records, truth, max_disagreement, expected, ptau, max_shift),
            card=card,
            output=output,
        )
        emit_checks(
            as_json,
            {
                "outcome": done.outcome.name.lower().replace("_", "-"),
                "verdict": done.line,
                "checks": [vars_of(check) for check in done.checks],
            },
            done.checks,
            done.line,
        )
    raise typer.Exit(_AUDITED[done.outcome.name])


_AUDITED = {
    "VERIFIED": Exit.OK,
    "REFUSED": Exit.REFUSED,
    "INCOMPLETE": Exit.INCOMPLETE,
    "NOT_VERIFIABLE": Exit.NOT_VERIFIABLE,
}
"""Exit codes by the name of an audit's outcome."""


def estimate_json(found: Estimate) -> dict[str, object]:
    """A dry run as JSON."""
    names = [one.name for one in fields(found) if one.name not in ("accuracy", "expected")]
    return {name: getattr(found, name) for name in names} | {
        "accuracy": found.accuracy.model_dump(by_alias=True),
        "expected": expected_json(found.expected),
    }


def expected_json(compared: Compared | None) -> dict[str, object] | None:
    """What was compared with the training library's predictions as JSON; None: nothing."""
    return None if compared is None else compared.model_dump()


def estimate_lines(lane: str, found: Estimate) -> list[str]:
    """A dry run on the screen."""
    from proofward.zkml import report

    return [
        f"lane     {lane}",
        f"task     {found.task}: {', '.join(found.names[:8])}",
        f"rows     {found.rows} constraints in a domain of {found.domain}",
        f"time     about {found.prove_ms:.0f} ms a proof on two cores",
        f"memory   about {found.memory_bytes >> 20} MB in the prover, key {found.key_bytes / 2**20:.1f} MB",
        *report.lines(found.accuracy, found.names),
        report.compared_line(found.expected),
        "no keys were made and nothing was written",
    ]


def report_lines(manifest: Manifest) -> list[str]:
    """Task, outputs and the whole report of a compiled model."""
    from proofward.zkml import report

    names = manifest.output.names or []
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return [
        f"task     {manifest.output.task}: {shown}",
        *report.lines(manifest.accuracy, names),
        report.compared_line(manifest.expected),
    ]


def records_of(source: str | Path, public: PublicArtifact, ignore_extra: bool, as_json: bool) -> Floats:
    """A table's records in the model's order, matched by name where both have names. Raises TableError."""
    from proofward.tables import arrange, read_table

    given = public.manifest.input
    return arrange(
        read_table(source),
        given.features,
        given.quantiser.features,
        ignore_extra=ignore_extra,
        allow_missing=given.missing,
        note=lambda line: note(as_json, line),
    )
