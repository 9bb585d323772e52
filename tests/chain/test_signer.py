"""A key behind a socket: what it signs the chain takes; what it must not sign it does not, however hidden."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proofward.chain import Call, accounts
from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError
from proofward.chain.extrinsic import Chain, sign_extrinsic
from proofward.chain.metadata import Reader
from proofward.chain.signer import SignerUnreachable, SocketSigner, read_frame, write_frame
from proofward.chain.signer_service import SignerService
from proofward.chain.signing_rules import MOST_PAYLOAD, SigningRefused, rules

ALLOWED = ("system.remark", "utility.batch_all", "proxy.proxy", "multisig.as_multi_threshold_1")
CHARLIE = accounts.dev_keypair("//Charlie")
BOB = bytes(accounts.dev_keypair("//Bob").public_key)
REMARK = Call("System", "remark", {"remark": b"hello"})
STEAL = Call("Balances", "transfer_all", {"dest": {"Id": BOB}, "keep_alive": False})


@pytest.fixture
def service(client: SubstrateClient, tmp_path: Path) -> Iterator[SignerService]:
    let = rules(ALLOWED, client.genesis, 5, client.runtime)
    service = SignerService(tmp_path / "s", CHARLIE, let, client.fresh_runtime)
    service.open()
    thread = threading.Thread(target=service.serve, daemon=True)
    thread.start()
    yield service
    service.close()
    thread.join(10)
    assert not thread.is_alive()


@dataclass
class Recorder:
    """Takes a payload down instead of signing it."""

    public_key: bytes = bytes(CHARLIE.public_key)
    crypto_type: int = 1
    payloads: list[bytes] = field(default_factory=list)

    def sign(self, data: bytes) -> bytes:
        raise AssertionError("a payload is given whole")

    def sign_payload(self, payload: bytes) -> bytes:
        self.payloads.append(payload)
        return bytes(64)


def payload_of(client: SubstrateClient, call: Call, **others: Any) -> bytes:
    """What is signed for a call; `genesis`, `spec`, `transaction`, `tip` and `period` as a liar has them."""
    recorder, runtime = Recorder(), client.runtime
    sign_extrinsic(
        runtime.encode_call(call),
        recorder,
        values=runtime.values,
        extensions=runtime.metadata.extensions,
        chain=Chain(
            others.get("genesis", client.genesis),
            others.get("spec", runtime.spec_version),
            others.get("transaction", runtime.transaction_version),
        ),
        nonce=7,
        tip=others.get("tip", 0),
        birth=1,
        birth_hash=bytes(32),
        period=others.get("period", 64),
    )
    return recorder.payloads[0]


def batch(*calls: Call) -> Call:
    return Call("Utility", "batch_all", {"calls": list(calls)})


def proxied(call: Call) -> Call:
    return Call("Proxy", "proxy", {"real": {"Id": BOB}, "force_proxy_type": None, "call": call})


def deep(call: Call, levels: int) -> Call:
    for _ in range(levels):
        call = batch(call)
    return call


def immortal(payload: bytes, call: bytes) -> bytes:
    return payload[: len(call)] + b"\0" + payload[len(call) + 2 :]


@pytest.mark.parametrize("length", [5, 300], ids=["short", "hashed"])
def test_the_chain_takes_what_a_signer_signed(
    client: SubstrateClient, service: SignerService, length: int
) -> None:
    signer = SocketSigner(service.path)
    assert signer.public_key == bytes(CHARLIE.public_key)
    assert accounts.named(f"unix:{service.path}") == signer.public_key
    call = batch(Call("System", "remark", {"remark": bytes(length)}), REMARK)
    client.submit(call, accounts.keypair_of(f"unix:{service.path}")).raise_for_error()
    assert (service.signed, service.refused) == (1, 0)


ATTACKS: dict[str, Callable[[SubstrateClient], bytes]] = {
    "a call that is not named": lambda c: payload_of(c, STEAL),
    "hidden in a batch": lambda c: payload_of(c, batch(REMARK, STEAL)),
    "hidden in a batch of a batch": lambda c: payload_of(c, batch(REMARK, batch(batch(STEAL)))),
    "hidden behind a proxy": lambda c: payload_of(c, proxied(STEAL)),
    "hidden behind a proxy in a batch": lambda c: payload_of(c, batch(REMARK, proxied(STEAL))),
    "hidden in a multisig of one": lambda c: payload_of(
        c, Call("Multisig", "as_multi_threshold_1", {"other_signatories": [BOB], "call": STEAL})
    ),
    "a wrapper that is not named": lambda c: payload_of(c, Call("Utility", "batch", {"calls": [REMARK]})),
    "root's rights": lambda c: payload_of(c, Call("Sudo", "sudo", {"call": REMARK})),
    "a proxy that may do everything": lambda c: payload_of(
        c, Call("Proxy", "add_proxy", {"delegate": {"Id": BOB}, "proxy_type": "Any", "delay": 0})
    ),
    "carried deeper than anybody looks": lambda c: payload_of(c, deep(REMARK, 12)),
    "a tip that is a payment": lambda c: payload_of(c, REMARK, tip=6),
    "the whole account as a tip": lambda c: payload_of(c, REMARK, tip=10**18),
    "good for ever": lambda c: immortal(payload_of(c, REMARK), c.runtime.encode_call(REMARK)),
    "good for days": lambda c: payload_of(c, REMARK, period=65_536),
    "another chain": lambda c: payload_of(c, REMARK, genesis=bytes(32)),
    "another runtime": lambda c: payload_of(c, REMARK, spec=1),
    "another format": lambda c: payload_of(c, REMARK, transaction=99),
    "bytes behind": lambda c: payload_of(c, REMARK) + b"\0",
    "cut short": lambda c: payload_of(c, REMARK)[:-1],
    "only a hash, which says nothing": lambda c: bytes(32),
    "nothing": lambda c: b"",
    "longer than an extrinsic": lambda c: bytes(MOST_PAYLOAD + 1),
    "a length in a longer encoding": lambda c: payload_of(c, REMARK).replace(b"\x14hello", b"\x15\0hello", 1),
    "a metadata hash that it cannot check": lambda c: payload_of(c, REMARK)[:-1] + b"\1" + bytes(32),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_signer_refuses(client: SubstrateClient, service: SignerService, attack: str) -> None:
    with pytest.raises((SigningRefused, SignerUnreachable)):
        SocketSigner(service.path).sign_payload(ATTACKS[attack](client))
    assert service.signed == 0
    assert SocketSigner(service.path).sign_payload(payload_of(client, REMARK, tip=5))


def test_no_bit_that_is_changed_makes_another_call(client: SubstrateClient) -> None:
    let = rules(("system.remark",), client.genesis, 0, client.runtime)
    good = payload_of(client, REMARK)
    for place in range(8 * len(good)):
        changed = bytearray(good)
        changed[place // 8] ^= 1 << place % 8
        try:
            said = let.check(bytes(changed), client.runtime)
        except SigningRefused:
            continue
        assert said.calls == ("system.remark",)
        assert said.tip == 0


def test_bytes_are_not_signed(service: SignerService) -> None:
    with pytest.raises(SigningRefused):
        SocketSigner(service.path).sign(b"a message, or the hash of any extrinsic")


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">I", 1 << 31),
        struct.pack(">I", 3) + b"\xff\xfe\xfd",
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 9) + b'"a string',
        struct.pack(">I", 5_000) + b"[" * 5_000,
        b"",
        b"\0",
    ],
)
def test_nonsense_at_the_socket_stops_nobody_else(service: SignerService, frame: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.connect(str(service.path))
        stream.sendall(frame)
        stream.shutdown(socket.SHUT_WR)
        assert stream.recv(1) == b""
    assert len(SocketSigner(service.path).public_key) == 32


@pytest.mark.parametrize("request_", [{}, {"op": "secret"}, {"op": "sign"}, {"op": "sign", "payload": "zz"}])
def test_an_unknown_request_is_refused(service: SignerService, request_: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.connect(str(service.path))
        write_frame(stream, request_)
        answer = read_frame(stream)
    assert answer["error"]["code"] == "signing-refused"
    assert CHARLIE.private_key is not None
    assert CHARLIE.private_key.hex() not in json.dumps(answer)


def test_the_socket_is_its_owners(client: SubstrateClient, service: SignerService, tmp_path: Path) -> None:
    assert service.path.stat().st_mode & 0o777 == 0o600
    let = rules(ALLOWED, client.genesis, 0, client.runtime)
    with pytest.raises(ChainError, match="another signer"):
        SignerService(service.path, CHARLIE, let, client.fresh_runtime).open()
    file = tmp_path / "f"
    file.write_text("mine")
    with pytest.raises(ChainError, match="a file of that name"):
        SignerService(file, CHARLIE, let, client.fresh_runtime).open()
    assert file.read_text() == "mine"


def test_rules_name_calls_of_the_chain(client: SubstrateClient) -> None:
    for names in (("jobs.clam",), (), ("jobs",), ("jobs.claim", "nobody.knows")):
        with pytest.raises(SigningRefused):
            rules(names, client.genesis, 0, client.runtime)
    assert rules(("Jobs.Claim ",), client.genesis, 0, client.runtime).allowed == {"jobs.claim"}


def test_a_signer_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(SignerUnreachable, match="signer serve"):
        accounts.named(f"unix:{tmp_path / 'nobody'}")


def test_an_index_takes_no_bytes_as_on_the_chain(client: SubstrateClient) -> None:
    # MultiAddress<AccountId, ()>: with a number read there, the rest would be another call than the chain has
    reader = Reader(b"\x01\x23\xff")
    client.runtime.values.read(client.runtime._address, reader)
    assert reader.left() == 2
