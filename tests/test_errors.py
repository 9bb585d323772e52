"""One root: every exception class of ours derives from it and stands in the tree of its docstring."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
from types import ModuleType

import proofward
import proofward.errors
import proofward_demo
import proofward_enclave
import proofward_explorer
import proofward_federation
import proofward_gateway
import proofward_node
from proofward.errors import ProofwardError

PACKAGES = (
    proofward,
    proofward_node,
    proofward_enclave,
    proofward_explorer,
    proofward_gateway,
    proofward_federation,
    proofward_demo,
)
#: What only some of the installations have.
NEEDS = {"proofward_federation.engine": "flwr"}


def modules() -> list[ModuleType]:
    """Every module of ours, imported."""
    names = [
        found.name
        for package in PACKAGES
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not found.name.endswith("__main__")
        and (found.name not in NEEDS or importlib.util.find_spec(NEEDS[found.name]))
    ]
    return [*PACKAGES, *map(importlib.import_module, names)]


def classes() -> set[type[BaseException]]:
    """Every exception class of our modules; one with an underscore is its module's own affair."""
    return {
        value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and not value.__name__.startswith("_")
        and value.__module__ == module.__name__
    }


def drawn() -> dict[str, str | None]:
    """Name -> name of the parent, as the tree in the docstring has them."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (inspect.getdoc(proofward.errors) or "").splitlines()[2:]:
        if found := re.match(r"((?:[│ ]  )*)(?:[├└]─ )?(\w+)", line.removeprefix("    ")):
            depth = len(found[1]) // 3 + ("─" in line)
            above[depth:] = [found[2]]
            parents[found[2]] = above[depth - 1] if depth else None
    return parents


def test_every_exception_of_ours_is_in_the_tree() -> None:
    found = {
        one.__name__: next(
            (base.__name__ for base in one.__bases__ if issubclass(base, ProofwardError)), None
        )
        for one in classes()
    }
    assert found == drawn()


def test_all_are_made_in_one_order_and_have_a_code() -> None:
    for one in classes():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", one.code), one  # type: ignore[attr-defined]
        if "__init__" not in vars(one):
            error = one("what happened", code="why")  # type: ignore[call-arg]
            assert (error.message, error.code) == ("what happened", "why")  # type: ignore[attr-defined]
