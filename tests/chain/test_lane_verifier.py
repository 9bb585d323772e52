"""The lanes' verifiers on our chain: the committed code runs there, and says what it says on a plain EVM."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from web3 import Web3
from web3.exceptions import ContractCustomError
from web3.middleware import SignAndSendRawMiddlewareBuilder

from proofward.chain.ethereum.provider import SubstrateProvider
from proofward.chain.ethereum.server import EthServer
from proofward.devnet.chains import LocalChain
from proofward.evidence.proof_file import prove, save
from proofward.zkml import Artifact
from proofward.zkml.contracts import (
    accepted,
    verifier_code,
    verify_calldata,
    verify_many_calldata,
    well_formed_calldata,
)
from tests.chain.test_web3 import ALITH
from tests.contracts.trapdoor import Statement, Trapdoor
from tests.evidence import RECORD

EXAMPLE = Path(__file__).parents[2] / "examples" / "dapp.py"
TRAPDOOR = Trapdoor.random(9)


@pytest.fixture(scope="module")
def verifier(chain: LocalChain) -> Iterator[tuple[Web3, str]]:
    """A connection and the address of the groth16 lane's verifier."""
    with chain.connect() as client:
        web3 = Web3(SubstrateProvider(client))
        web3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build([ALITH]), layer=0)
        sent = web3.eth.send_transaction({"from": ALITH.address, "data": verifier_code("groth16").init_code})
        address = web3.eth.wait_for_transaction_receipt(sent)["contractAddress"]
        assert address is not None
        yield web3, address


def ask(verifier: tuple[Web3, str], calldata: bytes) -> bytes:
    web3, address = verifier
    return bytes(web3.eth.call({"to": address, "data": calldata}))


def many(statements: list[Statement]) -> bytes:
    inputs, outputs, proofs = zip(*(s.case for s in statements), strict=True)
    return verify_many_calldata(TRAPDOOR.key, inputs, outputs, proofs)


def test_the_chain_holds_the_code_of_the_artefact(verifier: tuple[Web3, str]) -> None:
    web3, address = verifier
    code = bytes(web3.eth.get_code(Web3.to_checksum_address(address)))
    assert code == verifier_code("groth16").runtime_code
    assert bytes(Web3.keccak(code)) == verifier_code("groth16").code_hash


def test_one_proof_and_sixteen_are_judged_as_on_any_evm(verifier: tuple[Web3, str]) -> None:
    good = [TRAPDOOR.prove(seed) for seed in range(16)]
    bad = replace(good[7], output=good[7].output - 1)
    key = TRAPDOOR.key
    assert accepted(ask(verifier, well_formed_calldata(key)))
    assert ask(verifier, well_formed_calldata(key[:-32] + bytes(31) + b"\5")) == bytes(32)
    assert accepted(ask(verifier, verify_calldata(key, *good[7].case)))
    assert ask(verifier, verify_calldata(key, *bad.case)) == bytes(32)
    assert accepted(ask(verifier, many(good)))
    assert ask(verifier, many([*good[:7], bad, *good[8:]])) == bytes(32)


def test_a_call_with_bytes_to_spare_is_refused(verifier: tuple[Web3, str]) -> None:
    with pytest.raises(ContractCustomError):
        ask(verifier, verify_calldata(TRAPDOOR.key, *TRAPDOOR.prove(1).case) + b"\0")


def test_the_example_of_a_dapp(
    chain: LocalChain, verifier: tuple[Web3, str], artifact: Artifact, tmp_path: Path
) -> None:
    """Through Ethereum's JSON-RPC: yes to a proof; no to another, and to another contract."""
    save(prove(artifact, RECORD), tmp_path / "good.json")
    save(prove(artifact, RECORD), tmp_path / "bad.json")
    good, bad = (json.loads((tmp_path / name).read_text()) for name in ("good.json", "bad.json"))
    (tmp_path / "bad.json").write_text(json.dumps({**bad, "proof": good["proof"]}))
    key = artifact.path / "public" / "vk.bin"
    with chain.connect() as client, EthServer(client) as server:

        def run(contract: str, proof: str) -> tuple[int, str]:
            command = [sys.executable, str(EXAMPLE), server.url, contract, str(key), str(tmp_path / proof)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout.splitlines()[-1]

        assert run(verifier[1], "good.json") == (0, "the proof holds")
        assert run(verifier[1], "bad.json") == (1, "the proof does NOT hold")
        code, line = run(ALITH.address, "good.json")
        assert code == 1
        assert "its word proves nothing" in line
