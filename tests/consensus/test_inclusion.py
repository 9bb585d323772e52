"""A bundle with the chain's own proof: a state that says the same is accepted, any other is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proofward.amounts import UNIT
from proofward.consensus import BadProof, Checkpoint, checkpoint_of, decode_header, map_key
from proofward.consensus.checkpoint import PROPERTY
from proofward.evidence.bundle import Bundle, ChangePart, InclusionPart
from proofward.evidence.inclusion import JOB, MODEL, keys
from proofward.evidence.verify import Outcome, Verdict, verify_bundle
from proofward.light.spec import with_checkpoint
from proofward.protocol import Lane, Level, Setup, keccak256, sha256
from tests.client.test_verification import ATTESTED, _setup_quote
from tests.consensus.chain import Chain, chain, header, trie
from tests.evidence import Evidence, pinned

Records = dict[str, Any]
#: What the chain keeps of a contest that was won: the fault, what was slashed, the block.
CONTEST = bytes([0]) + UNIT.to_bytes(16, "little") + (7).to_bytes(4, "little")
FOUR, FIVE = chain(4), chain(5, seed=1, set_id=1)
ONE, NONE, ZERO = (1).to_bytes(16, "little"), bytes(16), bytes(32)


def records(bundle: Bundle) -> Records:
    """What the chain of this bundle stores, decoded."""
    job, result, model = bundle.job, bundle.result, bundle.model
    accepted = {
        "worker": result.worker, "level": "Simulated", "setup": Setup.decode(result.setup).scale_value(),
        "output_commitment": result.output_commitment, "proof_hash": sha256(result.proof),
        "sealed_output_hash": sha256(result.sealed_output), "block": result.block,
    }  # fmt: skip
    return {
        "genesis": bundle.chain.genesis,
        "now": 1_000 * bundle.worker.attestation.time,
        "job": {
            "client": job.client, "model": job.model, "input_commitment": job.input_commitment,
            "sealed_hash": ZERO, "recipients": [result.worker], "price": ONE, "deposit": ONE,
            "record_deposit": ONE, "deadline": job.deadline,
            "min_level": Level.from_label(job.min_level).name.capitalize(),
            "allow_dev_setup": int(job.allow_dev_setup), "submitted_at": job.submitted_at, "attempts": 1,
            "rejected_by": [], "released_by": [], "declined_by": [], "status": {"Accepted": accepted},
        },
        "model": {
            "publisher": model.publisher, "name": model.name.encode(), "weights_digest": model.weights_digest,
            "manifest_hash": model.manifest_hash, "input_shape": [3], "batch": 1,
            "lane": Lane.from_label(model.lane).name.capitalize(), "vk_hash": model.vk_hash,
            "key_hash": model.key_hash, "circuit_digest": model.circuit_digest,
            "terms": {"price": ONE, "share": 0, "bond": ONE, "claim_blocks": 9}, "setup": "Dev",
            "grounds": None, "evidence_hash": None, "published_at": 1, "retired_at": None, "deposit": NONE,
        },
        "contract": model.verifier + keccak256(model.contract_code),
        "measurement": b"\x0cfor",
        "contested": None,
    }  # fmt: skip


def with_proof(
    bundle: Bundle, stored: Records, by: Chain = FOUR, changes: tuple[ChangePart, ...] = ()
) -> Bundle:
    """The bundle, and a final block in whose state these records are; None leaves an entry out."""
    job = bundle.job
    names = keys(
        job=job.id,
        model=job.model,
        lane=Lane.from_label(bundle.model.lane),
        measurement=bundle.worker.measurement,
    )
    now = stored["now"]
    values = [
        stored["genesis"],
        None if now is None else now.to_bytes(8, "little"),
        stored["job"] and JOB.encode(stored["job"]),
        stored["model"] and MODEL.encode(stored["model"]),
        stored["contract"],
        stored["measurement"],
        stored["contested"],
    ]
    others = {sha256(bytes([number])): bytes([number]) * 40 for number in range(50)}
    others |= {map_key("Jobs", "Contested", sha256(bytes([number]))): bytes(40) for number in range(20)}
    state = others | {name: value for name, value in zip(names, values, strict=True) if value is not None}
    root, nodes = trie(state)
    block = header(300, root)
    part = InclusionPart(
        header=block,
        justification=by.justify(block, 300, range(len(by.keys))),
        changes=list(changes),
        nodes=nodes,
    )
    return bundle.model_copy(update={"inclusion": part})


def verdict_on(evidence: Evidence, bundle: Bundle, checkpoint: Checkpoint | None = None) -> Verdict:
    return verify_bundle(bundle, pinned(evidence, authorities=FOUR.authorities, checkpoint=checkpoint))


def details(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.detail for check in verdict if check.ok is False}


def test_what_the_chains_state_says_too_is_accepted(evidence: Evidence) -> None:
    verdict = verdict_on(evidence, with_proof(evidence.bundle, records(evidence.bundle)))
    assert verdict.accepted, details(verdict)
    told = {check.name: check.detail for check in verdict}
    assert told["finality"] == "block 300, by 4 of 4 authorities of set 0"
    assert "state of block 300" in told["inclusion"]


def test_a_bundle_with_a_proof_survives_its_file(evidence: Evidence, tmp_path: Any) -> None:
    from proofward.evidence.bundle import load_bundle, save_bundle

    bundle = with_proof(evidence.bundle, records(evidence.bundle))
    save_bundle(bundle, tmp_path / "b")
    assert load_bundle(tmp_path / "b") == bundle


def test_authorities_that_came_later(evidence: Evidence) -> None:
    change = header(100, bytes(32), change=FIVE.authorities)
    part = ChangePart(header=change, justification=FOUR.justify(change, 100, [0, 1, 2]))
    stored = records(evidence.bundle)
    later = with_proof(evidence.bundle, stored, FIVE, (part,))
    assert verdict_on(evidence, later).accepted
    assert "finality" in details(verdict_on(evidence, with_proof(evidence.bundle, stored, FIVE)))
    assert "finality" in details(verdict_on(evidence, with_proof(evidence.bundle, stored, FOUR, (part,))))


def test_old_keys_finalise_nothing_behind_a_checkpoint(evidence: Evidence) -> None:
    """The first authorities' keys leaked; who has them makes a later block that says what he likes."""
    stored, point = records(evidence.bundle), Checkpoint(200, ZERO, FIVE.authorities)
    change = header(100, bytes(32), change=FIVE.authorities)
    known = ChangePart(header=change, justification=FOUR.justify(change, 100, [0, 1, 2]))
    forged = with_proof(evidence.bundle, stored)
    assert verdict_on(evidence, forged).accepted
    assert "finality" in details(verdict_on(evidence, forged, point))
    # A set of their own, brought in before the checkpoint or behind it.
    own = chain(3, seed=7, set_id=1)
    for number in (100, 250):
        brought = header(number, bytes(32), change=own.authorities)
        part = ChangePart(header=brought, justification=FOUR.justify(brought, number, [0, 1, 2]))
        theirs = with_proof(evidence.bundle, stored, own, (part,))
        assert verdict_on(evidence, theirs).accepted
        assert "finality" in details(verdict_on(evidence, theirs, point))
    honest = verdict_on(evidence, with_proof(evidence.bundle, stored, FIVE, (known,)), point)
    assert honest.accepted, details(honest)
    told = {check.name: check.detail for check in honest}["finality"]
    assert "5 of 5 authorities of set 1" in told
    assert "checkpoint, block 200" in told


def test_authorities_that_came_behind_the_checkpoint(evidence: Evidence) -> None:
    later = chain(3, seed=2, set_id=2)
    changes = []
    for number, old, new in ((100, FOUR, FIVE), (250, FIVE, later)):
        block = header(number, bytes(32), change=new.authorities)
        voters = range(len(old.keys))
        changes.append(ChangePart(header=block, justification=old.justify(block, number, voters)))
    bundle = with_proof(evidence.bundle, records(evidence.bundle), later, tuple(changes))
    assert verdict_on(evidence, bundle, Checkpoint(200, ZERO, FIVE.authorities)).accepted
    assert verdict_on(evidence, bundle, Checkpoint(250, ZERO, later.authorities)).accepted
    # The change of the checkpoint's own block was made by the set before.
    assert "finality" in details(verdict_on(evidence, bundle, Checkpoint(249, ZERO, later.authorities)))


def test_evidence_that_is_older_than_the_checkpoint_is_not_checked(evidence: Evidence) -> None:
    bundle = with_proof(evidence.bundle, records(evidence.bundle))
    assert bundle.inclusion is not None
    own = decode_header(bundle.inclusion.header).hash
    for point, outcome in (
        (Checkpoint(301, ZERO, FOUR.authorities), Outcome.INCOMPLETE),
        (Checkpoint(300, own), Outcome.ACCEPTED),
        (Checkpoint(300, ZERO, FOUR.authorities), Outcome.REFUSED),
        (Checkpoint(299, ZERO), Outcome.INCOMPLETE),
        (Checkpoint(299, ZERO, FOUR.authorities), Outcome.ACCEPTED),
    ):
        assert verdict_on(evidence, bundle, point).outcome is outcome, point


def test_a_checkpoint_survives_its_spec_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    spec = {"genesis": {"raw": {"top": {}}}, "properties": {"tokenSymbol": "UNIT"}}
    for point in (Checkpoint(7, b"h" * 32, FIVE.authorities), Checkpoint(7, b"h" * 32)):
        assert checkpoint_of(with_checkpoint(spec, point), tmp_path) == point
    good = Checkpoint(7, b"h" * 32, FOUR.authorities).value()
    key = good["authorities"][0][0]
    table: dict[str, Any] = {
        "no object": 7,
        "a number that is none": {**good, "number": True},
        "a number too large": {**good, "number": 2**32},
        "a short hash": {**good, "hash": "0x00"},
        "no authorities": {**good, "authorities": []},
        "an authority twice": {**good, "authorities": [[key, 1], [key, 1]]},
        "an authority without weight": {**good, "authorities": [[key, 0]]},
        "no set": {name: value for name, value in good.items() if name != "setId"},
        "a set alone": {name: value for name, value in good.items() if name != "authorities"},
    }
    for fault, value in table.items():
        with pytest.raises(BadProof):
            pytest.fail(f"{fault}: {checkpoint_of({'properties': {PROPERTY: value}}, tmp_path)}")
    assert checkpoint_of({"properties": None}, tmp_path) is None


def test_no_proof_is_said_and_not_enough_for_who_gives_a_spec(evidence: Evidence) -> None:
    said = {check.name: check for check in verify_bundle(evidence.bundle, pinned(evidence))}["inclusion"]
    assert (said.ok, said.required) == (None, False)
    assert verdict_on(evidence, evidence.bundle).outcome is Outcome.INCOMPLETE
    unread = with_proof(evidence.bundle, records(evidence.bundle))
    said = {check.name: check for check in verify_bundle(unread, pinned(evidence))}["inclusion"]
    assert (said.ok, said.required) == (None, False)
    assert "--spec" in said.detail


def _set(part: str, name: str, value: Any) -> Callable[[Records], None]:
    return lambda stored: stored[part].__setitem__(name, value)


def _verdict(name: str, value: Any) -> Callable[[Records], None]:
    return lambda stored: stored["job"]["status"]["Accepted"].__setitem__(name, value)


def _whole(name: str, value: Any) -> Callable[[Records], None]:
    return lambda stored: stored.__setitem__(name, value)


STATES: dict[str, tuple[Callable[[Records], None], str]] = {
    "another chain": (_whole("genesis", ZERO), "the genesis hash"),
    "a chain that had not come so far": (_whole("now", 1), "before the quote's"),
    "no such job": (_whole("job", None), "there is no such job"),
    "a job that waits": (_set("job", "status", "Queued"), "is not accepted"),
    "a job that was refunded": (_set("job", "status", {"Refunded": {"block": 9}}), "is not accepted"),
    "another client": (_set("job", "client", ZERO), "the job's client"),
    "another model": (_set("job", "model", ZERO), "the job's model"),
    "another input": (_set("job", "input_commitment", ZERO), "the job's input commitment"),
    "a stricter level": (_set("job", "min_level", "Hardware"), "the job's min level"),
    "a later deadline": (_set("job", "deadline", 2**31), "the job's deadline"),
    "another submission": (_set("job", "submitted_at", 2**31), "the job's submitted at"),
    "another worker": (_verdict("worker", ZERO), "the verdict's worker"),
    "another output": (_verdict("output_commitment", ZERO), "the verdict's output commitment"),
    "another proof": (_verdict("proof_hash", ZERO), "the verdict's proof hash"),
    "another sealed output": (_verdict("sealed_output_hash", ZERO), "the verdict's sealed output hash"),
    "another block": (_verdict("block", 2**31), "the verdict's block"),
    "another setup": (_verdict("setup", "Ceremony"), "the verdict's setup"),
    "no such model": (_whole("model", None), "there is no such model"),
    "another name": (_set("model", "name", b"x"), "the model's name"),
    "another manifest": (_set("model", "manifest_hash", ZERO), "the model's manifest hash"),
    "another key": (_set("model", "key_hash", ZERO), "the model's key hash"),
    "a lane without a contract": (_whole("contract", None), "the lane's contract"),
    "another contract": (_whole("contract", bytes(52)), "the lane's contract"),
    "software that is not allowed": (_whole("measurement", None), "allow-list"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_says_otherwise_is_refused(name: str, evidence: Evidence) -> None:
    change, fault = STATES[name]
    stored = records(evidence.bundle)
    change(stored)
    failed = details(verdict_on(evidence, with_proof(evidence.bundle, stored)))
    assert list(failed) == ["inclusion"]
    assert fault in failed["inclusion"]


def test_a_setups_quote_is_the_one_that_the_chain_rests_on(evidence: Evidence) -> None:
    quote = _setup_quote(evidence)
    bundle = evidence.bundle.model_copy(
        update={
            "result": evidence.bundle.result.model_copy(update={"setup": ATTESTED.encode()}),
            "setup_evidence": quote,
        }
    )
    later = 1_000 * (bundle.worker.attestation.time + 9)
    young = bundle.model_copy(
        update={"setup_evidence": quote.model_copy(update={"time": later // 1_000 + 1})}
    )

    def told(of: Bundle, rests_on: bytes | None) -> str | None:
        stored = records(of) | {"now": later}
        stored["model"] |= {"setup": ATTESTED.scale_value(), "evidence_hash": rests_on}
        return details(verdict_on(evidence, with_proof(of, stored))).get("inclusion")

    assert told(bundle, sha256(quote.quote)) is None
    for other in (None, ZERO):
        assert "the setup's quote" in (told(bundle, other) or "")
    assert "before the quote's" in (told(young, sha256(quote.quote)) or "")


def without_a_node(bundle: Bundle) -> list[Bundle]:
    """The bundle as often as its proof has nodes, each time without one."""
    part = bundle.inclusion
    assert part is not None
    kept = [part.nodes[:at] + part.nodes[at + 1 :] for at in range(len(part.nodes))]
    return [
        bundle.model_copy(update={"inclusion": part.model_copy(update={"nodes": nodes})}) for nodes in kept
    ]


def test_d_verify_a_contested_result_is_refused_and_an_unproved_one_is_incomplete(evidence: Evidence) -> None:
    """Its worker lost stake over it, and exports its evidence all the same."""
    stored = records(evidence.bundle)
    contested = with_proof(evidence.bundle, stored | {"contested": CONTEST})
    assert list(details(verdict_on(evidence, contested))) == ["delivery"]
    fewer = [verdict_on(evidence, one) for one in without_a_node(with_proof(evidence.bundle, stored))]
    whole = [verdict for verdict in fewer if not details(verdict)]
    assert Outcome.INCOMPLETE in {verdict.outcome for verdict in whole}
    for verdict in whole:
        found = {check.name: check for check in verdict}["delivery"]
        assert (found.ok is None) is (verdict.outcome is Outcome.INCOMPLETE)


def test_a_state_laid_out_otherwise_is_refused(evidence: Evidence) -> None:
    stored = records(evidence.bundle)
    good = with_proof(evidence.bundle, stored)
    assert good.inclusion is not None
    names = keys(
        job=evidence.bundle.job.id, model=evidence.bundle.job.model,
        lane=Lane.from_label(evidence.bundle.model.lane), measurement=evidence.bundle.worker.measurement,
    )  # fmt: skip
    values = [stored["genesis"], stored["now"].to_bytes(8, "little"), JOB.encode(stored["job"]) + b"\0"]
    root, nodes = trie(dict(zip(names, values, strict=False)))
    block = header(300, root)
    part = InclusionPart(
        header=block, justification=FOUR.justify(block, 300, range(4)), changes=[], nodes=nodes
    )
    failed = details(verdict_on(evidence, evidence.bundle.model_copy(update={"inclusion": part})))
    assert "bytes are left behind a Job" in failed["inclusion"]


def test_nodes_that_are_missing_are_refused(evidence: Evidence) -> None:
    good = with_proof(evidence.bundle, records(evidence.bundle))
    assert good.inclusion is not None
    for kept in (0, len(good.inclusion.nodes) // 2):
        fewer = good.inclusion.model_copy(update={"nodes": good.inclusion.nodes[:kept]})
        failed = details(verdict_on(evidence, good.model_copy(update={"inclusion": fewer})))
        assert list(failed) == ["inclusion"]
