"""A whole study on one machine, before hospitals run it between them: the aggregator's process, the sites'
code with their own files, Flower. No chain, no network, and a quote that is simulated: it says so.

A site that refuses, or dies, is left out by name; a round with too few sites ends the study.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from proofward.errors import ProofwardError
from proofward.protocol import Level, sha256
from proofward.protocol.federation import study_id
from proofward_federation.errors import EngineMissing, FederationError
from proofward_federation.process import EnclaveCall, aggregator
from proofward_federation.site import RoundView, Site
from proofward_federation.study import Study
from proofward_federation.transcript import Part, Told, Transcript
from proofward_federation.update import Floats, logistic_step

NOT_SHOWN: Final = (
    "a rehearsal: no chain holds budgets or consents, the quote is simulated, all is one machine, and whose "
    "sites these are no key shows: each is taken for a peer of all others"
)
GENESIS: Final = sha256(b"proofward/rehearsal/v1")
ACCOUNT: Final = sha256(b"proofward/rehearsal-aggregator/v1")


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """`refused`: by round, what each site that is not in it said."""

    weights: Floats
    transcript: Transcript
    refused: list[dict[str, str]] = field(default_factory=list)


def rehearse(
    study: Study, sites: Sequence[Site], tell: Callable[[str], None] = lambda _line: None
) -> Rehearsed:
    """Run a study's rounds. Raises FederationError when a round has too few sites, EnclaveError."""
    try:
        from proofward_federation.engine import learn
    except ImportError as error:
        raise EngineMissing.of((error.name or "flwr").partition(".")[0]) from None

    accounts = frozenset(site.account for site in sites)
    if len(accounts) != len(sites):
        raise FederationError("two sites have one name: a site is counted once", code="site-twice")
    for site in sites:
        site.policy = replace(site.policy, peers=accounts)
    with aggregator() as call:
        run = _Run(study, sites, call, tell)
        start = np.zeros(len(study.columns) + 1)
        if study.kind == "logistic":
            weights = learn(start, run.exchange, nodes=len(sites), rounds=study.rounds)
        else:
            weights = np.zeros(0)
            for _ in range(study.rounds):
                run.exchange(weights)
    return Rehearsed(weights, run.transcript(), run.refused)


class _Run:
    def __init__(
        self, study: Study, sites: Sequence[Site], call: EnclaveCall, tell: Callable[[str], None]
    ) -> None:
        self._study, self._sites, self._call, self._tell = study, sites, call, tell
        self._name = study_id(ACCOUNT, study.rule)
        self._block = sha256(b"no block")
        self._keys = call("begin_epoch", genesis=GENESIS, account=ACCOUNT, epoch=1, block_hash=self._block)
        self._told: list[Told] = []
        self._spent: dict[bytes, int] = {}
        self.refused: list[dict[str, str]] = []

    def transcript(self) -> Transcript:
        return Transcript(
            GENESIS.hex(),
            self._name.hex(),
            self._study.document().hex(),
            tuple(self._told),
        )

    def exchange(self, weights: Floats) -> Floats:
        """One round."""
        number = len(self._told)
        asked = {"study": self._name, "number": number}
        opened = self._call(
            "open_round",
            **asked,
            document=self._study.document(),
            genesis=GENESIS,
            account=ACCOUNT,
            at=0,
            block=self._block,
        )
        parts: list[Part] = []
        refused: dict[str, str] = {}
        for site in self._sites:
            try:
                parts.append(self._part(site, asked, opened["noise"], weights))
            except ProofwardError as error:
                refused[site.policy.name] = f"{error.code}: {error.message}"
                self._tell(f"round {number}: without {site.policy.name}: {error.message}")
        self.refused.append(refused)
        result = self._call(
            "close_round",
            **asked,
            sites=b"".join(bytes.fromhex(part.site) for part in parts),
            commitments=b"".join(bytes.fromhex(part.commitment) for part in parts),
            cohorts=bytes(len(parts)),  # none is registered anywhere
            absent=b"",
        )
        absent = tuple(result["absent"])
        named = {site.account.hex(): site.policy.name for site in self._sites}
        for place in absent:
            name = named[parts[place].site]
            refused[name] = "cohort: it wants more sites in a sum than there are"
            self._tell(f"round {number}: without {name}: it wants more sites in a sum than there are")
        self._told.append(
            Told(
                number=number,
                receipt_key=self._keys["receipt_key"].hex(),
                at=0,
                block=self._block.hex(),
                noise=opened["noise"].hex(),
                opening=opened["signature"].hex(),
                parts=tuple(parts),
                absent=absent,
                values=tuple(result["values"]),
                blinding=result["blinding"].hex(),
                signature=result["signature"].hex(),
            )
        )
        self._tell(
            f"round {number}: the sum of {len(parts) - len(absent)} sites, {self._study.rho / 1e9:.6f} rho"
        )
        if self._study.kind != "logistic":
            return weights
        return logistic_step(weights, result["values"], self._study)

    def _part(self, site: Site, asked: dict[str, Any], noise: bytes, weights: Floats) -> Part:
        view = RoundView(
            genesis=GENESIS,
            study=self._name,
            rule=self._study.rule,
            number=asked["number"],
            noise=noise,
            policy=site.policy.hash,
            spent=self._spent.get(site.account, 0),
            hpke_key=self._keys["hpke_key"],
            level=Level.SIMULATED,
            members=frozenset(one.account for one in self._sites),
        )
        answer = site.answer(self._study, view, weights)
        # spent when it leaves, whatever comes of it
        self._spent[site.account] = self._spent.get(site.account, 0) + self._study.rho
        told = {"commitment": answer.commitment, "consents": answer.consents, "sealed": answer.sealed}
        self._call("take_update", **asked, site=site.account, **told)
        return Part(
            site.account.hex(),
            answer.commitment.hex(),
            answer.consents.hex(),
            answer.most,
            answer.proof.hex(),
        )
