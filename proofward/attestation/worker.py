"""Re-verify a worker's registration from its quote, as a list of named checks that a person can read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from proofward.attestation.collateral import Collateral
from proofward.attestation.errors import AttestationError
from proofward.attestation.roots import PRODUCTION_ROOTS, TrustRoot
from proofward.attestation.verify import TcbPolicy, verify_quote
from proofward.check import Check
from proofward.protocol import Level, ProtocolError, sha256, worker_report_data


@dataclass(frozen=True, slots=True)
class WorkerClaim:
    """A worker as the chain records it. Hashes and keys as bytes; `epoch` is that of the quote."""

    account: bytes
    level: Level
    measurement: bytes
    hpke_key: bytes
    receipt_key: bytes
    epoch: int
    quote_hash: bytes


def verify_worker(
    record: WorkerClaim,
    quote: bytes,
    collateral: Collateral,
    *,
    genesis: bytes,
    block_hash: bytes,
    now: int,
    roots: Sequence[TrustRoot] = PRODUCTION_ROOTS,
    policy: TcbPolicy | None = None,
    measurements: Collection[bytes] | None = None,
) -> list[Check]:
    """Check a worker's record against the quote in its registration extrinsic.

    `block_hash` is the hash of the block that the extrinsic named; `now` is the Unix time to verify at, in
    seconds; `measurements`, when given, is the reader's own allow-list. Never raises for a bad quote: it
    fails a check.
    """
    digest = sha256(quote)
    checks = [_same("quote hash", digest, record.quote_hash)]
    try:
        verified = verify_quote(quote, collateral, now=now, roots=roots, policy=policy)
    except AttestationError as error:
        return [*checks, Check("quote", False, str(error))]
    checks += [
        Check("quote", True, f"signed under {verified.root.name}"),
        Check("tcb", True, ", ".join((verified.tcb_status, *verified.advisory_ids))),
        _level(verified.level, record.level),
        _binding(verified.quote.report_data, record, genesis, block_hash),
        _same("measurement", verified.quote.measurement, record.measurement),
    ]
    if measurements is not None:
        allowed = verified.quote.measurement in measurements
        checks.append(
            Check(
                "measurement allowed",
                allowed,
                verified.quote.measurement.hex() if allowed else "it is not on the given allow-list",
            )
        )
    return checks


def _binding(found: bytes, record: WorkerClaim, genesis: bytes, block_hash: bytes) -> Check:
    name = "report_data (chain, account, keys, epoch, block)"
    try:
        binding = worker_report_data(
            genesis=genesis,
            account=record.account,
            hpke_key=record.hpke_key,
            receipt_key=record.receipt_key,
            epoch=record.epoch,
            block_hash=block_hash,
        )
    except ProtocolError as error:  # a key of no known length binds nothing
        return Check(name, False, error.message)
    return _same(name, found, binding)


def _level(found: Level, recorded: Level) -> Check:
    agree = found == recorded
    detail = found.label if agree else f"the quote gives {found.label}, the chain records {recorded.label}"
    return Check("level", agree, detail)


def _same(name: str, found: bytes, expected: bytes) -> Check:
    if found == expected:
        return Check(name, True, found.hex())
    return Check(name, False, f"{found.hex()} is not {expected.hex()}")
