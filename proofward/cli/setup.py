"""`proofward setup new|contribute|verify|finish|export`: a ceremony for a model's keys, in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proofward.cli.output import Exit, JsonOption, emit, reporting

if TYPE_CHECKING:
    from proofward.check import Check
    from proofward.zkml.groth16.ceremony import Transcript

app = typer.Typer(no_args_is_help=True, help="Make a model's keys by a ceremony of many contributors.")

StateArgument = Annotated[Path, typer.Argument(help="The ceremony's file, from `setup new` or `contribute`.")]
ArtifactOption = Annotated[Path, typer.Option(help="The compiled artefact's folder (groth16 lane).")]
PtauOption = Annotated[Path, typer.Option(help="Phase 1: powers of tau, snarkjs' .ptau format.")]
OutOption = Annotated[Path, typer.Option(help="The file to write; must not exist.")]


@app.command("new")
def new(artifact: ArtifactOption, ptau: PtauOption, out: OutOption, as_json: JsonOption = False) -> None:
    """Begin a ceremony for a compiled model's circuit.

    Example: proofward setup new --artifact build/models/mlp --ptau pot14.ptau --out 0.ceremony
    """
    from proofward.zkml.groth16 import ceremony

    with reporting(as_json):
        _show(as_json, ceremony.begin(artifact, ptau, out), f"begun: {out}; send it to the first contributor")


@app.command("contribute")
def contribute(
    state: StateArgument,
    name: Annotated[str, typer.Option(help="Who contributes: at most 64 printable ASCII characters.")],
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Add a secret that nobody will know. It is made in this process, and gone when the process ends.

    Example: proofward setup contribute 0.ceremony --name Ada --out 1.ceremony
    """
    from proofward.zkml.groth16 import ceremony

    with reporting(as_json):
        made = ceremony.contribute(state, name, out)
        _show(as_json, made, f"contributed: {out}; publish the last hash, and look for it at the end")


@app.command("verify")
def verify(
    artifact: ArtifactOption,
    ptau: PtauOption,
    state: Annotated[
        Path | None, typer.Argument(help="The ceremony's file; without it the finished artefact is checked.")
    ] = None,
    enclave: Annotated[
        list[Path] | None, typer.Option(help="The quote of an enclave that contributed; may be repeated.")
    ] = None,
    measurement: Annotated[
        list[str] | None, typer.Option(help="The software that such an enclave may run; may be repeated.")
    ] = None,
    dev: Annotated[bool, typer.Option("--dev", help="Admit simulated enclaves.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a ceremony: every contribution, and the key that came of them.

    Exit 0: it holds; 1: refused; 6: it holds, and the software of an `--enclave` is not pinned.

    Example: proofward setup verify 3.ceremony --artifact build/models/mlp --ptau pot14.ptau
    """
    from proofward.evidence.bundle import BundleError
    from proofward.zkml.groth16 import ceremony

    with reporting(as_json):
        if state is not None:
            done = ceremony.verify(state, artifact, ptau)
        else:
            done = ceremony.verify_artifact(artifact, ptau)
        checks = _enclaves(enclave or [], measurement, dev, done)
        held = "holds: every contribution follows from the one before, and the key from them"
        lines = [*map(str, checks), held]
        code = Exit.NOT_ANCHORED if any(check.ok is None for check in checks) else Exit.OK
        if code is Exit.NOT_ANCHORED:
            lines.append("consistent, not anchored: pin the enclave's software with --measurement")
        refused = [check for check in checks if check.ok is False]
        if refused:
            raise BundleError(
                f"the ceremony holds, an enclave's quote does not: {refused[0].detail}", code="quote-rejected"
            )
        told = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks]
        _show(as_json, done, "\n".join(lines), **({"enclaves": told} if enclave else {}))
    raise typer.Exit(code)


@app.command("export")
def export(
    artifact: ArtifactOption,
    out: Annotated[Path, typer.Option(help="The .r1cs file to write; must not exist.")],
    as_json: JsonOption = False,
) -> None:
    """Write a compiled model's circuit as R1CS (iden3's .r1cs, version 1), for snarkjs and others to read.

    Example: proofward setup export --artifact build/models/mlp --out mlp.r1cs
    """
    from proofward.zkml.groth16 import ceremony

    with reporting(as_json):
        digest, constraints = ceremony.export(artifact, out)
        value = {"circuit": digest, "constraints": constraints, "r1cs": str(out)}
        emit(as_json, value, [f"circuit  {digest}", f"written  {out}: {constraints} constraints"])


@app.command("finish")
def finish(
    state: StateArgument,
    artifact: ArtifactOption,
    ptau: PtauOption,
    out: Annotated[Path, typer.Option(help="The folder of the artefact with the new keys; must not exist.")],
    beacon: Annotated[str | None, typer.Option(help="32 bytes in hex that nobody could choose.")] = None,
    iterations: Annotated[int, typer.Option(help="The beacon is hashed 2^N times, 0 to 24.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Check a ceremony, close it, and write the artefact with its keys.

    Example: proofward setup finish 3.ceremony --artifact build/models/mlp --ptau pot14.ptau --out mlp-c
    """
    from proofward.zkml.groth16 import ceremony
    from proofward.zkml.manifest import TRANSCRIPT

    with reporting(as_json):
        closing = None if beacon is None else (_beacon(beacon), iterations)
        done, manifest = ceremony.finish(state, artifact, ptau, out, closing)
        transcript = manifest.files[TRANSCRIPT]
        _show(
            as_json,
            done,
            f"finished: {out}; its manifest pins {transcript}",
            transcript=transcript,
        )


def _enclaves(quotes: list[Path], measurements: list[str] | None, dev: bool, done: Transcript) -> list[Check]:
    from proofward.client.ids import hash32
    from proofward.evidence.contribution import contribution_checks, load_quote
    from proofward.evidence.policy import Policy

    pins = None if measurements is None else {hash32(one, "measurement") for one in measurements}
    policy = Policy.for_development(measurements=pins) if dev else Policy(measurements=pins)
    return [check for path in quotes for check in contribution_checks(load_quote(path), done, policy)]


def _beacon(text: str) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != 32:
        raise typer.BadParameter("a beacon is 32 bytes in hexadecimal")
    return value


def _show(as_json: bool, done: Transcript, last: str, **more: Any) -> None:
    contributions = [{"name": one.name, "beacon": one.beacon, "hash": one.hash} for one in done.contributions]
    lines = [
        f"circuit  {done.circuit}",
        f"phase 1  {done.phase1} (SHA-256 of the .ptau; NOT CHECKED: who contributed to it)",
        *(
            f"{number:7}  {one.hash}  {one.name}" + (" (beacon: public)" if one.beacon else "")
            for number, one in enumerate(done.contributions, 1)
        ),
        last,
    ]
    value = {"circuit": done.circuit, "phase1": done.phase1, "contributions": contributions, **more}
    emit(as_json, value, lines)
