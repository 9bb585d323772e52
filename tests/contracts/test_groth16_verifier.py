"""Groth16Verifier.sol on an EVM: true statements under any key pass, everything else does not. Statements
come from known trapdoors, so that faults can be made that nearly hold.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import eth_abi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import optimized_bn128 as bn

from proofward.protocol import keccak256
from proofward.zkml.contracts import (
    MAX_PROOFS,
    VerifierCode,
    accepted,
    check_code,
    verifier_code,
    verify_calldata,
    verify_many_calldata,
    well_formed_calldata,
)
from proofward.zkml.errors import ContractError
from proofward.zkml.verifier_contract import compile_solidity
from tests.contracts.evm import LaneVerifier
from tests.contracts.trapdoor import R, Statement, Trapdoor, g1, g2
from tests.prover.bn254 import off_subgroup

Q = bn.field_modulus
ROOT = Path(__file__).parents[2]
SOURCES = {
    name: (ROOT / "contracts" / "src" / name).read_text()
    for name in ("ILaneVerifier.sol", "Groth16Verifier.sol")
}
TRAPDOOR = Trapdoor.random(1)
KEY = TRAPDOOR.key
Case = tuple[bytes, bytes, bytes]
KEY_PARTS = {"alpha": 0, "beta": 64, "gamma": 192, "delta": 320, "IC0": 448, "IC1": 512, "IC2": 576}
PROOF_PARTS = {"A": 0, "B": 64, "C": 192}
IN_G2 = {"beta", "gamma", "delta", "B"}


@pytest.fixture(scope="module")
def verifier() -> LaneVerifier:
    return LaneVerifier()


@cache
def statements(count: int = 16) -> tuple[Statement, ...]:
    return tuple(TRAPDOOR.prove(seed) for seed in range(count))


@cache
def cases(count: int = 16) -> tuple[Case, ...]:
    return tuple(s.case for s in statements()[:count])


def word(n: int) -> bytes:
    return n.to_bytes(32, "big")


def put(data: bytes, at: int, part: bytes) -> bytes:
    return data[:at] + part + data[at + len(part) :]


def point_faults(data: bytes, parts: dict[str, int]) -> dict[str, bytes]:
    """Each point of a key or proof in every form that it must not have."""
    faults = {}
    for name, at in parts.items():
        size = 128 if name in IN_G2 else 64
        faults[f"{name} at infinity"] = put(data, at, bytes(size))
        off = data[at + size - 32 : at + size]
        faults[f"{name} off its curve"] = put(
            data, at + size - 32, word((int.from_bytes(off, "big") + 1) % Q)
        )
        for i in range(at, at + size, 32):
            plus = int.from_bytes(data[i : i + 32], "big") + Q
            faults[f"{name}, word {(i - at) // 32} plus the modulus"] = put(data, i, word(plus))
        faults[f"{name} all ones"] = put(data, at, b"\xff" * size)
        if size == 128:
            x1, x0, y1, y0 = (data[i : i + 32] for i in range(at, at + size, 32))
            faults[f"{name} off its subgroup"] = put(data, at, off_subgroup())
            faults[f"{name} with its parts in the other order"] = put(data, at, x0 + x1 + y0 + y1)
    return faults


def length_faults(data: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "truncated by a byte": data[:-1],
        "truncated by a word": data[:-32],
        "padded by a byte": data + b"\0",
        "padded by a word": data + bytes(32),
        "twice": data * 2,
    }


# ---- what holds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_true_statements_hold_under_any_key(verifier: LaneVerifier, seed: int) -> None:
    trapdoor = Trapdoor.random(seed)
    statement = trapdoor.prove(seed)
    assert verifier.well_formed(trapdoor.key).accepted
    assert verifier.verify_under(trapdoor.key, statement.case).accepted
    assert verifier.verify_many(trapdoor.key, [statement.case]).accepted
    assert verifier.verify_under(trapdoor.key, replace(statement, c=statement.c + 1).case).refused
    assert verifier.verify_under(KEY, statement.case).refused


def test_py_ecc_computes_the_same_equation() -> None:
    """The algebra that the other tests rest on, by another library's pairing."""
    s = statements()[0]
    sides = []
    for c in (s.c, s.c + 1):
        inputs = TRAPDOOR.ic[0] + s.input * TRAPDOOR.ic[1] + s.output * TRAPDOOR.ic[2]
        pairs = [(-s.a, s.b), (TRAPDOOR.alpha, TRAPDOOR.beta), (inputs, TRAPDOOR.gamma), (c, TRAPDOOR.delta)]
        product = bn.FQ12.one()
        for left, right in pairs:
            point, twist = bn.multiply(bn.G1, left % R), bn.multiply(bn.G2, right)
            product *= bn.pairing(twist, point, final_exponentiate=False)
        sides.append(bn.final_exponentiate(product) == bn.FQ12.one())
    assert sides == [True, False]


def test_rust_gives_the_same_verdicts(verifier: LaneVerifier) -> None:
    prover = pytest.importorskip("proofward_prover", reason="the prover needs rustup: make setup builds it")
    c_in, c_out, proof = cases()[0]
    assert prover.verify(KEY, c_in, c_out, proof)
    for name, bad in (point_faults(proof, PROOF_PARTS) | length_faults(proof)).items():
        assert not prover.verify(KEY, c_in, c_out, bad), name
    for name, bad in (point_faults(KEY, KEY_PARTS) | length_faults(KEY)).items():
        with pytest.raises(prover.ProverError) as refused:
            prover.verify(bad, c_in, c_out, proof)
        assert refused.value.code == "malformed-key", name


def test_gas_stays_within_its_bounds(verifier: LaneVerifier) -> None:
    """With a transaction's 21,000 and its calldata. A proof of a batch-16 circuit serves 16 inferences."""
    one = verifier.verify_under(KEY, cases()[0])
    many = verifier.verify_many(KEY, cases())
    check = verifier.well_formed(KEY)
    assert one.accepted
    assert many.accepted
    print(f"\ngas: one proof {one.gas}, an inference in a batch of 16 {one.gas / 16:.0f}, ", end="")
    print(f"a proof among sixteen {many.gas / 16:.0f}, a key's check {check.gas}")
    assert one.gas <= 240_000
    assert one.gas / 16 <= 15_000
    assert many.gas / 16 <= 80_000


def test_a_proof_is_no_identifier(verifier: LaneVerifier) -> None:
    """Documented: from one proof anybody makes another of the same statement, (zA, B/z, C)."""
    s = statements()[0]
    z = 0xC0FFEE
    other = replace(s, a=s.a * z % R, b=s.b * pow(z, -1, R) % R)
    assert other.case != s.case
    assert verifier.verify_under(KEY, other.case).accepted


def test_the_same_proof_twice_is_two_true_statements(verifier: LaneVerifier) -> None:
    assert verifier.verify_many(KEY, [cases()[0]] * 3).accepted
    bad = replace(statements()[0], c=5).case
    assert verifier.verify_many(KEY, [bad] * 3).refused


def test_as_many_proofs_as_one_call_takes(verifier: LaneVerifier) -> None:
    full = [cases()[i % 16] for i in range(MAX_PROOFS)]
    assert verifier.verify_many(KEY, full).accepted
    bad = replace(statements()[0], c=5).case
    assert verifier.verify_many(KEY, [*full[:-1], bad]).refused


# ---- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*point_faults(KEY, KEY_PARTS), *length_faults(KEY)])
def test_a_malformed_key_is_refused(verifier: LaneVerifier, name: str) -> None:
    key = (point_faults(KEY, KEY_PARTS) | length_faults(KEY))[name]
    assert verifier.well_formed(key).refused
    assert verifier.verify_under(key, cases()[0]).refused
    assert verifier.verify_many(key, cases(2)).refused


def test_a_point_of_the_key_exchanged_for_another_proves_nothing(verifier: LaneVerifier) -> None:
    """Well formed, and another key: what it verifies is another model."""
    for name, at in KEY_PARTS.items():
        key = put(KEY, at, g2(77) if name in IN_G2 else g1(77))
        assert verifier.well_formed(key).accepted, name
        assert verifier.verify_under(key, cases()[0]).refused, name


# ---- proofs and commitments ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*point_faults(cases()[0][2], PROOF_PARTS), *length_faults(cases()[0][2])])
def test_a_malformed_proof_is_refused_alone_and_among_others(verifier: LaneVerifier, name: str) -> None:
    c_in, c_out, proof = cases()[0]
    bad = (c_in, c_out, (point_faults(proof, PROOF_PARTS) | length_faults(proof))[name])
    assert verifier.verify_under(KEY, bad).refused
    assert verifier.verify_many(KEY, [cases()[1], bad, cases()[2]]).refused


def statement_faults() -> dict[str, Case]:
    s, other = statements()[:2]
    c_in, c_out, proof = s.case
    faults = {
        "commitments swapped": (c_out, c_in, proof),
        "another's input": (other.case[0], c_out, proof),
        "another's output": (c_in, other.case[1], proof),
        "another's proof": (c_in, c_out, other.case[2]),
        "A and C of one, B of another": (c_in, c_out, put(proof, 64, other.case[2][64:192])),
        "A negated": replace(s, a=-s.a % R).case,
        "A and C negated": replace(s, a=-s.a % R, c=-s.c % R).case,
        "C one generator further": replace(s, c=s.c + 1).case,
        "commitments of zero": (bytes(32), bytes(32), proof),
        "commitments of all ones": (b"\xff" * 32, b"\xff" * 32, proof),
    }
    for k in (1, 2, 3, 4, 5):
        if s.input + k * R < 1 << 256:
            faults[f"input plus {k} r"] = (word(s.input + k * R), c_out, proof)
        if s.output + k * R < 1 << 256:
            faults[f"output plus {k} r"] = (c_in, word(s.output + k * R), proof)
    return faults


@pytest.mark.parametrize("name", statement_faults())
def test_a_false_statement_is_refused_alone_and_among_others(verifier: LaneVerifier, name: str) -> None:
    bad = statement_faults()[name]
    assert verifier.verify_under(KEY, bad).refused
    assert verifier.verify_many(KEY, [cases()[2], bad, cases()[3]]).refused


def test_commitments_of_zero_and_of_one_are_numbers_like_others(verifier: LaneVerifier) -> None:
    for c_in, c_out in ((0, 0), (1, 1), (R - 1, 0)):
        s = replace(statements()[0], input=c_in, output=c_out)
        s = replace(s, c=0)
        s = replace(s, c=-TRAPDOOR.error(s) * pow(TRAPDOOR.delta, -1, R) % R)
        assert verifier.verify_under(KEY, s.case).accepted
        assert verifier.verify_many(KEY, [s.case, cases()[1]]).accepted


# ---- several proofs --------------------------------------------------------------------------------


@pytest.mark.parametrize("position", range(16))
def test_one_bad_proof_among_sixteen_spoils_them(verifier: LaneVerifier, position: int) -> None:
    spoilt = list(cases())
    spoilt[position] = replace(statements()[position], c=statements()[position].c + 1).case
    assert verifier.verify_many(KEY, spoilt).refused


def test_proofs_in_another_order_than_their_commitments_are_refused(verifier: LaneVerifier) -> None:
    inputs, outputs, proofs = (list(column) for column in zip(*cases(4), strict=True))
    assert verifier.call(verify_many_calldata(KEY, inputs, outputs, proofs)).accepted
    for name, columns in {
        "inputs and outputs exchanged": (outputs, inputs, proofs),
        "two inputs exchanged": ([inputs[1], inputs[0], *inputs[2:]], outputs, proofs),
        "two outputs exchanged": (inputs, [*outputs[:2], outputs[3], outputs[2]], proofs),
        "two proofs exchanged": (inputs, outputs, [proofs[1], proofs[0], *proofs[2:]]),
        "all proofs shifted": (inputs, outputs, proofs[1:] + proofs[:1]),
    }.items():
        assert verifier.call(verify_many_calldata(KEY, *columns)).refused, name


def weights(seeding: bytes, count: int) -> list[int]:
    seed = keccak256(seeding)
    return [int.from_bytes(keccak256(seed + word(i))[16:], "big") for i in range(count)]


def cancelling(w: list[int]) -> dict[str, list[Statement]]:
    """Pairs of false statements whose errors cancel under the weights w."""
    first, second = statements()[:2]
    step = 12345
    made = {
        "C": [replace(first, c=first.c + step * w[1]), replace(second, c=second.c - step * w[0])],
        "A": [
            replace(first, a=first.a + step * w[1] * pow(first.b, -1, R)),
            replace(second, a=second.a - step * w[0] * pow(second.b, -1, R)),
        ],
        "inputs": [
            replace(first, input=(first.input + step * w[1]) % R),
            replace(second, input=(second.input - step * w[0]) % R),
        ],
        "outputs": [
            replace(first, output=(first.output + step * w[1]) % R),
            replace(second, output=(second.output - step * w[0]) % R),
        ],
    }
    for pair in made.values():
        errors = [TRAPDOOR.error(s) for s in pair]
        assert all(errors)
        assert sum(e * x for e, x in zip(errors, w, strict=True)) % R == 0
    return made


def test_faults_that_cancel_without_weights_are_refused(verifier: LaneVerifier) -> None:
    for name, pair in cancelling([1, 1]).items():
        assert verifier.verify_many(KEY, [s.case for s in pair]).refused, name


def test_faults_that_cancel_under_predicted_weights_are_refused(verifier: LaneVerifier) -> None:
    """The attacker computes the weights of the honest call, then bends two statements so that these very
    weights cancel them; the bent call has other weights.
    """
    honest = verify_many_calldata(KEY, *(list(column) for column in zip(*cases(2), strict=True)))
    for name, pair in cancelling(weights(honest, 2)).items():
        assert verifier.verify_many(KEY, [s.case for s in pair]).refused, name


def test_that_attack_wins_where_weights_cover_less() -> None:
    """So the tests above can fail: weights drawn from the selector and the key alone are predictable."""
    covered = "keccak256(msg.data)"
    assert SOURCES["Groth16Verifier.sol"].count(covered) == 1
    weak = SOURCES["Groth16Verifier.sol"].replace(covered, "keccak256(msg.data[:KEY_AT + KEY_LENGTH])")
    built = compile_solidity({**SOURCES, "Groth16Verifier.sol": weak})["Groth16Verifier"]
    honest = verify_many_calldata(KEY, *(list(column) for column in zip(*cases(2), strict=True)))
    attacked = LaneVerifier(built.bytecode)
    for name, pair in cancelling(weights(honest[: 164 + len(KEY)], 2)).items():
        assert attacked.verify_many(KEY, [s.case for s in pair]).accepted, name


@settings(max_examples=12)
@given(good=st.lists(st.booleans(), min_size=1, max_size=5))
def test_many_says_what_each_alone_says(good: list[bool]) -> None:
    verifier = LaneVerifier()
    chosen = [
        s.case if ok else replace(s, output=(s.output + 1) % R).case
        for s, ok in zip(statements()[: len(good)], good, strict=True)
    ]
    alone = [verifier.verify_under(KEY, case).accepted for case in chosen]
    assert alone == good
    assert verifier.verify_many(KEY, chosen).accepted == all(good)


# ---- calls that ask nothing ------------------------------------------------------------------------

MANY = ["bytes", "bytes32[]", "bytes32[]", "bytes[]"]


def many(*arguments: object) -> bytes:
    return keccak256(b"verifyMany(bytes,bytes32[],bytes32[],bytes[])")[:4] + eth_abi.encode(MANY, arguments)


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "proofs"),
    [
        ("no proofs", 0, 0, 0),
        ("no proofs but inputs", 1, 1, 0),
        ("an input missing", 1, 2, 2),
        ("an output missing", 2, 1, 2),
        ("a proof missing", 2, 2, 1),
        ("an input too many", 3, 2, 2),
        ("no inputs", 0, 2, 2),
        ("one proof too many for a call", 65, 65, 65),
    ],
)
def test_arrays_that_do_not_match_are_an_error_not_an_answer(
    verifier: LaneVerifier, name: str, inputs: int, outputs: int, proofs: int
) -> None:
    found = [
        [cases()[i % 16][column] for i in range(n)] for column, n in enumerate((inputs, outputs, proofs))
    ]
    assert verifier.call(many(KEY, *found)).reverted
    with pytest.raises(ContractError) as refused:
        verify_many_calldata(KEY, *found)
    assert refused.value.code == "bad-arguments"


def calldata_faults(good: bytes) -> dict[str, bytes]:
    """One call's arguments in encodings that a lenient decoder takes for the same."""
    key_length = 4 + 4 * 32
    offsets = {
        at: int.from_bytes(good[at : at + 32], "big")
        for at in range(4, key_length, 32)
        if int.from_bytes(good[at : at + 32], "big") < len(good)
    }
    faults = {
        "a byte to spare": good + b"\0",
        "a word to spare": good + bytes(32),
        "itself to spare": good + good[4:],
    }
    for at, offset in offsets.items():
        faults[f"offset {at} plus 2^64"] = put(good, at, word(offset + (1 << 64)))
        faults[f"offset {at} plus 2^255"] = put(good, at, word(offset + (1 << 255)))
        faults[f"offset {at} a byte further"] = put(good, at, word(offset + 1))
        faults[f"offset {at} to the head"] = put(good, at, word(0))
        # The argument moved behind everything else, its old place left as a gap.
        faults[f"offset {at} to a copy at the end"] = put(good, at, word(len(good) - 4)) + good[4 + offset :]
    return faults


def test_calldata_has_one_encoding(verifier: LaneVerifier) -> None:
    columns = [list(column) for column in zip(*cases(2), strict=True)]
    calls = {
        "wellFormed": well_formed_calldata(KEY),
        "verify": verify_calldata(KEY, *cases()[0]),
        "verifyMany": verify_many_calldata(KEY, *columns),
    }
    for function, good in calls.items():
        assert verifier.call(good).accepted
        for name, bad in calldata_faults(good).items():
            assert not verifier.call(bad).accepted, f"{function}: {name}"
        for size in (0, 3, 4, 36, 132, 164, len(good) - 32, len(good) - 1):
            assert not verifier.call(good[:size]).accepted, f"{function}: {size} bytes"


def test_proofs_reached_by_crossed_or_shared_offsets_are_refused(verifier: LaneVerifier) -> None:
    inputs, outputs, proofs = (list(column) for column in zip(*cases(2), strict=True))
    good = verify_many_calldata(KEY, inputs, outputs, proofs)
    table = 4 + int.from_bytes(good[4 + 96 : 4 + 128], "big") + 32
    first, second = good[table : table + 32], good[table + 32 : table + 64]
    assert (int.from_bytes(first, "big"), int.from_bytes(second, "big")) == (64, 64 + 288)
    crossed = verify_many_calldata(KEY, inputs, outputs, proofs[::-1])
    assert verifier.call(put(crossed, table, second + first)).reverted
    same = verify_many_calldata(KEY, [inputs[0]] * 2, [outputs[0]] * 2, [proofs[0], proofs[1]])
    assert verifier.call(put(same, table, first + first)).reverted
    assert not verifier.call(put(good, table + 32, word(2**256 - 32))).accepted


@settings(max_examples=150)
@given(data=st.data())
def test_no_bit_of_a_call_can_be_flipped(data: st.DataObject) -> None:
    columns = [list(column) for column in zip(*cases(2), strict=True)]
    calls = [verify_calldata(KEY, *cases()[0]), verify_many_calldata(KEY, *columns)]
    call = bytearray(data.draw(st.sampled_from(calls)))
    bit = data.draw(st.integers(0, 8 * len(call) - 1))
    call[bit // 8] ^= 1 << bit % 8
    assert not _SHARED.call(bytes(call)).accepted


_SHARED = LaneVerifier()


def test_too_little_gas_is_never_a_yes(verifier: LaneVerifier) -> None:
    needed = verifier.verify_under(KEY, cases()[0]).gas
    for gas in range(40_000, needed, 9_000):
        assert not verifier.verify_under(KEY, cases()[0], gas).accepted, gas
    needed = verifier.verify_many(KEY, cases(2)).gas
    for gas in range(60_000, needed, 20_000):
        assert not verifier.verify_many(KEY, cases(2), gas).accepted, gas


# ---- the artefact ----------------------------------------------------------------------------------


def test_artefact_is_what_the_pinned_compiler_makes_of_the_sources() -> None:
    """What `make contracts` runs."""
    command = [sys.executable, str(ROOT / "contracts" / "build.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert verifier_code("groth16").code_hash.hex() in done.stdout


def test_artefact_deploys_to_the_code_it_names(verifier: LaneVerifier) -> None:
    code = verifier_code("groth16")
    assert verifier.code == code.runtime_code
    assert keccak256(verifier.code) == code.code_hash


def test_another_contracts_code_is_not_the_lanes(verifier: LaneVerifier) -> None:
    assert check_code("groth16", verifier.code).ok
    for other in (b"", verifier.code[:-1], verifier.code + b"\0", bytes.fromhex("60015f5260205ff3")):
        check = check_code("groth16", other)
        assert not check.ok
        assert "proves nothing" in check.detail


def test_ezkl_has_no_contract_for_all_its_models() -> None:
    with pytest.raises(ContractError) as refused:
        verifier_code("ezkl")
    assert refused.value.code == "no-lane-verifier"


def test_code_has_no_state_no_owner_and_calls_no_contract() -> None:
    """By its instructions: no storage, no question about caller or block, no call but a static one."""
    forbidden = {
        *range(0x31, 0x34),  # BALANCE, ORIGIN, CALLER
        *range(0x3A, 0x3D),  # GASPRICE, EXTCODESIZE, EXTCODECOPY
        *range(
            0x3F, 0x4B
        ),  # EXTCODEHASH, and the block's: hash, miner, time, number, randomness, chain id, fees
        *range(0x54, 0x56),  # SLOAD, SSTORE
        *range(0x5C, 0x5E),  # TLOAD, TSTORE
        *range(0xA0, 0xA5),  # LOG0 to LOG4
        *range(0xF0, 0xF3),  # CREATE, CALL, CALLCODE
        *(0xF4, 0xF5, 0xFF),  # DELEGATECALL, CREATE2, SELFDESTRUCT
    }
    code, at, used = verifier_code("groth16").runtime_code, 0, set()
    while at < len(code) and code[at] != 0xFE:  # INVALID parts the code from its constants
        used.add(code[at])
        at += 1 + (code[at] - 0x5F if 0x60 <= code[at] <= 0x7F else 0)
    assert used & forbidden == set()
    assert {0xFA, 0xFD} <= used, "STATICCALL and REVERT: the walk reads instructions"
    assert code[at + 1 :] in (b"", word(Q), word(R), word(Q) + word(R), word(R) + word(Q))


def test_answer_other_than_the_word_one_is_no_yes() -> None:
    assert accepted(word(1))
    for answer in (b"", b"\1", word(0), word(2), word(1 << 255), word(1) + b"\0", word(1) * 2):
        assert not accepted(answer)


def test_commitment_of_another_length_is_refused_before_it_is_encoded() -> None:
    c_in, c_out, proof = cases()[0]
    for bad in (c_in[:31], c_in + b"\0", b""):
        with pytest.raises(ContractError):
            verify_calldata(KEY, bad, c_out, proof)


def test_damaged_artefact_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module: Any = importlib.import_module("proofward.zkml.contracts")
    good = json.loads((Path(module.__file__).parent / "Groth16Verifier.json").read_text())
    flipped = {**good, "runtime_code": good["runtime_code"][:-2] + "00"}
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    documents: list[Any] = [flipped, {**good, "init_code": "no hex"}, {"abi": []}, []]
    for document in documents:
        (tmp_path / "Groth16Verifier.json").write_text(json.dumps(document))
        with pytest.raises(ContractError) as refused:
            verifier_code.__wrapped__("groth16")
        assert refused.value.code == "bad-artefact"


def test_code_object_is_complete() -> None:
    code = verifier_code("groth16")
    assert isinstance(code, VerifierCode)
    assert {entry.get("name") for entry in code.abi} >= {"wellFormed", "verify", "verifyMany"}
    assert code.init_code.endswith(code.runtime_code)
