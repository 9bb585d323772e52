"""A ceremony's transcript in the page's verifier: every contribution as the prover has it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import proofward_prover as prover
import pytest

from proofward.evidence.contribution import contribution_checks, load_quote
from proofward.evidence.policy import Policy
from proofward.protocol import contribution_report_data
from proofward.zkml.groth16.ceremony import Contribution, Transcript
from proofward_enclave.providers.dev_platform import DevPlatform, TdIdentity
from tests.attestation.test_quotes import NOW
from tests.ceremony import shares
from tests.explorer.site import ask, require_packages
from tests.explorer.test_verifier import _dev
from tests.prover.conftest import program
from tests.prover.test_ceremony import contributed

HEAD = b"PWCT" + (1).to_bytes(4, "little")
NAME = "<img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Held:
    """A ceremony that was held; `state` is its file before the beacon closed it."""

    state: bytes
    transcript: bytes
    vk: bytes
    circuit: bytes
    listed: list[tuple[str, bool, bytes]]

    def question(self, **changes: Any) -> dict[str, Any]:
        told = {
            "kind": "transcript", "transcript": self.transcript.hex(), "vk": self.vk.hex(),
            "circuit": self.circuit.hex(), "keyHash": hashlib.sha256(self.vk).hexdigest(),
            "certified": hashlib.sha256(self.transcript).hexdigest(),
        }  # fmt: skip
        return {**told, **changes}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    require_packages()
    return hold(tmp_path_factory.mktemp("ceremony"))


def hold(folder: Path) -> Held:
    """A ceremony of three on a small circuit, closed by a beacon."""
    circuit = prover.Circuit(program(), 1)
    prover.make_ptau(folder / "phase1.ptau", circuit.domain.bit_length())
    prover.Ceremony.new(circuit, folder / "phase1.ptau").write(folder / "new")
    state = (folder / "new").read_bytes()
    for name in ("Ada", NAME, "Grace"):
        state = contributed(folder, state, name)
    (folder / "last").write_bytes(state)
    closed = prover.Ceremony.read(folder / "last").beacon("block 7", bytes(range(32)), 4)
    vk, _ = closed.finish(folder / "pk.bin")
    return Held(state, closed.transcript, vk, circuit.digest, closed.contributions)


def words(answer: dict[str, Any]) -> dict[str, str]:
    return {name: word for name, word, _ in answer["checks"]}


def test_every_contribution_follows_as_the_prover_has_it(held: Held) -> None:
    last = held.listed[-1][2]
    whole, by_last_hash, uncertified = ask(
        [held.question(), held.question(certified=last.hex()), held.question(certified=None)]
    )
    told = {name: (word, detail) for name, word, detail in whole["checks"]}
    for number, (name, beacon, digest) in enumerate(held.listed, 1):
        word, detail = told[f"contribution {number}"]
        assert word == "ok"
        assert detail.startswith(f"{name}: hash {digest.hex()}")
        assert ("no secret" in detail) == beacon
    assert {name: told[name][0] for name in ("transcript", "circuit", "contributors", "key", "phase 1")} == {
        "transcript": "ok", "circuit": "ok", "contributors": "ok", "key": "ok", "phase 1": "not checked",
    }  # fmt: skip
    assert words(by_last_hash)["transcript"] == "ok"
    assert words(uncertified)["transcript"] == "not checked"


def test_what_agrees_with_a_node_s_word_is_not_ok(held: Held) -> None:
    """What a node says of the record proves nothing; what it denies is refused all the same."""
    word = "the word of the node at ws://x, without proof"
    said, denied = ask([held.question(word=word), held.question(word=word, circuit="11" * 32)])
    by_record = {name: told for name, told, _ in said["checks"] if name in ("transcript", "circuit", "key")}
    assert by_record == dict.fromkeys(("transcript", "circuit", "key"), "not checked")
    assert all(word in detail for name, _, detail in said["checks"] if name in by_record)
    assert {words(said)[f"contribution {number}"] for number in range(1, 5)} == {"ok"}
    assert words(denied)["circuit"] == "REFUSED"


def test_a_spec_of_the_explorer_s_is_its_word() -> None:
    served, chosen = ask(
        [{"kind": "believed"}, {"kind": "believed", "origin": "the file a.json that you chose"}]
    )
    assert served["told"].startswith("no server is believed but this explorer")
    assert chosen["told"] == "no server is believed"


def test_what_was_forged_dropped_or_moved_is_named(held: Held) -> None:
    """The same files that the prover refuses; the first contribution that does not follow is red."""
    rest = held.transcript[8:]
    ada, second, grace = shares(held.state)[1]
    beacon = rest[68 + len(ada) + len(second) + len(grace) :]

    def changed(parts: list[bytes]) -> dict[str, Any]:
        data = HEAD + rest[:64] + len(parts).to_bytes(4, "little") + b"".join(parts)
        return held.question(transcript=data.hex())

    forged, dropped, moved, cut, alone, other, key = ask(
        [
            changed([ada, second, grace[:-128] + second[-128:], beacon]),
            changed([ada, grace, beacon]),
            changed([second, ada, grace, beacon]),
            changed([ada, second, grace]),
            changed([]),
            held.question(circuit="11" * 32),
            held.question(vk=(held.vk[:-64] + held.vk[-128:-64]).hex()),
        ]
    )
    assert words(forged)["contribution 3"] == "REFUSED"
    assert words(dropped)["contribution 2"] == "REFUSED"
    assert words(moved)["contribution 1"] == "REFUSED"
    assert words(cut)["key"] == "REFUSED"
    assert words(alone)["contributors"] == "REFUSED"
    for one in (forged, dropped, moved, cut, alone):
        assert words(one)["transcript"] == "REFUSED"
    assert words(other)["circuit"] == "REFUSED"
    assert words(key)["key"] == "REFUSED"


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ("another version", lambda data: data[:4] + b"\2" + data[5:]),
        ("no transcript", lambda data: b"PWCE" + data[4:]),
        ("cut off", lambda data: data[:-1]),
        ("longer", lambda data: data + b"\0"),
        ("too many", lambda data: data[:72] + (1025).to_bytes(4, "little") + data[76:]),
        ("a name that is none", lambda data: data[:77] + b"\x1b" + data[78:]),
        ("a point off the curve", lambda data: data[:81] + bytes([data[81] ^ 1]) + data[82:]),
        ("a coordinate above the modulus", lambda data: data[:81] + b"\xff" * 32 + data[113:]),
        ("empty", lambda data: b""),
    ],
)
def test_what_is_no_transcript_is_refused(held: Held, fault: str, change: Any) -> None:
    (answer,) = ask([held.question(transcript=change(held.transcript).hex())])
    assert [(name, word) for name, word, _ in answer["checks"]] == [("transcript", "REFUSED")], fault


def test_which_contributor_was_an_enclave(held: Held, tmp_path: Path) -> None:
    """In the words of `proofward setup verify --enclave`: a quote in its place, and others."""
    platform, td = DevPlatform(), TdIdentity(mrtd=bytes(48))
    transcript = Transcript(
        held.circuit.hex(),
        held.transcript[40:72].hex(),
        [Contribution(name, beacon, digest.hex()) for name, beacon, digest in held.listed],
    )
    bound = contribution_report_data(
        circuit_digest=held.circuit, phase1=held.transcript[40:72], contribution=held.listed[1][2]
    )
    quote = {
        "quote": platform.quote(bound, td).hex(),
        "collateral": _dev().encode().hex(),
        "time": NOW,
        "contribution": held.listed[1][2].hex(),
    }
    cases = [
        quote,
        {**quote, "contribution": held.listed[0][2].hex()},
        {**quote, "contribution": "00" * 32},
        {**quote, "quote": "00" * 100},
    ]
    answers = ask([held.question(quote=json.dumps(one)) for one in cases])
    for one, answer in zip(cases, answers, strict=True):
        path = tmp_path / "quote"
        path.write_text(json.dumps(one))
        expected = contribution_checks(load_quote(path), transcript, Policy.for_development())
        found = [(name, word) for name, word, _ in answer["checks"] if name.startswith("enclave")]
        assert found == [(check.name, check.word) for check in expected], one
