"""Commitments as a client computes them, and single records of a batch."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import proofward_prover as prover
import pytest

from .conftest import SALTS, World, program


def test_stub_names_every_refusal() -> None:
    stub = ast.parse((Path(__file__).parents[2] / "prover" / "proofward_prover.pyi").read_text())
    codes = next(n for n in stub.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "Code")
    assert isinstance(codes.value, ast.Subscript)
    assert ast.literal_eval(codes.value.slice) == prover.CODES


def test_client_and_proof_commit_alike(single: World, batched: World) -> None:
    for world in (single, batched):
        circuit, made = world.circuit, world.proof
        assert made.outputs == circuit.evaluate(world.values)
        assert (
            prover.commit(circuit.input_bounds, circuit.batch, world.values, SALTS[0])
            == made.input_commitment
        )
        assert (
            prover.commit(circuit.output_bounds, circuit.batch, made.outputs, SALTS[1])
            == made.output_commitment
        )
        assert prover.verify(world.verifying_key, made.input_commitment, made.output_commitment, made.proof)


def test_layout_is_the_documented_one() -> None:
    """Bits above each other, then the salt's 31 bytes, through circomlib's Poseidon."""
    bounds = [(-8, 7), (0, 15), (5, 5), (0, 3)]
    values = [-3, 9, 5, 2]
    packed = 5 | 9 << 4 | 2 << 8
    salt = int.from_bytes(SALTS[0][:31], "little")
    expected = prover.poseidon([n.to_bytes(32, "big") for n in (packed, salt)])
    assert prover.commit(bounds, 1, values, SALTS[0]) == expected


def test_one_record_opens_alone(batched: World) -> None:
    bounds, values = batched.circuit.input_bounds, batched.values
    root = batched.proof.input_commitment
    for index in (0, 15, 16, 17):
        record = values[3 * index : 3 * index + 3]
        salt, path = prover.open_record(bounds, 18, values, SALTS[0], index)
        assert salt == hashlib.sha256(b"proofward/salt/v1" + SALTS[0] + index.to_bytes(4, "little")).digest()

        def check(record: list[int], salt: bytes, path: list[bytes], index: int) -> bool:
            return prover.check_record(bounds, 18, index, record, salt, path, root)

        assert check(record, salt, path, index)
        assert not check([record[0] - 1, *record[1:]], salt, path, index)
        assert not check(record, bytes(32), path, index)
        assert not check(record, salt, path[:-1], index)
        assert not check(record, salt, [*path, path[0]], index)
        assert not check(record, salt, path, (index + 1) % 18)


@pytest.mark.parametrize(
    ("values", "salt", "code"),
    [
        ([8, 0, 0], bytes(32), "input-out-of-range"),
        ([0, -1, 0], bytes(32), "input-out-of-range"),
        ([0, 0, 4], bytes(32), "input-out-of-range"),
        ([0, 0], bytes(32), "input-length"),
        ([0, 0, 0, 0], bytes(32), "input-length"),
        ([], bytes(32), "input-length"),
        ([0, 0, 0], bytes(31), "bad-salt"),
    ],
)
def test_refusals_come_before_proving(single: World, values: list[int], salt: bytes, code: str) -> None:
    for call in (
        lambda: prover.commit(single.circuit.input_bounds, 1, values, salt),
        lambda: prover.prove(single.key, single.circuit, values, salt, bytes(32)),
    ):
        with pytest.raises(prover.ProverError) as refused:
            call()
        assert refused.value.code == code


def test_damaged_program_is_refused_or_another_circuit(single: World) -> None:
    good = program()
    for at in range(len(good)):
        damaged = good[:at] + bytes([good[at] ^ 0x81]) + good[at + 1 :]
        try:
            code, digest = "", prover.Circuit(damaged).digest
        except prover.ProverError as refused:
            code, digest = refused.code, b""
        assert code in ("", "malformed-program", "over-limit", "overflow")
        assert digest != single.circuit.digest


def test_truncated_programs_are_refused() -> None:
    good = program()
    for size in range(len(good)):
        with pytest.raises(prover.ProverError) as refused:
            prover.Circuit(good[:size])
        assert refused.value.code == "malformed-program"
    with pytest.raises(prover.ProverError):
        prover.Circuit(good + b"\0")
