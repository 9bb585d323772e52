"""What a hospital does in a round. Nothing leaves this module that the site's policy does not let.

`Site.answer` is the one way out: it takes a study and the round as the chain tells them, and gives an update
sealed to the attested aggregator, or refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from proofward.protocol import Level, sha256
from proofward.protocol.federation import UpdateContext
from proofward.protocol.keys import hpke_seal
from proofward_federation.consents import Register, ShownTree
from proofward_federation.enclave import Wanted, seal_payload
from proofward_federation.errors import FederationError
from proofward_federation.policy import SitePolicy
from proofward_federation.spent import Ledger, Spending
from proofward_federation.study import Study
from proofward_federation.update import Floats, Update, clip, count_parts, logistic_parts, prove_short


@dataclass(frozen=True, slots=True, repr=False)
class Records:
    """A hospital's records: `names` are its own numbers of patients, `columns` their numbers by name."""

    names: tuple[str, ...]
    columns: dict[str, Floats] = field(repr=False)

    def features(self, columns: Sequence[str], names: Sequence[str]) -> Floats:
        """Some records, (records, columns). Raises FederationError(bad-records)."""
        missing = [column for column in columns if column not in self.columns]
        if missing:
            bare = missing[0].partition(" [")[0]
            near = [column for column in self.columns if column.partition(" [")[0] == bare]
            told = f"; there is {', '.join(near)}: a column is named with its unit" if near else ""
            raise FederationError(f"there is no column {missing[0]!r} here{told}", code="bad-records")
        where = {name: place for place, name in enumerate(self.names)}
        rows = [where[name] for name in names]
        return np.column_stack([self.columns[column][rows] for column in columns])

    @property
    def digest(self) -> bytes:
        """SHA-256 of all of it: whether records are the same as others, in whatever order they stand."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        parts = [repr([self.names[place] for place in order]).encode()]
        for name in sorted(self.columns):
            parts += [name.encode(), self.columns[name][order].tobytes()]
        return sha256(b"".join(sha256(part) for part in parts))


@dataclass(frozen=True, slots=True)
class RoundView:
    """A round as the chain has it: `rule` is the study's hash there, `noise` the round's; `policy` the site's
    registered hash, `spent` its nano-rho of this year; `hpke_key` and `level` are the aggregator's; `members`
    the sites that take part in the study now.
    """

    genesis: bytes
    study: bytes
    rule: bytes
    number: int
    noise: bytes
    policy: bytes
    spent: int
    hpke_key: bytes
    level: Level
    members: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves the site: `commitment` and `consents` for the chain, `sealed` for the aggregator, and
    `proof` for everybody, that the update is as short as that of `most` records.
    """

    commitment: bytes
    consents: bytes
    sealed: bytes
    proof: bytes
    most: int


class Site:
    """A hospital: its account and what signs for it, its policy, its records, its register of consents, and
    what its answers cost so far, which without a `ledger` is known to this process alone. `now` is in Unix
    seconds.
    """

    def __init__(
        self,
        account: bytes,
        sign: Callable[[bytes], bytes],
        policy: SitePolicy,
        records: Records,
        consents: Register,
        now: Callable[[], float],
        ledger: Ledger | None = None,
    ) -> None:
        self.account, self.policy, self.consents = account, policy, consents
        self._sign = sign
        self._records, self._now, self._ledger = records, now, ledger or Ledger()

    @property
    def digest(self) -> bytes:
        """Of its records: whether they are the same as others."""
        return self._records.digest

    def answer(self, study: Study, view: RoundView, weights: Floats) -> Answer:
        """The site's part in a round. Raises PolicyRefused, FederationError."""
        self.policy.admit_round(
            study,
            rule=view.rule,
            registered=view.policy,
            level=view.level,
            spent=view.spent,
            others=view.members - {self.account},
        )
        cost = Spending(
            genesis=view.genesis.hex(),
            study=view.study.hex(),
            number=view.number,
            noise=view.noise.hex(),
            rho=study.rho,
            at=int(self._now()),
        )
        self._ledger.admit(cost, self.policy.yearly)
        live = self.consents.live(study.purpose, int(self._now()))
        known = set(self._records.names)
        used = [record for record in live.records if record in known]
        if not used:
            raise FederationError("no record here has a live consent", code="no-consents")
        features = self._records.features(study.columns, used)
        if study.kind == "logistic":
            assert study.target is not None
            target = self._records.features((study.target,), used)[:, 0]
            parts = logistic_parts(features, target, weights, study)
        else:
            parts = count_parts(features, used)
        update = Update.of([int(value) for value in clip(parts, study).sum(axis=0)], len(used))
        context = UpdateContext(
            genesis=view.genesis,
            study=view.study,
            rule=view.rule,
            number=view.number,
            noise=view.noise,
            site=self.account,
            commitment=update.commitment,
            consents=live.root,
        )
        proof = prove_short(update, study, live.most, context.info())
        sealed = self._sealed(update, context, live.shown(used), view.hpke_key)
        self._ledger.charge(cost, self.policy.yearly)
        return Answer(update.commitment, live.root, sealed, proof, live.most)

    def _sealed(self, update: Update, context: UpdateContext, tree: ShownTree, hpke_key: bytes) -> bytes:
        """For the aggregator alone."""
        wanted = Wanted(self.policy.cohort, self.policy.least, tuple(sorted(self.policy.peers)))
        payload = seal_payload(update, wanted, self._sign(context.info()), tree)
        return hpke_seal(hpke_key, payload, context.info())
