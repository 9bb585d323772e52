"""Weekly counts between machines: sites put each period's cases into their folders, the chain has sums."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from proofward.chain import SubstrateClient, dev_keypair, ss58
from proofward.chain.pallets import attestation, federation
from proofward.chain.pallets.federation import Published
from proofward.cli.verbs import Groups
from proofward.devnet.chains import Devnet
from proofward.protocol.federation import study_id, values_hash
from proofward.tables import read_table
from proofward_federation.errors import FederationError
from proofward_federation.study import Study
from proofward_federation.transcript import Transcript, audit
from proofward_federation.verbs import register
from tests.federation.world import announce, folder_of, hospital_of, study_of

pytest.importorskip("opendp", reason="make federation installs OpenDP")
pytest.importorskip("flwr", reason="make federation installs Flower")

from proofward_federation.measure import simulated_measurement
from proofward_federation.network.hospital import Answered, Hospital
from proofward_federation.network.ledger import plan_of
from proofward_federation.network.serving import Serving, counts_csv, serve, tally

SUDO, RESEARCHER, SUMS = "//Alice", "//Bob", "//Dave"
SITES = ("//Charlie", "//Eve", "//Ferdie")
EVERY = 8
CASES = [(5, 30), (8, 20), (33, 4)]
"""By week, of each site: of the first cell and of the second."""


class Mortal(Hospital):
    """Dies with its answer written down and its commitment on its way."""

    kept = ""

    def _commit(self, answered: Answered) -> None:
        self.kept = answered.commitment
        raise SystemExit


@dataclass
class Run:
    client: SubstrateClient
    study: Study
    name: bytes
    out: Path
    told: list[str] = field(default_factory=list)
    site_told: list[str] = field(default_factory=list)
    mortal: Mortal | None = None


def _put(folder: Path, week: int, kind: tuple[int, int]) -> None:
    """A week's cases, under numbers of patients that the register knows."""
    rows = [f"{number},{int(number < kind[0])},{int(number >= kind[0])}" for number in range(sum(kind))]
    (folder / "records.csv").write_text("record,age,chol\n" + "\n".join(rows) + f"\n{39 - week},1,0\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    at = tmp_path_factory.mktemp("counts")
    asks = ss58(bytes(dev_keypair(RESEARCHER).public_key))
    cells = {"kind": "counts", "target": None, "centres": (0, 0), "scales": (1_000, 1_000), "units": 1}
    study = study_of(**cells, clip=1, deviation=3, cohort=2, rounds=3, researcher=asks)
    study = replace(study, budget=3 * study.rho)
    listening = threading.Event()
    with Devnet() as devnet, devnet.connect() as client:
        client.submit(
            attestation.sudo(attestation.allow_measurement(simulated_measurement(), "aggregator")),
            dev_keypair(SUDO),
        )
        nonce = bytes(range(32))
        done = Run(client, study, study_id(dev_keypair(RESEARCHER).public_key, nonce), at / "out")
        folders = [folder_of(at, place, researcher=asks) for place in range(len(SITES))]
        for folder in folders:
            _put(folder, 0, CASES[0])

        def tell(line: str) -> None:
            done.told.append(line)
            if line.startswith("listens on"):
                listening.set()
            if line.startswith("round 0: the sum"):  # the third site forgets the second week
                for folder in folders[:2]:
                    _put(folder, 1, CASES[1])
            if line.startswith("round 1: the sum"):
                for folder in folders:
                    _put(folder, 2, CASES[2])

        def sum_up() -> None:
            out, address = done.out, "127.0.0.1:0"
            serving = Serving(devnet.url, dev_keypair(SUMS), out, address, "simulator", 0.5, 60.0, tell)
            tally(study, serving, every=EVERY)

        threads = [threading.Thread(target=sum_up)]
        threads[0].start()
        assert listening.wait(60)
        plan = plan_of(study, rounds=4, window=20, end=client.finalised_head().number + 1_000)
        announce(client, RESEARCHER, nonce, dev_keypair(SUMS).public_key, plan, SITES)
        url = "http://" + next(line for line in done.told if line.startswith("listens")).split()[-1]

        def hospital(place: int, kind: type[Hospital] = Hospital) -> Hospital:
            folder, tell = folders[place], done.site_told.append
            return hospital_of(kind, client, SITES[place], folder, done.name, url, tell)

        def lives(one: Hospital) -> None:
            if one is done.mortal:
                with suppress(SystemExit):
                    one.run()
                one = hospital(0)  # started again
            one.run()

        for place in range(len(SITES)):
            one = hospital(place, Hospital if place else Mortal)
            if isinstance(one, Mortal):
                done.mortal = one
            one.enter(3 * study.rho)
            threads.append(threading.Thread(target=lives, args=(one,)))
            threads[-1].start()
        for thread in threads:
            thread.join(120)
        yield done


def _table(run: Run) -> list[list[float]]:
    rows = list(csv.reader((run.out / "counts.csv").read_text().splitlines()))
    assert tuple(rows[0]) == run.study.columns
    return [[float(value) for value in row] for row in rows[1:]]


def test_the_counts_are_the_sites_cases_under_noise(run: Run) -> None:
    """Patient 3 has no consent and a patient with a high number came besides, both of the first cell in each
    week. The noise has a deviation of 3.
    """
    table = _table(run)
    assert len(table) == 3
    for week, (row, sites) in enumerate(zip(table, (3, 2, 3), strict=True)):
        first, second = CASES[week]
        assert row == [pytest.approx(sites * first, abs=30), pytest.approx(sites * second, abs=30)]


def test_the_table_is_what_the_chain_has(run: Run) -> None:
    record = federation.study(run.client, run.name)
    assert record is not None
    rounds = federation.rounds(run.client, record)
    endings = [one.ending for one in rounds]
    assert all(isinstance(one, Published) for one in endings)
    told = [[int(value) for value in row] for row in _table(run)]
    assert [one.values for one in endings if isinstance(one, Published)] == [values_hash(row) for row in told]
    assert record.spent == 3 * run.study.rho
    assert audit(Transcript.load(run.out / "transcript.json"))


def test_a_death_before_the_commitment_came_through_makes_no_other(run: Run) -> None:
    first = federation.rounds(run.client, federation.study(run.client, run.name))[0]  # type: ignore[arg-type]
    assert run.mortal is not None
    said = {one.site: one.commitment.hex() for one in first.committed}
    assert said[run.mortal.account] == run.mortal.kept


def test_a_round_without_a_sum_has_an_empty_row(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_bytes(counts_csv(run.study, {0: (4, 5), 2: (6, 7)}))
    assert path.read_text() == "age,chol\n4.0,5.0\n,\n6.0,7.0\n"
    assert np.isnan(read_table(path).values[1]).all()


def test_a_period_begins_after_the_one_before(run: Run) -> None:
    rounds = federation.rounds(run.client, federation.study(run.client, run.name))  # type: ignore[arg-type]
    begun = [one.until for one in rounds]
    assert all(later - one >= EVERY for one, later in pairwise(begun))


def test_the_records_of_a_week_before_are_not_counted_again(run: Run) -> None:
    rounds = federation.rounds(run.client, federation.study(run.client, run.name))  # type: ignore[arg-type]
    assert [len(one.present) for one in rounds] == [3, 2, 3]
    assert sum("still holds the records of round 0" in line for line in run.site_told) == 1


def test_the_table_is_watched_as_it_is(run: Run) -> None:
    cli = typer.Typer()
    register(Groups(cli, typer.Typer(), typer.Typer(), typer.Typer()))
    result = CliRunner().invoke(
        cli, ["federation", "watch", str(run.out / "counts.csv"), "--deviation", "3", "--json"]
    )
    told = json.loads(result.stdout)
    assert told == {"weeks": 3, "alarms": {"column 1 (age)": [], "column 2 (chol)": []}}


@pytest.mark.parametrize(
    "listen", ["8790", ":8790", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:\u00b2", ":" + "1" * 5000]
)
def test_what_is_no_address_to_listen_on_is_a_line(listen: str, tmp_path: Path) -> None:
    keypair = dev_keypair(SUMS)
    serving = Serving("ws://127.0.0.1:1", keypair, tmp_path, listen, "simulator", 0.0, 0.0, print)
    with pytest.raises(FederationError) as refused:
        serve(study_of(), serving)
    assert refused.value.code == "cannot-listen"


def test_each_command_takes_its_own_kind(run: Run, tmp_path: Path) -> None:
    keypair, address = dev_keypair(SUMS), "127.0.0.1:0"
    serving = Serving("ws://127.0.0.1:1", keypair, tmp_path, address, "simulator", 0.0, 0.0, print)
    with pytest.raises(FederationError) as refused:
        serve(run.study, serving)
    assert refused.value.code == "unknown-rule"
    with pytest.raises(FederationError) as refused:
        tally(study_of(), serving, every=1)
    assert refused.value.code == "unknown-rule"
    with pytest.raises(FederationError, match="would count no case"):
        replace(run.study, units=2)
