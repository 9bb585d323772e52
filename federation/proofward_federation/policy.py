"""The site's own rules, in `site.toml`: whatever a study asks for, nothing leaves that they do not let.

They are read once, hashed into the site's registration, and checked before anything is computed. A rule that
is missing is an error, never a default.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from proofward.chain.keypair import ss58_decode
from proofward.files import TooLong, read_whole
from proofward.protocol import Level, sha256
from proofward.protocol.federation import MAX_MEMBERS, NANO
from proofward_federation.budget import nano_rho_of
from proofward_federation.enclave import MAX_PEERS
from proofward_federation.errors import FederationError, PolicyRefused
from proofward_federation.study import PURPOSES, Study

MAX_BYTES: Final = 1 << 16
_SECTIONS: Final = {
    "site": {"name"},
    "privacy": {"clip", "noise", "cohort", "peers", "epsilon_a_year", "delta", "level"},
    "allow": {"purposes", "columns", "targets", "researchers", "peers"},
}


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """`clip`: the most that one record adds to a sum's length. `noise`: the least deviation over clip.
    `cohort`: the fewest sites of a sum, `least` of them among the `peers`, the accounts of others that this
    site knows. `yearly`: nano-rho. `level`: the least of an aggregator's attestation. `allow`ed are
    `purposes`, `columns`, `targets`, and `researchers` by address.
    """

    name: str
    clip: Fraction
    noise: Fraction
    cohort: int
    least: int
    peers: frozenset[bytes]
    yearly: int
    level: Level
    purposes: frozenset[str]
    columns: frozenset[str]
    targets: frozenset[str]
    researchers: frozenset[str]
    hash: bytes

    @classmethod
    def load(cls, path: Path) -> SitePolicy:
        """Read a file. Raises FederationError(bad-policy)."""
        try:
            return cls.parse(read_whole(path, MAX_BYTES))
        except OSError as error:
            raise FederationError(f"cannot read {path}: {error.strerror}", code="bad-policy") from None
        except TooLong as error:
            raise FederationError(f"{path} cannot be used: {error}", code="bad-policy") from None

    @classmethod
    def parse(cls, data: bytes) -> SitePolicy:
        """Read a policy's bytes; their SHA-256 is its hash. Raises FederationError(bad-policy)."""
        try:
            if len(data) > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES} bytes")
            values = tomllib.loads(data.decode())
            _complete(values)
            return cls._of(values, sha256(data))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FederationError(
                f"site.toml cannot be used: {error}; docs/federation.md has its keys", code="bad-policy"
            ) from None

    @classmethod
    def _of(cls, values: dict[str, Any], digest: bytes) -> SitePolicy:
        privacy, allow = values["privacy"], values["allow"]
        clip, noise = (_positive(privacy[name], name) for name in ("clip", "noise"))
        epsilon, delta = (float(_positive(privacy[name], name)) for name in ("epsilon_a_year", "delta"))
        if not (0 < epsilon <= 100 and 0 < delta <= 1e-3):
            raise ValueError("epsilon_a_year is above 0 and at most 100, delta at most 0.001")
        cohort = privacy["cohort"]
        if type(cohort) is not int or not 2 <= cohort <= MAX_MEMBERS:
            raise ValueError(f"cohort is 2 to {MAX_MEMBERS}")
        names = {key: frozenset(_texts(allow[key], key)) for key in _SECTIONS["allow"]}
        peers, least = frozenset(map(ss58_decode, names.pop("peers"))), privacy["peers"]
        if type(least) is not int or not 1 <= least <= len(peers) <= MAX_PEERS or least >= MAX_MEMBERS:
            raise ValueError(
                f"of at most {MAX_PEERS} peers that [allow] names, [privacy] wants 1 to {MAX_MEMBERS - 1}"
            )
        if unknown := names["purposes"] - set(PURPOSES):
            raise ValueError(f"{sorted(unknown)[0]!r} is no purpose")
        return cls(
            name=_text(values["site"]["name"], "name"),
            clip=clip,
            noise=noise,
            cohort=cohort,
            least=least,
            peers=peers,
            yearly=nano_rho_of(epsilon, delta),
            level=Level.from_label(_text(privacy["level"], "level")),
            hash=digest,
            **names,
        )

    @property
    def round(self) -> int:
        """The most nano-rho of a round, which the floor under the noise implies."""
        return min(self.yearly, int(NANO / (2 * self.noise**2)))

    @property
    def purpose_bits(self) -> int:
        """As the chain knows the purposes."""
        return sum(1 << PURPOSES.index(purpose) for purpose in self.purposes)

    def admit(self, study: Study) -> None:
        """Raises PolicyRefused with the first rule that the study breaks, its code named after the rule."""
        columns = set(study.columns) - self.columns
        for code, broken, told in (
            (
                "researcher",
                study.researcher not in self.researchers,
                f"{study.researcher} may not study here",
            ),
            ("purpose", study.purpose not in self.purposes, f"not for {study.purpose}"),
            ("columns", bool(columns), f"the columns {sorted(columns)} stay here"),
            (
                "target",
                study.target is not None and study.target not in self.targets,
                f"{study.target} is not to be learnt",
            ),
            ("clip", Fraction(study.clip, study.units) > self.clip, f"a record adds at most {self.clip}"),
            (
                "noise",
                study.noise < self.noise,
                f"noise of {float(study.noise):g} clips, at least {self.noise}",
            ),
            ("cohort", study.cohort < self.cohort, f"sums of {study.cohort} sites, at least {self.cohort}"),
            ("year", study.rho * study.rounds > self.yearly, "its rounds cost more than a year's budget"),
            ("study-budget", study.budget > self.yearly, "it may spend more than a year's budget"),
        ):
            if broken:
                raise PolicyRefused(f"{self.name} refuses {study.name!r}: {told}", code=f"policy-{code}")

    def admit_round(
        self,
        study: Study,
        *,
        rule: bytes,
        registered: bytes,
        level: Level,
        spent: int,
        others: frozenset[bytes],
    ) -> None:
        """Before each round: `rule` is the study's hash on the chain, `registered` the policy's, `level` the
        aggregator's, `spent` this year's nano-rho, `others` the accounts that take part beside this site's.
        Raises PolicyRefused.
        """
        self.admit(study)
        known = len(self.peers & others)
        for code, broken, told in (
            ("rule", rule != study.rule, "the study on the chain is another one"),
            (
                "changed",
                registered != self.hash,
                "site.toml is not the one that is registered: register it first",
            ),
            ("level", level < self.level, f"the aggregator is attested as {level.label} only"),
            ("spent", spent + study.rho > self.yearly, "the year's budget is spent"),
            ("peers", known < self.least, f"{known} of its peers take part, at least {self.least} must"),
        ):
            if broken:
                raise PolicyRefused(f"{self.name} refuses {study.name!r}: {told}", code=f"policy-{code}")


def _complete(values: dict[str, Any]) -> None:
    if values.keys() != _SECTIONS.keys():
        raise ValueError(f"it has the sections {', '.join(_SECTIONS)}")
    for section, keys in _SECTIONS.items():
        if not isinstance(values[section], dict) or values[section].keys() != keys:
            raise ValueError(f"[{section}] has the keys {', '.join(sorted(keys))}")


def _positive(value: Any, name: str) -> Fraction:
    if type(value) not in (int, float) or not 0 < value < 1e9:
        raise ValueError(f"{name} is a number above 0")
    return Fraction(str(value))


def _text(value: Any, name: str) -> str:
    if type(value) is not str:
        raise ValueError(f"{name} is a text")
    return value


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(type(one) is str and one for one in value):
        raise ValueError(f"{name} is a list of texts")
    return value
