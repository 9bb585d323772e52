"""An answer that is a proved model's: whether the proof is of this very question and this very answer.

The gateway's receipt says `proof.verified` and names job, model, weights, verifying key and block. Nothing of
it is believed here: the job's evidence came with the answer, and all is computed from it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from proofward.aci import jcs
from proofward.aci.errors import AciError
from proofward.check import Check, said
from proofward.errors import ProofwardError
from proofward.evidence.bundle import Bundle, bundle_of
from proofward.evidence.model import model_checks, proof_check
from proofward.evidence.policy import Policy
from proofward.evidence.verdict import Outcome
from proofward.evidence.verify import flags_of, verify_bundle
from proofward.zkml import PublicArtifact
from proofward.zkml.lines import answer_lines

MEMBER: Final = "proofward"
"""Of an answer's object: `{"bundle": …}`, the job's evidence. It holds no record and no output in plain."""
PROOF, CHAIN = "proof", "proof on chain"
MAX_ROWS: Final = 32


class NoRecords(ProofwardError):
    """A request that asks a proved model for nothing it can answer. Its text goes to the caller."""

    code = "no-records"


@dataclass(frozen=True, slots=True)
class Opening:
    """What a proved model's answer says, as its message has it: the lines that people read, the proven
    integers ([batch, length], of which the first `records` rows are real), and both commitments' salts.
    """

    lines: tuple[str, ...]
    outputs: tuple[tuple[int, ...], ...]
    records: int
    input_salt: bytes
    output_salt: bytes

    def text(self) -> str:
        """The message's content."""
        return json.dumps(
            {
                "answer": list(self.lines),
                "outputs": [list(row) for row in self.outputs],
                "records": self.records,
                "input_salt": self.input_salt.hex(),
                "output_salt": self.output_salt.hex(),
            }
        )

    @classmethod
    def of(cls, text: str) -> Opening:
        """The inverse of `text`. Raises AciError, KeyError, TypeError, ValueError for anything else."""
        value = jcs.loads(text.encode())
        found = cls(
            tuple(str(line) for line in value["answer"]),
            tuple(tuple(_integer(one) for one in row) for row in value["outputs"]),
            _integer(value["records"]),
            bytes.fromhex(value["input_salt"]),
            bytes.fromhex(value["output_salt"]),
        )
        if not 1 <= found.records <= len(found.outputs) <= MAX_ROWS:
            raise ValueError("the answer is of no record")
        return found


def records_of(body: Mapping[str, Any]) -> NDArray[np.float64]:
    """The records that a chat request asks about: float64 [n, features], out of the one message that it may
    have, a JSON array of numbers or of such arrays. Raises NoRecords.
    """
    messages = body.get("messages")
    one = messages[0] if isinstance(messages, list) and len(messages) == 1 else None
    if not isinstance(one, dict) or one.get("role") != "user":
        raise NoRecords("a proved model takes one message, of the user, and nothing else")
    content = one.get("content")
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0].get("text")
    try:
        value = jcs.loads(str(content).encode())
        rows = value if value and isinstance(value[0], list) else [value]
        if not all(type(one) in (int, float) for row in rows for one in row):
            raise ValueError
        found = np.array(rows, dtype=np.float64)
    except (AciError, TypeError, ValueError, KeyError, IndexError, OverflowError):
        found = np.empty(0)
    if found.ndim != 2 or not found.size or len(found) > MAX_ROWS:
        raise NoRecords("a proved model takes a record: a JSON array of numbers, or an array of such arrays")
    return found


def proved_checks(event: Mapping[str, Any], request: bytes, answer: bytes, policy: Policy) -> list[Check]:
    """Whether an answer (plain) is a proved model's own to a request (plain).

    `policy.measurements` pin the worker's software. What the chain says is required of a reader who pins a
    chain by its genesis; otherwise it is told. Never raises for bad evidence.
    """
    try:
        value = jcs.loads(answer, limit=len(answer))
        bundle = bundle_of(value[MEMBER]["bundle"])
        opening = Opening.of(value["choices"][0]["message"]["content"])
        asked = records_of(jcs.loads(request, limit=len(request)))
    except (AciError, NoRecords, KeyError, IndexError, TypeError, ValueError, ValidationError) as error:
        told = (
            error.message
            if isinstance(error, ProofwardError)
            else "its members are missing, or of another kind"
        )
        return [Check(PROOF, False, f"the answer does not come with its proof: {told}")]
    stated = {name: one for name, one in event.items() if name not in ("type", "model_id")}
    if stated != facts(bundle):
        return [Check(PROOF, False, "the receipt names another job than the one that came with the answer")]
    public, found = model_checks(bundle.model, bundle.job.model)
    found = [one for one in found if one.required]
    if public is not None:
        result = bundle.result
        found.append(proof_check(public, bundle.job.input_commitment, result.output_commitment, result.proof))
        found += _opens(public, bundle, asked, opening)
    bad = [one for one in found if one.ok is not True]
    if bad:
        return [Check(PROOF, bad[0].ok, f"{bad[0].name}: {bad[0].detail}")]
    job = stated["job"]
    told = f"of this request and this answer, by the model with weights {stated['weights']}, job {job}"
    return [Check(PROOF, True, told), _on_chain(bundle, policy, stated)]


def flags(answer: bytes) -> tuple[str, ...]:
    """What a verdict says beside its word of the job that came with an answer (plain)."""
    try:
        bundle = bundle_of(jcs.loads(answer, limit=len(answer))[MEMBER]["bundle"])
    except (AciError, KeyError, TypeError, ValueError):
        return ()
    return flags_of(bundle.model.lane, bundle.result.level, bundle.result.setup)


def facts(bundle: Bundle) -> dict[str, Any]:
    """What a receipt says of a job's evidence."""
    return {
        "genesis": f"0x{bundle.chain.genesis.hex()}",
        "job": f"0x{bundle.job.id.hex()}",
        "model": f"0x{bundle.job.model.hex()}",
        "weights": f"sha256:{bundle.model.weights_digest.hex()}",
        "verifying_key": f"sha256:{bundle.model.vk_hash.hex()}",
        "block": bundle.result.block,
    }


def _opens(
    public: PublicArtifact, bundle: Bundle, asked: NDArray[np.float64], opening: Opening
) -> list[Check]:
    """Whether both commitments of the proof are to what was asked and to what was answered."""
    try:
        outputs = np.array(opening.outputs, dtype=np.int64)
        if opening.records != len(asked):
            return [Check("records", False, "the answer is of another number of records than was asked")]
        values = public.pad(public.quantize(asked))
        sealed = public.commit_input(values, opening.input_salt)
        given = public.commit_output(outputs, opening.output_salt)
        real = outputs[: opening.records]
        lines = answer_lines(public.output_names, public.decide(real), public.dequantize(real))
    except (ProofwardError, ValueError, IndexError, OverflowError) as error:
        told = error.message if isinstance(error, ProofwardError) else "it has another shape than the model's"
        return [Check("opening", False, told)]
    return [
        Check("input", sealed == bundle.job.input_commitment, "the proof is of another input than was asked"),
        Check("output", given == bundle.result.output_commitment, "the proof is of another output"),
        Check("answer", tuple(lines) == opening.lines, "the words are not what the proven output says"),
    ]


def _on_chain(bundle: Bundle, policy: Policy, stated: Mapping[str, Any]) -> Check:
    """What the whole evidence comes to: quote, receipt, contract, setup, level, and the chain's state."""
    verdict = verify_bundle(bundle, policy)
    where = f"block {stated['block']} of chain {stated['genesis']}"
    if verdict.outcome is Outcome.REFUSED:
        bad = next(one for one in verdict if one.ok is False)
        return Check(CHAIN, False, f"its evidence fails: {bad.name}: {bad.detail}")
    if verdict.outcome is Outcome.ACCEPTED:
        return Check(CHAIN, True, f"accepted in {where}")
    left = next(one for one in verdict if one.required and one.ok is None)
    told = f"{where}: {left.name}: {left.detail}"
    return replace(said(CHAIN, told), required=policy.genesis is not None)


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a number is no integer")
    return value
