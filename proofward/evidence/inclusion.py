"""That the chain's final state says what a bundle says: the job's record, the model's, the lane's contract
and the allow-list, under the root of a header that GRANDPA finalised.

The records are laid out as in the pallets (chain/pallets/{jobs,models,attestation}); a chain whose runtime
lays them out otherwise is refused, not guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from proofward.check import Check, said
from proofward.consensus import (
    Authorities,
    BadProof,
    Change,
    Checkpoint,
    Header,
    StorageProof,
    check_justification,
    decode_header,
    follow,
    map_key,
    value_key,
)
from proofward.evidence.bundle import Bundle, InclusionPart
from proofward.evidence.policy import Certificate, Policy
from proofward.protocol import Lane, Level, ProtocolError, Setup, keccak256, scale, sha256
from proofward.protocol.types import SCALE_LANE, SCALE_LEVEL, SCALE_SETUP

_U128 = scale.fixed(16)
_ACCOUNTS = scale.vec(scale.H256, 8)
_CLAIMED = scale.Record(
    "Claimed", {"worker": scale.H256, "claimed_at": scale.U32, "lapses_at": scale.U32, "bond": _U128}
)
_ACCEPTED = scale.Record(
    "Accepted",
    {
        "worker": scale.H256,
        "level": SCALE_LEVEL,
        "setup": SCALE_SETUP,
        "output_commitment": scale.H256,
        "proof_hash": scale.H256,
        "sealed_output_hash": scale.H256,
        "block": scale.U32,
    },
)
JOB: Final = scale.Record(
    "Job",
    {
        "client": scale.H256,
        "model": scale.H256,
        "input_commitment": scale.H256,
        "sealed_hash": scale.H256,
        "recipients": _ACCOUNTS,
        "price": _U128,
        "deposit": _U128,
        "record_deposit": _U128,
        "deadline": scale.U32,
        "min_level": SCALE_LEVEL,
        "allow_dev_setup": scale.U8,
        "submitted_at": scale.U32,
        "attempts": scale.U32,
        "rejected_by": _ACCOUNTS,
        "released_by": _ACCOUNTS,
        "declined_by": _ACCOUNTS,
        "status": scale.enum(
            {
                "Queued": None,
                "Claimed": _CLAIMED,
                "Accepted": _ACCEPTED,
                "Refunded": scale.Record("Refunded", {"block": scale.U32}),
            }
        ),
    },
)
_TERMS = scale.Record("Terms", {"price": _U128, "share": scale.U32, "bond": _U128, "claim_blocks": scale.U32})
_GROUNDS = scale.Record("Grounds", {"root": scale.H256, "measurement": scale.H256, "platform": scale.H256})
MODEL: Final = scale.Record(
    "Model",
    {
        "publisher": scale.H256,
        "name": scale.byte_vec(64),
        "weights_digest": scale.H256,
        "manifest_hash": scale.H256,
        "input_shape": scale.vec(scale.U32, 8),
        "batch": scale.U32,
        "lane": SCALE_LANE,
        "vk_hash": scale.H256,
        "key_hash": scale.H256,
        "circuit_digest": scale.H256,
        "terms": _TERMS,
        "setup": SCALE_SETUP,
        "grounds": scale.option(_GROUNDS),
        "evidence_hash": scale.option(scale.H256),
        "published_at": scale.U32,
        "retired_at": scale.option(scale.U32),
        "deposit": _U128,
    },
)
_CONTRACT = scale.Record("VerifierContract", {"address": scale.fixed(20), "code_hash": scale.H256})


def keys(*, job: bytes, model: bytes, lane: Lane, measurement: bytes) -> list[bytes]:
    """What the proof must cover, as storage keys: the genesis hash, which the chain keeps for good, its time,
    job, model, the lane's contract, the measurement, and whether the job's client has contested its result.
    """
    return [
        map_key("System", "BlockHash", bytes(4), "twox_64_concat"),
        value_key("Timestamp", "Now"),
        map_key("Jobs", "Jobs", job),
        map_key("Models", "Models", model),
        map_key("Models", "Verifiers", bytes([lane.value]), "twox_64_concat"),
        map_key("Attestation", "Measurements", measurement, "identity"),
        _contest_key(job),
    ]


def _contest_key(job: bytes) -> bytes:
    return map_key("Jobs", "Contested", job)


@dataclass(frozen=True, slots=True)
class Included:
    """What the chain's state says of a bundle; `certificate` is of the model's ceremony, where it has one."""

    checks: list[Check]
    certificate: Certificate | None = None


def included(bundle: Bundle, policy: Policy) -> Included:
    """Who finalised, and whether the state is the bundle's. Without the reader's authorities (`--spec`) both
    are the bundle's own word; with them, a bundle without a proof is not enough.
    """
    part, authorities = bundle.inclusion, policy.authorities
    if part is None:
        detail = "the bundle proves nothing of the chain's state: its chain or node had no proof to give"
        return Included([Check("inclusion", None, detail) if authorities else said("inclusion", detail)])
    if authorities is None:
        unread = "a proof of the chain's state is here and unread: give the chain's --spec"
        return Included([said("inclusion", unread)])
    try:
        header, told = _final(part, authorities, policy.checkpoint)
    except BadProof as error:
        return Included([Check("finality", False, error.message)])
    if told.ok is None:
        return Included([told])
    try:
        proof = StorageProof(header.state_root, part.nodes)
        differing = [*_differences(bundle, proof)]
    except (BadProof, ProtocolError) as error:
        return Included([told, Check("inclusion", False, error.message)])
    if differing:
        return Included(
            [told, Check("inclusion", False, f"the chain's state differs: {', '.join(differing)}")]
        )
    where = f"job, model, contract and measurement are in the state of block {header.number}"
    checks = [told, Check("inclusion", True, where), _delivery(bundle.job.id, proof, header.number)]
    return Included(checks, _certificate(bundle, proof, header.number))


def _certificate(bundle: Bundle, proof: StorageProof, block: int) -> Certificate | None:
    """Of the model's ceremony, in a state that agrees with the bundle."""
    stored = proof.value(map_key("Models", "Models", bundle.job.model))
    record = MODEL.decode(stored or b"")
    if record["setup"] != "Ceremony" or record["evidence_hash"] is None:
        return None
    return Certificate(record["evidence_hash"], f"in the state of block {block}")


def _delivery(job: bytes, proof: StorageProof, block: int) -> Check:
    """Whether the job's client showed that the output does not open; the window may still be open."""
    try:
        contested = proof.value(_contest_key(job))
    except BadProof:
        told = "nothing proves whether the result was contested: export the evidence again"
        return Check("delivery", None, told)
    if contested is None:
        return Check("delivery", True, f"nobody has contested the result by block {block}")
    return Check("delivery", False, "its client showed the chain that the output does not open")


def _final(
    part: InclusionPart, authorities: Authorities, checkpoint: Checkpoint | None
) -> tuple[Header, Check]:
    """The header and who finalised it. Raises BadProof.

    A checkpoint stands for all that came before it: evidence of that block needs no votes, older evidence is
    not checked, and for later evidence its authorities count, whoever has the keys of those before them.
    """
    header = decode_header(part.header)
    if checkpoint is not None:
        return header, _since(part, header, checkpoint)
    now = follow(authorities, (Change(one.header, one.justification) for one in part.changes))
    weight = check_justification(part.justification, header, now.voters, now.set_id)
    total = sum(weight for _, weight in now.voters)
    told = f"block {header.number}, by {weight} of {total} authorities of set {now.set_id}"
    return header, Check("finality", True, told)


def _since(part: InclusionPart, header: Header, checkpoint: Checkpoint) -> Check:
    point = f"the spec's checkpoint, block {checkpoint.number}"
    if header.number < checkpoint.number:
        told = f"block {header.number} is older than {point}, and who had its authorities' keys since could "
        return Check(
            "finality", None, told + "have made it: export the evidence again, by a node of the chain"
        )
    if header.number == checkpoint.number:
        if header.hash != checkpoint.hash:
            raise BadProof(f"block {header.number} is not {point}: it is of another fork")
        return Check("finality", True, f"block {header.number} is {point}")
    if checkpoint.authorities is None:
        told = "names no authorities: write it anew with `proofward network checkpoint`"
        return Check("finality", None, f"{point}, {told}")
    later = [one for one in part.changes if decode_header(one.header).number > checkpoint.number]
    now = follow(checkpoint.authorities, (Change(one.header, one.justification) for one in later))
    weight = check_justification(part.justification, header, now.voters, now.set_id)
    total = sum(weight for _, weight in now.voters)
    told = f"block {header.number}, by {weight} of {total} authorities of set {now.set_id}, from {point} on"
    return Check("finality", True, told)


def _differences(bundle: Bundle, proof: StorageProof) -> Iterator[str]:
    """What the state says otherwise, by name. Raises BadProof, ProtocolError."""
    job, model = bundle.job, bundle.model
    lane = Lane.from_label(model.lane)
    wanted = keys(job=job.id, model=job.model, lane=lane, measurement=bundle.worker.measurement)
    genesis, now, of_job, of_model, contract, allowed = map(proof.value, wanted[:6])
    if genesis != bundle.chain.genesis:
        yield "the genesis hash"
    times = [one.time for one in (bundle.worker.attestation, bundle.setup_evidence) if one is not None]
    if now is None or 1_000 * max(times) > int.from_bytes(now, "little"):
        yield "the time, which is before the quote's"
    yield from _of_job(bundle, of_job)
    yield from _of_model(bundle, of_model)
    code = keccak256(model.contract_code)
    if contract is None or _CONTRACT.decode(contract) != {"address": model.verifier, "code_hash": code}:
        yield "the lane's contract"
    if allowed is None:
        yield "the measurement, which is not on the allow-list"


def _of_job(bundle: Bundle, stored: bytes | None) -> Iterator[str]:
    job, result = bundle.job, bundle.result
    if stored is None:
        yield "there is no such job"
        return
    record = JOB.decode(stored)
    expected: dict[str, Any] = {
        "client": job.client,
        "model": job.model,
        "input_commitment": job.input_commitment,
        "min_level": Level.from_label(job.min_level).name.capitalize(),
        "allow_dev_setup": int(job.allow_dev_setup),
        "deadline": job.deadline,
        "submitted_at": job.submitted_at,
    }
    yield from _unequal("the job's", expected, record)
    if not isinstance(record["status"], dict) or "Accepted" not in record["status"]:
        yield "the job is not accepted"
        return
    verdict = {
        "worker": result.worker,
        "level": Level.from_label(result.level).name.capitalize(),
        "setup": Setup.decode(result.setup).scale_value(),
        "output_commitment": result.output_commitment,
        "proof_hash": sha256(result.proof),
        "sealed_output_hash": sha256(result.sealed_output),
        "block": result.block,
    }
    yield from _unequal("the verdict's", verdict, record["status"]["Accepted"])


def _of_model(bundle: Bundle, stored: bytes | None) -> Iterator[str]:
    model = bundle.model
    if stored is None:
        yield "there is no such model"
        return
    expected = {
        "publisher": model.publisher,
        "name": model.name.encode(),
        "weights_digest": model.weights_digest,
        "manifest_hash": model.manifest_hash,
        "lane": Lane.from_label(model.lane).name.capitalize(),
        "vk_hash": model.vk_hash,
        "key_hash": model.key_hash,
        "circuit_digest": model.circuit_digest,
    }
    record = MODEL.decode(stored)
    yield from _unequal("the model's", expected, record)
    quoted = bundle.setup_evidence
    if quoted is not None and record["evidence_hash"] != sha256(quoted.quote):
        yield "the setup's quote, which is not the one that the chain rests the model's keys on"


def _unequal(whose: str, expected: dict[str, Any], record: dict[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        if record[name] != value:
            yield f"{whose} {name.replace('_', ' ')}"
