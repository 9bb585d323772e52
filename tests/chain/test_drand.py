"""drand's pulses on a development chain, and as its servers write them."""

from __future__ import annotations

import hashlib
import json

import pytest
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import compress_G1
from typer.testing import CliRunner

from proofward.chain import DispatchError, SubstrateClient, accounts
from proofward.chain.pallets import drand
from proofward.cli import app
from proofward.devnet.chains import LocalChain
from proofward.errors import Refused

DOMAIN = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
SIGNED = "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92"
"""Round 123 of quicknet."""


def local(round_number: int) -> drand.Pulse:
    """A pulse of the network whose secret key is one: the point that is signed."""
    message = hashlib.sha256(round_number.to_bytes(8, "big")).digest()
    point = hash_to_G1(message, DOMAIN, hashlib.sha256)  # type: ignore[arg-type]  # the constructor is wanted
    return drand.Pulse(round_number, int(compress_G1(point)).to_bytes(48, "big"))


def test_a_pulse_is_posted_by_anyone_and_read_by_all(chain: LocalChain) -> None:
    somebody = accounts.dev_keypair("//Bob")
    with SubstrateClient.connect(chain.url) as client:
        network = drand.network(client)
        assert network is not None
        assert network.source is drand.Source.LOCAL
        now = int(client.query("Timestamp", "Now"))
        last = (now - network.genesis) // network.period + 1
        assert network.time_of(last) <= now < network.time_of(last + 1)
        for pulse, code in (
            (local(last + 100), "TooEarly"),
            (local(last - drand.KEPT), "TooLate"),
            (drand.Pulse(last, local(last - 1).signature), "BadSignature"),
        ):
            with pytest.raises(DispatchError, match=code):
                client.submit(drand.post(pulse), somebody).raise_for_error()
            assert drand.randomness(client, pulse.round) is None
        pulse = local(last)
        posted = client.submit(drand.post(pulse), somebody).raise_for_error()
        assert posted.find("Drand", "Posted") is not None
        assert drand.randomness(client, last) == pulse.randomness
        assert drand.randomness(client, last + drand.KEPT) is None
        with pytest.raises(DispatchError, match="PostedAlready"):
            client.submit(drand.post(pulse), accounts.dev_keypair("//Charlie")).raise_for_error()
        shown = CliRunner().invoke(app, ["beacon", "show", str(last), "--chain", chain.url, "--json"])
        assert json.loads(shown.stdout)["randomness"] == "0x" + pulse.randomness.hex()
        assert json.loads(shown.stdout)["source"] == "local"


def test_the_constants_are_the_pallets(chain: LocalChain) -> None:
    with SubstrateClient.connect(chain.url) as client:
        assert client.constant(drand.PALLET, "kept") == drand.KEPT
        assert client.constant(drand.PALLET, "margin") == drand.MARGIN


def test_a_round_counts_that_is_made_the_margin_after_a_commitment() -> None:
    network = drand.PulseNetwork(drand.QUICKNET, 1_000, 3_000)
    for moment in (0, 1_000, 1_001, 3_999, 4_000, 123_456_789):
        made = network.time_of(network.round_after(moment))
        assert moment + drand.MARGIN <= made < moment + drand.MARGIN + network.period


def test_a_pulse_as_a_server_writes_it() -> None:
    randomness = hashlib.sha256(bytes.fromhex(SIGNED)).hexdigest()
    whole: dict[str, object] = {"round": 123, "randomness": randomness, "signature": SIGNED}
    assert drand.read_pulse(json.dumps(whole).encode()) == drand.Pulse(123, bytes.fromhex(SIGNED))
    wrong: object
    for wrong in (
        whole | {"randomness": randomness[:-1] + "0"},
        whole | {"randomness": 5},
        whole | {"round": True},
        whole | {"round": 0},
        whole | {"round": 2**64},
        whole | {"round": "123"},
        whole | {"signature": SIGNED + "00"},
        whole | {"signature": None},
        {"round": 123},
        [],
    ):
        with pytest.raises(Refused):
            drand.read_pulse(json.dumps(wrong).encode())
    for text in (b"", b"{", b"[" * 4_000, b" " * 5_000 + json.dumps(whole).encode()):
        with pytest.raises(Refused):
            drand.read_pulse(text)
