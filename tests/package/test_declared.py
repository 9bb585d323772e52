"""What each distribution imports, it declares: itself, or by one of ours that it rests on."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.package.venvs import ROOT, SOURCES

OURS = (*SOURCES, "proofward-prover")
#: Of environments that stand over this one: module -> distribution.
ELSEWHERE = {"flwr": "flwr", "mistralrs": "mistralrs", "opendp": "opendp", "openvc": "openvc-core"}


def project(name: str) -> dict[str, Any]:
    """The table [project] of a distribution's file."""
    folder = ROOT / ("prover" if name == "proofward-prover" else SOURCES[name][0])
    return dict(tomllib.loads((folder / "pyproject.toml").read_text())["project"])


def declared(name: str, extras: set[str]) -> set[str]:
    """Distributions that it asks for with these extras, those of ours with what they ask for."""
    told = project(name)
    wanted = [*told.get("dependencies", ())]
    for extra in extras:
        wanted += told["optional-dependencies"][extra]
    found = set[str]()
    for one in map(Requirement, wanted):
        other = canonicalize_name(one.name)
        found.add(other)
        if other in OURS and (other, one.extras) != (name, extras):
            found |= declared(other, one.extras)
    return found


def imported(name: str) -> dict[str, str]:
    """Top-level module -> a file of the distribution that imports it, wherever in the file."""
    folder, (package, *_) = SOURCES[name]
    found = dict[str, str]()
    for path in sorted((ROOT / folder / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            found.update((one.partition(".")[0], str(path.relative_to(ROOT))) for one in names)
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_imported_is_declared(name: str) -> None:
    known = declared(name, set(project(name).get("optional-dependencies", ()))) | {name}
    by_module = packages_distributions()

    def holders(module: str) -> set[str]:
        return {canonicalize_name(one) for one in by_module.get(module, (ELSEWHERE.get(module, ""),))}

    found = imported(name).items()
    foreign = {module: where for module, where in found if module not in sys.stdlib_module_names}
    assert {module: where for module, where in foreign.items() if not holders(module) & known} == {}
