"""A study's rounds as anybody can check them: openings, commitments, proofs of length, sums.

What is checked: each round's noise and sum are signed for by one key; each update is as short as that of
so many records as its site said; the sum is that of exactly the commitments that are named, and of the
noise; the rounds stayed within the study's budget. Whether that key is an attested enclave's, whether the
noise was committed to before the updates, and how many consents a site has, a transcript does not say: a
chain would.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import proofward_prover
from proofward_prover import ProverError

from proofward.files import read_whole, write_whole
from proofward.protocol import ProtocolError, strict_json
from proofward.protocol.federation import MAX_MEMBERS, Aggregate, Opening, UpdateContext, values_hash
from proofward.protocol.keys import verify_signature
from proofward_federation.errors import FederationError
from proofward_federation.study import Study
from proofward_federation.update import is_short

MAX_BYTES: Final = 256 << 20
MAX_ROUNDS: Final = 256
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Part:
    """A site's part in a round; bytes are in hexadecimal. `most`: records that its length is proved for."""

    site: str
    commitment: str
    consents: str
    most: int
    proof: str


@dataclass(frozen=True, slots=True)
class Told:
    """A round as it was published; `receipt_key` is the enclave's that signed its noise and its sum."""

    number: int
    receipt_key: str
    at: int
    block: str
    noise: str
    opening: str
    parts: tuple[Part, ...]
    absent: tuple[int, ...]
    values: tuple[int, ...]
    blinding: str
    signature: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """A study with its rounds; `study` is its id, `document` its canonical document in hexadecimal."""

    genesis: str
    study: str
    document: str
    rounds: tuple[Told, ...]

    def save(self, path: Path) -> None:
        """Write the file whole."""
        write_whole(path, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, path: Path) -> Transcript:
        """Raises FederationError(bad-transcript)."""
        try:
            return transcript_of(strict_json.loads(read_whole(path, MAX_BYTES), limit=MAX_BYTES))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise FederationError(f"{path} is no transcript: {error}", code="bad-transcript") from None


def transcript_of(values: dict[str, Any]) -> Transcript:
    """From its JSON. Raises ValueError, TypeError, KeyError, AttributeError."""
    rounds = tuple(told_of(one) for one in values["rounds"])
    return plain(Transcript(**{**values, "rounds": rounds}))


def audit(said: Transcript) -> list[str]:
    """What was checked, one line each. Raises FederationError(transcript-refused) with the first thing that
    does not hold.
    """
    try:
        study = Study.parse(bytes.fromhex(said.document))
        lines = [f"study {study.name!r}, rule {study.rule.hex()[:16]}…"]
        _require(0 < len(said.rounds) <= min(study.rounds, MAX_ROUNDS), "it has more rounds than the study")
        for place, one in enumerate(said.rounds):
            before = said.rounds[place - 1].number if place else -1
            _require(one.number > before, f"round {one.number} comes after round {before}")
            lines.append(_round(said, study, one))
        spent = study.rho * len(said.rounds)
        _require(spent <= study.budget, f"the rounds cost {spent} nano-rho, the budget is {study.budget}")
    except (ValueError, TypeError, OverflowError, ProtocolError, ProverError) as error:
        raise FederationError(f"the transcript does not hold: {error}", code="transcript-refused") from None
    return [*lines, f"budget: {spent / 1e9:.6f} of {study.budget / 1e9:.6f} rho spent"]


def _round(said: Transcript, study: Study, one: Told) -> str:
    key = bytes.fromhex(one.receipt_key)
    genesis, name, noise = (bytes.fromhex(text) for text in (said.genesis, said.study, one.noise))
    opening = Opening(genesis, name, study.rule, one.number, one.at, bytes.fromhex(one.block), noise)
    verify_signature(key, opening.message(), bytes.fromhex(one.opening))
    here = f"round {one.number}"
    _require(0 < len(one.parts) <= MAX_MEMBERS, f"{here} has no sites, or too many")
    _require(len({part.site for part in one.parts}) == len(one.parts), f"{here} counts a site twice")
    known = all(0 <= place < len(one.parts) for place in one.absent)
    _require(known and list(one.absent) == sorted(set(one.absent)), f"{here} names nobody as absent")
    present = [part for place, part in enumerate(one.parts) if place not in one.absent]
    _require(len(present) >= study.cohort, f"{here} sums {len(present)} sites, {study.cohort} are wanted")
    for part in present:
        context = UpdateContext(
            genesis=genesis,
            study=name,
            rule=study.rule,
            number=one.number,
            noise=noise,
            site=bytes.fromhex(part.site),
            commitment=bytes.fromhex(part.commitment),
            consents=bytes.fromhex(part.consents),
        )
        _require(part.most > 0, f"{here}: the update of site {part.site[:8]}… is of no records")
        short = is_short(context.commitment, study, part.most, context.info(), bytes.fromhex(part.proof))
        _require(short, f"{here}: the update of site {part.site[:8]}… is not proved to be short")
    total = proofward_prover.vector_sum([noise, *(bytes.fromhex(part.commitment) for part in present)])
    _require(len(one.values) == study.dimension, f"{here} has another number of parameters than the study")
    opened = proofward_prover.vector_commit(one.values, bytes.fromhex(one.blinding))
    _require(opened == total, f"{here}: the values are not the sum of what was committed to")
    aggregate = Aggregate(genesis, name, one.number, total, values_hash(one.values), one.absent)
    verify_signature(key, aggregate.message(), bytes.fromhex(one.signature))
    absent = f", {len(one.absent)} named as absent" if one.absent else ""
    return f"{here}: exactly the sum of {len(present)} sites' committed updates{absent}, each proved short"


def _require(holds: bool, told: str) -> None:
    if not holds:
        raise FederationError(f"the transcript does not hold: {told}", code="transcript-refused")


def told_of(values: dict[str, Any]) -> Told:
    """A round from its JSON. Raises as `transcript_of`."""
    parts = tuple(plain(Part(**part)) for part in values["parts"])
    absent, numbers = tuple(values["absent"]), tuple(values["values"])
    if not all(type(number) is int for number in (values["number"], values["at"], *absent, *numbers)):
        raise ValueError("a number is no integer")
    return plain(Told(**{**values, "parts": parts, "absent": absent, "values": numbers}))


_PLAIN: Final = {"str": str, "int": int}


def plain(record: Record) -> Record:
    """The dataclass, whose texts are texts and whose integers are integers. Raises ValueError."""
    for one in fields(cast(Any, record)):
        wanted = _PLAIN.get(str(one.type))
        if wanted is not None and type(getattr(record, one.name)) is not wanted:
            raise ValueError(f"{one.name} is of another kind")
    return record
