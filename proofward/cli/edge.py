"""`proofward edge run|verify`."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proofward.cli.amounts import finite
from proofward.cli.output import DevOption, JsonOption, SignerOption, emit, note, reporting
from proofward.cli.verdicts import EXITS, tell

if TYPE_CHECKING:
    from proofward.edge.device import Answered

app = typer.Typer(
    no_args_is_help=True, help="A device without an enclave: it runs, commits and proves for itself."
)

OptionalChain = Annotated[
    str | None, typer.Option("--chain", help="A node's ws:// address; without it nothing is posted.")
]


@app.command("run")
def run(
    artifact: Annotated[
        Path,
        typer.Option("--artifact", "--model", help="The model's artefact, private half included; batch 1."),
    ],
    source: Annotated[str, typer.Option(help="Samples: a CSV file, or `-` for standard input.")],
    out: Annotated[Path, typer.Option(help="The log; OUT.secret (mode 0600) has what opens it.")],
    column: Annotated[str | None, typer.Option(help="The samples' column; default: the last.")] = None,
    every: Annotated[
        int, typer.Option(min=1, help="Samples that make one value of a window: their mean.")
    ] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001, callback=finite, help="Samples a second: a file is played as a sensor would."
        ),
    ] = None,
    sample: Annotated[
        float,
        typer.Option(
            min=0.0001, max=100, callback=finite, help="Percent of windows to prove; 100: all, at once."
        ),
    ] = 100.0,
    chain: OptionalChain = None,
    signer: SignerOption = "//Alice",
    as_json: JsonOption = False,
) -> None:
    """Answer each window as it ends, commit to it, prove it, and post its hash to the chain.

    Example: proofward edge run --artifact ecg.proofward --source ecg.csv --out ecg.log --chain ws://127.0.0.1:9944

             cat /dev/ttyUSB0 | proofward edge run --artifact ecg.proofward --source - --out ecg.log
    """
    from contextlib import nullcontext

    from proofward.client import Client
    from proofward.edge import run as running
    from proofward.edge import source as sources
    from proofward.edge.device import Device

    def told(answered: Answered, answer_ms: float, proof_ms: float | None) -> None:
        proof = "" if proof_ms is None else f", proof after {proof_ms:.0f} ms"
        note(as_json, f"window {answered.number}: {answered.decision}  {answer_ms:.1f} ms{proof}")

    with reporting(as_json, serves=True), Client(chain, signer) if chain else nullcontext() as client:
        device = Device(artifact)
        try:
            windows = sources.windows(sources.samples(source, column, device.unit), device.size, every, rate)
            report = running.run(
                device, windows, out, sample=round(sample * 10_000), client=client, told=told
            )
        finally:
            device.close()
        value = {
            "level": "device",
            "windows": report.windows,
            "proved": report.proved,
            "posts": report.posted,
            "answer_ms": spread(report.answer_ms),
            "proof_ms": spread(report.proof_ms),
            "blocks_to_post": max(report.blocks_to_post, default=None),
            "log": str(out),
        }
        emit(
            as_json,
            value,
            [
                f"windows  {report.windows}, {report.proved} proved, {report.posted} posts",
                f"answer   {_told(report.answer_ms)}",
                f"proof    {_told(report.proof_ms)}",
                "level    device: the computation is proved, no machine is attested",
                f"log      {out}",
            ],
        )


@app.command("verify")
def verify(
    log: Annotated[Path, typer.Argument(help="A device's log.")],
    artifact: Annotated[Path, typer.Option(help="The model's public artefact.")],
    chain: OptionalChain = None,
    dev: DevOption = False,
    as_json: JsonOption = False,
) -> None:
    """Verify a device's log: proofs, roots, what was to be proved, and with --chain that they were posted.

    Example: proofward edge verify ecg.log --artifact ecg.proofward --chain ws://127.0.0.1:9944 --dev
    """
    from contextlib import nullcontext

    from proofward.client import Client
    from proofward.edge import log as logs
    from proofward.edge.verify import verify_log
    from proofward.zkml import load_public

    with reporting(as_json), Client(chain) if chain else nullcontext() as client:
        verdict = verify_log(
            logs.load(log),
            load_public(artifact),
            chain=None if client is None else client.chain,
            development=dev,
        )
        tell(as_json, verdict)
    raise typer.Exit(EXITS[verdict.outcome.name])


def spread(took: list[float]) -> dict[str, float] | None:
    """Median, 95th percentile and most of milliseconds; None of none."""
    if not took:
        return None
    ordered = sorted(took)
    return {"p50": statistics.median(ordered), "p95": ordered[int(len(ordered) * 0.95)], "most": ordered[-1]}


def _told(took: list[float]) -> str:
    found = spread(took)
    return "none at once" if found is None else ", ".join(f"{name} {ms:.1f} ms" for name, ms in found.items())
