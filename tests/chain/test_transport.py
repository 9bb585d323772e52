"""The connections to a node, when it or the way to it vanishes without a word."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from proofward.chain.answers import read
from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError, ChainUnreachable, RpcError
from proofward.chain.heads import HeadFeed
from proofward.chain.transport import DEAD_SECONDS, Transport, connected
from proofward.devnet.chains import Devnet


class Way:
    """A TCP port that leads to a node. What came by it so far can be forgotten, as a firewall does: then
    nothing comes through any more, and neither end is told.
    """

    def __init__(self, port: int) -> None:
        self._port, self._listener = port, socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._life = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        self._life += 1

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self._port))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other, self._life), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, life: int) -> None:
        try:
            while data := source.recv(65536):
                if life == self._life:
                    sink.sendall(data)
            if life == self._life:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture(scope="module")
def chain() -> Iterator[Devnet]:
    with Devnet() as devnet:
        yield devnet


@pytest.fixture
def way(chain: Devnet) -> Iterator[Way]:
    one = Way(int(chain.url.rsplit(":", 1)[1]))
    yield one
    one.close()


def test_a_connection_is_lost_when_the_other_machine_is_gone(chain: Devnet) -> None:
    """A call to a machine without power took two minutes."""
    with connected(chain.url) as connection:
        told = connection.socket
        assert told.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DEAD_SECONDS * 1000


def test_one_dead_connection_condemns_those_that_waited_with_it(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proofward.chain.transport.CALL_TIMEOUT", 1.0)
    transport = Transport(way.url, patience=1.5)
    held = [transport._take() for _ in range(8)]
    for one in held:
        transport._give_back(one)
    way.forget()
    assert transport.call("system_name")
    assert way.connections == 9
    transport.close()


def test_a_connection_that_waited_long_is_not_used_again(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Transport(way.url)
    transport.call("system_name")
    transport.call("system_name")
    assert way.connections == 1
    monkeypatch.setattr("proofward.chain.transport.IDLE_SECONDS", 0.0)
    way.forget()
    assert transport.call("system_name")
    assert way.connections == 2
    transport.close()


def test_heads_come_again_when_their_connection_died_in_silence(
    way: Way, chain: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proofward.chain.heads.SILENCE", 1.0)
    heard = threading.Event()
    with SubstrateClient.connect(chain.url) as client:
        feed = HeadFeed(way.url)
        feed.listen(heard.set)
        assert heard.wait(30)
        way.forget()
        number = client.finalised_head().number + 2
        client.rpc("dev_newBlock", {"count": 3})
        feed.wait(number, 30)
        while (latest := feed.latest) is None or latest.number <= number:
            heard.clear()
            assert heard.wait(30)
        assert way.connections > 1
        feed.close()


def test_the_best_head_of_a_feed_that_hears_nothing_is_not_believed(
    way: Way, chain: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = threading.Event()
    feed = HeadFeed(way.url)
    feed.listen(heard.set)
    assert heard.wait(30)
    monkeypatch.setattr("proofward.chain.heads.SILENCE", 0.0)
    assert feed.best is None
    feed.close()


@pytest.mark.parametrize("url", ["ws://[::1", "ws://", "ws://a:99999", "wss://a:b", "http://127.0.0.1:1"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ChainUnreachable, match="no node answers at"):
        Transport(url)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("hello", ChainUnreachable),
        (b"\x00\xff", ChainUnreachable),
        ("[" * 200_000, ChainUnreachable),
        ({"result": 5}, ChainUnreachable),
        ({"result": "0xzz"}, ChainUnreachable),
        ({"result": {}}, ChainUnreachable),
        ({"result": None}, ChainError),
        ({"error": "no"}, RpcError),
        ({"error": {"code": "x", "message": 7}}, RpcError),
    ],
)
def test_what_answers_is_no_node(answer: Any, error: type[ChainError]) -> None:
    def handle(connection: ServerConnection) -> None:
        for message in connection:
            told = json.loads(message)["id"]
            connection.send(json.dumps({"id": told, **answer}) if isinstance(answer, dict) else answer)

    with serve(handle, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with pytest.raises(error):
                SubstrateClient.connect(f"ws://127.0.0.1:{server.socket.getsockname()[1]}")
        finally:
            server.shutdown()


HASH = "0x" + "11" * 32
HEADER = {
    "parentHash": HASH, "number": "0x1a", "stateRoot": HASH, "extrinsicsRoot": HASH, "digest": {"logs": []}
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "good", "bad"),
    [
        (
            "chain_getHeader",
            HEADER,
            [HEADER | {"number": 26}, HEADER | {"number": "-0x1"}, HEADER | {"digest": {}}, HASH, [], 0],
        ),
        (
            "chain_getBlock",
            {"block": {"header": HEADER, "extrinsics": ["0x00"]}},
            [{"block": {"header": HEADER, "extrinsics": "0x00"}}, {"block": None}],
        ),
        ("chain_getBlockHash", HASH, [HASH[:-2], HASH + "00", [HASH]]),
        ("state_getStorage", "0x", ["", "00", "0x0", 7]),
        ("state_getKeysPaged", [HASH], [HASH, [None]]),
        ("state_queryStorageAt", [{"changes": [["0x00", None]]}], [[{"changes": [["0x00"]]}], {}, 0]),
        (
            "state_getRuntimeVersion",
            {"specVersion": 10, "transactionVersion": 1},
            [{"specVersion": "10", "transactionVersion": 1}, [10, 1]],
        ),
        ("system_accountNextIndex", 4, ["4", None, 4.5, True]),
    ],
)
def test_answers_have_their_methods_form(method: str, good: Any, bad: list[Any]) -> None:
    read(method, (), good)
    for one in bad:
        with pytest.raises(ValueError, match=method):
            read(method, (HASH,), one)
    with pytest.raises(ValueError, match=method):  # nothing was asked for that may be absent
        read(method, (), None)


def test_a_head_of_a_negative_number_does_not_end_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the thread that hears of heads ended, and nothing was heard of the chain any more."""
    monkeypatch.setattr("proofward.chain.heads._RETRY", 0.0)
    told = {"method": "chain_finalizedHead", "params": {"result": HEADER | {"number": "-0x1"}}}
    connections = threading.Semaphore(0)

    def handle(connection: ServerConnection) -> None:
        connections.release()
        connection.send(json.dumps(told))
        for _ in connection:
            pass

    with serve(handle, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        feed = HeadFeed(f"ws://127.0.0.1:{server.socket.getsockname()[1]}")
        try:
            assert connections.acquire(timeout=30)
            assert connections.acquire(timeout=30), "it connects again"
        finally:
            feed.close()
            server.shutdown()


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", bytes(range(256)) * 100])
def test_a_server_that_speaks_first_and_no_websocket_is_no_node(
    greeting: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ended the verb with the library's own assertion, behind a traceback of its thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with suppress(OSError):
                while True:
                    near, _ = listener.accept()
                    kept.append(near)
                    near.sendall(greeting)

        kept: list[socket.socket] = []
        threading.Thread(target=greet, daemon=True).start()
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ChainUnreachable):
            Transport(url, patience=0.0).call("chain_getBlockHash")
    assert capfd.readouterr().err == ""


def test_a_refusal_of_any_length_is_a_line() -> None:
    error = RpcError("state_call", -32000, "A" * 100_000, ["B"] * 1000)
    assert len(error.message) < 500
    assert len(error.rpc_message) == 100_000


def test_another_chain_behind_the_address_is_not_taken_for_the_one_before() -> None:
    """What a worker had signed was then called expired by the heads of a chain that it was never sent to."""
    chain = ["0x" + "11" * 32]

    def answer(connection: ServerConnection) -> None:
        for message in connection:
            asked = json.loads(message)
            told = chain[0] if asked["method"] == "chain_getBlockHash" else None
            connection.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": told}))

    with serve(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        with SubstrateClient.connect(url, patience=0.0) as client:
            assert client.block_hash(5).hex() == "11" * 32
            chain[0] = "0x" + "22" * 32
            client._transport._forget()
            with pytest.raises(ChainUnreachable, match="another chain"):
                client.block_hash(5)
            with pytest.raises(ChainUnreachable, match="another chain"):
                connected(url, "0x" + client.genesis.hex())
            chain[0] = "0x" + "11" * 32
            assert client.block_hash(5) == client.genesis
        server.shutdown()
