"""Write the fuzzers' seeds: a small valid input of every reader. `python -m tests.fuzz.seeds`."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import cbor2
import proofward_prover
import pytest

from proofward.evidence import answer_file
from proofward.evidence.bundle import Bundle
from proofward.evidence.two_receipts import TwoReceipts
from proofward.protocol import (
    HpkePrivateKey,
    HpkeSuite,
    JobContext,
    JobPayload,
    ReceiptKey,
    RecipientKey,
    blake2_256,
    seal_job,
)
from proofward.protocol.collateral import encode_collateral
from proofward.protocol.federation import Aggregate, Opening, UpdateContext, values_hash
from proofward.protocol.requests import JobRequest
from proofward.protocol.session_frames import (
    Answers,
    Message,
    PageReceipt,
    Proposal,
    Records,
    Refusal,
    Replay,
    State,
    Voucher,
)
from proofward.protocol.types import Level, Setup, SetupKind
from proofward_federation.budget import epsilon_of
from proofward_federation.consents import ShownTree
from proofward_federation.enclave import Wanted, seal_payload
from proofward_federation.network.card import Card, counts_of, weights_of
from proofward_federation.network.wire import Delivery
from proofward_federation.transcript import Part, Told, Transcript, audit
from proofward_federation.update import Update, prove_short
from tests.evidence import RECORD, compile_tiny, make_evidence
from tests.federation.world import KEYS, POLICY, study_of
from tests.fuzz.targets import chains, statements
from tests.gateway.test_contradiction import _lied_to

HERE = Path(__file__).parent
HASH = "ab" * 32
CONTEXT = JobContext(**{name: bytes([i]) * 32 for i, name in enumerate(JobContext.__dataclass_fields__)})


def bundle() -> bytes:
    """Every field, the optional part too; nothing in it is true."""
    quote = {"quote": "0400", "collateral": "00", "time": 1_700_000_000}
    hashes = {
        name: HASH for name in ("weights_digest", "manifest_hash", "vk_hash", "circuit_digest", "key_hash")
    }
    value = {
        "chain": {"genesis": HASH, "name": "a chain", "type": "Development"},
        "job": {
            **{name: HASH for name in ("id", "client", "model", "input_commitment")},
            "min_level": "simulated",
            "allow_dev_setup": True,
            "deadline": 9,
            "submitted_at": 1,
        },
        "result": {
            "worker": HASH,
            "level": "hardware",
            "setup": "0100",
            "output_commitment": HASH,
            "proof": "00",
            "sealed_output": "00",
            "receipt_block": 3,
            "receipt_signature": "cd" * 64,
            "block": 4,
        },
        "model": {
            **hashes,
            "publisher": HASH,
            "name": "a model",
            "lane": "groth16",
            "verifier": "ef" * 20,
            "contract_code": "00",
            "files": {"public/vk.bin": "00"},
        },
        "worker": {
            "level": "simulated",
            **{name: HASH for name in ("measurement", "receipt_key", "quote_hash", "block_hash")},
            "hpke_key": HASH,
            "epoch": 1,
            "attestation": quote,
        },
        "setup_evidence": {**quote, "block_hash": HASH},
    }
    return Bundle.model_validate(value).model_dump_json().encode()


def evidence() -> Bundle:
    """A bundle of a tiny network's job, in which everything is true."""
    with tempfile.TemporaryDirectory() as folder:
        return make_evidence(compile_tiny(Path(folder) / "tiny"), RECORD, Path(folder)).bundle


def envelope() -> bytes:
    """To two recipients."""
    keys = [HpkePrivateKey.generate(suite) for suite in (HpkeSuite.X25519, HpkeSuite.X25519)]
    recipients = [RecipientKey(bytes([i]) * 32, 1, key.public) for i, key in enumerate(keys)]
    payload = JobPayload(1, (1, 2, 3), bytes(32), keys[0].public)
    return seal_job(CONTEXT, payload, recipients)


def _messages() -> list[Message]:
    """One of each kind between a session's ends."""
    key, signature = bytes(32), bytes(64)
    page = PageReceipt(0, 0, 1, key, key, signature)
    return [
        Records(0, 1, bytes(8)),
        Voucher(1, signature),
        Replay(7),
        Answers(0, 1, bytes(8), key, signature, (page,)),
        Proposal(1, key, 1, 1, signature, (page,)),
        State(1, 2, 3, 4),
        Refusal(7, "busy"),
    ]


def frames() -> dict[str, bytes]:
    """A request with a job, and both replies."""
    job = JobRequest(
        CONTEXT,
        worker=bytes(32),
        manifest_hash=bytes(32),
        weights_digest=bytes(32),
        publisher=bytes(32),
        setup=Setup(SetupKind.DEV),
        level=Level.SIMULATED,
    )
    params = job.encode()
    return {
        "request": cbor2.dumps({"id": 7, "method": "work", "params": params}),
        "result": cbor2.dumps({"id": 7, "result": {"a": [1.5, None, True, b"x", "y"]}}),
        **{f"session_{type(one).__name__.lower()}": one.encode() for one in _messages()},
        "error": cbor2.dumps({"id": 7, "error": {"code": "busy", "message": "later"}}),
    }


def collateral() -> bytes:
    """The sample's, each field cut short."""
    fields = json.loads((HERE.parent / "samples" / "tdx_quote_collateral.json").read_text())
    return encode_collateral({name: value[:24] for name, value in fields.items()})


def card() -> Card:
    """Of one round of two sites, in which everything is true but the aggregator."""
    study, key = study_of(), ReceiptKey(bytes(32))
    noise, *updates = (Update.of(values, 1) for values in ((1, -2, 3, 4), (9, 8, 7, 6), (-1, 0, 1, 2)))
    said: dict[str, Any] = {"genesis": bytes(32), "study": bytes(32), "rule": study.rule, "number": 0}
    opening = Opening(**said, at=0, block=bytes(32), noise=noise.commitment)
    parts = []
    for place, update in enumerate(updates):
        site, consents = bytes([place]) * 32, bytes(32)
        context = UpdateContext(
            **said, noise=noise.commitment, site=site, commitment=update.commitment, consents=consents
        )
        proof = prove_short(update, study, 1, context.info())
        parts.append(Part(site.hex(), update.commitment.hex(), consents.hex(), 1, proof.hex()))
    all_of = [noise, *updates]
    values = tuple(map(sum, zip(*(one.values for one in all_of), strict=True)))
    total = proofward_prover.vector_sum([one.commitment for one in all_of])
    aggregate = Aggregate(bytes(32), bytes(32), 0, total, values_hash(values), ())
    told = Told(
        number=0,
        receipt_key=key.public.hex(),
        at=0,
        block=bytes(32).hex(),
        noise=noise.commitment.hex(),
        opening=key.sign(opening.message()).hex(),
        parts=tuple(parts),
        absent=(),
        values=values,
        blinding=proofward_prover.blinding_sum([one.blinding for one in all_of]).hex(),
        signature=key.sign(aggregate.message()).hex(),
    )
    transcript = Transcript(bytes(32).hex(), bytes(32).hex(), study.document().hex(), (told,))
    audit(transcript)
    return Card(
        transcript=transcript,
        blocks=((1, 2),),
        aggregator=HASH,
        measurement=HASH,
        level="simulated",
        spent=study.rho,
        epsilon=epsilon_of(study.rho, 1e-5),
        delta=1e-5,
        weights=tuple(weights_of(transcript).tolist()),
        records=tuple(counts_of(transcript)),
    )


def federation() -> dict[str, bytes]:
    """A site's rules, a sealed update's inside, a delivery, and every document."""
    update = Update((1, -2, 3, 4), 1, bytes(32), bytes(32))
    sealed = seal_payload(update, Wanted(2, 1, (bytes(32),)), bytes(64), ShownTree([bytes(32)], [0], [1]))
    site = KEYS[0]
    delivery = Delivery(bytes(32), 0, site.public_key, bytes(32), bytes(32), 1, b"proof", b"sealed")
    return {
        "rules": b"r" + POLICY.encode(),
        "update": b"u" + sealed,
        "delivery": b"d" + delivery.signed(bytes(32), site),
        **_kinds("shpct"),
    }


def statement() -> dict[str, bytes]:
    """Sentences of every form, and the three documents."""
    name = statements.names()[0]
    said = {
        "compared": f"any: {name} >= -0.25",
        "between": '"feature 0" between -1 and .5',
        "logit": f"at least 2: logit({name}) <= 3",
        "probability": f"record 1: {name} >= 0.75",
        "class": "all: class is ill",
        "classes": "class is one of well, ill",
    }
    return {name: b"s" + text.encode() for name, text in said.items()} | _kinds("adk")


def chain() -> dict[str, bytes]:
    """A header, its justification, nodes below it, and every document."""
    data = {name: chains.GRANDPA[name] for name in ("header", "justification")}
    nodes = sorted(map(bytes.fromhex, chains.GRANDPA["nodes"]), key=lambda node: blake2_256(node) != ROOT)
    return {
        "header": b"h" + bytes.fromhex(data["header"]),
        "justification": b"j" + bytes.fromhex(data["justification"]),
        "nodes": b"n" + b"node".join(nodes),
        **_kinds("fpamts"),
    }


async def exchange() -> tuple[bytes, bytes]:
    """A true answer's file, and one of two receipts that contradict each other."""
    patch = pytest.MonkeyPatch()
    with tempfile.TemporaryDirectory() as folder:
        kept, other, _ = await _lied_to(Path(folder), patch)
        patch.undo()
        answer, lie = Path(folder) / "answer.json", Path(folder) / "two.json"
        answer_file.save(kept, answer)
        TwoReceipts.of(kept, other).save(lie)
        return answer.read_bytes(), lie.read_bytes()


def gateway() -> dict[str, bytes]:
    """Events of both ends' forms, and every document."""
    event = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    return {"events": b"s\x10data: [DONE]\n\n: kept\r\n\r\n" + event, **_kinds("xtkpho")}


def kept() -> dict[str, bytes]:
    """Every file."""
    return _kinds("jeoduflwhqgx")


ROOT = chains.HEADER.state_root


def _kinds(letters: str) -> dict[str, bytes]:
    """Documents of a target by their letters, as they are: the fuzzer changes them."""
    return {letter: letter.encode() for letter in letters}


def main() -> None:
    """Seeds of all readers but tables and programs, which lie elsewhere."""
    true = evidence()
    (HERE / "card.json").write_bytes(card().document())
    for name, content in zip(("answer", "two_receipts"), asyncio.run(exchange()), strict=True):
        (HERE / f"{name}.json").write_bytes(content)
    (HERE / "evidence.json").write_text(true.model_dump_json(indent=1) + "\n")
    seeds = {
        "bundle": {"every_field.json": bundle()},
        "manifest": {"tiny.json": true.model.files["public/manifest.json"]},
        "envelope": {"two_recipients": envelope()},
        "frame": frames(),
        "federation": federation(),
        "statement": statement(),
        "chain": chain(),
        "gateway": gateway(),
        "kept": kept(),
        "scale": {"collateral": collateral(), "setup": Setup(SetupKind.DEV).encode()},
    }
    for target, files in seeds.items():
        (HERE / "corpus" / target).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (HERE / "corpus" / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
