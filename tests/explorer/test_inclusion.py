"""The chain's own proof in a bundle: the site and the library come to the same, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

from proofward.consensus import Authorities, value_key
from proofward.evidence.bundle import Bundle, ChangePart, InclusionPart
from proofward.evidence.verify import verify_bundle
from proofward.protocol import sha256
from tests.ceremonial import Ceremonial
from tests.client.test_verification import _setup_quote
from tests.consensus.chain import header
from tests.consensus.test_finality import HEADER, JUSTIFICATION, NODES, VOTERS
from tests.consensus.test_inclusion import CONTEST, FIVE, FOUR, STATES, records, with_proof, without_a_node
from tests.evidence import Evidence, pinned
from tests.explorer.site import ask
from tests.explorer.test_verifier import question


def spec(authorities: Authorities) -> str:
    """A raw spec that names these, and nothing else."""
    voters = b"".join(key + weight.to_bytes(8, "little") for key, weight in authorities.voters)
    stored = bytes([len(authorities.voters) << 2]) + voters
    top = {"0x" + value_key("Grandpa", "Authorities").hex(): "0x" + stored.hex()}
    return json.dumps({"genesis": {"raw": {"top": top}}})


def cases(bundle: Bundle) -> list[tuple[str, Bundle, Authorities]]:
    """A good proof, every state that says otherwise, and proofs that are none."""
    good = with_proof(bundle, records(bundle))
    assert good.inclusion is not None
    found = [("good", good, FOUR.authorities), ("none", bundle, FOUR.authorities)]
    for name, (change, _) in STATES.items():
        stored = records(bundle)
        change(stored)
        found.append((name, with_proof(bundle, stored), FOUR.authorities))
    contested = records(bundle) | {"contested": CONTEST}
    found.append(("contested", with_proof(bundle, contested), FOUR.authorities))
    found += [("a node is missing", one, FOUR.authorities) for one in without_a_node(good)]
    block = header(100, bytes(32), change=FIVE.authorities)
    part = ChangePart(header=block, justification=FOUR.justify(block, 100, [0, 1, 2]))
    later = with_proof(bundle, records(bundle), FIVE, (part,))
    assert later.inclusion is not None
    real = Authorities(VOTERS)
    foreign = InclusionPart(header=HEADER, justification=JUSTIFICATION, changes=[], nodes=NODES)

    def other(**fields: Any) -> Bundle:
        assert good.inclusion is not None
        return good.model_copy(update={"inclusion": good.inclusion.model_copy(update=fields)})

    votes = FOUR.justify(good.inclusion.header, 300, [0, 1])
    flipped = bytearray(good.inclusion.justification)
    flipped[80] ^= 1
    return [
        *found,
        ("a later set", later, FOUR.authorities),
        ("a set of its own", with_proof(bundle, records(bundle), FIVE), FOUR.authorities),
        ("a change that is missing", other(changes=[part]), FOUR.authorities),
        (
            "a change that is none",
            other(changes=[ChangePart(header=HEADER, justification=JUSTIFICATION)]),
            real,
        ),
        ("two votes of four", other(justification=votes), FOUR.authorities),
        ("a false vote", other(justification=bytes(flipped)), FOUR.authorities),
        ("another header", other(header=HEADER), FOUR.authorities),
        ("a header cut short", other(header=good.inclusion.header[:-1]), FOUR.authorities),
        ("no nodes", other(nodes=[]), FOUR.authorities),
        ("half of the nodes", other(nodes=good.inclusion.nodes[::2]), FOUR.authorities),
        ("a real network's block", bundle.model_copy(update={"inclusion": foreign}), real),
    ]


def of_ceremonies(ceremonial: Ceremonial) -> list[tuple[str, Bundle, Authorities]]:
    """States that certify a ceremony, or another one, or none."""
    found = []
    for setup, transcript in (
        ("Ceremony", sha256(ceremonial.transcript)),
        ("Ceremony", bytes(32)),
        ("Dev", None),
    ):
        stored = records(ceremonial.evidence.bundle)
        stored["model"] |= {"setup": setup, "evidence_hash": transcript}
        found.append((setup, with_proof(ceremonial.evidence.bundle, stored), FOUR.authorities))
    return found


def test_site_and_library_say_the_same_of_a_proof(evidence: Evidence, ceremonial: Ceremonial) -> None:
    quoted = evidence.bundle.model_copy(update={"setup_evidence": _setup_quote(evidence)})
    made = [*cases(evidence.bundle), *of_ceremonies(ceremonial)]
    made.append(("a setup's quote", with_proof(quoted, records(quoted)), FOUR.authorities))
    answers = ask(
        [question(bundle, pinned(evidence)) | {"spec": spec(authorities)} for _, bundle, authorities in made]
    )
    for (name, bundle, authorities), answer in zip(made, answers, strict=True):
        verdict = verify_bundle(bundle, pinned(evidence, authorities=authorities))
        assert answer["word"] == verdict.word, name
        wanted = [(one.name, one.word) for one in verdict]
        assert [(one["name"], one["word"]) for one in answer["checks"]] == wanted, name
        for one, check in zip(answer["checks"], verdict, strict=True):
            if check.name in ("finality", "inclusion", "delivery") and (
                check.ok or "differs" in check.detail
            ):
                assert one["detail"] == check.detail, name
