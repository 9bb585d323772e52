"""A hospital that dies, a hospital that lies, an aggregator's host that adds one unit: processes of the demo.

`python -m proofward_demo.rogues dies|lies ROUND FOLDER STUDY URL SIGNER CHAIN`,
`python -m proofward_demo.rogues adds STUDY.JSON OUT LISTEN SIGNER CHAIN`.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from proofward.chain import DispatchError, SubstrateClient, keypair_of
from proofward.errors import ProofwardError
from proofward.protocol.federation import UpdateContext
from proofward_federation.errors import FederationError
from proofward_federation.measure import simulated_measurement
from proofward_federation.network.hospital import Hospital
from proofward_federation.network.host import Host, Logged
from proofward_federation.network.ledger import announced
from proofward_federation.network.serving import Serving, serve
from proofward_federation.site import Answer, RoundView, Site
from proofward_federation.study import Study
from proofward_federation.update import Floats, Update


def tell(line: str) -> None:
    """One line on standard error, where the demo looks for it."""
    print(line, file=sys.stderr, flush=True)


class Dies(Hospital):
    """Killed (SIGKILL) between commitment and delivery."""

    fatal = -1

    def committed(self, number: int) -> None:
        """Nothing is cleaned up."""
        if number == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class Liar(Site):
    """Commits to one update and seals another, which would pull the model a hundred times as far."""

    lie_in = -1

    def answer(self, study: Study, view: RoundView, weights: Floats) -> Answer:
        """As a hospital answers, but in one round."""
        honest = super().answer(study, view, weights)
        if view.number != self.lie_in:
            return honest
        context = UpdateContext(
            genesis=view.genesis,
            study=view.study,
            rule=view.rule,
            number=view.number,
            noise=view.noise,
            site=self.account,
            commitment=honest.commitment,
            consents=honest.consents,
        )
        live = self.consents.live(study.purpose, int(self._now()))
        other = Update.of([100 * study.clip] * study.dimension, len(live.records))
        sealed = self._sealed(other, context, live.shown(live.records), view.hpke_key)
        return replace(honest, sealed=sealed)


class Adds(Host):
    """Tries each sum with one unit more first, and a round beyond the budget last."""

    def publish(self, one: Logged) -> None:
        """Raises FederationError when the chain takes it."""
        said = one.told
        wrong = replace(said, values=(said.values[0] + 1, *said.values[1:]))
        try:
            super().publish(replace(one, told=wrong))
        except DispatchError as error:
            tell(f"REFUSED round {said.number}, one unit more: {error.name}")
        else:
            raise FederationError("the chain took a wrong sum", code="wrong-sum-taken")
        super().publish(one)

    def run(self, name: bytes) -> Floats:
        """Likewise."""
        weights = super().run(name)
        try:
            self._round()
        except FederationError as error:
            tell(f"REFUSED a round beyond the budget: {error.message}")
        else:
            raise FederationError("the chain opened a round beyond the budget", code="overspent")
        return weights


def main(arguments: list[str]) -> int:
    """Exit code 0, or 1 with the error's message."""
    try:
        if arguments[0] == "adds":
            study, out, listen, signer, chain = arguments[1:]
            keypair = keypair_of(signer)
            serving = Serving(chain, keypair, Path(out), listen, "simulator", 2.0, 120.0, tell, Adds)
            serve(Study.parse(Path(study).read_bytes()), serving)
            return 0
        kind, number, folder, name, url, signer, chain = arguments
        with SubstrateClient.connect(chain) as client:
            hospital = Dies(
                client,
                keypair_of(signer),
                Path(folder),
                bytes.fromhex(name),
                url=url,
                measurement=simulated_measurement(),
                development=True,
                tell=tell,
            )
            if kind == "dies":
                hospital.fatal = int(number)
            else:
                hospital.site.__class__ = Liar
                hospital.site.lie_in = int(number)  # type: ignore[attr-defined]
            hospital.enter(announced(client, bytes.fromhex(name)).plan.budget)
            hospital.run()
        return 0
    except ProofwardError as error:
        tell(f"error: {error.message}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
