"""Commitments as a client computes them, and single records of a batch."""

from __future__ import annotations

import ast
from pathlib import Path

import proofward_prover as prover
import pytest

from proofward.protocol import record_salts
from tests.prover.conftest import SALTS, World, program


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
    """Bits above each other, then the record's salt, through circomlib's Poseidon with a tag for capacity."""
    bounds = [(-8, 7), (0, 15), (5, 5), (0, 3)]
    values = [-3, 9, 5, 2]
    packed = 5 | 9 << 4 | 2 << 8

    def tagged(kind: bytes, inputs: list[int]) -> bytes:
        words = [n.to_bytes(32, "big") for n in inputs]
        return prover.poseidon(words, (b"proofward/commit/v2/" + kind).rjust(32, b"\0"))

    first, second = (int.from_bytes(salt, "little") for salt in record_salts(SALTS[0], 2))
    leaf = tagged(b"record", [packed, first])
    assert prover.commit(bounds, 1, values, SALTS[0]) == leaf
    leaves = [int.from_bytes(leaf, "big"), int.from_bytes(tagged(b"record", [packed, second]), "big")]
    assert prover.commit(bounds, 2, values * 2, SALTS[0]) == tagged(b"node", leaves)
    wide = [(0, 2**60 - 1)] * 64
    elements = [sum(1 << 60 * i for i in range(4))] * 16
    part = int.from_bytes(tagged(b"part", elements), "big")
    assert prover.commit(wide, 1, [1] * 64, SALTS[0]) == tagged(b"record", [part, first])


def test_every_bit_of_a_salt_counts() -> None:
    seen = {prover.commit([(0, 1)], 1, [1], SALTS[0])}
    for bit in range(256):
        salt = bytearray(SALTS[0])
        salt[bit // 8] ^= 1 << bit % 8
        seen.add(prover.commit([(0, 1)], 1, [1], bytes(salt)))
    assert len(seen) == 257


def test_a_records_salt_has_one_form() -> None:
    salt, path = prover.open_record([(0, 1)], 2, [1, 0], SALTS[0], 1)
    root = prover.commit([(0, 1)], 2, [1, 0], SALTS[0])
    assert prover.check_record([(0, 1)], 2, 1, [0], salt, path, root)
    with pytest.raises(prover.ProverError) as refused:
        prover.check_record([(0, 1)], 2, 1, [0], salt[:31] + b"\1", path, root)
    assert refused.value.code == "bad-salt"


def test_one_record_opens_alone(batched: World) -> None:
    bounds, values = batched.circuit.input_bounds, batched.values
    root = batched.proof.input_commitment
    for index in (0, 15, 16, 17):
        record = values[3 * index : 3 * index + 3]
        salt, path = prover.open_record(bounds, 18, values, SALTS[0], index)
        assert salt == record_salts(SALTS[0], 18)[index]

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
