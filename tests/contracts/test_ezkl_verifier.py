"""EzklVerifier.sol on an EVM: the good proof passes, everything else is a clean false."""

from __future__ import annotations

import eth_abi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import optimized_bn128 as bn

from proofward.protocol import keccak256
from proofward.zkml.ezkl.lane import EzklLane
from proofward.zkml.verifier_contract import Contract, compile_contract
from tests.contracts.evm import SELECTOR, Deployed
from tests.ezkl_world import World, world

WORD = 32


@pytest.fixture(scope="module")
def w() -> World:
    return world()


@pytest.fixture(scope="module")
def contract(w: World) -> Deployed:
    return Deployed(_compiled(w).bytecode)


def _compiled(w: World) -> Contract:
    public = w.artifact.public
    return compile_contract(EzklLane().contract_source(public.manifest, public.files))


@pytest.fixture(scope="module")
def scalars(w: World) -> range:
    """Word indices of the proof's evaluations."""
    sources = EzklLane().contract_source(w.artifact.manifest, w.artifact.public.files).sources
    constants = dict(
        line.removeprefix("uint256 constant ").rstrip(";").split(" = ")
        for line in sources["Layout.sol"].splitlines()
        if line.startswith("uint256")
    )
    return range(int(constants["SCALARS_START"]) // WORD, int(constants["SCALARS_END"]) // WORD)


def test_good_proof_is_accepted_within_a_million_gas(w: World, contract: Deployed) -> None:
    answer = contract.verify(w.proof.input_commitment, w.proof.output_commitment, w.proof.proof)
    assert answer.accepted
    assert answer.gas < 1_000_000


def test_code_is_reproducible_and_what_the_chain_holds(w: World, contract: Deployed) -> None:
    assert contract.code == _compiled(w).runtime_code


@settings(max_examples=60)
@given(data=st.data())
def test_any_flipped_bit_is_refused(w: World, contract: Deployed, data: st.DataObject) -> None:
    proof = bytearray(w.proof.proof)
    bit = data.draw(st.integers(0, 8 * len(proof) - 1))
    proof[bit // 8] ^= 1 << bit % 8
    assert contract.verify(w.proof.input_commitment, w.proof.output_commitment, bytes(proof)).refused


def test_each_word_plus_its_modulus_is_refused(w: World, contract: Deployed, scalars: range) -> None:
    """The same element written twice: without the check, one proof would have many encodings."""
    proof = w.proof.proof
    for index in range(len(proof) // WORD):
        modulus = bn.curve_order if index in scalars else bn.field_modulus
        value = int.from_bytes(proof[index * WORD : (index + 1) * WORD], "big") + modulus
        if value >> 256:
            continue
        forged = proof[: index * WORD] + value.to_bytes(32, "big") + proof[(index + 1) * WORD :]
        inputs = forged[:64], forged[128:192]
        answer = contract.verify(keccak256(inputs[0]), keccak256(inputs[1]), forged)
        assert answer.refused, f"word {index}"


def test_faults_are_refused_without_a_revert(w: World, contract: Deployed) -> None:
    p, other = w.proof, w.other
    zero = bytes(32)
    faults = {
        "another input's commitment": (other.input_commitment, p.output_commitment, p.proof),
        "another output's commitment": (p.input_commitment, other.output_commitment, p.proof),
        "commitments swapped": (p.output_commitment, p.input_commitment, p.proof),
        "another job's proof": (p.input_commitment, p.output_commitment, other.proof),
        "input point of this, rest of another": (
            p.input_commitment,
            other.output_commitment,
            p.proof[:64] + other.proof[64:],
        ),
        "output point of this, rest of another": (
            other.input_commitment,
            p.output_commitment,
            other.proof[:128] + p.proof[128:192] + other.proof[192:],
        ),
        "truncated by a byte": (p.input_commitment, p.output_commitment, p.proof[:-1]),
        "truncated by a word": (p.input_commitment, p.output_commitment, p.proof[:-32]),
        "padded by a byte": (p.input_commitment, p.output_commitment, p.proof + b"\0"),
        "padded by a word": (p.input_commitment, p.output_commitment, p.proof + zero),
        "empty": (p.input_commitment, p.output_commitment, b""),
        "all zero": (keccak256(bytes(64)), keccak256(bytes(64)), bytes(len(p.proof))),
        "all ones": (keccak256(b"\xff" * 64), keccak256(b"\xff" * 64), b"\xff" * len(p.proof)),
        "input point at infinity": (keccak256(bytes(64)), p.output_commitment, bytes(64) + p.proof[64:]),
    }
    for name, arguments in faults.items():
        assert contract.verify(*arguments).refused, name


def test_out_of_gas_inside_is_a_refusal_and_below_that_never_a_yes(w: World, contract: Deployed) -> None:
    p = w.proof
    needed = contract.verify(p.input_commitment, p.output_commitment, p.proof).gas
    answers = [
        contract.verify(p.input_commitment, p.output_commitment, p.proof, gas)
        for gas in range(60_000, needed, 30_000)
    ]
    assert not any(answer.accepted for answer in answers)
    assert any(answer.refused for answer in answers)


def test_malformed_calldata_never_counts_as_yes(w: World, contract: Deployed) -> None:
    p = w.proof
    good = eth_abi.encode(["bytes32", "bytes32", "bytes"], [p.input_commitment, p.output_commitment, p.proof])
    inner = eth_abi.encode(["bytes", "uint256[]"], [p.proof, []])
    far = good[:64] + (2**255).to_bytes(32, "big") + good[96:]
    long = good[:96] + (2**64).to_bytes(32, "big") + good[128:]
    for name, calldata in {
        "no arguments": SELECTOR,
        "head only": SELECTOR + good[:96],
        "cut tail": SELECTOR + good[:-200],
        "offset out of range": SELECTOR + far,
        "length out of range": SELECTOR + long,
        "the inner call's arguments": SELECTOR + inner,
        "no selector": good,
        "empty": b"",
    }.items():
        assert not contract.call(calldata).accepted, name


def test_trailing_calldata_changes_nothing(w: World, contract: Deployed) -> None:
    """Bytes after the arguments never reach the generated verifier: the call to it is built anew."""
    p, other = w.proof, w.other
    good = eth_abi.encode(["bytes32", "bytes32", "bytes"], [p.input_commitment, p.output_commitment, p.proof])
    bad = eth_abi.encode(
        ["bytes32", "bytes32", "bytes"], [p.input_commitment, p.output_commitment, other.proof]
    )
    assert contract.call(SELECTOR + good + other.proof).accepted
    assert contract.call(SELECTOR + bad + good).refused
