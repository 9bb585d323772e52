"""Choosing the workers of a job, and looking at their quotes ourselves."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from proofward import attestation
from proofward.amounts import UNIT
from proofward.attestation import AttestationError, Collateral, TrustRoot, verify_worker
from proofward.chain import SubstrateClient, accounts
from proofward.chain.pallets import attestation as chain_attestation
from proofward.chain.pallets import workers
from proofward.chain.pallets.workers import WorkerRecord
from proofward.check import Check
from proofward.errors import NotFound, Refused
from proofward.protocol import Level
from proofward.protocol.bounds import MAX_RECIPIENTS

EXPIRY_MARGIN_MS = 60_000
"""A registration that ends sooner than this (milliseconds on the chain's clock) gets no new job."""


SAMPLE = 64
"""Workers of one model that are looked at for one job."""
PENALTY = 10
"""What a lost or rejected claim weighs against an accepted one."""
DEARER = 2
"""How many times what the cheapest worker asks, or the model costs anyway, a worker may ask that is drawn for
a job of no given price: the dearest one's is what the job pays, whoever works it.
"""
_TOLD = 8
"""Reasons that a refusal tells."""
_RANDOM = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Choice:
    """A worker that can take a job, and what it asks at least for one of this model (smallest unit)."""

    record: WorkerRecord
    price: int


@dataclass(frozen=True, slots=True)
class Registration:
    """The extrinsic behind a worker's record: its quote, the block that the quote names, and the collateral
    then on the chain.
    """

    quote: bytes
    collateral: bytes
    block_hash: bytes
    time: int
    """Unix seconds of the block that includes it."""


def choose(  # noqa: PLR0913 - what a client asks of workers, by keyword
    client: SubstrateClient,
    model: bytes,
    min_level: Level,
    count: int,
    wanted: Sequence[bytes] | None = None,
    *,
    price: int | None = None,
    floor: int = 0,
    pinned: frozenset[bytes] | None = None,
    last: Collection[bytes] = (),
    check: Callable[[WorkerRecord], None] | None = None,
    rng: random.Random = _RANDOM,
) -> list[Choice]:
    """Workers to seal a job of `model` to: the `wanted` ones, or `count` drawn at random.

    The draw is weighted by stake, by how former claims ended and by the claims that are open now, so that
    nobody has every client's jobs by being first in some order. A model that very many serve is sampled:
    `SAMPLE` of them, from a random place on. `price` leaves out workers that ask for more; without one,
    nobody is drawn that asks for more than `DEARER` times what the cheapest does, or the model's own price,
    `floor`. `pinned` (if not None) leaves out those of other software; those of `last` are drawn when nobody
    else is left. `check` looks closer at each that is chosen and raises for one that may not be: another is
    drawn in the place of a drawn one.

    Raises:
        Refused: a wanted worker is none or cannot take the job, or nobody can; the message says why.
        What `check` raises of a wanted worker.
    """
    if not 1 <= (len(wanted) if wanted is not None else count) <= MAX_RECIPIENTS:
        raise Refused(f"a job is sealed to 1 to {MAX_RECIPIENTS} workers")
    if wanted is not None:
        prices = {account: workers.serves(client, account, model) for account in wanted}
    else:
        prices = dict(workers.servers(client, model, SAMPLE, start=rng.randbytes(16)))
    records = workers.many(client, list(prices))
    allowed = chain_attestation.allowed(client, [record.measurement for record in records.values()])
    now = client.timestamp()
    able, reasons = [], []
    for account, least in prices.items():
        reason = _obstacle(records.get(account), least, min_level, now, allowed, price, pinned)
        if reason is None:
            able.append(Choice(records[account], least or 0))
        else:
            reasons.append(f"{accounts.ss58(account)} {reason}")
    if wanted is not None and reasons:
        raise Refused(f"worker {'; worker '.join(reasons)}")
    if not able:
        why = "; ".join(sorted(reasons)[:_TOLD]) if reasons else "no worker serves this model"
        raise Refused(f"no worker can take this job: {why}", code="no-worker")
    if wanted is None:
        fair, dear = (able, []) if price is not None else _parted(able, floor)
        return _passing(_drawn(fair, last, rng), count, check, dear)
    if check is not None:
        for choice in able:
            check(choice.record)
    return able


def _parted(able: list[Choice], floor: int) -> tuple[list[Choice], list[str]]:
    """Those whose price is like others', and why the rest of them are left out."""
    most = DEARER * max(floor, min(one.price for one in able))
    fair = [one for one in able if one.price <= most]
    return fair, [
        f"{accounts.ss58(one.record.account)} asks for {one.price / UNIT:g} UNIT, far above the others: give "
        "a price to have it"
        for one in able
        if one.price > most
    ]


def _drawn(able: list[Choice], last: Collection[bytes], rng: random.Random) -> list[Choice]:
    """In a random order, each with chances in proportion to its weight (Efraimidis and Spirakis 2006: the
    greatest of u^(1/w)), those of `last` behind all others.
    """

    def place(one: Choice) -> tuple[bool, float]:
        return one.record.account not in last, rng.random() ** (1 / _weight(one.record))

    return sorted(able, key=place, reverse=True)


def _passing(
    drawn: list[Choice], count: int, check: Callable[[WorkerRecord], None] | None, others: list[str]
) -> list[Choice]:
    """The first `count` that pass the check. Raises Refused: none does; `others` says who was not asked."""
    passing: list[Choice] = []
    failures: list[str] = []
    for choice in drawn:
        if len(passing) == count:
            break
        try:
            if check is not None:
                check(choice.record)
            passing.append(choice)
        except (Refused, NotFound, AttestationError) as error:
            failures.append(error.message)
    if not passing:
        raise Refused(
            f"no worker can take this job: {'; '.join([*failures, *others][:_TOLD])}", code="worker-refused"
        )
    return passing


def _weight(record: WorkerRecord) -> float:
    tally = record.tally
    good, bad = tally.accepted, tally.rejected + tally.lapsed
    record_share = (good + 1) / (good + PENALTY * bad + 1)
    return max(record.stake, 1) / UNIT * record_share / (1 + record.open_claims)


def _obstacle(
    record: WorkerRecord | None,
    least: int | None,
    min_level: Level,
    now: int,
    allowed: set[bytes],
    price: int | None,
    pinned: frozenset[bytes] | None,
) -> str | None:
    if record is None:
        return "is not a registered worker"
    if not record.working:
        return "is banned" if record.banned else "has retired"
    if least is None:
        return "does not serve this model"
    if record.level < min_level:
        return f"is {record.level.label}, the job demands {min_level.label}"
    if record.expires_at <= now + EXPIRY_MARGIN_MS:
        return "has a registration that has expired, or is about to"
    if record.measurement not in allowed:
        return f"runs software that is no longer on the allow-list ({record.measurement.hex()})"
    if pinned is not None and record.measurement not in pinned:
        return f"runs software that is not among what is pinned here ({record.measurement.hex()})"
    if price is not None and least > price:
        return f"asks for {least / UNIT:g} UNIT"
    return None


def registration(client: SubstrateClient, record: WorkerRecord) -> Registration:
    """Fetch the extrinsic that made a record. Raises NotFound when it is not in the block that the record
    names.
    """
    call = workers.registration(client, record)
    if call is None:
        raise NotFound(
            f"block {record.registered_at} has no registration of {accounts.ss58(record.account)} in "
            f"epoch {record.epoch}"
        )
    included = client.block_hash(record.registered_at)
    return Registration(
        quote=call.args["quote"],
        collateral=collateral_of(client, call.args["quote"], included),
        block_hash=client.block_hash(call.args["block"]),
        time=client.timestamp(included) // 1000,
    )


def collateral_of(client: SubstrateClient, quote: bytes, at: bytes) -> bytes:
    """The collateral (SCALE) that the chain held for a quote's platform at a block. Raises NotFound."""
    parsed = attestation.parse_quote(quote)
    for stored in chain_attestation.collateral(client, parsed.fmspc, parsed.ca, at=at):
        return stored.encoded
    raise NotFound(f"the chain held no collateral for platform {parsed.fmspc.hex()} at that block")


def recheck(client: SubstrateClient, record: WorkerRecord, roots: Sequence[TrustRoot]) -> list[Check]:
    """Verify a worker's quote here and now, with nothing taken from the chain but bytes."""
    found = registration(client, record)
    return verify_worker(
        attestation.WorkerClaim(
            record.account,
            record.level,
            record.measurement,
            record.hpke_key,
            record.receipt_key,
            record.epoch,
            record.quote_hash,
        ),
        found.quote,
        Collateral.decode(found.collateral),
        genesis=client.genesis,
        block_hash=found.block_hash,
        now=found.time,
        roots=roots,
    )
