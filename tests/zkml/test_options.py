"""What a publisher may choose is checked once, and says the same to a compiler and to an enclave."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields
from typing import Any

import pytest

from proofward.cli import models
from proofward.zkml import CompileError, CompileOptions
from proofward.zkml.options import Wishes
from proofward.zkml.report import Bounds

OF_AN_ENCLAVE: dict[str, Any] = {
    "task": "binary",
    "outputs": ["ill"],
    "record_openings": False,
    "accuracy_bound": 0.02,
    "max_disagreement": 0.03,
    "max_shift": 0.4,
}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lane": "plonk"}, "no lane 'plonk': use one of auto, groth16, ezkl"),
        ({"task": "guess"}, "no task 'guess': use one of binary"),
        ({"setup": "ceremony"}, "no setup to compile with 'ceremony': use one of dev, attested"),
        ({"batch": 0}, "batch must be 1 to 32, got 0"),
        ({"batch": 33}, "batch must be 1 to 32, got 33"),
        ({"accuracy_bound": -0.1}, "accuracy_bound must be 0 or more"),
        ({"accuracy_bound": math.nan}, "accuracy_bound must be 0 or more"),
        ({"max_disagreement": -0.1}, "max_disagreement must be 0 or more"),
        ({"max_shift": 0.0}, "max_shift must be above 0"),
        ({"max_shift": math.inf}, "max_shift must be above 0"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(CompileError, match=says) as refused:
        CompileOptions(**given)
    assert refused.value.code == "usage"


def test_as_many_decisions_may_differ_as_accuracy_may_be_lost() -> None:
    assert CompileOptions().bounds == Bounds()
    assert CompileOptions(accuracy_bound=0.05).bounds.disagreement == 0.05
    assert CompileOptions(accuracy_bound=0.05, max_disagreement=0.0).bounds.disagreement == 0.0


def test_an_enclave_is_told_what_the_publisher_chose() -> None:
    options = CompileOptions(**OF_AN_ENCLAVE)
    told = Wishes.model_validate_json(Wishes.of(options).model_dump_json(exclude_none=True))
    assert CompileOptions(**dict(told)) == options
    assert set(OF_AN_ENCLAVE) | {"features"} == set(Wishes.model_fields)
    assert dict(Wishes()) == dict(Wishes.of(CompileOptions()))


@pytest.mark.parametrize("verb", [models.publish, models.compile_model])
def test_a_verb_that_says_nothing_takes_the_librarys_defaults(verb: Any) -> None:
    said = inspect.signature(verb).parameters
    for one in fields(CompileOptions):
        if one.name not in ("features", "outputs", "setup", "cache"):
            assert said[one.name].default == one.default, one.name
