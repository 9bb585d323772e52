"""Why a worker did not work: the codes, what each means, and one finding.

A code stays: `worker why --json` has it, and the page of the operators lists it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """One cause. The text of each is in `MEANING`."""

    # a job
    NOT_NAMED = "not-named"
    NOT_SERVED = "model-not-served"
    BOND = "bond-too-high"
    PRICE = "price-too-low"
    LEVEL = "level-too-low"
    SETUP = "setup-not-admitted"
    DEADLINE = "deadline-too-near"
    SLOW = "claim-too-short"
    TURN_WAITS = "turn-waits"
    TURN_LOST = "turn-lost"
    OTHERS_FIRST = "others-first"
    CLAIMED_LATE = "claimed-late"
    CLAIM_REFUSED = "claim-refused"
    BUSY = "busy"
    POOR = "account-too-poor"
    ENVELOPE = "envelope-refused"
    KEYS_GONE = "keys-gone"
    WORKED_BEFORE = "worked-before"
    ENCLAVE_FAILED = "enclave-failed"
    EXTRINSIC_LOST = "extrinsic-lost"
    RESULT_REFUSED = "result-refused"
    TOO_LATE = "too-late"
    LAPSED = "lapsed"
    REJECTED = "rejected"
    FAULTY_PROOF = "faulty-proof"
    NO_VERDICT = "no-verdict"
    RELEASED = "handed-back"
    DECLINED = "declined"
    REFUNDED = "refunded"
    ACCEPTED = "accepted"
    UNDER_WAY = "under-way"
    # a session
    SESSION_SETTLED = "session-settled"
    SESSION_FAILED = "session-failed"
    SESSION_WAIVED = "session-waived"
    SESSION_UNSEEN = "session-unseen"
    SESSION_UNVOUCHED = "session-unvouched"
    SESSION_IDLE = "session-idle"
    SESSION_DRAINED = "session-drained"
    SESSION_REFUSED = "session-client-refused"
    SESSION_CALL = "session-call-refused"
    SESSION_OFFER = "session-not-offered"
    SESSION_ESCROW = "session-escrow-out"
    SESSION_WINDOWS = "session-windows-full"
    SESSION_OVER = "session-over"
    SESSION_RUNS = "session-runs"
    # the worker
    DRAINING = "draining"
    BROKEN_CIRCUIT = "circuit-open"
    STOPPING = "stopping"
    NOT_RUNNING = "not-running"
    CHAIN_AWAY = "chain-away"
    CHAIN_STALLED = "chain-stalled"
    ENCLAVE_DOWN = "enclave-down"
    EXPIRED = "registration-expired"
    TCB = "tcb-refused"
    MEASUREMENT = "measurement-refused"
    REGISTRATION = "registration-refused"
    NO_MODELS = "no-models"
    NO_JOBS = "no-jobs"
    WORKING = "working"
    WAITING = "jobs-left"
    UNKNOWN = "unknown"


MEANING: dict[Code, str] = {
    Code.NOT_NAMED: "the client did not name this worker",
    Code.NOT_SERVED: "its model is not served here",
    Code.BOND: "its model asks for a bond above what the operator puts down",
    Code.PRICE: "it pays less than worker.min_price",
    Code.LEVEL: "it demands a level that this worker does not have",
    Code.SETUP: "it demands a better setup than its model's",
    Code.DEADLINE: "its deadline leaves no time for the work",
    Code.SLOW: "its model takes longer here than a claim lasts",
    Code.TURN_WAITS: "recipients named before this one have their turn first",
    Code.TURN_LOST: "another worker has, or had, it",
    Code.OTHERS_FIRST: "this worker let it go once, so others come first",
    Code.CLAIMED_LATE: "another's claim was in a block before ours",
    Code.CLAIM_REFUSED: "the chain refused the claim",
    Code.BUSY: "the claims in hand leave no time for it",
    Code.POOR: "the account cannot pay for the bond and the claim's end",
    Code.ENVELOPE: "the enclave refused its envelope: the client's fault",
    Code.KEYS_GONE: "it was sealed to keys of an enclave that ended",
    Code.WORKED_BEFORE: "this enclave has worked it under an earlier claim",
    Code.ENCLAVE_FAILED: "the enclave made no proof",
    Code.EXTRINSIC_LOST: "what was signed for it never came into a block",
    Code.RESULT_REFUSED: "the chain refused the result",
    Code.TOO_LATE: "no time was left under its claim",
    Code.LAPSED: "its claim ran out before a result was in, and the bond is lost",
    Code.REJECTED: "the contract called our proof false, and the bond is cut",
    Code.FAULTY_PROOF: "the proof was no proof, and the bond is cut",
    Code.NO_VERDICT: "the chain came to no verdict on our proof; the bond came back",
    Code.RELEASED: "this worker handed it back",
    Code.DECLINED: "this worker declined it",
    Code.REFUNDED: "the client has its money back",
    Code.ACCEPTED: "done and paid",
    Code.UNDER_WAY: "it is being done",
    Code.SESSION_SETTLED: "the session ended well",
    Code.SESSION_FAILED: "a page was not proved in time, or falsely, and the session's bond is lost",
    Code.SESSION_WAIVED: "the enclave lost what it would have proved with: open windows are unpaid, the bond "
    "is kept",
    Code.SESSION_UNVOUCHED: "its client did not vouch in time, so its serving ended; what is vouched counts",
    Code.SESSION_IDLE: "no client came for it any more, so this worker ended it",
    Code.SESSION_DRAINED: "the worker was drained, so it ended the session; what was vouched for is paid",
    Code.SESSION_REFUSED: "its client was refused",
    Code.SESSION_CALL: "the chain refused a call about it",
    Code.SESSION_OFFER: "this worker offers no sessions of the model",
    Code.SESSION_ESCROW: "its escrow is exhausted: the client may top it up",
    Code.SESSION_WINDOWS: "as many windows are open as may be: vouchers wait until one ends",
    Code.SESSION_OVER: "its time is over: it is settled when its windows have ended",
    Code.SESSION_RUNS: "it runs",
    Code.SESSION_UNSEEN: "the session is off the chain, and the node no longer has the block that says how",
    Code.DRAINING: "the operator had the worker drain: `proofward worker resume` ends it",
    Code.BROKEN_CIRCUIT: "bonds were lost in a row, so nothing is taken until `proofward worker resume`",
    Code.STOPPING: "the worker was being stopped",
    Code.NOT_RUNNING: "the daemon did not run",
    Code.CHAIN_AWAY: "the chain's node did not answer",
    Code.CHAIN_STALLED: "the chain brought no final block",
    Code.ENCLAVE_DOWN: "the enclave did not answer",
    Code.EXPIRED: "the registration had expired, or would have before a result is in",
    Code.TCB: "the chain refuses this platform's TCB",
    Code.MEASUREMENT: "the software's measurement is not on the chain's allow-list",
    Code.REGISTRATION: "the chain refused the registration",
    Code.NO_MODELS: "no model is served",
    Code.NO_JOBS: "no open job named this worker",
    Code.WORKING: "claims were held, or jobs looked into",
    Code.WAITING: "open jobs named this worker, and each was left for a reason of its own",
    Code.UNKNOWN: "neither journal nor chain says why",
}


SESSION_CODES = frozenset(code for code in Code if code.startswith("session-"))
"""Those that are about a session or, `session-not-offered`, a model of sessions."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A cause and what goes with it: numbers, names, the chain's own error; never anything secret."""

    code: Code
    detail: str = ""

    def __str__(self) -> str:
        text = MEANING[self.code]
        return f"{text} ({self.detail})" if self.detail else text
