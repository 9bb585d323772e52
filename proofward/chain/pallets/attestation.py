"""The attestation pallet: trust roots, allow-list, platform policy, collateral."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from proofward.chain.client import SubstrateClient
from proofward.chain.pallets import _read
from proofward.chain.values import Call
from proofward.protocol.types import Level

PALLET: Final = "Attestation"


@dataclass(frozen=True, slots=True)
class RootRecord:
    """A certificate (X.509, DER) that ends quotes' chains, and the level of quotes under it."""

    id: bytes
    level: Level
    der: bytes


@dataclass(frozen=True, slots=True)
class TcbPolicy:
    """What platforms must be, beyond genuine. `also_accepted` are TCB statuses besides UpToDate."""

    also_accepted: tuple[str, ...] = ()
    grace_seconds: int = 0
    min_evaluation_number: int = 0
    allow_smt: bool = True
    allow_dynamic_platform: bool = True
    allow_cached_keys: bool = True


@dataclass(frozen=True, slots=True)
class CollateralRecord:
    """Collateral on the chain for one family of platforms. `encoded` is SCALE of dcap-qvl's
    QuoteCollateralV3, `expires_at` in milliseconds.
    """

    root: bytes
    fmspc: bytes
    authority: str
    encoded: bytes
    expires_at: int


def roots(client: SubstrateClient, at: bytes | None = None) -> list[RootRecord]:
    """The trust roots, by the SHA-256 of their DER."""
    found = client.iterate(PALLET, "Roots", at=at)
    return [RootRecord(root, _read.level(value["level"]), value["der"]) for root, value in found]


def allowed(client: SubstrateClient, measurements: Iterable[bytes], at: bytes | None = None) -> set[bytes]:
    """Those of some measurements (32 bytes each) that are on the allow-list."""
    return set(_read.found(client, PALLET, "Measurements", {one: (one,) for one in measurements}, at))


def banned(client: SubstrateClient, platform: bytes, at: bytes | None = None) -> bool:
    """Whether governance struck this machine off (SHA-256 of its identifier)."""
    return client.query(PALLET, "BannedPlatforms", platform, at=at) is not None


def measurements(client: SubstrateClient, at: bytes | None = None) -> dict[bytes, str]:
    """The allow-list: measurement (32 bytes) to label."""
    return {key: _read.text(label) for key, label in client.iterate(PALLET, "Measurements", at=at)}


def policy(client: SubstrateClient, at: bytes | None = None) -> TcbPolicy:
    """Which TCB statuses the chain takes."""
    value = client.query(PALLET, "Policy", at=at)
    return TcbPolicy(**{**value, "also_accepted": tuple(value["also_accepted"])})


def collateral(
    client: SubstrateClient,
    fmspc: bytes | None = None,
    authority: str | None = None,
    at: bytes | None = None,
) -> list[CollateralRecord]:
    """What is stored, expired or not: all of it, or that of one family of platforms (6 bytes) and one
    certificate authority (`platform` or `processor`, in any case), one entry per root.
    """
    if fmspc is not None and authority is not None:
        keys = [(one.id, fmspc, authority.capitalize()) for one in roots(client, at)]
        found: Iterable[tuple[Any, Any]] = _read.found(
            client, PALLET, "Collateral", {key: (key,) for key in keys}, at
        ).items()
    else:
        found = client.iterate(PALLET, "Collateral", at=at)
    return [
        CollateralRecord(root, family, issuer, value["encoded"], value["expires_at"])
        for (root, family, issuer), value in found
        if fmspc in (None, family) and (authority is None or authority.lower() == issuer.lower())
    ]


def refresh_collateral(quote: bytes, encoded: bytes) -> Call:
    """Store collateral for the quote's family of platforms. Anyone may sign it."""
    return Call(PALLET, "refresh_collateral", {"quote": quote, "collateral": encoded})


def allow_measurement(measurement: bytes, label: str) -> Call:
    """Let software with this measurement work. Root origin (wrap it with `sudo`)."""
    return Call(PALLET, "allow_measurement", {"measurement": measurement, "label": label.encode()})


def disallow_measurement(measurement: bytes) -> Call:
    """Root origin."""
    return Call(PALLET, "disallow_measurement", {"measurement": measurement})


def add_root(der: bytes, level: Level) -> Call:
    """Root origin."""
    return Call(PALLET, "add_root", {"der": der, "level": level.name.capitalize()})


def remove_root(root: bytes) -> Call:
    """Root origin."""
    return Call(PALLET, "remove_root", {"root": root})


def set_policy(wanted: TcbPolicy) -> Call:
    """Root origin."""
    fields: dict[str, Any] = {name: getattr(wanted, name) for name in TcbPolicy.__slots__}
    return Call(PALLET, "set_policy", {"policy": {**fields, "also_accepted": list(wanted.also_accepted)}})


def drop_collateral(record: CollateralRecord) -> Call:
    """Take collateral out of state that is of no use any more. Anyone may sign it."""
    return Call(PALLET, "drop_collateral", _family(record))


def reset_collateral(record: CollateralRecord) -> Call:
    """Governance origin: take collateral out of state at once, so that the next one starts afresh."""
    return Call(PALLET, "reset_collateral", _family(record))


def _family(record: CollateralRecord) -> dict[str, Any]:
    return {"root": record.root, "fmspc": record.fmspc, "authority": record.authority}


def ban_platform(platform: bytes, banned: bool) -> Call:
    """Governance origin: strike a machine off (SHA-256 of its identifier), or take it back."""
    return Call(PALLET, "ban_platform", {"platform": platform, "banned": banned})


def sudo(call: Call) -> Call:
    """The call under root origin, for the chain's sudo key to sign."""
    return Call("Sudo", "sudo", {"call": call})


def batch(calls: Iterable[Call]) -> Call:
    """All of the calls, or none."""
    return Call("Utility", "batch_all", {"calls": list(calls)})
