"""A whole ceremony by the command line, one of its three contributors an enclave, and what is done to it.

`python -m tests.ceremony` (make ceremony) holds it on the benchmark's 2-D CNN and prints its figures.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import proofward_prover as prover
from typer.testing import CliRunner

from proofward.cli import app
from proofward.zkml import Artifact, load_artifact
from proofward_enclave.measure import simulated_measurement

PHASE_1 = Path(__file__).parent / "prover" / "phase1.mjs"


def cli(*arguments: str, code: int = 0) -> dict[str, Any]:
    """What a verb prints as JSON."""
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == code, done.output
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def snarkjs(**request: object) -> dict[str, Any]:
    """snarkjs, a program of its own."""
    done = subprocess.run(
        ["node", str(PHASE_1)],
        input=json.dumps(request, default=str),
        capture_output=True,
        text=True,
        check=True,
        timeout=7200,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def shares(state: bytes) -> tuple[bytes, list[bytes], bytes]:
    """What comes before the contributions of a ceremony's file, each of them, and what comes after."""
    head, at, parts = state[:72], 76, []
    for _ in range(int.from_bytes(state[72:76], "little")):
        size = 1 + state[at] + 1 + 64 + 64 + 64 + 128
        parts.append(state[at : at + size])
        at += size
    return head, parts, state[at:]


def with_shares(state: bytes, parts: list[bytes]) -> bytes:
    """A ceremony's file with other contributions."""
    head, _, rest = shares(state)
    return head + len(parts).to_bytes(4, "little") + b"".join(parts) + rest


@dataclass
class Held:
    """A ceremony that was held: its files, and the seconds of each step."""

    folder: Path
    artifact: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def ptau(self) -> Path:
        return self.folder / "phase1.ptau"

    @property
    def onnx(self) -> Path:
        return self.artifact / "private" / "model.onnx"

    @property
    def finished(self) -> Path:
        return self.folder / "finished"

    def state(self, number: int) -> Path:
        """The file after so many contributions."""
        return self.folder / f"{number}.ceremony"

    @property
    def sources(self) -> list[str]:
        return ["--artifact", str(self.artifact), "--ptau", str(self.ptau)]

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - started, 1)


def hold(artifact: Artifact, folder: Path, contributors: Sequence[str] = ()) -> Held:
    """Phase 2 by Ada, an enclave and Grace, closed by a beacon. Phase 1 is snarkjs', by these contributors;
    without any it is ours, made in an instant.
    """
    held = Held(folder, artifact.path)
    circuit = prover.Circuit(
        (artifact.path / "private" / "program.bin").read_bytes(), artifact.manifest.batch
    )
    power = circuit.domain.bit_length()
    with held.timed("phase 1"):
        if contributors:
            snarkjs(out=held.ptau, power=power, contributors=contributors)
        else:
            prover.make_ptau(held.ptau, power)
    with held.timed("new"):
        cli("setup", "new", *held.sources, "--out", str(held.state(0)))
    with held.timed("contribute: Ada"):
        cli("setup", "contribute", str(held.state(0)), "--name", "Ada", "--out", str(held.state(1)))
    config = folder / "worker.toml"
    (folder / "models").mkdir()
    config.write_text(
        f'[worker]\ndev_account = "//Bob"\ndata_dir = "{folder / "data"}"\n'
        f'[enclave]\nprovider = "simulator"\nmodels = "{folder / "models"}"\n'
        f'socket = "{folder / "e.sock"}"\n'
    )
    with held.timed("contribute: an enclave"):
        cli(
            "worker", "contribute", str(held.state(1)), "--config", str(config), "--name", "ward-3",
            "--out", str(held.state(2)),
        )  # fmt: skip
    with held.timed("contribute: Grace"):
        cli("setup", "contribute", str(held.state(2)), "--name", "Grace", "--out", str(held.state(3)))
    with held.timed("verify"):
        cli("setup", "verify", str(held.state(3)), *held.sources)
    with held.timed("finish"):
        beacon = ["--beacon", "ab" * 32, "--iterations", "10"]
        cli("setup", "finish", str(held.state(3)), *held.sources, *beacon, "--out", str(held.finished))
    return held


def check(held: Held, phase1: bool) -> None:
    """By `setup verify`, `model audit` and snarkjs: the circuit, and `phase1` if that is its own."""
    quote = held.folder / f"{held.state(2).name}.quote"
    pins = ["--enclave", str(quote), "--dev", "--measurement", f"0x{simulated_measurement().hex()}"]
    finished = ["--artifact", str(held.finished), "--ptau", str(held.ptau)]
    with held.timed("verify the finished artefact, and the enclave's quote"):
        said = cli("setup", "verify", *finished, *pins)
    assert [one["name"] for one in said["contributions"]] == ["Ada", "ward-3", "Grace", "beacon"]
    assert [one["ok"] for one in said["enclaves"]] == [True, True]
    with held.timed("model audit --ptau"):
        audited = cli(
            "model",
            "audit",
            str(held.onnx),
            "--artifact",
            str(held.finished),
            "--ptau",
            str(held.ptau),
            code=7,
        )
    keys = next(one for one in audited["checks"] if one["name"] == "keys")
    assert keys["ok"] is True
    assert keys["detail"].endswith("one honest contributor of 'Ada', 'ward-3', 'Grace' is enough")
    assert not [one for one in audited["checks"] if one["ok"] is False]
    artifact = load_artifact(held.finished)
    circuit = prover.Circuit(
        (held.finished / "private" / "program.bin").read_bytes(), artifact.manifest.batch
    )
    (held.folder / "circuit.r1cs").write_bytes(prover.r1cs(circuit))
    with held.timed("snarkjs"):
        read = snarkjs(r1cs=held.folder / "circuit.r1cs", **({"verify": held.ptau} if phase1 else {}))
    assert read.get("verified", not phase1) is True
    assert (read["r1cs"]["constraints"], read["r1cs"]["publics"]) == (circuit.constraints - 3, 2)


def attack(held: Held) -> None:
    """A contribution forged, dropped, moved; a quote for another place; a doctored transcript in an audit."""
    last = held.state(3).read_bytes()
    ada, enclave, grace = shares(last)[1]
    forged = grace[:-128] + enclave[-128:]
    faults = {"forged": [ada, enclave, forged], "dropped": [ada, grace], "reordered": [enclave, ada, grace]}
    spoilt = held.folder / "spoilt.ceremony"
    for fault, parts in faults.items():
        spoilt.write_bytes(with_shares(last, parts))
        refused = cli("setup", "verify", str(spoilt), *held.sources, code=1)
        assert refused["error"]["code"] == "bad-contribution", fault
    quote = json.loads((held.folder / f"{held.state(2).name}.quote").read_text())
    finished = ["--artifact", str(held.finished), "--ptau", str(held.ptau), "--dev"]
    listed = cli("setup", "verify", *finished[:4])["contributions"]
    for moved in (listed[0]["hash"], listed[2]["hash"], "00" * 32):
        spoilt.write_text(json.dumps({**quote, "contribution": moved}))
        refused = cli("setup", "verify", *finished, "--enclave", str(spoilt), code=1)
        assert refused["error"]["code"] == "quote-rejected"
    spoilt.write_text(json.dumps(quote))
    unpinned = cli("setup", "verify", *finished, "--enclave", str(spoilt), code=6)
    assert [one["ok"] for one in unpinned["enclaves"]] == [True, None]
    for pins in (["--measurement", "0x" + "11" * 32, "--dev"], []):
        cli("setup", "verify", *finished[:4], *pins, "--enclave", str(spoilt), code=1)


def main() -> None:
    """On the benchmark's 2-D CNN."""
    from bench.lanes import compiled
    from bench.models import cnn2d

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        artifact = compiled(cnn2d(), folder)
        held = hold(artifact, folder, ["Ingrid", "Sophie"])
        check(held, phase1=True)
        attack(held)
        sizes = {path.name: path.stat().st_size for path in (held.ptau, held.state(3))}
    print(
        json.dumps(
            {"constraints": artifact.manifest.constraints, "seconds": held.seconds, "bytes": sizes}, indent=1
        )
    )


if __name__ == "__main__":
    main()
