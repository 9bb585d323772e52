"""The folder that the images are built from: wheels, lists of them, the chain's node and spec, an example.

Usage: context.py [FOLDER]

Writes into FOLDER (build/docker): `wheels/`; `enclave.txt`, `worker.txt`, `explorer.txt` and `demo.txt`,
which say in exact versions what each image holds; `spec.json` of four validators with published keys;
`example/`; and `proofward-chain` where it was built. What an image installs comes from here: pip has no index
then.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from proofward.network import spec

ROOT = Path(__file__).resolve().parents[1]
OURS = {
    "proofward": ".",
    "proofward-enclave": "enclave_runtime",
    "proofward-node": "node",
    "proofward-explorer": "explorer",
    "proofward-demo": "demo",
}
TOPS = {"worker": "proofward-node", "explorer": "proofward-explorer", "demo": "proofward-demo"}
"""Whose closure an image is. The enclave's is its own lock, shorter than what its wheels ask for."""
DSTACK = ROOT / "enclave_runtime" / "dstack.lock"
ENCLAVE = ("proofward", "proofward-enclave", "proofward-prover")
EXAMPLE = ("model.onnx", "train.csv", "held.csv", "record.csv")


def main(folder: str = "build/docker") -> int:
    """Bring the folder up to date. Raises SystemExit, CalledProcessError."""
    out = (ROOT / folder).resolve()
    wheels = out / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    third_party(wheels)
    ours(wheels)
    found = by_name(wheels)
    write_list(out / "enclave.txt", locked(ROOT / "enclave_runtime" / "requirements.lock"), ENCLAVE, found)
    lines = locked(ROOT / "enclave_runtime" / "requirements.lock") + locked(DSTACK)
    write_list(out / "enclave-dstack.txt", lines, ENCLAVE, found)
    for image, top in TOPS.items():
        write_list(out / f"{image}.txt", closure(top, found), (), found)
    (out / "spec.json").write_text(json.dumps(spec.local(), indent=1) + "\n")
    example(out / "example")
    binary = next((one for one in binaries() if one.is_file()), None)
    if binary is not None:
        shutil.copy2(binary, out / "proofward-chain")
    elif not (out / "proofward-chain").is_file():
        print(
            "no proofward-chain (`make node` builds it): the chain's image cannot be built", file=sys.stderr
        )
    print(f"{out.relative_to(ROOT)}: {len(found)} wheels, spec, example")
    return 0


def third_party(wheels: Path) -> None:
    """The lock's distributions as wheels; those of other versions go."""
    lines = [*locked(ROOT / "requirements.lock"), *locked(DSTACK)]
    wanted = {tuple(line.split("==")) for line in lines}
    names = {(canonicalize_name(name), version) for name, version in wanted}
    for path in wheels.glob("*.whl"):
        name, version, *_ = parse_wheel_filename(path.name)
        if name not in OURS and (name, str(version)) not in names:
            path.unlink()
    there = {(name, str(version)) for name, version, *_ in map(parse_wheel_filename, names_of(wheels))}
    missing = [f"{name}=={version}" for name, version in sorted(names - there)]
    if missing:
        pip("wheel", "--no-deps", "--wheel-dir", str(wheels), *missing)


def ours(wheels: Path) -> None:
    """Our distributions, built from copies so that no stale `build/` gets in, and the prover's wheel."""
    for path in wheels.glob("proofward_*.whl"), wheels.glob("proofward-*.whl"):
        for one in path:
            one.unlink()
    for prover in (ROOT / "build" / "wheels").glob("proofward_prover-*.whl"):
        shutil.copy2(prover, wheels)
    with tempfile.TemporaryDirectory() as scratch:
        for name, place in OURS.items():
            copy = Path(scratch) / name
            shutil.copytree(ROOT / place, copy, ignore=ignored(place))
            pip(
                "wheel",
                "--no-deps",
                "--no-build-isolation",
                "--no-index",
                "--wheel-dir",
                str(wheels),
                str(copy),
            )


def ignored(place: str):  # type: ignore[no-untyped-def]  # shutil's own type of it is private
    """What is no part of a distribution: all but the package, pyproject.toml, README.md and LICENSE."""
    top = str((ROOT / place).resolve())

    def skip(folder: str, names: list[str]) -> set[str]:
        if str(Path(folder).resolve()) != top:
            return {name for name in names if name == "__pycache__"}
        keep = {"pyproject.toml", "README.md", "LICENSE"}
        return {name for name in names if not name.startswith("proofward") and name not in keep}

    return skip


def closure(top: str, wheels: dict[str, Path]) -> list[str]:
    """Every distribution that `top` leads to, as `name==version`, by the markers of this machine.

    Raises SystemExit when a wheel is missing.
    """
    wanted = [Requirement(top)]
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    while wanted:
        one = wanted.pop()
        name = canonicalize_name(one.name)
        if name not in wheels:
            sys.exit(f"{top} leads to {name}, of which there is no wheel: is it in requirements.lock?")
        metadata = metadata_of(wheels[name])
        found[name] = metadata["Version"]
        for extra in {"", *one.extras} - {extra for of, extra in seen if of == name}:
            seen.add((name, extra))
            inner = map(Requirement, metadata.get_all("Requires-Dist") or ())
            wanted += [
                each for each in inner if each.marker is None or each.marker.evaluate({"extra": extra})
            ]
    return sorted(f"{name}=={version}" for name, version in found.items())


def write_list(path: Path, lines: list[str], more: tuple[str, ...], wheels: dict[str, Path]) -> None:
    """One of the lists, each wheel with its hash, which pip demands; `more` are distributions of ours.

    Without hashes a builder that keeps layers would take an older wheel of the same version for the new one.
    """
    versions = [f"{name}=={metadata_of(wheels[name])['Version']}" for name in more]
    hashed = []
    for line in sorted([*lines, *versions]):
        wheel = wheels[canonicalize_name(line.split("==")[0])]
        hashed.append(f"{line} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}")
    path.write_text("\n".join(hashed) + "\n")


def example(out: Path) -> None:
    """The walk's model, table and record, trained here."""
    if not all((out / name).is_file() for name in EXAMPLE):
        subprocess.run([sys.executable, str(ROOT / "examples" / "train.py"), str(out)], check=True)


def binaries() -> list[Path]:
    """Where proofward-chain may be."""
    folders = [str(ROOT / "build" / "bin"), *os.environ.get("PATH", "").split(os.pathsep)]
    return [Path(folder) / "proofward-chain" for folder in folders if folder]


def locked(path: Path) -> list[str]:
    """The lines `name==version` of a lock."""
    return [line for line in path.read_text().splitlines() if "==" in line and not line.startswith("#")]


def by_name(folder: Path) -> dict[str, Path]:
    """The wheels of a folder by distribution."""
    return {parse_wheel_filename(name)[0]: folder / name for name in names_of(folder)}


def names_of(folder: Path) -> list[str]:
    """The names of the wheels' files."""
    return sorted(path.name for path in folder.glob("*.whl"))


def metadata_of(wheel: Path) -> Message:
    """The METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        inside = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(archive.read(min(inside, key=len)))


def pip(*words: str) -> None:
    """Run pip. Raises CalledProcessError."""
    quiet = ("--quiet", "--disable-pip-version-check")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-m", "pip", words[0], *quiet, *words[1:]], check=True, env=environment)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
