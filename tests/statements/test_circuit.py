"""The circuit says what the claim says, whatever choice a prover makes."""

from __future__ import annotations

from random import Random

import proofward_prover as prover
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.statements.errors import StatementError
from proofward.statements.program import Claim, Shape


@st.composite
def cases(draw: st.DrawFn) -> tuple[Shape, Claim, list[list[int]]]:
    n, k = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    widths = draw(st.lists(st.integers(1, 5), min_size=k, max_size=k))
    lows = draw(st.lists(st.integers(-20, 20), min_size=k, max_size=k))
    bounds = [(low, low + (1 << w) - 1) for low, w in zip(lows, widths, strict=True)]
    shape = Shape.of(bounds, n, draw(st.booleans()))
    top = (1 << min(shape.span, 7)) - 1
    number = st.integers(0, top) | st.sampled_from([0, (1 << shape.span) - 1])
    bit = st.integers(0, 1)
    claim = Claim(
        draw(number),
        draw(number),
        draw(st.integers(0, n)) if n > 1 else 1,
        draw(st.integers(0, n)) if n > 1 else 1,
        tuple(draw(st.lists(bit, min_size=n, max_size=n))) if n > 1 else (1,),
        draw(bit) if k > 1 else 0,
        tuple(draw(st.lists(bit, min_size=k, max_size=k))) if k > 1 else (1,),
        tuple(low - min(lows) for low in lows) if k > 1 else (0,),
    )
    value = st.integers(0, 31)
    records = [[draw(value) % (1 << w) for w in widths] for _ in range(n)]
    return shape, claim, records


@settings(max_examples=60)
@given(cases(), st.randoms(use_true_random=False))
def test_the_circuit_agrees_with_the_claim_and_no_choice_makes_it_true(
    case: tuple[Shape, Claim, list[list[int]]], random: Random
) -> None:
    shape, claim, records = case
    evaluate = shape.circuit.evaluate
    assignment = shape.assignment(claim, records)
    assert (evaluate(assignment)[-1] == 1) == claim.holds(shape, records)
    hints = len(records) if len(shape.widths) > 1 else 0
    for _ in range(4 if hints else 0):
        forged = assignment[: len(assignment) - hints]
        forged += [random.randrange(len(shape.widths)) for _ in range(hints)]
        truth = evaluate(forged)[-1]
        assert truth in (0, 1)
        # A worse choice makes fewer records true: it can only fall out of an upper bound's way.
        assert truth == 0 or claim.least <= len(records)
        if truth == 1 and claim.most >= sum(claim.among):
            assert claim.holds(shape, records)


def test_widths_of_56_bits_are_compared_to_the_last() -> None:
    shape = Shape.of([(0, (1 << 56) - 1)], 1, False)
    for value, low, high in [((1 << 56) - 1, (1 << 56) - 1, (1 << 56) - 1), (0, 0, 0), (7, 8, 9), (9, 7, 8)]:
        claim = Claim(low, high)
        truth = shape.circuit.evaluate(shape.assignment(claim, [[value]]))[-1]
        assert (truth == 1) == (low <= value <= high)
    with pytest.raises(StatementError, match="56 at most"):
        Shape.of([(0, 1 << 56)], 1, False)


def test_models_of_one_output_share_a_circuit() -> None:
    first, second = Shape.of([(-5, 70)], 1, False), Shape.of([(-(1 << 30), 1 << 33)], 1, True)
    assert first == second
    assert first.circuit.digest == second.circuit.digest
    assert Shape.of([(-5, 70)], 2, False).circuit.digest != first.circuit.digest
    several = Shape.of([(-5, 70)], 2, False), Shape.of([(-5, 70)], 2, True)
    assert several[0].circuit.digest != several[1].circuit.digest


def test_a_scalars_claim_is_its_numbers_in_plain() -> None:
    shape = Shape.of([(0, 1000)], 1, False)
    assert int.from_bytes(shape.word(Claim(3, 77)), "big") == 3 | 77 << 48 | 1 << 96
    with pytest.raises(StatementError):
        shape.word(Claim(-1, 77))


def test_a_commitment_opens_whatever_width_a_scalar_is_widened_to() -> None:
    """A model's own commitment is the statement's first input, though its bounds are narrower."""
    salt = prover.open_record([(-5, 70)], 1, [12], bytes(range(32)), 0)[0]
    own = prover.commit([(-5, 70)], 1, [12], bytes(range(32)))
    wide = prover.commit([(0, (1 << 48) - 1)], 1, [17], bytes(range(32)))
    assert own == wide
    assert salt[-1] == 0


@pytest.mark.parametrize(("records", "values"), [(0, 1), (33, 1), (1, 0), (2, 3), (1, 60)])
def test_a_form_that_a_programs_inputs_do_not_have_is_refused(records: int, values: int) -> None:
    from proofward.statements.program import program

    bytes_ = program(Shape.of([(0, 9), (0, 9)], 1, False)).encode()
    with pytest.raises(prover.ProverError) as refused:
        prover.Circuit.statement(bytes_, records, values, False)
    assert refused.value.code in ("over-limit", "input-length")
