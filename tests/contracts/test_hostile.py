"""The hostile contracts are what they claim, and none passes for the model's verifier."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import eth_abi
import pytest

from proofward.zkml.contracts import check_code
from proofward.zkml.verifier_contract import Contract, compile_solidity
from tests.contracts.evm import Answer, Deployed

SOURCE = Path(__file__).parents[2] / "contracts" / "test" / "Hostile.sol"


@cache
def hostile() -> dict[str, Contract]:
    return compile_solidity({"Hostile.sol": SOURCE.read_text()})


def deploy(name: str, arguments: bytes = b"") -> Deployed:
    return Deployed(hostile()[name].bytecode + arguments)


def ask(name: str, arguments: bytes = b"") -> Answer:
    return deploy(name, arguments).verify(bytes(32), bytes(32), b"")


def test_a_contract_that_says_yes_is_not_the_models() -> None:
    contract = deploy("SaysYes")
    assert contract.verify(bytes(32), bytes(32), b"").accepted
    check = check_code("groth16", contract.code)
    assert not check.ok
    assert "proves nothing" in check.detail


@pytest.mark.parametrize(
    "name", ["BurnsGas", "Reverts", "ReturnsGarbage", "ReturnsShort", "ReturnsNothing", "ReturnsMegabyte"]
)
def test_only_one_word_of_true_is_acceptance(name: str) -> None:
    assert not ask(name).accepted


def test_reentering_contract_reaches_its_target_and_says_yes() -> None:
    writes = deploy("WritesState")
    arguments = eth_abi.encode(["address", "bytes"], [writes.address, b""])
    assert ask("Reenters", arguments).accepted
