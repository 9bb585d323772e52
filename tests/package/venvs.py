"""Virtual environments that hold our wheels and exactly what these declare, made without a network.

Third-party packages are links to those of this environment: the closure of what our wheels require, no more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
#: Distribution -> its folder in the checkout, and what of it goes into the build.
SOURCES = {
    "proofward": (".", ("proofward", "pyproject.toml", "README.md", "LICENSE")),
    "proofward-node": ("node", ("proofward_node", "pyproject.toml", "LICENSE")),
    "proofward-enclave": ("enclave_runtime", ("proofward_enclave", "pyproject.toml", "LICENSE")),
    "proofward-explorer": ("explorer", ("proofward_explorer", "pyproject.toml", "LICENSE")),
    "proofward-gateway": ("gateway", ("proofward_gateway", "pyproject.toml", "LICENSE")),
    "proofward-federation": ("federation", ("proofward_federation", "pyproject.toml", "LICENSE")),
    "proofward-demo": ("demo", ("proofward_demo", "pyproject.toml", "LICENSE")),
}
SECONDS = 300
#: What pip and Python shall not see: a checkout on the path would hide what a wheel lacks.
CLEAN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def build_wheels(scratch: Path, out: Path) -> dict[str, Path]:
    """Build our Python wheels from copies, so that no stale `build/` of the checkout gets in."""
    for name, (folder, parts) in SOURCES.items():
        copy = scratch / name
        copy.mkdir(parents=True)
        for part in parts:
            source = ROOT / folder / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    command = [
        *pip,
        "--no-build-isolation",
        "--wheel-dir",
        str(out),
        *(str(scratch / one) for one in SOURCES),
    ]
    subprocess.run(command, check=True, timeout=SECONDS, env=CLEAN)
    return {name: next(out.glob(f"{name.replace('-', '_')}-*.whl")) for name in SOURCES}


def requirements(wheel: Path, extras: set[str]) -> list[Requirement]:
    """What a wheel of ours asks for, with these of its extras."""
    (found,) = metadata.distributions(path=[str(wheel)])
    wanted = [Requirement(text) for text in found.requires or ()]
    return [one for one in wanted if _applies(one, extras)]


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""}) | {""})


def closure(wanted: list[Requirement]) -> dict[str, metadata.Distribution]:
    """Every installed distribution that these requirements lead to; each must be in the range asked for."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in SOURCES:
            continue
        installed = metadata.distribution(name)
        assert requirement.specifier.contains(installed.version, prereleases=True), requirement
        found[name] = installed
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                inner = [Requirement(text) for text in installed.requires or ()]
                wanted += [one for one in inner if _applies(one, {extra} if extra else set())]
    return found


@dataclass(frozen=True)
class Venv:
    """An environment and the empty folder that its commands run in."""

    path: Path
    folder: Path
    packages: tuple[str, ...]

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.path / "bin" / "python")

    @property
    def environment(self) -> dict[str, str]:
        """Its commands' environment: no PYTHONPATH, its own state, and a PATH without Node.js."""
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        state = {"PROOFWARD_STATE": str(self.folder / "state"), "HOME": str(self.folder)}
        return {**kept, **state, "PATH": str(self.path / "bin")}

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of its programs in the empty folder."""
        program = [str(self.path / "bin" / command[0]), *map(str, command[1:])]
        return subprocess.run(
            program,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def make_venv(path: Path, wheels: dict[str, Path], *ours: str, extras: set[str] | None = None) -> Venv:
    """A fresh environment with these wheels of ours; the extras are of the first."""
    venv.create(path, with_pip=False, symlinks=True)
    (site,) = path.glob("lib/python*/site-packages")
    chosen = [str(wheels[name]) for name in ours]
    pip = [sys.executable, "-m", "pip", "--python", str(path / "bin" / "python"), "install", "--quiet"]
    install = [*pip, "--no-index", "--no-deps", "--no-compile", *chosen]
    subprocess.run(install, check=True, timeout=SECONDS, env=CLEAN)
    wanted = [
        one
        for name in ours
        for one in requirements(wheels[name], (extras or set()) if name == ours[0] else set())
    ]
    found = closure(wanted)
    for distribution in found.values():
        for entry in {file.parts[0] for file in distribution.files or ()}:
            source = Path(str(distribution.locate_file(entry)))
            target = site / entry
            if source.exists() and entry not in ("..", "__pycache__") and not target.exists():
                target.symlink_to(source)
    folder = path.parent / f"{path.name}-folder"
    folder.mkdir()
    return Venv(path, folder, tuple(sorted(found)))
