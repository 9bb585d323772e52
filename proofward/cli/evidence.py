"""`proofward verify` and `proofward prove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.models import IgnoreExtra, records_of
from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    DevOption,
    JsonOption,
    emit,
    hex0x,
    note,
    reporting,
)
from proofward.cli.verdicts import EXITS, tell


def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="JOB|FILE", help="A job's id, a job's or page's bundle, a proof or an answer."
        ),
    ],
    artifact: Annotated[
        Path | None, typer.Option(help="The model's public artefact (job or proof file).")
    ] = None,
    export: Annotated[Path | None, typer.Option(help="Write the job's evidence into this bundle.")] = None,
    genesis: Annotated[
        str | None, typer.Option(help="Pin the chain: its genesis hash, 0x and 64 hex digits.")
    ] = None,
    measurement: Annotated[
        list[str] | None, typer.Option(help="Pin the software of worker and setup (may be repeated).")
    ] = None,
    light: Annotated[
        Path | None,
        typer.Option(help="Read the chain of this spec by proofs, as a light client; no node is believed."),
    ] = None,
    boot_node: Annotated[
        list[str] | None,
        typer.Option(help="A peer to ask with --light instead of the spec's, /ip4/…/p2p/…; repeatable."),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="The chain's raw spec: its authorities must have finalised the evidence."),
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option(help="The model's file: with --ptau a ceremony's key is computed.")
    ] = None,
    ptau: Annotated[
        Path | None, typer.Option(help="The powers (.ptau) that the ceremony of the keys began with.")
    ] = None,
    dev: DevOption = False,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Verify a job from the chain; offline a bundle of a job or of a session's page, a proof file or a
    gateway's answer: one line a check.

    Examples: proofward verify 0x1f… --artifact build/models/mlp/public --export job.bundle --dev

              proofward verify 0x1f… --artifact build/models/mlp/public --light spec.json

              proofward verify job.bundle --genesis 0x9a… --measurement 0x3c… --dev

              proofward verify job.bundle --genesis 0x9a… --measurement 0x3c… --spec consortium.json

              proofward verify job.bundle --genesis 0x9a… --measurement 0x3c… --onnx m.onnx --ptau pot14.ptau

              proofward verify proof.json --artifact build/models/mlp/public

              proofward verify answers/rcpt-1f….json --measurement 0x3c… --dev
    """
    from proofward.client import targets

    with reporting(as_json):
        verdict = targets.verify(
            target,
            targets.Pins(
                development=dev,
                genesis=genesis,
                measurements=measurement or (),
                spec=spec,
                onnx=onnx,
                ptau=ptau,
            ),
            chain=chain,
            artifact=artifact,
            export=export,
            light=light,
            boot_nodes=boot_node or (),
        )
        tell(as_json, verdict)
    raise typer.Exit(EXITS[verdict.outcome.name])


def prove(
    artifact: Annotated[Path, typer.Argument(help="A compiled artefact, private half included.")],
    records: Annotated[
        str, typer.Option("--input", help="Records: CSV or JSON file, `-` for standard input.")
    ],
    out: Annotated[Path, typer.Option(help="The proof file; the salts go into OUT.salts (mode 0600).")],
    ignore_extra_columns: IgnoreExtra = False,
    as_json: JsonOption = False,
) -> None:
    """Run a model on records here and prove it, without a chain.

    Example: proofward prove build/models/mlp --input record.csv --out proof.json
    """
    from proofward.evidence import proof_file
    from proofward.zkml import load_artifact
    from proofward.zkml.hiding import hides
    from proofward.zkml.lines import answer_lines

    with reporting(as_json):
        loaded = load_artifact(artifact)
        try:
            proved = proof_file.prove(
                loaded, records_of(records, loaded.public, ignore_extra_columns, as_json)
            )
        finally:
            loaded.close()
        salts = proof_file.save(proved, out)
        if not hides(loaded.manifest.lane):
            note(
                as_json, f"not hiding: who reads a proof of the {loaded.manifest.lane} lane can find the data"
            )
        note(as_json, f"salts in {salts}: who has them and guesses the input can confirm the guess")
        value = {
            "proof": str(out),
            "salts": str(salts),
            "bytes": len(proved.file.proof),
            "hiding": hides(loaded.manifest.lane),
            "seconds": proved.seconds,
            "input_commitment": proved.file.input_commitment,
            "output_commitment": proved.file.output_commitment,
            "values": proved.values,
            "decisions": proved.decisions,
            "outputs": loaded.public.output_names,
        }
        emit(
            as_json,
            value,
            [
                f"proof    {out} ({len(proved.file.proof)} bytes, verified)",
                f"input    {hex0x(proved.file.input_commitment)}",
                f"output   {hex0x(proved.file.output_commitment)}",
                *answer_lines(loaded.public.output_names, proved.decisions, proved.values),
            ],
        )
