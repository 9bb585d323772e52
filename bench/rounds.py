"""Rounds of four sites over the embedded chain with a block every two seconds, the enclave a process of its
own, updates by HTTP: how long they take from the block that begins one to the block that has its sum.

Sites have forty records, so that training is nothing; quotes are simulated.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from proofward.amounts import UNIT
from proofward.chain import SubstrateClient, dev_keypair, ss58
from proofward.chain.pallets import attestation, balances, federation
from proofward.devnet.chains import Devnet
from proofward.errors import ProofwardError
from proofward_federation.measure import simulated_measurement
from proofward_federation.network.door import Door
from proofward_federation.network.hospital import Hospital
from proofward_federation.network.host import Host
from proofward_federation.network.ledger import plan_of
from proofward_federation.network.serving import opened
from proofward_federation.process import aggregator
from proofward_federation.study import Study
from tests.federation.world import UNITS, announce, folder_of, hospital_of, study_of

SITES: Final = ("//Charlie", "//Eve", "//Ferdie", "//Switzerland")
RESEARCHER: Final = "//Bob"
BLOCK_MS: Final = 2_000
ROUNDS: Final = 4
RECORDS: Final = 40
POLICY: Final = """[site]
name = "Hospital"
[privacy]
clip = 1.0
noise = 2.0
cohort = 4
peers = 3
epsilon_a_year = 8.0
delta = 1e-5
level = "simulated"
[allow]
purposes = ["cardiology"]
columns = ["age", "chol"]
targets = ["num"]
researchers = ["{researcher}"]
peers = {peers}
"""


class Timed(Host):
    """A host that keeps how long each round took it."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.seconds: list[float] = []

    def _round(self) -> None:
        begun = time.perf_counter()
        super()._round()
        self.seconds.append(time.perf_counter() - begun)


def over_the_chain() -> dict[str, Any]:
    """Seconds of each round: by the chain's blocks, and by the host's clock since before it was begun."""
    with (
        tempfile.TemporaryDirectory(prefix="proofward-rounds-") as folder,
        Devnet(block_time_ms=BLOCK_MS, steady=True) as chain,
        chain.connect() as client,
        aggregator() as call,
    ):
        study = _study()
        _endow(client)
        host = Timed(client, dev_keypair("//Dave"), call, study, state=Path(folder) / "host", linger=2.0)
        host.register()
        name = _announced(client, host, study)
        host.attend(name)
        with opened(Door(host), "127.0.0.1", 0) as port:
            url = f"http://127.0.0.1:{port}"
            threads = [
                threading.Thread(target=_site, args=(client, Path(folder), uri, name, url, study))
                for uri in SITES
            ]
            for thread in threads:
                thread.start()
            _joined(client, name)
            host.run(name)
            for thread in threads:
                thread.join(60)
        sites = {len(one.present) for one in federation.rounds(client, federation.study(client, name))}  # type: ignore[arg-type]
        if sites != {len(SITES)}:
            raise SystemExit(f"not every round has its four sites: {sites}")
        blocks = [one.published - one.opened for one in host.logged]
        return {
            "block_s": BLOCK_MS / 1000,
            "blocks_from_opening_to_sum": blocks,
            "s_from_opening_to_sum_median": statistics.median(blocks) * BLOCK_MS / 1000,
            "s_from_before_it_is_sent": [round(one, 2) for one in host.seconds],
            "load": os.getloadavg(),
        }


def _account(uri: str) -> bytes:
    return bytes(dev_keypair(uri).public_key)


def _study() -> Study:
    return study_of(
        name="rounds", deviation=4 * UNITS, cohort=4, rounds=ROUNDS, researcher=ss58(_account(RESEARCHER))
    )


def _endow(client: SubstrateClient) -> None:
    allowed = attestation.sudo(attestation.allow_measurement(simulated_measurement(), "aggregator"))
    poor = [uri for uri in SITES if client.balance(_account(uri)) == 0]
    money = [balances.transfer(_account(uri), 1_000 * UNIT) for uri in poor]
    client.submit(attestation.batch([allowed, *money]), dev_keypair("//Alice"))


def _announced(client: SubstrateClient, host: Host, study: Study) -> bytes:
    plan = plan_of(study, rounds=ROUNDS, window=20, end=client.finalised_head().number + 500)
    return announce(client, RESEARCHER, os.urandom(32), host.account, plan, SITES)


def _site(client: SubstrateClient, at: Path, uri: str, name: bytes, url: str, study: Study) -> None:
    peers = json.dumps([ss58(_account(other)) for other in SITES if other != uri])
    policy = POLICY.format(researcher=study.researcher, peers=peers)
    folder = folder_of(at, SITES.index(uri), policy=policy, records=RECORDS)
    hospital = hospital_of(Hospital, client, uri, folder, name, url)
    with suppress(ProofwardError):  # the round's own count of sites says it
        hospital.enter(study.budget)
        hospital.run()


def _joined(client: SubstrateClient, name: bytes) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = federation.study(client, name)
        if found is not None and sum(one.active for one in found.members) == len(SITES):
            return
        time.sleep(0.2)
    raise SystemExit("the sites did not join in two minutes")


if __name__ == "__main__":
    print(json.dumps(over_the_chain()))
