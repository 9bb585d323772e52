"""Three hospitals, an aggregator in this process, and what each would have been told by a chain."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from proofward.chain import SubstrateClient, dev_keypair
from proofward.chain.keypair import Keypair
from proofward.chain.pallets import attestation, federation
from proofward.chain.pallets.federation import Plan
from proofward.protocol import Level, sha256
from proofward.protocol.federation import study_id
from proofward.protocol.requests import Params
from proofward_enclave.epochs import Epochs
from proofward_federation.consents import Register
from proofward_federation.enclave import Aggregator
from proofward_federation.measure import simulated_measurement
from proofward_federation.network.hospital import Hospital
from proofward_federation.policy import SitePolicy
from proofward_federation.site import Answer, Records, RoundView, Site
from proofward_federation.study import Study
from proofward_federation.update import Floats

H = TypeVar("H", bound=Hospital)
GENESIS, STUDY, ACCOUNT, BLOCK = (sha256(name) for name in (b"genesis", b"study", b"aggregator", b"block"))
UNITS = 1 << 16
KEYS = tuple(Keypair.of_seed(sha256(b"site %d" % place)) for place in range(4))
"""Of the sites' accounts, by place."""
DEV = tuple(Keypair.of_dev(f"//{name}") for name in ("Charlie", "Eve", "Ferdie"))
"""Those of hospitals on a development chain."""
PEERS = ", ".join(f'"{key.ss58_address}"' for key in (*KEYS, *DEV))
POLICY = f"""
[site]
name = "Hospital"
[privacy]
clip = 1.0
noise = 2.0
cohort = 2
peers = 1
epsilon_a_year = 8.0
delta = 1e-5
level = "simulated"
[allow]
purposes = ["cardiology"]
columns = ["age", "chol"]
targets = ["num"]
researchers = ["alice"]
peers = [{PEERS}]
"""


def study_of(**changes: Any) -> Study:
    """A study that the policy lets."""
    good = Study(
        name="heart",
        kind="logistic",
        purpose="cardiology",
        columns=("age", "chol"),
        centres=(55_000, 200_000),
        scales=(10_000, 100_000),
        target="num",
        units=UNITS,
        clip=UNITS,
        deviation=3 * UNITS,
        cohort=2,
        rounds=3,
        budget=300_000_000,
        rate=2_000,
        researcher="alice",
    )
    return replace(good, **changes)


def folder_of(
    at: Path, place: int, *, policy: str = POLICY, researcher: str = "alice", records: int = 40
) -> Path:
    """A hospital's files; its patients are ill when they are old, and one of them agrees no more."""
    folder = at / f"site-{place}"
    folder.mkdir()
    rules = policy.replace('"Hospital"', f'"Hospital {place}"').replace('"alice"', f'"{researcher}"')
    (folder / "site.toml").write_text(rules)
    draw = np.random.default_rng(place)
    ages = draw.normal(55, 10, records)
    rows = [
        f"{number},{age:.2f},{draw.normal(200, 40):.2f},{int(age > 55)}" for number, age in enumerate(ages)
    ]
    (folder / "records.csv").write_text("record,age,chol,num\n" + "\n".join(rows) + "\n")
    register = Register()
    for number in range(records):
        register.grant(str(number), "cardiology", int(time.time()) + 86_400)
    register.revoke("3")
    register.save(folder / "consents.json")
    return folder


def hospital_of(
    kind: type[H],
    client: SubstrateClient,
    uri: str,
    folder: Path,
    name: bytes,
    url: str,
    tell: Callable[[str], None] = lambda _line: None,
) -> H:
    """A hospital in study `name` of a development chain, which answers to an aggregator of this software."""
    attested: dict[str, Any] = {"measurement": simulated_measurement(), "development": True}
    return kind(client, dev_keypair(uri), folder, name, url=url, tell=tell, **attested)


def announce(
    client: SubstrateClient,
    researcher: str,
    nonce: bytes,
    aggregator: bytes,
    plan: Plan,
    sites: Sequence[str],
) -> bytes:
    """A study's id, when it is on the chain and its sites are invited."""
    key = dev_keypair(researcher)
    name = study_id(key.public_key, nonce)
    invited = [federation.invite(name, dev_keypair(uri).public_key) for uri in sites]
    client.submit(attestation.batch([federation.create(nonce, aggregator, plan), *invited]), key)
    return name


def site_of(place: int, *, records: int = 20, policy: str = POLICY, until: int = 2_000) -> Site:
    """A hospital with some records, all of whose patients agree."""
    draw = np.random.default_rng(place)
    names = tuple(f"{place}-{number}" for number in range(records))
    columns: dict[str, Floats] = {
        "age": draw.normal(55, 10, records),
        "chol": draw.normal(220, 60, records),
        "num": draw.integers(0, 2, records).astype(np.float64),
    }
    register = Register()
    for name in names:
        register.grant(name, "cardiology", until)
    return Site(
        KEYS[place].public_key,
        KEYS[place].sign,
        SitePolicy.parse(policy.encode()),
        Records(names, columns),
        register,
        lambda: 1_000.0,
    )


def no_noise(count: int, _: int) -> list[int]:
    """Zeros, so that a sum can be compared."""
    return [0] * count


def some_noise(count: int, deviation: int) -> list[int]:
    """A stand-in for the discrete Gaussian where OpenDP is not installed: a test's, never the product's."""
    draw = random.Random(count)
    return [round(draw.gauss(0, deviation)) for _ in range(count)]


@dataclass
class World:
    """An aggregator with one open round."""

    study: Study = field(default_factory=study_of)
    noise: Callable[[int, int], list[int]] = no_noise
    number: int = 0

    def __post_init__(self) -> None:
        epochs = Epochs()
        self.epoch = epochs.begin(GENESIS, ACCOUNT, 1)
        self.aggregator = Aggregator(epochs, self.noise, lambda: 1_000.0)

    def open(self, number: int = 0) -> None:
        self.number = number
        opened = self.aggregator.open(
            Params(
                {
                    "document": self.study.document(),
                    "genesis": GENESIS,
                    "account": ACCOUNT,
                    "study": STUDY,
                    "number": number,
                    "at": 7,
                    "block": BLOCK,
                }
            )
        )
        self.commitment, self.signature = opened["noise"], opened["signature"]

    def view(self, site: Site, **changes: Any) -> RoundView:
        good = RoundView(
            genesis=GENESIS,
            study=STUDY,
            rule=self.study.rule,
            number=self.number,
            noise=self.commitment,
            policy=site.policy.hash,
            spent=0,
            hpke_key=self.epoch.hpke.public,
            level=Level.SIMULATED,
            members=frozenset(key.public_key for key in KEYS),
        )
        return replace(good, **changes)

    def answer(self, site: Site) -> Answer:
        return site.answer(self.study, self.view(site), np.zeros(3))

    def take(self, site: Site, answer: Answer, **changes: Any) -> None:
        self.aggregator.take(
            Params(
                {
                    "study": STUDY,
                    "number": self.number,
                    "site": site.account,
                    "commitment": answer.commitment,
                    "consents": answer.consents,
                    "sealed": answer.sealed,
                    **changes,
                }
            )
        )

    def close(
        self, sites: list[Site], answers: list[Answer], absent: bytes = b"", cohorts: bytes | None = None
    ) -> dict[str, Any]:
        return self.aggregator.close(
            Params(
                {
                    "study": STUDY,
                    "number": self.number,
                    "sites": b"".join(site.account for site in sites),
                    "commitments": b"".join(answer.commitment for answer in answers),
                    "cohorts": bytes(len(sites)) if cohorts is None else cohorts,
                    "absent": absent,
                }
            )
        )
