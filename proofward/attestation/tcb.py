"""How a platform's TCB stands against collateral: which levels it reaches, which count, what falls short.

dcap-qvl judges; this explains. The levels are compared as Intel's PCS API v4 has it: a level is reached when
every SVN of it is at most the platform's; where the TDX module's major version is above 0 (TEE_TCB_SVN[1]),
its two SVNs are compared with the module's own identity instead of the level's first two.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dcap_qvl

from proofward.attestation.chains import check_signers
from proofward.attestation.collateral import Collateral
from proofward.attestation.errors import AttestationError
from proofward.attestation.roots import TrustRoot
from proofward.attestation.verify import claimed_roots
from proofward.protocol import bounds, strict_json

UP_TO_DATE, OUT_OF_DATE = "UpToDate", "OutOfDate"
STANDARD_FOLLOWS: Final = dt.timedelta(weeks=6)
"""About how long after the `early` set of a TCB recovery the `standard` one follows (Intel's PCS API v4)."""
_MAX_LEVELS: Final = 256


@dataclass(frozen=True, slots=True)
class Platform:
    """SVNs of the machine that signed a quote: of the CPU and PCE by its PCK certificate, of the TDX module
    by the report. `cpu_svn` and `tee_tcb_svn` have 16 numbers of 0 to 255.
    """

    fmspc: bytes
    ca: str
    cpu_svn: tuple[int, ...]
    pce_svn: int
    tee_tcb_svn: tuple[int, ...]

    @classmethod
    def of(cls, quote: bytes) -> Platform:
        """From a quote, nothing of which is believed yet. Raises AttestationError(malformed-quote)."""
        try:
            parsed = dcap_qvl.parse_quote(quote)
            extension = parsed.pck_extension()
            return cls(
                bytes.fromhex(parsed.fmspc()),
                str(parsed.ca()),
                tuple(bytes(extension.cpu_svn)),
                int(extension.pce_svn),
                tuple(bytes(parsed.report.tee_tcb_svn)),
            )
        except (ValueError, AttributeError) as error:
            raise AttestationError(f"its platform cannot be read: {error}", code="malformed-quote") from None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """One SVN that is below what a level asks for."""

    component: str
    has: int
    needs: int

    def __str__(self) -> str:
        return f"{self.component} is {self.has}, {self.needs} is needed"


@dataclass(frozen=True, slots=True)
class LevelView:
    """One TCB level: its status and date (Unix seconds), whether it counts on the chain, what the platform
    lacks for it.
    """

    status: str
    date: int
    advisories: tuple[str, ...]
    counts: bool
    lacks: tuple[Shortfall, ...]

    @property
    def reached(self) -> bool:
        """Whether the platform has all that it asks for."""
        return not self.lacks


@dataclass(frozen=True, slots=True)
class Rules:
    """What the chain takes beside `UpToDate` (its TcbPolicy); `grace_seconds` after a level's date."""

    also_accepted: frozenset[str] = frozenset()
    grace_seconds: int = 0
    min_evaluation_number: int = 0
    allow_smt: bool = True
    allow_dynamic_platform: bool = True
    allow_cached_keys: bool = True

    def at(self, now: int) -> dcap_qvl.QuotePolicy:
        """As dcap-qvl has it, at a Unix time."""
        policy = (
            dcap_qvl.QuotePolicy.strict(now)
            .platform_grace_period(self.grace_seconds)
            .qe_grace_period(self.grace_seconds)
            .min_tcb_eval_data_number(self.min_evaluation_number)
            .allow_smt(self.allow_smt)
            .allow_dynamic_platform(self.allow_dynamic_platform)
            .allow_cached_keys(self.allow_cached_keys)
        )
        for status in sorted(self.also_accepted):
            policy = policy.allow_status(status)
        return policy


@dataclass(frozen=True, slots=True)
class Standing:
    """What one set of collateral says of a platform, all times in Unix seconds.

    `counts` is dcap-qvl's verdict under the chain's rules, `reason` its words when it refuses. `status` is
    None when no level is reached, or the set does not verify. `grace_until` is set while an out-of-date level
    counts by grace. `levels` are newest first.
    """

    counts: bool
    reason: str
    status: str | None
    evaluation_number: int
    issued_at: int
    expires_at: int
    grace_until: int | None
    levels: tuple[LevelView, ...]

    @property
    def newest(self) -> LevelView | None:
        """The newest level that counts; what the platform lacks for it is what an update has to bring."""
        return next((level for level in self.levels if level.counts), None)


def stand(
    quote: bytes, collateral: Collateral, *, now: int, roots: Sequence[TrustRoot], rules: Rules | None = None
) -> Standing:
    """How the quote's platform stands against one set of collateral, at a Unix time.

    Raises AttestationError: a quote or collateral that cannot be read, or of another family of platforms.
    """
    rules = rules or Rules()
    platform = Platform.of(quote)
    info, identity = _documents(collateral)
    if str(info.get("fmspc", "")).lower() != platform.fmspc.hex():
        raise AttestationError(
            f"the collateral is of family {info.get('fmspc')}, the quote of {platform.fmspc.hex().upper()}",
            code="no-collateral",
        )
    try:
        levels = _levels(platform, info, rules, now)
        numbers = [int(one["tcbEvaluationDataNumber"]) for one in (info, identity)]
        issued = max(_time(one["issueDate"]) for one in (info, identity))
        expires = min(_time(one["nextUpdate"]) for one in (info, identity))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise AttestationError(f"it is no collateral: {error}", code="malformed-collateral") from None
    counts, reason, status, date_tag = _verdict(quote, collateral, now, roots, rules)
    grace = None
    if counts and status == OUT_OF_DATE and date_tag is not None:
        grace = date_tag + rules.grace_seconds
    return Standing(counts, reason, status, min(numbers), issued, expires, grace, levels)


def standard_expected(early: Standing) -> int | None:
    """About when the `standard` set asks for what the `early` one asks for now: an estimate of Intel's habit,
    six weeks after the date of the level that is not reached, or else of the set. None when the platform
    counts under it.
    """
    if early.counts:
        return None
    newest = early.newest
    since = early.issued_at if newest is None or newest.reached else newest.date
    return since + int(STANDARD_FOLLOWS.total_seconds())


def _verdict(
    quote: bytes, collateral: Collateral, now: int, roots: Sequence[TrustRoot], rules: Rules
) -> tuple[bool, str, str | None, int | None]:
    reason = "its certificate chain does not end at a trusted root"
    for root in claimed_roots(quote, roots):
        verifier = dcap_qvl.QuoteVerifier(root.der)
        try:
            claims = verifier.verify_with_policy(
                quote, collateral.inner, now, dcap_qvl.QuotePolicy.claims_only(now)
            )
            check_signers(json.loads(collateral.to_json()), root)
        except ValueError as error:
            reason = str(error)
            continue
        found = json.loads(claims.to_json())
        status, tag = str(found["tcb"]["status"]), int(found["platform"]["tcb_date_tag"])
        try:
            verifier.verify_with_policy(quote, collateral.inner, now, rules.at(now))
        except ValueError as error:
            return False, str(error), status, tag
        return True, "", status, tag
    return False, reason, None, None


def _documents(collateral: Collateral) -> tuple[dict[str, Any], dict[str, Any]]:
    fields = json.loads(collateral.to_json())
    try:
        info, identity = (
            strict_json.loads(fields[name].encode(), limit=bounds.MAX_COLLATERAL)
            for name in ("tcb_info", "qe_identity")
        )
    except (KeyError, ValueError) as error:
        raise AttestationError(f"it is no collateral: {error}", code="malformed-collateral") from None
    if not isinstance(info, dict) or not isinstance(identity, dict):
        raise AttestationError("it is no collateral", code="malformed-collateral")
    return info, identity


def _levels(platform: Platform, info: Mapping[str, Any], rules: Rules, now: int) -> tuple[LevelView, ...]:
    major = platform.tee_tcb_svn[1]
    module = _module(info, major) if major else None
    found = []
    for level in info["tcbLevels"][:_MAX_LEVELS]:
        tcb, lacks = level["tcb"], list[Shortfall]()
        lacks += _short("CPU SVN", platform.cpu_svn, (one["svn"] for one in tcb["sgxtcbcomponents"]))
        lacks += _short("PCE SVN", (platform.pce_svn,), (tcb["pcesvn"],))
        tdx = [int(one["svn"]) for one in tcb["tdxtcbcomponents"]]
        have = list(platform.tee_tcb_svn)
        if major:
            have[:2], tdx[:2] = [0, 0], [0, 0]
        lacks += _short("TDX SVN", have, tdx)
        date, status = _time(level["tcbDate"]), str(level["tcbStatus"])
        advisories = set(map(str, level.get("advisoryIDs", ())))
        if module is not None:
            needed = next((one for one in module if one["tcbStatus"] == status), module[0])
            lacks += _short(f"TDX module {major} SVN", (platform.tee_tcb_svn[0],), (needed["tcb"]["isvsvn"],))
        in_time = status != OUT_OF_DATE or date + rules.grace_seconds >= now
        counts = status == UP_TO_DATE or (status in rules.also_accepted and in_time)
        found.append(LevelView(status, date, tuple(sorted(advisories)), counts, tuple(lacks)))
    return tuple(found)


def _module(info: Mapping[str, Any], major: int) -> list[Any] | None:
    """The levels of the TDX module's own identity, newest first."""
    name = f"TDX_{major:02X}"
    for one in info.get("tdxModuleIdentities", ()):
        if str(one["id"]).upper() == name and one["tcbLevels"]:
            return list(one["tcbLevels"])
    return None


def _short(name: str, has: Sequence[int], needs: Iterable[int]) -> list[Shortfall]:
    needs = [int(one) for one in needs]
    if len(needs) != len(has):
        raise ValueError(f"a level has {len(needs)} numbers of {name}, not {len(has)}")
    several = len(has) > 1
    return [
        Shortfall(f"{name} {number + 1}" if several else name, have, need)
        for number, (have, need) in enumerate(zip(has, needs, strict=True))
        if have < need
    ]


def _time(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())
