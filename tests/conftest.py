"""Fixtures that several folders share."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import structlog
import typer.main
import typer.testing
from hypothesis import HealthCheck, settings

# First of all that import py_ecc: it puts back the recursion limit, which py_ecc raises beyond the C stack.
import proofward.zkml.ezkl.curve  # noqa: F401
from tests.ceremonial import ceremonial
from tests.evidence import artifact, evidence

__all__ = ["artifact", "ceremonial", "evidence"]

# Properties are tried however busy the machine is, and on the same examples each time but for `make fuzz`.
settings.register_profile("fuzz", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", settings.get_profile("fuzz"), derandomize=True)
settings.load_profile("suite")

# A tenth of a second for all of the verbs, which each of hundreds of commands would spend again.
vars(typer.testing)["_get_command"] = functools.cache(typer.main.get_command)


@pytest.fixture(autouse=True)
def _logging_of_one_test_ends_with_it() -> Iterator[None]:
    """A command's logging holds the standard error that it was given, which pytest closes."""
    yield
    structlog.reset_defaults()
