"""`proofward worker tcb`: whether the platform's TCB counts, until when, and what an update has to bring."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from proofward.attestation import AttestationError, Collateral, TrustRoot
from proofward.attestation.tcb import Platform, Rules, Standing, stand, standard_expected
from proofward.errors import ProofwardError
from proofward.files import TooLong, read_whole
from proofward.protocol.bounds import MAX_QUOTE
from proofward_node import pcs
from proofward_node.chain_port import Attested, ChainPort
from proofward_node.config import NodeConfig
from proofward_node.ports import ChainDown

DAY = 86_400
AHEAD_DAYS = 14
"""An end that is nearer than this is told as one."""


class Set(StrEnum):
    """The sets of collateral that are looked at: what the chain holds, and Intel's two channels."""

    CHAIN = "chain"
    STANDARD = "standard"
    EARLY = "early"


class Verdict(StrEnum):
    """What all sets say together; `docs/cli.md` has the exit codes."""

    COUNTS = "counts"
    AT_RISK = "at-risk"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"


class TcbUnknown(ProofwardError):
    """There is no quote to judge. `code` says why."""

    code = "not-found"


@dataclass(frozen=True, slots=True)
class TcbReport:
    """Times in Unix seconds on the chain's clock, where it answers. `missing` says why a set was not looked
    at; `registered_until` and `collateral_until` are the chain's.
    """

    platform: Platform
    rules: Rules
    now: int
    sets: Mapping[Set, Standing]
    missing: Mapping[Set, str]
    registered_until: int | None
    collateral_until: int | None

    @property
    def deciding(self) -> Standing | None:
        """The set by which the chain judges today."""
        return self.sets.get(Set.CHAIN, self.sets.get(Set.STANDARD))

    @property
    def ends_at(self) -> int | None:
        """When the TCB stops counting, as far as is known: now, when it does not; the end of the grace; or
        about when the standard set follows the early one.
        """
        deciding = self.deciding
        if deciding is not None and not deciding.counts:
            return self.now
        ends = [one.grace_until for one in self.sets.values() if one.grace_until is not None]
        early = self.sets.get(Set.EARLY)
        if early is not None and (expected := standard_expected(early)) is not None:
            ends.append(max(expected, self.now))
        if (standard := self.sets.get(Set.STANDARD)) is not None and not standard.counts:
            ends.append(self.now)  # the chain's own set is replaced by this one at its next refresh
        return min(ends, default=None)

    @property
    def days_left(self) -> float | None:
        """Days until then; None when no end is known."""
        return None if self.ends_at is None else (self.ends_at - self.now) / DAY

    @property
    def verdict(self) -> Verdict:
        """All sets together; what was not looked at is never taken for good."""
        deciding = self.deciding
        if deciding is None:
            return Verdict.INCOMPLETE
        if not deciding.counts:
            return Verdict.REFUSED
        if not all(one.counts for one in self.sets.values()):
            return Verdict.AT_RISK
        if self.days_left is not None and self.days_left < AHEAD_DAYS:
            return Verdict.AT_RISK
        return Verdict.INCOMPLETE if self.missing else Verdict.COUNTS

    def encode(self) -> dict[str, Any]:
        """As JSON has it."""
        platform = asdict(self.platform) | {"fmspc": self.platform.fmspc.hex()}
        return {
            "verdict": str(self.verdict),
            "platform": platform,
            "now": self.now,
            "days_left": None if self.days_left is None else round(self.days_left, 2),
            "registered_until": self.registered_until,
            "collateral_until": self.collateral_until,
            "sets": {str(name): _standing(one) for name, one in self.sets.items()},
            "missing": {str(name): why for name, why in self.missing.items()},
        }


def _standing(one: Standing) -> dict[str, Any]:
    newest = one.newest
    return {
        "counts": one.counts,
        "reason": one.reason,
        "status": one.status,
        "evaluation_number": one.evaluation_number,
        "issued_at": one.issued_at,
        "expires_at": one.expires_at,
        "grace_until": one.grace_until,
        "lacks": [] if newest is None else [asdict(lack) for lack in newest.lacks],
        "levels": [
            {
                "status": level.status, "date": level.date, "counts": level.counts, "reached": level.reached,
                "advisories": list(level.advisories),
            }
            for level in one.levels
        ],
    }  # fmt: skip


def look(config: NodeConfig, quote: Path | None, files: Mapping[Set, Path]) -> TcbReport:
    """Judge the registered quote (or that of a file, as bytes or hexadecimal) against the chain's collateral
    and both channels: from `files` where given, else from `enclave.pccs_url`.

    Raises TcbUnknown: no chain and no quote, or no registration; AttestationError: an unreadable quote.
    """
    return asyncio.run(_look(config, quote, files))


async def _look(config: NodeConfig, quote: Path | None, files: Mapping[Set, Path]) -> TcbReport:
    port = ChainPort(config.chain.url, config.signer, None, config.chain.genesis)
    attested, away = None, "the chain holds none for this platform"
    given = None if quote is None else _quote_of(quote)
    try:
        await port.connect()
        attested = await port.attested(given)
    except ChainDown as error:
        away = f"the chain does not answer: {error}"
    finally:
        await port.close()
    if given is None and attested is None:
        raise TcbUnknown(
            f"there is no quote to judge ({away}): give one with --quote, or register the worker first"
        )
    return await judged(config, attested, given, files, away)


async def judged(
    config: NodeConfig, attested: Attested | None, given: bytes | None, files: Mapping[Set, Path], away: str
) -> TcbReport:
    """The report of what was read; channels that no file gives are asked for, unless the TEE is simulated."""
    quote = given if given is not None else (attested.quote if attested is not None else b"")
    platform = Platform.of(quote)
    now = int(time.time()) if attested is None else attested.now
    rules = Rules() if attested is None else attested.rules
    roots = _roots(config, attested)
    found: dict[Set, Collateral] = {}
    missing: dict[Set, str] = {}
    if attested is not None and attested.collateral is not None:
        found[Set.CHAIN] = attested.collateral
    else:
        missing[Set.CHAIN] = away
    for name in (Set.STANDARD, Set.EARLY):
        try:
            found[name] = await _channel(config, quote, name, files, found)
        except AttestationError as error:
            missing[name] = str(error)
    sets: dict[Set, Standing] = {}
    for name, collateral in found.items():
        try:
            sets[name] = stand(quote, collateral, now=now, roots=roots, rules=rules)
        except AttestationError as error:
            missing[name] = str(error)
    return TcbReport(
        platform, rules, now, sets, missing,
        None if attested is None else attested.registered_until,
        None if attested is None else attested.collateral_until,
    )  # fmt: skip


async def _channel(
    config: NodeConfig, quote: bytes, name: Set, files: Mapping[Set, Path], found: Mapping[Set, Collateral]
) -> Collateral:
    path = files.get(name)
    if path is None and name is Set.EARLY:
        path = config.enclave.early_collateral
    if path is not None:
        return Collateral.from_file(path)
    if config.enclave.provider == "simulator":
        raise AttestationError("nobody publishes one for a simulated platform", code="no-collateral")
    if name is Set.STANDARD:
        return await pcs.standard(quote, config.enclave.pccs_url)
    base = found.get(Set.STANDARD) or found.get(Set.CHAIN)
    if base is None:
        raise AttestationError("without a standard set there is no early one", code="no-collateral")
    return await pcs.early(quote, base, config.enclave.pccs_url)


def _roots(config: NodeConfig, attested: Attested | None) -> tuple[TrustRoot, ...]:
    from proofward.attestation import DEVELOPMENT_ROOTS, PRODUCTION_ROOTS

    if attested is not None:
        return attested.roots
    return DEVELOPMENT_ROOTS if config.enclave.provider == "simulator" else PRODUCTION_ROOTS


def _quote_of(path: Path) -> bytes:
    try:
        data = read_whole(path, 4 * MAX_QUOTE)
    except OSError as error:
        raise TcbUnknown(f"{path} cannot be read: {error.strerror}") from error
    except TooLong as error:
        raise TcbUnknown(f"{path} holds no quote: {error.message}") from error
    try:
        return bytes.fromhex(data.decode("ascii").strip().removeprefix("0x"))
    except ValueError:
        return data
