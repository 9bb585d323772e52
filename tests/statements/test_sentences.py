"""What a sentence means in integers, and what is no sentence."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofward.statements.errors import StatementError
from proofward.statements.meaning import meaning
from proofward.statements.program import Claim
from proofward.statements.sentence import parse
from proofward.zkml import Artifact
from proofward.zkml.manifest import Manifest
from proofward.zkml.quantiser import AffineQuantiser

SCALE = 8192.0


class NeverTrue(Exception):
    """No record makes it true."""


def claim_of(sentence: str, public: Manifest) -> Claim:
    try:
        return meaning(parse(sentence), public, "output", 1, False).claim
    except StatementError as error:
        if error.code == "never-true":
            raise NeverTrue from error
        raise


def manifest(artifact: Artifact, decision: str, bounds: list[tuple[int, int]], **output: Any) -> Manifest:
    """The tiny model's manifest with another end."""
    fields = artifact.manifest.model_dump(by_alias=True)
    fields["output"] = {"length": len(bounds), "scale": SCALE, "decision": decision, **output}
    fields["lane_params"] = {**fields["lane_params"], "output_bounds": bounds}
    return Manifest.model_validate(fields)


@given(
    number=st.integers(-(10**6), 10**6),
    digits=st.integers(0, 6),
    value=st.integers(-(10**5), 10**5),
    above=st.booleans(),
)
def test_what_is_proved_implies_the_sentence(
    artifact: Artifact, number: int, digits: int, value: int, above: bool
) -> None:
    text = f"{number / 10**digits:.{digits}f}"
    public = manifest(artifact, "value", [(-(10**6), 10**6)], names=["dose"])
    sign = ">=" if above else "<="
    holds = False
    with suppress(NeverTrue):
        claim = claim_of(f"dose {sign} {text}", public)
        holds = claim.choice([value + 10**6]) is not None
    # Exact: a power of two divides, and 6 decimals are compared as integers.
    exact = value * 10**digits * 1 - number * int(SCALE)
    assert holds == (exact >= 0 if above else exact <= 0)


@pytest.mark.parametrize("p", ["0.85", "0.5", "0.0001", "0.999999"])
def test_a_probability_is_compared_at_its_logit(artifact: Artifact, p: str) -> None:
    ends = [(-(10**6), 10**6)]
    public = manifest(artifact, "sigmoid", ends, names=["risk"], labels=["benign", "malignant"])
    meant = meaning(parse(f"risk >= {p}"), public, "output", 1, False)
    least = meant.claim.low - 10**6
    exact = math.log(float(p) / (1 - float(p))) * SCALE
    assert least - 1 < exact + 1e-6
    assert exact - 1e-6 <= least
    assert f"integer {least} or more" in meant.words


def test_a_binary_class_is_the_side_of_zero(artifact: Artifact) -> None:
    public = manifest(artifact, "sigmoid", [(-50, 60)], names=["risk"], labels=["benign", "malignant"])
    positive = meaning(parse("class is malignant"), public, "output", 1, False).claim
    negative = meaning(parse("class is benign"), public, "output", 1, False).claim
    assert [positive.choice([50 + q]) is not None for q in (-1, 0, 1)] == [False, False, True]
    assert [negative.choice([50 + q]) is not None for q in (-1, 0, 1)] == [True, True, False]


def test_of_several_classes_the_first_of_the_greatest_decides(artifact: Artifact) -> None:
    bounds = [(-100, 27), (-20, 235), (0, 7)]
    public = manifest(artifact, "argmax", bounds, names=["a", "b", "c"], labels=["A", "B", "C"])
    claim = meaning(parse("class is one of B, C"), public, "output", 1, False).claim

    def decided(*scores: int) -> bool:
        return claim.choice([s - low for s, (low, _) in zip(scores, bounds, strict=True)]) is not None

    assert decided(-5, -4, 0)
    assert decided(5, 6, 6)
    assert not decided(6, 6, 6)
    assert not decided(7, 6, 6)


@pytest.mark.parametrize(
    ("sentence", "records", "code"),
    [
        ("risk > 0.85", 1, "bad-sentence"),
        ("risk >= high", 1, "bad-sentence"),
        ("risk >= 1e3", 1, "bad-sentence"),
        ("risk between 0.9 and 0.1", 1, "bad-sentence"),
        ("class is", 1, "bad-sentence"),
        ("", 1, "bad-sentence"),
        ("x" * 600, 1, "bad-sentence"),
        ("dose >= 0.85", 1, "no-such-name"),
        ("class is dead", 1, "no-such-name"),
        ("class is one of benign, malignant", 1, "bad-sentence"),
        ("risk >= 1.5", 1, "bad-sentence"),
        ("logit(risk) >= 99999", 1, "never-true"),
        ("risk >= 0.85", 3, "bad-sentence"),
        ("at least 4: risk >= 0.85", 3, "bad-sentence"),
        ("record 3: risk >= 0.85", 3, "bad-sentence"),
        ("at least 2: risk >= 0.85", 1, "bad-sentence"),
        ("any: risk >= 0.85", 33, "statement-too-large"),
    ],
)
def test_what_is_no_sentence_here(artifact: Artifact, sentence: str, records: int, code: str) -> None:
    public = manifest(artifact, "sigmoid", [(-50, 60)], names=["risk"], labels=["benign", "malignant"])
    with pytest.raises(StatementError) as refused:
        meaning(parse(sentence), public, "output", records, False)
    assert refused.value.code == code


def test_a_probability_among_several_is_no_score(artifact: Artifact) -> None:
    public = manifest(artifact, "softmax", [(0, 9), (0, 9)], names=["a", "b"])
    with pytest.raises(StatementError, match=r"logit\(a\)"):
        meaning(parse("a >= 0.85"), public, "output", 1, False)
    assert meaning(parse("logit(a) >= 0"), public, "output", 1, False).claim.mask == (1, 0)


def test_a_statement_about_an_input_holds_for_all_that_rounds_to_it(artifact: Artifact) -> None:
    """The tiny model's features are affine: of every float that a step stands for the sentence is true."""
    public = artifact.public
    quantiser = public.manifest.input.quantiser
    assert isinstance(quantiser, AffineQuantiser)
    features = public.manifest.input.features
    called = features[0].name if features else "feature 0"
    meant = meaning(parse(f'"{called}" >= 0.25'), public.manifest, "input", 1, False)
    low, _ = quantiser.bounds()
    step = meant.claim.low + int(low[0])
    record = low.copy()
    record[0] = step
    centre = float(quantiser.restore(record)[0])
    record[0] = step - 1
    below = float(quantiser.restore(record)[0])
    assert (centre + below) / 2 >= 0.25 - 1e-12
    assert below - (centre - below) / 2 < 0.25


def test_no_upper_bound_is_said_of_records_of_several_values(artifact: Artifact) -> None:
    # the prover names the value that a record is judged by, and may name one that makes it false
    public = manifest(artifact, "argmax", [(0, 9)] * 3, names=["a", "b", "c"], labels=["A", "B", "C"])
    for counted in ("at most 0", "at most 2", "exactly 1"):
        with pytest.raises(StatementError, match="contrary"):
            meaning(parse(f"{counted}: class is A"), public, "output", 3, False)
    for counted in ("any", "all", "at least 2", "exactly 3", "record 1"):
        meaning(parse(f"{counted}: class is A"), public, "output", 3, False)


def test_a_value_that_the_model_puts_in_place_of_a_missing_one_is_not_compared(artifact: Artifact) -> None:
    fields = artifact.manifest.model_dump(by_alias=True)
    fields["input"]["quantiser"]["imputed"] = [(0, 1.5)]
    public = Manifest.model_validate(fields)
    names = [one.name for one in public.input.features or []] or ["feature 0"]
    with pytest.raises(StatementError, match="of its own"):
        meaning(parse(f'"{names[0]}" >= 0'), public, "input", 1, False)
