"""The integer program: one meaning in numpy and in Rust, bounds that hold, canonical bytes."""

from __future__ import annotations

import numpy as np
import proofward_prover as prover
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.zkml.errors import CompileError, InputRangeError
from proofward.zkml.groth16.program import bounds, reference
from proofward.zkml.groth16.program.program import (
    Builder,
    Input,
    Program,
    ReluShift,
    Shift,
    Thermometer,
    linear,
)
from tests.zkml.programs import programs, records


@given(st.data())
@settings(max_examples=150)
def test_numpy_and_rust_agree_to_the_bit(data: st.DataObject) -> None:
    program = data.draw(programs())
    values = data.draw(records(program))
    expected = reference.evaluate(program, values)
    assert prover.evaluate(program.encode(), values.reshape(-1).tolist()) == expected.reshape(-1).tolist()


@given(st.data())
@settings(max_examples=40)
def test_bounds_and_constraints_are_the_circuits(data: st.DataObject) -> None:
    program = data.draw(programs())
    found = bounds.analyse(program)
    circuit = prover.Circuit(program.encode(), 1)
    outputs = program.output.wires
    assert circuit.output_bounds == list(
        zip(found.low[outputs].tolist(), found.high[outputs].tolist(), strict=True)
    )
    layers = [count for _, count in circuit.constraints_by_layer][: len(program.nodes)]
    assert layers == [count for _, count in found.constraints]


@given(st.data())
@settings(max_examples=60)
def test_bytes_are_canonical_and_decode_to_the_same_program(data: st.DataObject) -> None:
    encoded = data.draw(programs()).encode()
    assert Program.decode(encoded).encode() == encoded
    for broken in (encoded[:-1], encoded + b"\x00", b"XXXX" + encoded[4:]):
        with pytest.raises(ValueError, match="program"):
            Program.decode(broken)


def test_programs_beyond_the_limits_or_without_ends_are_no_programs() -> None:
    builder = Builder()
    rank = builder.add(Input(np.array([0]), np.array([3])))
    builder.add(Thermometer(0, 3))
    good = builder.finish(rank).encode()
    too_many_wires = good.replace(
        b"\x04\x00\x00\x00\x00\x00\x03\0\0\0", b"\x04\x00\x00\x00\x00\x00\x03\0\0\x01"
    )
    no_output = good[:6] + b"\x01" + good[7:-11]
    for broken in (too_many_wires, no_output, good[:6] + bytes(4)):
        assert broken != good
        with pytest.raises(ValueError, match="program"):
            Program.decode(broken)


def _single(low: int, high: int, shift: int, relu: bool) -> Program:
    builder = Builder()
    wires = builder.add(Input(np.array([low]), np.array([high])))
    return builder.finish(builder.add(ReluShift(shift, wires) if relu else Shift(shift, wires)))


@pytest.mark.parametrize(
    ("value", "shift", "rounded"),
    [
        (5, 1, 3),
        (-5, 1, -2),
        (-6, 1, -3),
        (7, 2, 2),
        (6, 2, 2),
        (-2, 2, 0),
        (-3, 2, -1),
        (1 << 40, 30, 1024),
    ],
)
def test_a_shift_rounds_half_up_and_relu_cuts_at_zero(value: int, shift: int, rounded: int) -> None:
    for relu in (False, True):
        program = _single(-(1 << 41), 1 << 41, shift, relu)
        expected = max(0, rounded) if relu else rounded
        values = np.array([[value]], dtype=np.int64)
        assert reference.evaluate(program, values)[0, 0] == expected
        assert prover.evaluate(program.encode(), [value]) == [expected]


def test_a_record_out_of_range_is_refused_by_both() -> None:
    program = _single(0, 7, 1, False)
    with pytest.raises(InputRangeError):
        reference.evaluate(program, np.array([[8]], dtype=np.int64))
    with pytest.raises(prover.ProverError) as caught:
        prover.evaluate(program.encode(), [8])
    assert caught.value.code == "input-out-of-range"


def test_a_program_that_may_overflow_is_refused_by_both() -> None:
    builder = Builder()
    wires = builder.add(Input(np.array([0]), np.array([(1 << 40) - 1])))
    program = builder.finish(builder.add(linear([(0, {int(wires[0]): 1 << 21})], "wide")))
    with pytest.raises(CompileError, match="wide"):
        bounds.analyse(program)
    with pytest.raises(prover.ProverError) as caught:
        prover.Circuit(program.encode(), 1)
    assert caught.value.code == "overflow"
