"""What the members of a study hand each other."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import rfc8785

from proofward.protocol.errors import ProtocolError
from proofward_federation import placed
from proofward_federation.enclave import SEALED_UPDATE
from proofward_federation.errors import FederationError
from proofward_federation.network.card import Card, follow, summary
from proofward_federation.network.wire import TheStudy, read_delivery
from proofward_federation.policy import SitePolicy
from proofward_federation.study import Study
from proofward_federation.transcript import Transcript, audit
from tests.fuzz.edits import document
from tests.fuzz.targets.scratch import file_of

CARD: dict[str, Any] = json.loads((Path(__file__).parents[1] / "card.json").read_text())
"""Of a true transcript of one round, the same in every process; `python -m tests.fuzz.seeds` makes it."""
TRANSCRIPT: dict[str, Any] = CARD["transcript"]
STUDY: dict[str, Any] = json.loads(bytes.fromhex(TRANSCRIPT["document"]))
TOLD = {
    "study": TRANSCRIPT["study"],
    "document": TRANSCRIPT["document"],
    "rounds": [{"number": 0, "values": TRANSCRIPT["rounds"][0]["values"]}],
}
HASH = "ab" * 32
PLACES = {HASH: [{"leaf": HASH, "place": 0, "path": ["cd" * 32]}]}


def federation(data: bytes) -> None:
    """By the first byte: what hospitals, researchers, aggregators, patients and auditors hand each other."""
    kind, data = data[:1], data[1:]
    with contextlib.suppress(FederationError, ProtocolError):
        match kind:
            case b"s":
                said = _canonical(data, STUDY)
                assert Study.parse(said).document() == said
            case b"r":
                policy = SitePolicy.parse(data)
                assert 0 < policy.round <= policy.yearly
            case b"u":
                assert SEALED_UPDATE.encode(SEALED_UPDATE.decode(data)) == data
            case b"d":
                read_delivery(data, bytes(32))
            case b"h":
                told = TheStudy.parse(document(data, TOLD))
                assert TheStudy.parse(json.dumps(told.body()).encode()) == told
            case b"p":
                shown = placed.load(file_of(document(data, PLACES), "places.json"))
                for leaf, found in shown.items():
                    placed.stands(leaf, found, bytes.fromhex(HASH), 2)
            case b"c":
                _card(_canonical(data, CARD))
            case _:
                read = Transcript.load(file_of(document(data, TRANSCRIPT), "transcript.json"))
                audit(read)
                assert read == Transcript.load(file_of(json.dumps(TRANSCRIPT).encode(), "true.json"))


def _canonical(data: bytes, value: dict[str, Any]) -> bytes:
    """A changed document in its one form where it has one: what a forger would send."""
    said = document(data, value)
    with contextlib.suppress(ValueError, RecursionError):
        return rfc8785.dumps(json.loads(said))
    return said


def _card(said: bytes) -> None:
    """A card is followed back whatever it says."""
    read = Card.parse(said)
    assert read.document() == said
    assert summary(read)
    assert len(follow(b"", said, None)) > 2
