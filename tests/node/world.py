"""A chain and an enclave made of tables, with a fuse: every effect burns one step, and the process "dies"
when it runs out.

What survives a death is what would survive it in life: the chain, the outbox's rows, the journal's file,
and the enclave if it is told to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from proofward.chain import Call, Event
from proofward.chain.pallets.jobs import Accepted, Claimed, JobRecord, Queued
from proofward.chain.pallets.models import ModelRecord, Terms
from proofward.chain.pallets.workers import Tally, WorkerRecord
from proofward.protocol import DEV_SETUP, Lane, Level, sha256
from proofward.protocol.enclave import EnclaveError
from proofward_node.enclave_link import LoadedModel
from proofward_node.journal import Journal
from proofward_node.ports import ChainDown, Head, Sent

GENESIS, ACCOUNT, OTHER, CLIENT = (bytes([n]) * 32 for n in (1, 2, 3, 4))
MODEL = ModelRecord(
    id=b"m" * 32,
    name="mlp",
    publisher=b"p" * 32,
    key_hash=b"k" * 32,
    manifest_hash=b"f" * 32,
    weights_digest=b"w" * 32,
    vk_hash=b"v" * 32,
    setup=DEV_SETUP,
    terms=Terms(price=10, share=0, bond=1, claim_blocks=60),
    grounds=None,
    deposit=5,
    input_shape=(30,),
    batch=1,
    lane=Lane.GROTH16,
    circuit_digest=b"d" * 32,
    evidence_hash=None,
    published_at=1,
    retired_at=None,
)
LOADED = LoadedModel(
    MODEL.manifest_hash, MODEL.weights_digest, MODEL.vk_hash, MODEL.key_hash, MODEL.lane.label, b"j" * 32
)
WORKER = WorkerRecord(
    account=ACCOUNT,
    level=Level.SIMULATED,
    root=b"t" * 32,
    measurement=b"x" * 32,
    platform=b"y" * 32,
    hpke_key=b"h" * 32,
    receipt_key=b"r" * 32,
    epoch=1,
    previous=None,
    past_keys=(),
    endpoint="",
    quote_hash=b"q" * 32,
    registered_at=1,
    expires_at=10**12,
    stake=0,
    open_claims=0,
    served=1,
    tally=Tally(),
    retired_at=None,
    banned=False,
)


class Death(BaseException):
    """SIGKILL, as far as the code under test can tell."""


@dataclass
class Fuse:
    """Dies when `left` steps have been burnt; None never dies."""

    left: int | None = None

    def burn(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Death


def job(number: int = 1, **changes: Any) -> JobRecord:
    record = JobRecord(
        id=sha256(bytes([number])),
        model=MODEL.id,
        client=CLIENT,
        input_commitment=b"c" * 32,
        sealed_hash=sha256(b"sealed"),
        deposit=0,
        record_deposit=0,
        attempts=0,
        recipients=(ACCOUNT,),
        price=10,
        deadline=500,
        min_level=Level.SIMULATED,
        allow_dev_setup=True,
        submitted_at=1,
        rejected_by=(),
        released_by=(),
        declined_by=(),
        status=Queued(),
    )
    return replace(record, **changes)


def claimed(worker: bytes, at: int, lapses: int) -> Claimed:
    """A claim without a bond."""
    return Claimed(worker, at, lapses, 0)


def accepted(call: Call, block: int) -> Accepted:
    """What `complete` leaves behind."""
    args = call.args
    return Accepted(
        worker=ACCOUNT,
        level=Level.SIMULATED,
        setup=DEV_SETUP,
        output_commitment=args["output_commitment"],
        proof_hash=sha256(args["proof"]),
        sealed_output_hash=sha256(args["sealed_output"]),
        block=block,
    )


@dataclass
class World:
    """What outlives the process: jobs, blocks, the outbox's rows, and every extrinsic that was applied."""

    fuse: Fuse = field(default_factory=Fuse)
    block: int = 10
    jobs: dict[bytes, JobRecord] = field(default_factory=dict)
    models: list[ModelRecord] = field(default_factory=lambda: [MODEL])
    serving: dict[bytes, int] = field(default_factory=dict)
    judges: dict[Lane, bytes] = field(default_factory=lambda: {Lane.GROTH16: b"j" * 32})
    outbox: dict[str, tuple[Call, Sent | None]] = field(default_factory=dict)
    applied: list[Call] = field(default_factory=list)
    down: bool = False
    lag: int = 0
    reject_proofs: bool = False
    no_verdict: str | None = None
    balance: int = 10**15
    poor: bool = False
    others_first: bool = False
    works: list[tuple[bytes, int | None]] = field(default_factory=list)
    stored: set[tuple[bytes, int | None]] = field(default_factory=set)
    recomputed: list[tuple[bytes, int | None]] = field(default_factory=list)

    def add(self, record: JobRecord) -> JobRecord:
        self.jobs[record.id] = record
        return record

    def claimed_at(self, job: bytes) -> int | None:
        claim = self.jobs[job].claim
        return None if claim is None else claim.claimed_at

    def apply(self, call: Call) -> Sent:
        self.block += 1
        self.applied.append(call)
        if call.pallet in ("Workers", "Utility"):
            return self._serve(call)
        record = self.jobs[call.args["job"]]
        if call.name == "decline":
            after, name = replace(record, declined_by=(*record.declined_by, ACCOUNT)), "Declined"
        elif call.name == "claim":
            if call.args["max_bond"] < MODEL.terms.bond:
                return Sent(self.block, "BondTooHigh")
            if self.poor:
                return Sent(self.block, "CannotPayForEnding")
            if self.others_first:
                return Sent(self.block, "OthersFirst")
            if not record.claimable(self.block):
                return Sent(self.block, "AlreadyClaimed")
            lapse = min(self.block + MODEL.claim_blocks, record.deadline)
            after = replace(record, status=Claimed(ACCOUNT, self.block, lapse, 0))
            name = "Claimed"
        elif call.name == "lapse":
            if record.claim is None or self.block <= record.claim.lapses_at:
                return Sent(self.block, "NotLapsed")
            after, name = replace(record, status=Queued()), "Lapsed"
        elif record.claim is None or not record.claimed_by(ACCOUNT):
            return Sent(self.block, "NotClaimant")
        elif self.block > record.claim.lapses_at:
            return Sent(self.block, "ClaimLapsed")
        elif call.name == "release":
            after, name = replace(record, status=Queued(), released_by=(ACCOUNT,)), "Released"
        else:
            if not record.claim.claimed_at <= call.args["receipt_block"] <= self.block:
                return Sent(self.block, "ReceiptBlock")
            name = self.no_verdict or ("Rejected" if self.reject_proofs else "Accepted")
            if self.no_verdict:
                after = replace(record, status=Queued(), declined_by=(ACCOUNT,))
            elif self.reject_proofs:
                after = replace(record, status=Queued(), rejected_by=(ACCOUNT,))
            else:
                after = replace(record, status=accepted(call, self.block), rejected_by=())
        self.jobs[record.id] = after
        return Sent(self.block, None, (Event("Jobs", name, {"job": record.id}, 0),))

    def _serve(self, call: Call) -> Sent:
        for one in call.args.get("calls", [call]):
            if one.name == "serve":
                self.serving[one.args["model"]] = one.args["min_price"]
            else:
                del self.serving[one.args["model"]]
        return Sent(self.block, None)


@dataclass
class FakeChain:
    """The Chain protocol over a World."""

    world: World
    genesis: bytes = GENESIS
    account: bytes = ACCOUNT
    envelope: bytes = b"sealed"

    async def finalised(self) -> Head:
        self._answer()
        self.world.block += 1
        return Head(self.world.block, sha256(self.world.block.to_bytes(4, "little")), self.world.block * 1000)

    async def best(self) -> int:
        self._answer()
        return self.world.block + self.world.lag

    async def job(self, job: bytes) -> JobRecord | None:
        self._answer()
        return self.world.jobs.get(job)

    async def jobs(self, jobs: Sequence[bytes]) -> dict[bytes, JobRecord]:
        self._answer()
        return {job: self.world.jobs[job] for job in jobs if job in self.world.jobs}

    async def sealed(self, job: bytes) -> bytes | None:
        return self.envelope

    async def open_jobs(self, limit: int, after: bytes | None = None) -> list[bytes]:
        self._answer()
        ours = (key for key, record in self.world.jobs.items() if record.is_open and record.is_for(ACCOUNT))
        return sorted(key for key in ours if after is None or key > after)[:limit]

    async def models(self, ids: Sequence[bytes]) -> list[ModelRecord]:
        return [record for record in self.world.models if record.id in ids]

    async def live_models(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        return [
            record.id
            for record in self.world.models
            if (record.publisher, record.manifest_hash) in pairs and not record.retired
        ]

    async def judge(self, lane: Lane) -> bytes | None:
        return self.world.judges.get(lane)

    async def serving(self) -> dict[bytes, int]:
        self._answer()
        return dict(self.world.serving)

    async def worker(self) -> WorkerRecord | None:
        claims = sum(record.claimed_by(ACCOUNT) for record in self.world.jobs.values())
        return replace(WORKER, open_claims=claims)

    async def last_epoch(self) -> int | None:
        return WORKER.epoch

    async def collateral_missing(self, quote: bytes) -> bool:
        return False

    async def balance(self) -> int:
        return self.world.balance

    async def send(self, key: str, call: Call) -> Sent:
        self._answer()
        outbox, fuse = self.world.outbox, self.world.fuse
        fuse.burn()
        if key not in outbox:
            outbox[key] = (call, None)
            fuse.burn()
        known, sent = outbox[key]
        if sent is None:
            sent = self.world.apply(known)
            outbox[key] = (known, sent)
        fuse.burn()
        return sent

    def reconcile(self) -> None:
        """What the real outbox does at a start: bytes that were signed go out again."""
        for key, (call, sent) in list(self.world.outbox.items()):
            if sent is None:
                self.world.outbox[key] = (call, self.world.apply(call))

    def _answer(self) -> None:
        if self.world.down:
            raise ChainDown("nobody answers")


@dataclass
class FakeEnclave:
    """The Enclave protocol. `refuse` maps a method to the code it refuses with; `has_keys` says whether it
    can open the envelope.
    """

    world: World
    generation: int = 1
    up: bool = True
    has_keys: bool = True
    refuse: dict[str, str] = field(default_factory=dict)
    busy_with: set[bytes] = field(default_factory=set)

    async def call(self, method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        self.world.fuse.burn()
        if not self.has_keys:
            raise EnclaveError("the envelope is sealed to keys of another process", code="unknown-epoch")
        if method in self.refuse:
            raise EnclaveError("told to refuse", code=self.refuse[method])
        if params["job"]["job"] in self.busy_with:
            raise EnclaveError("later", code="busy")
        if method != "work":
            return {"records": 1}
        key = params["job"]["job"]
        claim = (key, self.world.claimed_at(key))
        self.world.works.append(claim)
        if claim in self.world.stored:
            self.world.recomputed.append(claim)
        number = len(self.world.works)
        self.world.fuse.burn()
        return {
            "sealed_output": b"s%d" % number,
            "output_commitment": bytes([number]) * 32,
            "proof": b"p%d" % number,
            "receipt_signature": bytes([number]) * 64,
            "block": params["block"],
            "seconds": {"prove": 0.1},
        }


class FusedJournal(Journal):
    """A journal that can die before and after each commit, and remembers what reached the disk."""

    fuse = Fuse()
    world: World

    @contextmanager
    def _transaction(self, *, lasting: bool = True) -> Iterator[None]:
        self.fuse.burn()
        with super()._transaction(lasting=lasting):
            yield
        self.fuse.burn()

    def proved(self, job: bytes, result: Any) -> Any:
        claim = (job, self.world.claimed_at(job))
        try:
            return super().proved(job, result)
        finally:
            if (entry := self.get(job)) is not None and entry.result is not None:
                self.world.stored.add(claim)


def fused_journal(path: Path, world: World) -> FusedJournal:
    """A journal on the world's fuse; opening it burns nothing."""
    journal = FusedJournal(path, GENESIS + ACCOUNT)
    journal.fuse, journal.world = world.fuse, world
    return journal
