"""The Ethereum endpoint: what it takes, whom it answers, and that nothing of a chain is out of its sight. The
libraries of others are held against it by tests/conformance/ethereum.test.mjs and test_web3.py.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from web3 import HTTPProvider, Web3
from web3.types import TxParams
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from proofward.chain import ChainError
from proofward.chain.ethereum import methods, params
from proofward.chain.ethereum.filters import KEPT, MOST, Filters
from proofward.chain.ethereum.history import bits
from proofward.chain.ethereum.index import EthIndex
from proofward.chain.ethereum.params import EthError
from proofward.chain.ethereum.server import MAX_BATCH, MAX_SUBSCRIPTIONS, EthServer
from proofward.chain.ethereum.shapes import LogFilter
from proofward.devnet.chains import Devnet, LocalChain
from tests.chain.test_web3 import ALITH, BALTATHAR

PAGE = "http://localhost:3000"
# Emits LOG1 with the first word of calldata as topic, then stops: PUSH0 CALLDATALOAD PUSH0 PUSH0 LOG1 STOP.
LOGGER = bytes.fromhex("5f355f5fa100")
DEPLOY_LOGGER = bytes.fromhex("65") + LOGGER + bytes.fromhex("5f526006601af3")


@pytest.fixture(scope="module")
def server(chain: LocalChain) -> Iterator[EthServer]:
    with chain.connect() as client, EthServer(client, origins=[PAGE]) as running:
        yield running


def post(server: EthServer, body: Any, **headers: str) -> requests.Response:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return requests.post(
        server.url, data=data, headers={"Content-Type": "application/json", **headers}, timeout=60
    )


def request(method: str, *given: Any, name: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": name, "method": method, "params": list(given)}


def ask(server: EthServer, method: str, *given: Any) -> Any:
    answer = post(server, request(method, *given)).json()
    assert "error" not in answer, answer
    return answer["result"]


def refusal(server: EthServer, method: str, *given: Any) -> dict[str, Any]:
    error: dict[str, Any] = post(server, request(method, *given)).json()["error"]
    return error


def send(server: EthServer, **fields: Any) -> dict[str, Any]:
    """Send a transaction of Baltathar's and wait for its receipt."""
    web3 = Web3(HTTPProvider(server.url))
    transaction: dict[str, Any] = {
        "nonce": web3.eth.get_transaction_count(BALTATHAR.address, "pending"),
        "chainId": web3.eth.chain_id,
        "gas": web3.eth.estimate_gas(cast(TxParams, {"from": BALTATHAR.address, **fields})) * 2,
        "gasPrice": web3.eth.gas_price,
        "value": 0,
        **fields,
    }
    signed = BALTATHAR.sign_transaction(transaction)
    return dict(web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction)))


def word(n: int) -> str:
    return f"0x{n:064x}"


@pytest.fixture(scope="module")
def logger(server: EthServer) -> str:
    """The address of a contract that logs its calldata's first word."""
    return str(send(server, data=DEPLOY_LOGGER)["contractAddress"])


# ---- JSON-RPC --------------------------------------------------------------------------------------


def test_a_batch_is_answered_in_order_and_notifications_are_not(server: EthServer) -> None:
    notification = {"jsonrpc": "2.0", "method": "eth_chainId"}
    batch = [request("eth_chainId", name="a"), notification, request("eth_no", name=7), 5]
    answers = post(server, batch).json()
    assert [answer["id"] for answer in answers] == ["a", 7, None]
    assert answers[1]["error"]["code"] == -32601
    assert answers[2]["error"]["code"] == -32600
    assert post(server, notification).status_code == 204
    assert post(server, [notification]).status_code == 204


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("no JSON", "{", -32700),
        ("nested beyond reason", "[" * 1_000_000, -32700),
        ("nested beyond reason behind a string", '["[\\"' + "]" * 100 + '",' + '{"a":' * 100_000, -32700),
        ("a string of escaped quotes without an end", '"' + '\\"' * 1_500_000, -32700),
        ("another character set", json.dumps(request("eth_chainId")).encode("utf-16"), -32700),
        ("a number", 5, -32600),
        ("null", None, -32600),
        ("no version", {"id": 1, "method": "eth_chainId"}, -32600),
        ("a method that is no text", {"jsonrpc": "2.0", "id": 1, "method": 5}, -32600),
        ("an id that is a list", {"jsonrpc": "2.0", "id": [1], "method": "eth_chainId"}, -32600),
        ("an empty batch", [], -32600),
        ("too long a batch", [request("eth_chainId")] * (MAX_BATCH + 1), -32600),
        ("parameters by name", {**request("eth_chainId"), "params": {"a": 1}}, -32602),
        ("a parameter too many", request("eth_chainId", 1), -32602),
        ("a subscription without a WebSocket", request("eth_subscribe", "newHeads"), -32601),
    ],
)
def test_a_malformed_request_is_refused_by_its_code(
    server: EthServer, name: str, body: Any, code: int
) -> None:
    assert post(server, body).json()["error"]["code"] == code, name


SHAPES: list[Any] = [
    *(None, True, -1, 1.5, "", "0x", "0xzz", "0x1_0", "latest", "0x" + "ff" * 40),
    *([], [None], [[]], {}, {"to": None}, {"gas": -1}, {"fromBlock": {}}),
    *({"topics": 5}, {"topics": [[], None, 3]}, {"address": [5]}),
]


def test_no_method_fails_on_any_shape_of_parameters(server: EthServer) -> None:
    """Every answer is a result or names what is wrong; none is an internal error."""
    for method in methods._METHODS:
        batch = [request(method, *[shape] * count) for shape in SHAPES for count in (1, 2)] + [
            request(method)
        ]
        for asked, answer in zip(batch, post(server, batch).json(), strict=True):
            code = answer.get("error", {}).get("code")
            assert code in (None, -32602, -32000, 3), f"{method} {asked['params']}: {answer}"


def test_what_cannot_be_served_says_why(server: EthServer) -> None:
    for method in methods._REFUSED:
        error = refusal(server, method, {}, [])
        assert error["code"] == -32601
        assert error["message"].startswith(f"{method} is not served: ")
    assert refusal(server, "eth_nonsense")["code"] == -32601


# ---- who may ask -----------------------------------------------------------------------------------


def test_a_web_page_asks_only_when_it_was_let_in(server: EthServer) -> None:
    body = request("eth_chainId")
    assert post(server, body, Origin="https://evil.example").status_code == 403
    assert post(server, body, Origin="null").status_code == 403
    allowed = post(server, body, Origin=PAGE)
    assert allowed.json()["result"]
    assert allowed.headers["Access-Control-Allow-Origin"] == PAGE
    assert requests.options(server.url, headers={"Origin": PAGE}, timeout=60).status_code == 204
    assert (
        requests.options(server.url, headers={"Origin": "https://evil.example"}, timeout=60).status_code
        == 403
    )
    assert "Access-Control-Allow-Origin" not in post(server, body).headers
    assert post(server, body, **{"Content-Type": "text/plain"}).status_code == 415
    socket = server.url.replace("http", "ws")
    with pytest.raises(InvalidStatus, match="403"):
        connect(socket, additional_headers={"Origin": "https://evil.example"})
    connect(socket, additional_headers={"Origin": PAGE}).close()


def test_a_taken_port_is_an_error_that_says_so(server: EthServer, chain: LocalChain) -> None:
    taken = int(server.url.rsplit(":", 1)[1])
    with chain.connect() as client, pytest.raises(ChainError, match="give another --eth-port"):
        EthServer(client, port=taken).start()


# ---- transactions ----------------------------------------------------------------------------------


def test_pending_nonces_count_what_waits_and_forget_what_was_dropped(server: EthServer) -> None:
    count = ask(server, "eth_getTransactionCount", ALITH.address, "pending")
    refused = ALITH.sign_transaction(
        {
            "nonce": int(count, 16),
            "gas": 10**6,
            "gasPrice": 1,
            "to": ALITH.address,
            "value": 1,
            "chainId": 0x50570001,
        }
    )
    error = refusal(server, "eth_sendRawTransaction", refused.raw_transaction.to_0x_hex())
    assert "max fee per gas less than block base fee" in error["message"]
    assert ask(server, "eth_getTransactionCount", ALITH.address, "pending") == count


def test_an_access_list_is_shown_as_it_was_signed(server: EthServer) -> None:
    entry = {"address": BALTATHAR.address, "storageKeys": [word(7)]}
    base = int(ask(server, "eth_gasPrice"), 16)
    web3 = Web3(HTTPProvider(server.url))
    fields = {
        "type": 2,
        "nonce": web3.eth.get_transaction_count(BALTATHAR.address, "pending"),
        "chainId": 0x50570001,
        "gas": 10**9,
        "maxFeePerGas": base * 2,
        "maxPriorityFeePerGas": 0,
        "to": ALITH.address,
        "value": 1,
        "accessList": [entry],
    }
    signed = BALTATHAR.sign_transaction(fields)
    name = web3.eth.send_raw_transaction(signed.raw_transaction)
    web3.eth.wait_for_transaction_receipt(name)
    found = ask(server, "eth_getTransactionByHash", name.to_0x_hex())
    assert found["accessList"] == [{**entry, "address": BALTATHAR.address.lower()}]


# ---- logs and what lies far back -------------------------------------------------------------------


def test_logs_are_found_by_address_and_topics(server: EthServer, logger: str) -> None:
    receipt = send(server, to=logger, data=word(0xA))
    send(server, to=logger, data=word(0xB))
    first = hex(receipt["blockNumber"])

    def count(**wanted: Any) -> int:
        return len(ask(server, "eth_getLogs", {"fromBlock": first, "address": logger, **wanted}))

    assert count() == 2
    assert count(topics=[]) == 2
    assert count(topics=[[]]) == 2
    assert count(topics=[None]) == 2
    assert count(topics=[[word(0xA), None]]) == 2
    assert count(topics=[word(0xA)]) == 1
    assert count(topics=[[word(0xA), word(0xB)]]) == 2
    assert count(topics=[word(0xC)]) == 0
    assert count(topics=[word(0xA), None]) == 0
    assert count(address=[logger, ALITH.address]) == 2
    assert count(address=[]) == 2
    assert count(address=ALITH.address) == 0
    found = ask(server, "eth_getLogs", {"blockHash": receipt["blockHash"].to_0x_hex(), "address": logger})
    assert [log["topics"] for log in found] == [[word(0xA)]]
    block = ask(server, "eth_getBlockByNumber", first, False)
    mine = next(one for one in ask(server, "eth_getBlockReceipts", first) if one["to"] == logger.lower())
    assert int(mine["logsBloom"], 16) & bits(bytes.fromhex(logger[2:])) == bits(bytes.fromhex(logger[2:]))
    assert int(block["logsBloom"], 16) & int(mine["logsBloom"], 16) == int(mine["logsBloom"], 16)
    for wrong in (
        {"blockHash": word(1)},
        {"fromBlock": "0x5", "toBlock": "0x4"},
        {"blockHash": word(1), "fromBlock": "0x1"},
    ):
        assert refusal(server, "eth_getLogs", wrong)["code"] in (-32000, -32602)


def wait_indexed(server: EthServer) -> int:
    """Until the index has every block; gives the head."""
    deadline = time.monotonic() + 120
    while True:
        head = int(ask(server, "eth_blockNumber"), 16)
        if server._index.count(0, head) == head + 1:
            return head
        assert time.monotonic() < deadline, "the index never caught up"
        time.sleep(0.1)


def test_nothing_is_too_old_to_be_found_and_a_restart_forgets_nothing(
    server: EthServer, chain: LocalChain, logger: str, tmp_path: Path
) -> None:
    receipt = send(server, to=logger, data=word(0xD))
    name, block = receipt["transactionHash"].to_0x_hex(), receipt["blockHash"].to_0x_hex()
    if isinstance(chain, Devnet):
        chain.new_blocks(300)
    path = tmp_path / "ethereum.sqlite"
    for _ in range(2):  # the second time from the file alone
        with chain.connect() as client, EthServer(client, index=path) as fresh:
            wait_indexed(fresh)
            assert ask(fresh, "eth_getTransactionReceipt", name)["blockHash"] == block
            assert ask(fresh, "eth_getTransactionByHash", name)["hash"] == name
            assert ask(fresh, "eth_getBlockByHash", block, True)["hash"] == block
            logs = ask(fresh, "eth_getLogs", {"fromBlock": "earliest", "topics": [word(0xD)]})
            assert [log["transactionHash"] for log in logs] == [name]


def test_an_index_of_lost_blocks_is_mended(chain: LocalChain, tmp_path: Path) -> None:
    """What a ledger lost, and what it has otherwise, goes from the index when the endpoint starts."""
    path = tmp_path / "ethereum.sqlite"
    with chain.connect() as client:
        head = client.finalised_head().number
        index = EthIndex(client.genesis, path)
        index.add(head, b"\1" * 32, 0, [b"\2" * 32])
        index.add(head + 10**6, b"\3" * 32, 0, [b"\4" * 32])
        index.close()
        with EthServer(client, index=path) as server:
            wait_indexed(server)
            assert [server._index.block(b * 32) for b in (b"\1", b"\3")] == [None, None]
            assert ask(server, "eth_getTransactionReceipt", "0x" + "02" * 32) is None


def test_an_index_of_another_chain_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "ethereum.sqlite"
    EthIndex(b"\1" * 32, path).add(1, b"a" * 32, 0, [b"b" * 32])
    assert EthIndex(b"\1" * 32, path).transaction(b"b" * 32) == 1
    assert EthIndex(b"\2" * 32, path).transaction(b"b" * 32) is None
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    assert EthIndex(b"\2" * 32, path).last() is None
    path.with_name("torn").write_bytes(b"no database" * 1000)
    with pytest.raises(ChainError, match="remove it"):
        EthIndex(b"\2" * 32, path.with_name("torn"))


VALUES = st.sampled_from([bytes([n]) * 32 for n in range(6)])


@given(
    st.sets(VALUES, max_size=3), st.lists(st.one_of(st.none(), st.frozensets(VALUES, min_size=1)), max_size=3)
)
def test_a_bloom_filter_never_hides_a_log(have: set[bytes], topics: list[frozenset[bytes] | None]) -> None:
    wanted = LogFilter(None, tuple(topics))
    found = 0
    for value in have:
        found |= bits(value)
    log = {"address": "0x" + "00" * 20, "topics": ["0x" + value.hex() for value in sorted(have)]}
    assert wanted.may_be_in(found) or not wanted.takes(log)


# ---- filters and subscriptions ---------------------------------------------------------------------


def test_filters_give_what_came_since_the_last_poll(server: EthServer, logger: str) -> None:
    logs = ask(server, "eth_newFilter", {"address": logger})
    blocks = ask(server, "eth_newBlockFilter")
    pending = ask(server, "eth_newPendingTransactionFilter")
    receipt = send(server, to=logger, data=word(0xE))
    assert [log["topics"] for log in ask(server, "eth_getFilterChanges", logs)] == [[word(0xE)]]
    assert ask(server, "eth_getFilterChanges", logs) == []
    assert receipt["blockHash"].to_0x_hex() in ask(server, "eth_getFilterChanges", blocks)
    assert isinstance(ask(server, "eth_getFilterChanges", pending), list)
    assert refusal(server, "eth_getFilterLogs", blocks)["code"] == -32000
    assert ask(server, "eth_uninstallFilter", logs) is True
    assert ask(server, "eth_uninstallFilter", logs) is False
    assert "filter not found" in refusal(server, "eth_getFilterChanges", logs)["message"]


def test_filters_end_when_nobody_polls_and_are_bounded() -> None:
    now = [0.0]
    filters = Filters(lambda: now[0])
    kept, lost = int(filters.add(list), 16), int(filters.add(list), 16)
    now[0] = KEPT
    assert filters.changes(kept) == []
    now[0] = KEPT + 1
    assert filters.changes(kept) == []
    with pytest.raises(EthError, match="filter not found"):
        filters.changes(lost)
    for _ in range(MOST):
        filters.add(list)
    with pytest.raises(EthError, match="filter not found"):
        filters.changes(kept)


def heard(socket: Connection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first message that is wanted."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=30))
        if wanted(message):
            return message


def test_subscriptions_tell_of_heads_logs_and_transactions(server: EthServer, logger: str) -> None:
    with connect(server.url.replace("http", "ws")) as socket:

        def call(method: str, *given: Any) -> Any:
            name = secrets.token_hex(4)
            socket.send(json.dumps(request(method, *given, name=name)))
            return heard(socket, lambda message: message.get("id") == name)

        topic = {"address": logger, "topics": [word(0xF)]}
        heads, logs, sent = (
            call("eth_subscribe", *given)["result"]
            for given in (("newHeads",), ("logs", topic), ("newPendingTransactions",))
        )
        receipt = send(server, to=logger, data=word(0xF))
        found: dict[str, Any] = {}
        while set(found) != {heads, logs, sent}:
            told = heard(socket, lambda message: message.get("method") == "eth_subscription")["params"]
            if told["subscription"] != heads or told["result"]["hash"] == receipt["blockHash"].to_0x_hex():
                found[told["subscription"]] = told["result"]
        assert found[sent] == receipt["transactionHash"].to_0x_hex() == found[logs]["transactionHash"]
        assert int(found[heads]["number"], 16) == receipt["blockNumber"]
        assert call("eth_unsubscribe", heads)["result"] is True
        assert call("eth_unsubscribe", heads)["result"] is False
        assert call("eth_subscribe", "weather")["error"]["code"] == -32602
        for _ in range(MAX_SUBSCRIPTIONS - 2):
            assert "result" in call("eth_subscribe", "newPendingTransactions")
        assert "subscriptions at most" in call("eth_subscribe", "newHeads")["error"]["message"]
        assert call("eth_chainId")["result"] == hex(0x50570001)


# ---- parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        *("10", "0x", "0xg", "0x1_0", "0x 5", "0x+5", "0x-0", "0x5\n", "latest"),
        *("0x1" + "0" * 64, "0x" + "f" * 5_000, -1, True, None, 1.0, b"1"),
    ],
)
def test_a_quantity_is_hexadecimal_and_nothing_else(bad: Any) -> None:
    with pytest.raises(EthError):
        params.quantity(bad)


@given(st.integers(0, 2**256 - 1))
def test_a_quantity_is_read_back(number: int) -> None:
    assert params.quantity(hex(number)) == params.quantity(number) == number


def test_an_account_without_code_answers_calls_as_on_any_chain(server: EthServer) -> None:
    nobody = Account.create().address
    assert ask(server, "eth_call", {"to": nobody, "data": "0x12345678"}) == "0x"
    assert ask(server, "eth_getCode", nobody, "latest") == "0x"
    assert ask(server, "eth_getBalance", nobody, {"blockNumber": "latest"}) == "0x0"
    assert "differ" in refusal(server, "eth_call", {"to": nobody, "data": "0x12", "input": "0x13"})["message"]
    assert "header not found" in refusal(server, "eth_getBalance", nobody, hex(10**9))["message"]
    assert ask(server, "eth_getBlockByNumber", hex(10**9), False) is None
