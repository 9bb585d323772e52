"""Why a job was not done here, and what a time without work was spent on: from diary, journal and chain.

Pure: what was read goes in, findings come out. A finding is `certain` when what it says follows from what was
read; where that leaves more than one cause open the code is `unknown` and the detail says what is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from proofward.chain.pallets.jobs import Accepted, JobRecord, Refunded
from proofward_node.choice import STAGGER_BLOCKS
from proofward_node.diary import BEAT_SECONDS, SILENT_SECONDS, Note, Stretch
from proofward_node.journal import Entry, State
from proofward_node.reasons import MEANING, Code, Reason

_DEEP = frozenset(
    {
        Code.CLAIMED_LATE, Code.CLAIM_REFUSED, Code.ENVELOPE, Code.KEYS_GONE, Code.WORKED_BEFORE,
        Code.ENCLAVE_FAILED, Code.EXTRINSIC_LOST, Code.RESULT_REFUSED, Code.TOO_LATE, Code.LAPSED,
        Code.REJECTED, Code.FAULTY_PROOF, Code.NO_VERDICT, Code.STOPPING, Code.ENCLAVE_DOWN,
    }
)  # fmt: skip
"""What a claim or a verdict left behind: not undone by what is noted later."""
_DERIVED = frozenset(
    {Code.TURN_LOST, Code.TURN_WAITS, Code.OTHERS_FIRST, Code.RELEASED, Code.REJECTED, Code.DECLINED}
)
"""What follows from something else that is noted, or from another's claim."""
BLOCKING = frozenset(
    {
        Code.DRAINING, Code.BROKEN_CIRCUIT, Code.STOPPING, Code.NOT_RUNNING, Code.CHAIN_AWAY,
        Code.CHAIN_STALLED, Code.ENCLAVE_DOWN, Code.EXPIRED, Code.TCB, Code.MEASUREMENT,
        Code.REGISTRATION, Code.NO_MODELS,
    }
)  # fmt: skip
"""What keeps a worker from every job."""
DECLINED = "declined:"
"""With the reason's code: the outcome of a job that was declined and never claimed."""
_OUTCOMES = {
    "rejected": Code.REJECTED,
    "faulty-proof": Code.FAULTY_PROOF,
    "no-verdict": Code.NO_VERDICT,
    "worked-before": Code.WORKED_BEFORE,
    "too-late": Code.TOO_LATE,
    "handed-back": Code.STOPPING,
    "refused:unknown-epoch": Code.KEYS_GONE,
    "failed:enclave-down": Code.ENCLAVE_DOWN,
    "not-served": Code.NOT_SERVED,
}
"""Endings in the journal that say by themselves what happened."""

_DECLINED_FOR = frozenset(
    {
        Code.NO_VERDICT, Code.FAULTY_PROOF, Code.KEYS_GONE, Code.ENCLAVE_FAILED, Code.ENCLAVE_DOWN,
        Code.ENVELOPE, Code.NOT_SERVED, Code.TOO_LATE, Code.WORKED_BEFORE, Code.RESULT_REFUSED,
    }
)  # fmt: skip
"""What has a worker decline a job, held or not, and what has the chain write it down as one that declined."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer: a job's reason, or (without `job`) a stretch's.

    Blocks are numbers on the chain, 0 when not known, with the hash that the worker saw; times are seconds
    since the epoch. `certain` is never set on what was only guessed at.
    """

    job: bytes | None
    code: Code
    detail: str = ""
    certain: bool = True
    block: int = 0
    hash: bytes = b""
    began: float = 0.0
    ended: float = 0.0

    @property
    def text(self) -> str:
        """The reason in words."""
        return str(Reason(self.code, self.detail))

    def encode(self) -> dict[str, object]:
        """As JSON has it: hashes as 0x and hexadecimal, whole seconds."""
        return {
            "job": None if self.job is None else f"0x{self.job.hex()}",
            "code": str(self.code),
            "meaning": MEANING[self.code],
            "detail": self.detail,
            "certain": self.certain,
            "block": self.block,
            "block_hash": f"0x{self.hash.hex()}" if self.hash else None,
            "from": int(self.began),
            "to": int(self.ended),
        }


@dataclass(frozen=True, slots=True)
class Lost:
    """A signed extrinsic of the outbox that never came into a block, and cannot any more."""

    key: str
    error: str


@dataclass(frozen=True, slots=True)
class Known:
    """All that was read of one job. `record` is the chain's, None when it has none; `head` is the finalised
    block that it was read at.
    """

    job: bytes
    account: bytes
    head: int
    record: JobRecord | None
    entry: Entry | None
    notes: Sequence[Note] = ()
    stretches: Sequence[Stretch] = ()
    lost: Sequence[Lost] = ()


def explain(known: Known) -> Finding:
    """Why this worker did not do the job, or how far it is. Its time is a note's, else the journal's."""
    found = _explained(known)
    if found.began or known.entry is None:
        return found
    return replace(found, began=known.entry.updated)


def _explained(known: Known) -> Finding:
    record = known.record
    if record is None:
        return _without_record(known)
    if known.account not in record.recipients:
        return Finding(known.job, Code.NOT_NAMED, block=record.submitted_at)
    if isinstance(record.status, Accepted) and record.status.worker == known.account:
        return Finding(known.job, Code.ACCEPTED, block=record.status.block)
    if record.claimed_by(known.account):
        return _in_hand(known, record)
    return _ended_by_us(known, record) or _left(known, record)


def _without_record(known: Known) -> Finding:
    """The chain keeps records for a time only; then the files are all there is."""
    cause = _last(known.notes, lambda note: note.reason.code not in _DERIVED)
    if cause is not None:
        return _noted(known, cause)
    if known.entry is not None and (code := _outcome(known.entry)) is not None:
        return Finding(known.job, code, known.entry.outcome or "", ended=known.entry.updated)
    return Finding(
        known.job, Code.UNKNOWN, "the chain has no record of it and the files say nothing", certain=False
    )


def _in_hand(known: Known, record: JobRecord) -> Finding:
    claim = record.claim
    assert claim is not None
    if known.head > claim.lapses_at:
        return _lapse(known, claim.claimed_at, claim.lapses_at)
    state = "not in the journal" if known.entry is None else known.entry.state.value
    trouble = _last(known.notes, lambda note: note.reason.code in _DEEP and note.block >= claim.claimed_at)
    said = f"; {trouble.reason}" if trouble is not None else ""
    detail = f"{state}, claimed in block {claim.claimed_at}, until block {claim.lapses_at}{said}"
    return Finding(known.job, Code.UNDER_WAY, detail, block=claim.claimed_at)


def _ended_by_us(known: Known, record: JobRecord) -> Finding | None:
    """What the chain itself says of what we did."""
    faults = (Code.REJECTED, Code.FAULTY_PROOF)
    if known.account in record.rejected_by:
        note = _last(known.notes, lambda note: note.reason.code in faults)
        if note is not None:
            return _noted(known, note)
        faulty = known.entry is not None and known.entry.outcome == "faulty-proof"
        return Finding(known.job, Code.FAULTY_PROOF if faulty else Code.REJECTED)
    if known.account in record.declined_by:
        if known.entry is not None and _given_up(known.entry):
            return None  # what kept us from claiming it says more than that it was declined then
        note = _last(known.notes, lambda note: note.reason.code in _DECLINED_FOR)
        if note is not None:
            return _noted(known, note)
        code = None if known.entry is None else _outcome(known.entry)
        if code in _DECLINED_FOR:
            return Finding(known.job, code)
        detail = (
            "the chain says that it was declined, or came to no verdict on it; the journal does not say which"
        )
        return Finding(known.job, Code.UNKNOWN, detail, certain=False)
    return None


def _left(known: Known, record: JobRecord) -> Finding:
    """It is somebody else's, nobody's, or at its end."""
    cause = _last(known.notes, lambda note: note.reason.code not in _DERIVED)
    deep = _last(known.notes, lambda note: note.reason.code in _DEEP)
    if deep is not None and deep.reason.code is Code.LAPSED:
        return _lapse(known, None, deep.block, deep)
    lost = next((one for one in known.lost if one.key.startswith("claim:")), None)
    if lost is not None and (cause is None or cause.reason.code in (Code.CHAIN_AWAY, Code.EXTRINSIC_LOST)):
        return Finding(known.job, Code.EXTRINSIC_LOST, f"its claim: {lost.error}", block=_block(cause))
    if known.account in record.released_by and deep is None:
        code = None if known.entry is None else _outcome(known.entry)
        detail = "" if code is None else str(Reason(code))
        return Finding(known.job, code or Code.RELEASED, detail if code is None else "")
    taken, by = _taken(record, known.account)
    turn = record.submitted_at + STAGGER_BLOCKS * record.recipients.index(known.account)
    if cause is None and taken is not None and taken < turn:
        return _turn_lost(known, taken, by)
    end = _end(known, record, taken)
    since = turn if cause is None else max(turn, cause.block)
    if cause is None or cause.reason.code not in _DEEP:
        barred = _barring(known.stretches, since, end)
        if barred is not None and (
            cause is None or barred.block > cause.block or barred.reason == cause.reason
        ):
            return _of_stretch(barred, known.job)
    if cause is not None:
        return _with_taker(_noted(known, cause), taken, by)
    return _unnoted(known, record, turn, end, taken, by)


def _unnoted(
    known: Known, record: JobRecord, turn: int, end: int, taken: int | None, by: bytes | None
) -> Finding:
    """Nothing was noted: what is left to go by is who took it, and whether we looked at all."""
    partly = [
        one
        for one in known.stretches
        if one.reason.code in BLOCKING and one.last_block >= turn and one.block <= end
    ]
    if partly:
        seen = ", ".join(sorted({str(one.reason.code) for one in partly}))
        return Finding(known.job, Code.UNKNOWN, f"for a part of its time: {seen}", certain=False)
    if not known.stretches:
        detail = (
            "the diary does not reach back to it" if known.entry is None else "the diary says nothing of it"
        )
        if taken is not None:
            detail += f"; 0x{(by or b'').hex()} had it in block {taken}"
        return Finding(known.job, Code.UNKNOWN, detail, certain=False)
    if taken is not None:
        return _turn_lost(known, taken, by)
    if isinstance(record.status, Refunded):
        detail = f"in block {record.status.block}, before this worker came to it"
        return Finding(known.job, Code.REFUNDED, detail, block=record.status.block)
    if known.head < turn:
        return Finding(known.job, Code.TURN_WAITS, f"until block {turn}", block=record.submitted_at)
    return Finding(known.job, Code.UNKNOWN, "it is open, and nothing was noted of it", certain=False)


def _taken(record: JobRecord, account: bytes) -> tuple[int | None, bytes | None]:
    """The block in which another claimed the job, or, when it is done, handed it in; and who."""
    match record.status:
        case Accepted(worker=worker, block=block):
            return block, worker
        case _ if record.claim is not None and record.claim.worker != account:
            return record.claim.claimed_at, record.claim.worker
    return None, None


def _end(known: Known, record: JobRecord, taken: int | None) -> int:
    """The last block in which we could have claimed it."""
    if isinstance(record.status, Refunded):
        return min(record.status.block, record.deadline)
    return min(known.head if taken is None else taken, record.deadline)


def _turn_lost(known: Known, taken: int, by: bytes | None) -> Finding:
    done = known.record is not None and isinstance(known.record.status, Accepted)
    how = "was done in" if done else "was claimed in"
    return Finding(
        known.job, Code.TURN_LOST, f"to 0x{(by or b'').hex()}, it {how} block {taken}", block=taken
    )


def _with_taker(finding: Finding, taken: int | None, by: bytes | None) -> Finding:
    if taken is None:
        return finding
    who = f"0x{(by or b'').hex()} had it in block {taken}"
    return replace(finding, detail=f"{finding.detail}; {who}" if finding.detail else who)


def _lapse(known: Known, claimed: int | None, ended: int, note: Note | None = None) -> Finding:
    """A claim of ours ran out. What went before it is told, not concluded."""
    before = _last(known.notes, lambda one: one.reason.code in _DEEP and one.reason.code is not Code.LAPSED)
    detail = "" if claimed is None else f"claimed in block {claimed}, ran out with block {ended}"
    if before is not None:
        detail = "; ".join(part for part in (detail, f"before that: {before.reason}") if part)
    else:
        silent = [
            one for one in known.stretches
            if one.reason.code in BLOCKING and (claimed or 0) <= one.last_block and one.block <= ended
        ]  # fmt: skip
        if silent:
            detail = "; ".join(part for part in (detail, f"meanwhile: {silent[-1].reason}") if part)
    found = Finding(known.job, Code.LAPSED, detail, block=ended)
    return found if note is None else replace(found, hash=note.hash, began=note.at)


def _barring(stretches: Iterable[Stretch], since: int, end: int) -> Stretch | None:
    """The one stretch that kept us from everything for the whole time between two blocks."""
    for one in stretches:
        if one.reason.code in BLOCKING and one.block <= since and one.last_block >= end:
            return one
    return None


def _noted(known: Known, note: Note) -> Finding:
    known_code = note.reason.code is not Code.UNKNOWN
    return Finding(
        known.job, note.reason.code, note.reason.detail, known_code, note.block, note.hash, began=note.at
    )


def _given_up(entry: Entry) -> bool:
    """Whether it was declined since no claim of ours could come to anything."""
    outcome = entry.outcome or ""
    return outcome.startswith(DECLINED) and outcome != f"{DECLINED}{Code.KEYS_GONE}"


def _outcome(entry: Entry) -> Code | None:
    outcome = entry.outcome
    if outcome is None or entry.state is not State.DONE:
        return None
    if outcome in _OUTCOMES:
        return _OUTCOMES[outcome]
    if outcome.startswith(DECLINED):
        return Code(outcome.removeprefix(DECLINED))
    if outcome.startswith("failed:"):
        return Code.ENCLAVE_FAILED
    # an enclave's codes are in small letters, the chain's errors in capitals
    if outcome.startswith("refused:"):
        return Code.ENVELOPE if outcome[8:9].islower() else None
    return None


def _last(notes: Sequence[Note], wanted: object) -> Note | None:
    assert callable(wanted)
    return next((note for note in reversed(notes) if wanted(note)), None)


def _block(note: Note | None) -> int:
    return 0 if note is None else note.block


def stretches(
    seen: Sequence[Stretch], began: float, now: float, running: bool | None = None
) -> list[Finding]:
    """The times without work between `began` and `now`, oldest first, and between them those in which the
    daemon did not write. `running` says whether it answers now, None when nobody can tell.
    """
    found: list[Finding] = []
    for one in with_gaps(seen, began, now, running):
        if one.ended >= began and one.reason.code is not Code.WORKING:
            found.append(_of_stretch(one, None))
    return found


def with_gaps(
    seen: Sequence[Stretch], began: float, now: float, running: bool | None = None
) -> list[Stretch]:
    """The stretches with those between them in which no daemon wrote."""
    whole: list[Stretch] = []
    for one in seen:
        before = whole[-1] if whole else None
        if before is not None and one.began - before.ended > SILENT_SECONDS:
            whole.append(_gap(before, one.began, one.block, one.hash))
        whole.append(one)
    silent = SILENT_SECONDS if running is None else 2 * BEAT_SECONDS
    if whole and now - whole[-1].ended > silent and running is not True:
        # its end is not known yet: nothing after it says that the worker was at anything
        whole.append(_gap(whole[-1], now, _NEVER, b""))
    return whole


_NEVER = 1 << 40
"""A block that no chain has: the end of what still lasts."""


def _gap(before: Stretch, until: float, block: int, block_hash: bytes) -> Stretch:
    return Stretch(
        Reason(Code.NOT_RUNNING), before.ended, before.last_block, before.last_hash, until, block, block_hash
    )


def _of_stretch(one: Stretch, job: bytes | None) -> Finding:
    certain = one.reason.code is not Code.UNKNOWN
    return Finding(
        job, one.reason.code, one.reason.detail, certain, one.block, one.hash, one.began, one.ended
    )
