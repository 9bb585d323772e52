"""web3.py's own contract objects on our chain: through our provider, and through eth-rpc too."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from eth_account import Account
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError, ContractLogicError, TransactionNotFound, Web3RPCError
from web3.middleware import SignAndSendRawMiddlewareBuilder

from proofward.chain.ethereum import revive
from proofward.chain.ethereum.provider import SubstrateProvider
from proofward.devnet.chains import LocalChain, find_binary, free_port
from proofward.zkml.verifier_contract import compile_solidity

# Alith and Baltathar: their keys are published, the development preset funds them
ALITH = Account.from_key("0x5fb92d6e98884f76de468fa3f6278f8807c48bebc13595d45af5bdc4da702133")
BALTATHAR = Account.from_key("0x8075991ce870b93a8870eca0c0f91913d12f47948ca0fd25b49c6fa7cdbeee8b")

SOURCE = """
// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
contract Tally {
    event Added(address indexed who, uint256 indexed amount, bytes note);
    error TooMuch(uint256 amount);
    address public immutable owner;
    uint256 public total;
    constructor(uint256 start) { owner = msg.sender; total = start; }
    function add(uint256 amount, bytes calldata note) external payable {
        if (amount > 1000) revert TooMuch(amount);
        require(amount != 13, "unlucky");
        total += amount;
        emit Added(msg.sender, amount, note);
        emit Added(address(this), total, "");
    }
    function echo(bytes32 left, bytes calldata right) external pure returns (bytes32, bytes memory) {
        return (left, right);
    }
}
"""

PROVIDERS = ["ours", *(["eth-rpc"] if find_binary("eth-rpc") else [])]


@pytest.fixture(scope="module", params=PROVIDERS)
def w3(request: pytest.FixtureRequest, chain: LocalChain) -> Iterator[Web3]:
    if request.param == "ours":
        with chain.connect() as client:
            yield _signing(Web3(SubstrateProvider(client)))
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        command = [str(find_binary("eth-rpc")), "--node-rpc-url", chain.url, "--rpc-port", str(port)]
        command += ["--base-path", scratch, "--no-prometheus"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}"))
            deadline = time.monotonic() + 60
            while not web3.is_connected() and time.monotonic() < deadline:
                assert process.poll() is None, "eth-rpc stopped"
                time.sleep(0.2)
            yield _signing(web3)
        finally:
            process.terminate()
            process.wait()


def _signing(web3: Web3) -> Web3:
    web3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build([ALITH, BALTATHAR]), layer=0)
    web3.eth.default_account = ALITH.address
    return web3


@pytest.fixture(scope="module")
def tally(w3: Web3) -> Any:
    built = compile_solidity({"Tally.sol": SOURCE})["Tally"]
    factory = w3.eth.contract(abi=built.abi, bytecode=built.bytecode)
    receipt = w3.eth.wait_for_transaction_receipt(factory.constructor(5).transact(), timeout=60)
    assert receipt["status"] == 1
    return w3.eth.contract(address=receipt["contractAddress"], abi=built.abi)


def test_the_chain_says_who_it_is(w3: Web3) -> None:
    assert w3.is_connected()
    assert w3.eth.chain_id == 0x50570001
    assert w3.eth.get_balance(BALTATHAR.address) > 10**18
    assert w3.eth.gas_price > 0
    assert w3.eth.fee_history(2, "latest")["baseFeePerGas"]


def test_a_deployed_contract_has_code_and_state(w3: Web3, tally: Any) -> None:
    assert len(w3.eth.get_code(tally.address)) > 100
    assert w3.eth.get_code(BALTATHAR.address) == b""
    assert tally.functions.total().call() >= 5
    assert tally.functions.owner().call() == ALITH.address
    assert tally.functions.echo(b"\x01" * 32, b"abc").call() == [b"\x01" * 32, b"abc"]


def test_a_transaction_changes_state_and_leaves_logs(w3: Web3, tally: Any) -> None:
    before = tally.functions.total().call()
    name = tally.functions.add(7, b"seven").transact({"from": BALTATHAR.address})
    receipt = w3.eth.wait_for_transaction_receipt(name, timeout=60)
    assert receipt["status"] == 1
    assert receipt["gasUsed"] > 0
    assert tally.functions.total().call() == before + 7
    first, second = tally.events.Added().process_receipt(receipt)
    assert first["args"] == {"who": BALTATHAR.address, "amount": 7, "note": b"seven"}
    assert second["args"]["who"] == tally.address
    assert second["logIndex"] == first["logIndex"] + 1

    found = tally.events.Added().get_logs(
        from_block=receipt["blockNumber"], argument_filters={"who": BALTATHAR.address}
    )
    assert [log["transactionHash"] for log in found] == [name]

    transaction = w3.eth.get_transaction(name)
    assert transaction["from"] == BALTATHAR.address
    assert transaction["to"] == tally.address
    block = w3.eth.get_block(receipt["blockNumber"])
    assert name in block["transactions"]
    assert block["hash"] == receipt["blockHash"]
    assert w3.eth.get_block(block["hash"])["number"] == block["number"]


@pytest.mark.parametrize(
    ("amount", "error", "words"),
    [(13, ContractLogicError, "unlucky"), (2000, ContractCustomError, "0x")],
    ids=["a message", "a custom error"],
)
def test_a_revert_is_raised_with_its_reason(
    tally: Any, amount: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        tally.functions.add(amount, b"").call()
    with pytest.raises(error, match=words):
        tally.functions.add(amount, b"").transact()


def test_a_revert_on_the_chain_has_status_zero(w3: Web3, tally: Any) -> None:
    before = tally.functions.total().call()
    gas = tally.functions.add(12, b"").estimate_gas()
    name = tally.functions.add(13, b"").transact({"gas": 2 * gas})
    receipt = w3.eth.wait_for_transaction_receipt(name, timeout=60)
    assert receipt["status"] == 0
    assert receipt["logs"] == []
    assert tally.functions.total().call() == before


def test_several_transactions_are_on_their_way_at_once(w3: Web3, tally: Any) -> None:
    gas = tally.functions.add(1, b"").estimate_gas()
    first = w3.eth.get_transaction_count(ALITH.address)
    ours = isinstance(
        w3.provider, SubstrateProvider
    )  # counts pending ones too; eth-rpc leaves that to the caller
    names = [
        tally.functions.add(1, b"").transact({"gas": 2 * gas} | ({} if ours else {"nonce": first + i}))
        for i in range(3)
    ]
    receipts = [w3.eth.wait_for_transaction_receipt(name, timeout=60) for name in names]
    assert all(receipt["status"] == 1 for receipt in receipts)


def test_what_is_not_there_is_refused_in_web3s_words(w3: Web3) -> None:
    with pytest.raises(TransactionNotFound):
        w3.eth.get_transaction_receipt(HexBytes("0x" + "ab" * 32))
    with pytest.raises((Web3RPCError, ValueError)):
        w3.eth.send_raw_transaction(b"\x02\x01\x02\x03")


def test_what_was_signed_for_another_chain_counts_on_none_but_that(w3: Web3) -> None:
    def known_by(kind: str, genesis: bytes) -> int:
        told = SimpleNamespace(query=lambda *_: {"kind": kind}, genesis=genesis)
        return revive.chain_id(cast(Any, told))

    assert known_by("Development", bytes(32)) == w3.eth.chain_id
    others = [
        known_by("Local", bytes(32)),
        known_by("Consortium", b"\xab" * 32),
        known_by("Consortium", bytes(32)),
    ]
    assert others == [0x50570002, 0x5057ABABABAB, 0x505700000000]
    before = w3.eth.get_transaction_count(ALITH.address)
    for other in others:
        signed = ALITH.sign_transaction(
            {"nonce": before, "gas": 10**6, "gasPrice": w3.eth.gas_price, "to": BALTATHAR.address, "value": 1,
             "data": b"", "chainId": other}
        )  # fmt: skip
        with pytest.raises((Web3RPCError, ValueError), match=r"(?i)chain id|invalid transaction"):
            w3.eth.send_raw_transaction(signed.raw_transaction)
    assert w3.eth.get_transaction_count(ALITH.address) == before
