"""An aggregator whose process and enclave die with a round open, at each step that matters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from proofward.chain import Call, DispatchError, Inclusion, SubstrateClient, dev_keypair, ss58
from proofward.chain.pallets import attestation, federation
from proofward.devnet.chains import Devnet, free_port
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.federation import study_id
from proofward_federation.errors import FederationError
from proofward_federation.study import Study
from tests.federation.world import announce, folder_of, hospital_of, study_of

pytest.importorskip("opendp", reason="make federation installs OpenDP")
pytest.importorskip("flwr", reason="make federation installs Flower")

from proofward_federation.measure import simulated_measurement
from proofward_federation.network.door import Door
from proofward_federation.network.hospital import Hospital
from proofward_federation.network.host import Host
from proofward_federation.network.ledger import plan_of
from proofward_federation.network.serving import opened
from proofward_federation.process import aggregator
from proofward_federation.transcript import audit

SUDO, RESEARCHER, SUMS = "//Alice", "//Bob", "//Dave"
SITES = ("//Charlie", "//Eve")
NONCE = bytes(range(32))
DEATHS = (
    "open on the chain",
    "summed, and nothing written",
    "written, and not sent",
    "sent, and its block not known",
)
LOST = 2
"""The first two deaths lose the round that was open; the last two lose nothing."""
SUMS_WANTED = 2


class Died(BaseException):
    """The process is gone: nothing of it catches this."""


class Mortal(Host):
    """A host that dies at one step; its enclave's process is killed with it."""

    death: str | None = None

    def _send(self, call: Call) -> Inclusion:
        if call.name == "publish" and self.death == DEATHS[2]:
            raise Died
        receipt = super()._send(call)
        if (call.name, self.death) in (("open", DEATHS[0]), ("publish", DEATHS[3])):
            raise Died
        return receipt


@dataclass
class Ran:
    client: SubstrateClient
    study: Study
    name: bytes
    host: Host
    hospitals: list[Hospital]
    told: list[str]
    late: list[str]
    """What each enclave that came after a lost round says of that round."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    at = tmp_path_factory.mktemp("crash")
    asks = ss58(bytes(dev_keypair(RESEARCHER).public_key))
    begun = LOST + SUMS_WANTED
    study = study_of(cohort=2, rounds=SUMS_WANTED, budget=begun * study_of().rho, researcher=asks)
    software, port = simulated_measurement(), free_port()
    url = f"http://127.0.0.1:{port}"
    told: list[str] = []
    late: list[str] = []
    with Devnet() as devnet, devnet.connect() as client:
        allow = attestation.allow_measurement(software, "aggregator")
        client.submit(attestation.sudo(allow), dev_keypair(SUDO))
        name = study_id(dev_keypair(RESEARCHER).public_key, NONCE)
        hospitals: list[Hospital] = []
        threads: list[threading.Thread] = []

        def live(death: str | None) -> Host:
            """One process of the aggregator, from its start to its end."""
            with aggregator() as enclave:

                def call(method: str, **params: Any) -> dict[str, Any]:
                    answer = enclave(method, **params)
                    if method == "close_round" and death == DEATHS[1]:
                        raise Died
                    return answer

                host = Mortal(
                    client, dev_keypair(SUMS), call, study, state=at / "host", linger=5, tell=told.append
                )
                host.death = death
                host.register()
                if not hospitals:
                    plan = plan_of(study, rounds=begun, window=160, end=client.finalised_head().number + 2000)
                    announce(client, RESEARCHER, NONCE, host.account, plan, SITES)
                host.attend(name)
                with opened(Door(host), "127.0.0.1", port):
                    if not hospitals:
                        for place, uri in enumerate(SITES):
                            folder = folder_of(at, place, researcher=asks)
                            hospitals.append(hospital_of(Hospital, client, uri, folder, name, url))
                            hospitals[-1].enter(begun * study.rho)
                            threads.append(threading.Thread(target=hospitals[-1].run))
                            threads[-1].start()
                    elif (lost := _open(client, name)) is not None:
                        late.append(_closed(enclave, name, lost))
                    host.run(name)
                return host

        for death in DEATHS:
            with pytest.raises(Died):
                live(death)
        host = live(None)
        for thread in threads:
            thread.join(60)
        yield Ran(client, study, name, host, hospitals, told, late)


def _open(client: SubstrateClient, name: bytes) -> int | None:
    found = federation.study(client, name)
    assert found is not None
    return found.next - 1 if found.open else None


def _closed(enclave: Any, name: bytes, number: int) -> str:
    """What an enclave answers to who asks it for the sum of a round that another process began."""
    with pytest.raises(EnclaveError) as refused:
        enclave("close_round", study=name, number=number, sites=b"", commitments=b"", cohorts=b"", absent=b"")
    return refused.value.code


def test_a_death_costs_at_most_the_round_that_was_open(ran: Ran) -> None:
    record = federation.study(ran.client, ran.name)
    assert record is not None
    ended = [type(one.ending).__name__ for one in federation.rounds(ran.client, record)]
    assert ended == ["Failed"] * LOST + ["Published"] * SUMS_WANTED
    assert [line for line in ran.told if "was lost" in line] == [
        f"round {number} was lost with the enclave's process, and is given up" for number in range(LOST)
    ]


def test_no_site_is_counted_twice_and_every_sum_is_exact(ran: Ran) -> None:
    record = federation.study(ran.client, ran.name)
    assert record is not None
    accounts = {one.account for one in ran.hospitals}
    for one in federation.rounds(ran.client, record)[LOST:]:
        assert sorted(each.site for each in one.present) == sorted(accounts)
    lines = audit(ran.host.transcript())  # opens every sum by the commitments that it names
    assert sum("exactly the sum of 2 sites" in line for line in lines) == SUMS_WANTED


def test_every_round_is_charged_once_lost_or_not(ran: Ran) -> None:
    record = federation.study(ran.client, ran.name)
    assert record is not None
    rounds = federation.rounds(ran.client, record)
    assert record.spent == record.rho * len(rounds) == ran.study.budget
    for one in ran.hospitals:
        committed = sum(one.account in {each.site for each in other.committed} for other in rounds)
        member, site = record.member(one.account), federation.site(ran.client, one.account)
        assert member is not None
        assert site is not None
        assert member.spent == site.spent == committed * record.rho
        assert committed >= len(rounds) - 1, "only the round that died as it opened may lack a site's word"


def test_a_sum_that_the_chain_refuses_is_given_up_and_not_sent_for_ever(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(ran.client, dev_keypair(SUMS), ran.host._call, ran.study, state=ran.host._state)
    host.attend(ran.name)
    sent: list[str] = []

    def send(call: Any) -> None:
        sent.append(call.name)
        if call.name == "publish":
            raise DispatchError(federation.PALLET, "CohortTooSmall", "")

    endings = [None, federation.Failed()]  # it waits until it is given up
    monkeypatch.setattr(host, "_send", send)
    monkeypatch.setattr(host, "_ending", lambda _number: endings.pop(0))
    host._log = ran.host.logged[:1]
    with pytest.raises(FederationError, match="refuses the sum") as refused:
        host._published(host._log[0])
    assert refused.value.code == "no-sum"
    assert (sent, host.logged, host._log) == (["publish", "fail"], [], [])


def test_no_later_enclave_sums_a_lost_round(ran: Ran) -> None:
    # the third had written its sum down: that one is sent again, as it was
    assert ran.late == ["unknown-round"] * (LOST + 1)
