"""Three verifiers, one verdict: Rust, the contract in an EVM, and snarkjs, on good and bad proofs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import proofward_prover as prover
import pytest

from tests.contracts.evm import LaneVerifier
from tests.prover.bn254 import Q, R, off_subgroup
from tests.prover.conftest import World

Case = tuple[bytes, bytes, bytes]


def word(n: int) -> bytes:
    return n.to_bytes(32, "big")


def replaced(proof: bytes, at: int, part: bytes) -> bytes:
    return proof[:at] + part + proof[at + len(part) :]


def bad_cases(world: World) -> dict[str, Case]:
    """Name -> (input commitment, output commitment, proof) that nobody may accept."""
    made = world.proof
    proof, c_in, c_out = made.proof, made.input_commitment, made.output_commitment
    other = prover.prove(world.key, world.circuit, [0, 0, 0], bytes(32), bytes(32))
    y = int.from_bytes(proof[32:64], "big")
    cases = {
        f"byte {i} flipped": (c_in, c_out, replaced(proof, i, bytes([proof[i] ^ 1 << i % 8])))
        for i in range(256)
    }
    cases |= {
        "commitments swapped": (c_out, c_in, proof),
        "another proof's input": (other.input_commitment, c_out, proof),
        "another proof's output": (c_in, other.output_commitment, proof),
        "a mixture of two proofs": (c_in, c_out, proof[:192] + other.proof[192:]),
        "A negated": (c_in, c_out, replaced(proof, 32, word(Q - y))),
        "A at infinity": (c_in, c_out, replaced(proof, 0, bytes(64))),
        "everything at infinity": (c_in, c_out, bytes(256)),
        "A off the curve": (c_in, c_out, replaced(proof, 0, word(1) + word(1))),
        "B off the subgroup": (c_in, c_out, replaced(proof, 64, off_subgroup())),
        "ones": (c_in, c_out, b"\xff" * 256),
    }
    return cases


def overflowing_cases(world: World) -> dict[str, Case]:
    """The same numbers modulo the fields, written differently: malleability, were it accepted."""
    made = world.proof
    proof, c_in, c_out = made.proof, made.input_commitment, made.output_commitment
    shifted = {
        f"coordinate {i} plus q": (c_in, c_out, replaced(proof, 32 * i, word(n + Q)))
        for i in range(8)
        if (n := int.from_bytes(proof[32 * i : 32 * i + 32], "big")) + Q < 1 << 256
    }
    for name, k in (("r", R), ("2r", 2 * R)):
        plus = [word(int.from_bytes(c, "big") + k) for c in (c_in, c_out)]
        shifted |= {
            f"input commitment plus {name}": (plus[0], c_out, proof),
            f"output commitment plus {name}": (c_in, plus[1], proof),
        }
    return shifted


def snarkjs(world: World, cases: list[Case]) -> list[bool]:
    def points(proof: bytes) -> dict[str, object]:
        n = [str(int.from_bytes(proof[i : i + 32], "big")) for i in range(0, 256, 32)]
        pi_b = [[n[3], n[2]], [n[5], n[4]], ["1", "0"]]
        return {"pi_a": [n[0], n[1], "1"], "pi_b": pi_b, "pi_c": [n[6], n[7], "1"], "protocol": "groth16"}

    publics = [[str(int.from_bytes(c, "big")) for c in case[:2]] for case in cases]
    listed = [{"proof": points(case[2]), "publics": p} for case, p in zip(cases, publics, strict=True)]
    request = json.dumps({"key": json.loads(prover.verifying_key_json(world.verifying_key)), "cases": listed})
    script = Path(__file__).with_name("snarkjs.mjs")
    done = subprocess.run(
        ["node", str(script)], input=request, capture_output=True, text=True, check=True, timeout=300
    )
    verdicts: list[bool] = json.loads(done.stdout)
    return verdicts


def accepted(world: World, case: Case) -> bool:
    return prover.verify(world.verifying_key, *case)


def test_rust_refuses_what_is_bad(single: World) -> None:
    made = single.proof
    good = (made.input_commitment, made.output_commitment, made.proof)
    assert accepted(single, good)
    assert prover.verify_made(single.verifying_key, *good)
    for name, case in (bad_cases(single) | overflowing_cases(single)).items():
        assert not accepted(single, case), name
        assert not prover.verify_made(single.verifying_key, *case), name
        assert not prover.batch_verify(single.verifying_key, [case]), name


def test_lane_verifier_refuses_what_is_bad(single: World, batched: World) -> None:
    verifier = LaneVerifier()
    good = []
    for world in (single, batched):
        made = world.proof
        assert verifier.well_formed(world.verifying_key).accepted
        case = (made.input_commitment, made.output_commitment, made.proof)
        assert verifier.verify_under(world.verifying_key, case).accepted
        assert verifier.verify_many(world.verifying_key, [case] * 2).accepted
        good.append(case)
    assert verifier.verify_under(single.verifying_key, good[1]).refused
    for name, case in (bad_cases(single) | overflowing_cases(single)).items():
        assert verifier.verify_under(single.verifying_key, case).refused, name
        assert verifier.verify_many(single.verifying_key, [good[0], case]).refused, name


def test_snarkjs_agrees(single: World, batched: World, contracts: Path) -> None:
    for world in (single, batched):
        made = world.proof
        cases = [(made.input_commitment, made.output_commitment, made.proof)]
        if world is single:
            cases += bad_cases(world).values()
        verdicts = snarkjs(world, cases)
        assert verdicts[0] is True
        assert not any(verdicts[1:])


def test_exported_json_is_snarkjs_form(single: World) -> None:
    made = single.proof
    proof, publics = prover.proof_json(made.input_commitment, made.output_commitment, made.proof)
    assert json.loads(publics) == [
        str(int.from_bytes(c, "big")) for c in (made.input_commitment, made.output_commitment)
    ]
    assert json.loads(proof)["pi_a"][0] == str(int.from_bytes(made.proof[:32], "big"))
    with pytest.raises(prover.ProverError) as refused:
        prover.proof_json(made.input_commitment, made.output_commitment, bytes(256))
    assert refused.value.code == "malformed-proof"


def test_another_models_key_refuses(single: World, batched: World) -> None:
    made = single.proof
    case = (made.input_commitment, made.output_commitment, made.proof)
    assert not accepted(batched, case)
    with pytest.raises(prover.ProverError) as refused:
        prover.prove(single.key, batched.circuit, batched.values, bytes(32), bytes(32))
    assert refused.value.code == "key-mismatch"


def test_one_bad_proof_spoils_a_batch(single: World) -> None:
    proofs = [
        prover.prove(single.key, single.circuit, [i - 8, i, i % 4], bytes(32), bytes(32)) for i in range(5)
    ]
    items = [(p.input_commitment, p.output_commitment, p.proof) for p in proofs]
    assert prover.batch_verify(single.verifying_key, items)
    with pytest.raises(prover.ProverError) as refused:
        prover.batch_verify(single.verifying_key, [])
    assert refused.value.code == "input-length"
    for i in range(5):
        # Two errors that would cancel without random weights: proofs exchanged.
        j = (i + 1) % 5
        crossed = list(items)
        crossed[i], crossed[j] = (*items[i][:2], items[j][2]), (*items[j][:2], items[i][2])
        assert not prover.batch_verify(single.verifying_key, crossed)


@pytest.mark.parametrize("at", [0, 64, 200, 448, 639])
def test_damaged_verifying_key_is_refused(single: World, at: int) -> None:
    key = bytearray(single.verifying_key)
    key[at] ^= 1
    made = single.proof
    with pytest.raises(prover.ProverError) as refused:
        prover.verify(bytes(key), made.input_commitment, made.output_commitment, made.proof)
    assert refused.value.code == "malformed-key"
