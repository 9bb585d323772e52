"""Choosing the workers of a job, and looking at their quotes ourselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proofward import attestation
from proofward.attestation import Collateral, TrustRoot, verify_worker
from proofward.chain import SubstrateClient, accounts
from proofward.chain.pallets import attestation as chain_attestation
from proofward.chain.pallets import workers
from proofward.chain.pallets.workers import WorkerRecord
from proofward.check import Check
from proofward.errors import NotFound, Refused
from proofward.protocol import Level
from proofward.protocol.bounds import MAX_RECIPIENTS

#: A registration that ends sooner than this (milliseconds on the chain's clock) gets no new job.
EXPIRY_MARGIN_MS = 60_000


@dataclass(frozen=True, slots=True)
class Registration:
    """The extrinsic behind a worker's record: its quote, the block that the quote names, and the collateral
    then on the chain."""

    quote: bytes
    collateral: bytes
    block_hash: bytes
    time: int
    """Unix seconds of the block that includes it."""


def choose(
    client: SubstrateClient, min_level: Level, count: int, wanted: Sequence[bytes] | None = None
) -> list[WorkerRecord]:
    """Workers to seal a job to: the `wanted` ones, or the `count` best by level, load (open claims) and
    time left.

    Raises:
        Refused: a wanted worker cannot take the job, or nobody can; the message says why.
    """
    if not 1 <= (len(wanted) if wanted is not None else count) <= MAX_RECIPIENTS:
        raise Refused(f"a job is sealed to 1 to {MAX_RECIPIENTS} workers")
    now = client.timestamp()
    allowed = set(chain_attestation.measurements(client))
    found = dict(workers.all(client))
    if wanted is not None:
        return [_usable(account, found.get(account), min_level, now, allowed) for account in wanted]
    reasons, able = [], []
    for record in found.values():
        reason = _obstacle(record, min_level, now, allowed)
        if reason is None:
            able.append(record)
        else:
            reasons.append(f"{accounts.ss58(record.account)} {reason}")
    if not able:
        why = "; ".join(sorted(reasons)) if reasons else "no worker is registered"
        raise Refused(f"no worker can take this job: {why}", code="no-worker")
    able.sort(key=lambda one: (-one.level, one.open_claims, -one.expires_at, one.account))
    return able[:count]


def _usable(
    account: bytes, record: WorkerRecord | None, min_level: Level, now: int, allowed: set[bytes]
) -> WorkerRecord:
    if record is None:
        raise NotFound(f"{accounts.ss58(account)} is not a registered worker")
    if (reason := _obstacle(record, min_level, now, allowed)) is not None:
        raise Refused(f"worker {accounts.ss58(account)} {reason}")
    return record


def _obstacle(record: WorkerRecord, min_level: Level, now: int, allowed: set[bytes]) -> str | None:
    if record.level < min_level:
        return f"is {record.level.label}, the job demands {min_level.label}"
    if record.expires_at <= now + EXPIRY_MARGIN_MS:
        return "has a registration that has expired, or is about to"
    if record.measurement not in allowed:
        return f"runs software that is no longer on the allow-list ({record.measurement.hex()})"
    return None


def registration(client: SubstrateClient, record: WorkerRecord) -> Registration:
    """Fetch the extrinsic that made a record. Raises NotFound when it is not in the block that the record
    names."""
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
        attestation.WorkerRecord(
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
