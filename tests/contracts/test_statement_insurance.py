"""StatementInsurance.sol on an EVM: it pays the holder once, when both proofs hold, and nobody else ever."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import eth_abi
import pyrevm
import pytest
from eth_utils import function_signature_to_4byte_selector

from proofward.client import statements
from proofward.statements import statement as files
from proofward.statements.contracts import insurance
from proofward.statements.statement import Statement
from proofward.zkml.contracts import verifier_code
from tests.evidence import Evidence
from tests.statements.test_statement import opened, sentence

INSURER, STRANGER, HOLDER = ("0x" + one * 20 for one in ("11", "22", "33"))
SUM, UNTIL = 10**18, 2**40
PAY = "pay(bytes32,bytes32,bytes,bytes,bytes,bytes)"


@dataclass
class Insurance:
    """The contract, deployed for the tiny model and the sentence, with one policy on the job's input."""

    evm: pyrevm.EVM
    address: str
    arguments: list[bytes]

    def send(
        self, signature: str, types: list[str], values: list[object], who: str = STRANGER, wei: int = 0
    ) -> Any:
        data = function_signature_to_4byte_selector(signature) + eth_abi.encode(types, values)
        return self.evm.message_call(who, self.address, calldata=data, value=wei, gas=5_000_000)

    def pay(self, arguments: list[bytes]) -> None:
        self.send(PAY, ["bytes32", "bytes32", "bytes", "bytes", "bytes", "bytes"], list(arguments))

    def insure(self, commitment: bytes, who: str = INSURER, wei: int = SUM) -> None:
        types = ["bytes32", "address", "uint64"]
        self.send("insure(bytes32,address,uint64)", types, [commitment, HOLDER, UNTIL], who, wei)


@pytest.fixture(scope="module")
def proved(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> tuple[Statement, bytes]:
    public, text = evidence.artifact.public, sentence(evidence)
    key = statements.key_for(text, public, 1, False, "output", tmp_path_factory.mktemp("keys"))
    return files.prove(text, public, opened(evidence), key), key.verifying_key


@pytest.fixture
def insured(evidence: Evidence, proved: tuple[Statement, bytes]) -> Insurance:
    statement, key = proved
    evm = pyrevm.EVM(gas_limit=2**40)
    for who in (INSURER, STRANGER):
        evm.set_balance(who, 10**24)
    verifier = evm.deploy(INSURER, verifier_code("groth16").init_code, gas=30_000_000)
    meant = statement.meaning(evidence.artifact.public)
    claim = meant.shape.word(meant.claim)
    vk = evidence.artifact.public.vk
    head = eth_abi.encode(["address", "bytes", "bytes", "bytes32"], [verifier, vk, key, claim])
    address = evm.deploy(INSURER, insurance().init_code + head, gas=30_000_000)
    job = evidence.bundle
    arguments = [
        job.job.input_commitment, job.result.output_commitment, vk, job.result.proof,
        key, bytes.fromhex(statement.proof),
    ]  # fmt: skip
    made = Insurance(evm, address, arguments)
    made.insure(job.job.input_commitment)
    word = made.send("within(uint256,uint256)", ["uint256", "uint256"], [meant.claim.low, meant.claim.high])
    assert bytes(word) == claim
    return made


def test_the_holder_is_paid_once_whoever_sends_the_proofs(insured: Insurance) -> None:
    insured.pay(insured.arguments)
    assert insured.evm.get_balance(HOLDER) == SUM
    with pytest.raises(RuntimeError):
        insured.pay(insured.arguments)
    assert insured.evm.get_balance(HOLDER) == SUM


@pytest.mark.parametrize("part", range(6))
def test_a_change_of_any_argument_pays_nothing(part: int, insured: Insurance) -> None:
    forged = list(insured.arguments)
    forged[part] = forged[part][:-1] + bytes([forged[part][-1] ^ 1])
    with pytest.raises(RuntimeError):
        insured.pay(forged)
    assert insured.evm.get_balance(HOLDER) == 0


def test_another_sentence_of_the_same_output_pays_nothing(
    insured: Insurance, evidence: Evidence, tmp_path: Path
) -> None:
    text = sentence(evidence, -1)
    public = evidence.artifact.public
    key = statements.key_for(text, public, 1, False, "output", tmp_path)
    other = files.prove(text, public, opened(evidence), key)
    forged = [*insured.arguments[:5], bytes.fromhex(other.proof)]
    with pytest.raises(RuntimeError):
        insured.pay(forged)
    # Neither does it under the key that its maker brings along.
    with pytest.raises(RuntimeError):
        insured.pay([*forged[:4], key.verifying_key, forged[5]])


def test_only_the_insurer_insures_and_only_time_takes_it_back(insured: Insurance) -> None:
    other = bytes(31) + b"\1"
    with pytest.raises(RuntimeError):
        insured.insure(other, who=STRANGER)
    with pytest.raises(RuntimeError):
        insured.insure(other, wei=0)
    with pytest.raises(RuntimeError):
        insured.insure(insured.arguments[0])
    lapse: tuple[str, list[str], list[object]] = ("lapse(bytes32)", ["bytes32"], [insured.arguments[0]])
    with pytest.raises(RuntimeError):
        insured.send(*lapse)
    insured.evm.set_block_env(pyrevm.BlockEnv(timestamp=UNTIL + 1))
    with pytest.raises(RuntimeError):  # whether or not somebody has let it lapse
        insured.pay(insured.arguments)
    assert insured.evm.get_balance(HOLDER) == 0
    before = insured.evm.get_balance(INSURER)
    insured.send(*lapse)
    assert insured.evm.get_balance(INSURER) == before + SUM
    with pytest.raises(RuntimeError):
        insured.pay(insured.arguments)
