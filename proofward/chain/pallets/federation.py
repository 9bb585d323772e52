"""The federation pallet: sites, studies, their rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from proofward.chain.client import SubstrateClient
from proofward.chain.pallets import _read
from proofward.chain.values import Call

PALLET: Final = "Federation"
MAX_OPENED: Final = 1_024
"""Parameters whose sum the chain opens itself (MAX_OPENED of the pallet)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site lets a study do: `policy` is the hash of its site.toml; `yearly` and `round` in nano-rho;
    `purposes` one bit each.
    """

    policy: bytes
    yearly: int
    round: int
    cohort: int
    purposes: int


@dataclass(frozen=True, slots=True)
class Consents:
    """The tree of a site's live consents, posted in block `at`; it counts from the next block on."""

    root: bytes
    live: int
    at: int


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """A hospital; `spent` is in nano-rho, of the year `year` since the genesis."""

    account: bytes
    rules: Rules
    spent: int
    year: int
    consents: Consents | None
    studies: int
    deposit: int


@dataclass(frozen=True, slots=True)
class Member:
    """A site that was invited; `budget` is 0 until it joins, `active` whether it takes part now."""

    site: bytes
    budget: int
    spent: int
    active: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A study's terms: `rule` is the hash of its document, `clip` in units, `variance` in squared ones,
    `budget` in nano-rho, `purpose` one bit, `window` and `end` in blocks.
    """

    rule: bytes
    dimension: int
    clip: int
    variance: int
    budget: int
    cohort: int
    rounds: int
    purpose: int
    window: int
    end: int


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study that goes on; `rho` is what a round costs, in nano-rho, `next` how many were begun."""

    id: bytes
    researcher: bytes
    aggregator: bytes
    plan: Plan
    rho: int
    spent: int
    members: tuple[Member, ...]
    next: int
    open: bool
    deposit: int

    def member(self, site: bytes) -> Member | None:
        """What a site has in this study."""
        return next((one for one in self.members if one.site == site), None)


@dataclass(frozen=True, slots=True)
class Committed:
    """A site's word in a round, under a tree of consents."""

    site: bytes
    commitment: bytes
    consents: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """A sum: `values` is their hash, `opened` whether the chain opened them, `absent` the places of the
    commitments that are not in it.
    """

    values: bytes
    blinding: bytes
    sum: bytes
    opened: bool
    absent: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A round without a sum."""


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round; commitments are taken up to block `until`; `ending` is None while it waits."""

    number: int
    noise: bytes
    receipt_key: bytes
    until: int
    committed: tuple[Committed, ...]
    ending: Published | Failed | None

    @property
    def present(self) -> tuple[Committed, ...]:
        """Who is in the sum; empty without one."""
        if not isinstance(self.ending, Published):
            return ()
        return tuple(one for place, one in enumerate(self.committed) if place not in self.ending.absent)


def site(client: SubstrateClient, account: bytes, at: bytes | None = None) -> SiteRecord | None:
    """A site's entry; None when it is none."""
    value = client.query(PALLET, "Sites", account, at=at)
    if value is None:
        return None
    rules, consents = _read.record(Rules, **value["rules"]), value["consents"]
    consents = consents and _read.record(Consents, **consents)
    return _read.record(SiteRecord, account=account, **{**value, "rules": rules, "consents": consents})


def year(client: SubstrateClient) -> int:
    """The year since the genesis that a round is charged to now; `SiteRecord.year` may be one before."""
    return client.finalised_head().number // max(1, int(client.constant(PALLET, "Year")))


def study(client: SubstrateClient, name: bytes, at: bytes | None = None) -> StudyRecord | None:
    """A study that goes on; None when it ended, or never was."""
    value = client.query(PALLET, "Studies", name, at=at)
    if value is None:
        return None
    members = tuple(_read.record(Member, **one) for one in value["members"])
    plan = _read.record(Plan, **value["plan"])
    return _read.record(StudyRecord, id=name, **{**value, "plan": plan, "members": members})


def round_of(
    client: SubstrateClient, name: bytes, number: int, at: bytes | None = None
) -> RoundRecord | None:
    """A round of a study that goes on."""
    value = client.query(PALLET, "Rounds", name, number, at=at)
    return value and _round(number, value)


def rounds(client: SubstrateClient, record: StudyRecord, at: bytes | None = None) -> list[RoundRecord]:
    """All rounds of a study, in order."""
    keys = {number: (record.id, number) for number in range(record.next)}
    found = _read.found(client, PALLET, "Rounds", keys, at) if keys else {}
    return [_round(number, value) for number, value in sorted(found.items())]


def _round(number: int, value: dict[str, Any]) -> RoundRecord:
    committed = tuple(_read.record(Committed, **one) for one in value["committed"])
    return _read.record(
        RoundRecord,
        number=number,
        **{**value, "committed": committed, "ending": _ending(value["ending"])},
    )


def _ending(value: Any) -> Published | Failed | None:
    if isinstance(value, dict):
        said = value["Published"]
        return _read.record(Published, **{**said, "absent": tuple(said["absent"])})
    return None if value is None else Failed()


def register_site(rules: Rules) -> Call:
    """Register the signer as a site, or set its rules anew."""
    return Call(PALLET, "register_site", {"rules": asdict(rules)})


def leave() -> Call:
    """Forget the signer's site."""
    return Call(PALLET, "leave")


def set_consents(root: bytes, live: int) -> Call:
    """Post the root over the live consents, and how many there are at most."""
    return Call(PALLET, "set_consents", {"root": root, "live": live})


def create(nonce: bytes, aggregator: bytes, plan: Plan) -> Call:
    """Announce a study; its id is `proofward.protocol.federation.study_id` of signer and nonce."""
    return Call(PALLET, "create", {"nonce": nonce, "aggregator": aggregator, "plan": asdict(plan)})


def invite(study: bytes, site: bytes) -> Call:
    """As the researcher: let a site take part."""
    return Call(PALLET, "invite", {"study": study, "site": site})


def join(study: bytes, budget: int) -> Call:
    """As an invited site: take part, for at most so many nano-rho; or change that."""
    return Call(PALLET, "join", {"study": study, "budget": budget})


def withdraw(study: bytes) -> Call:
    """As a site: take part no more."""
    return Call(PALLET, "withdraw", {"study": study})


def open_round(study: bytes, *, at: int, noise: bytes, signature: bytes) -> Call:
    """As the aggregator: begin a round with the enclave's noise, signed over block `at`."""
    return Call(PALLET, "open", {"study": study, "at": at, "noise": noise, "signature": signature})


def commit(study: bytes, number: int, *, commitment: bytes, consents: bytes) -> Call:
    """As a site: commit to an update made under this tree of consents."""
    return Call(
        PALLET,
        "commit",
        {"study": study, "number": number, "commitment": commitment, "consents": consents},
    )


def publish(
    study: bytes,
    number: int,
    *,
    absent: Sequence[int],
    values: Sequence[int] | bytes,
    blinding: bytes,
    signature: bytes,
) -> Call:
    """As the aggregator: end a round with its sum; `values` is their hash beyond MAX_OPENED parameters."""
    said: dict[str, Any] = {"Hash": values} if isinstance(values, bytes) else {"Whole": list(values)}
    return Call(
        PALLET,
        "publish",
        {
            "study": study,
            "number": number,
            "absent": list(absent),
            "values": said,
            "blinding": blinding,
            "signature": signature,
        },
    )


def fail(study: bytes, number: int) -> Call:
    """Give a round up."""
    return Call(PALLET, "fail", {"study": study, "number": number})


def close(study: bytes) -> Call:
    """End a study."""
    return Call(PALLET, "close", {"study": study})
