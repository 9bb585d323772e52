"""Hospitals, aggregator and chain as they are between machines: real devnet, real enclave process, HTTP.

One study: a site dies between commitment and delivery, one may spend two rounds and tries a third, the host
tries a sum that is wrong by one unit; then the model's card is followed back to the chain.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofward.attestation import PRODUCTION_ROOTS
from proofward.chain import DispatchError, SubstrateClient, dev_keypair, ss58
from proofward.chain.pallets import attestation, federation, workers
from proofward.devnet.chains import Devnet
from proofward.protocol import Level
from proofward.protocol.federation import study_id
from proofward.protocol.keys import HpkePrivateKey
from proofward_federation.consents import Register
from proofward_federation.errors import FederationError
from proofward_federation.study import Study
from tests.explorer.browser import Browser, require_browser
from tests.explorer.serve import Served, free_port, indexed
from tests.federation.world import announce, folder_of, hospital_of, study_of

pytest.importorskip("opendp", reason="make federation installs OpenDP")
pytest.importorskip("flwr", reason="make federation installs Flower")

from proofward_federation.measure import simulated_measurement
from proofward_federation.network.card import Card, card_of, follow, onnx_of
from proofward_federation.network.door import HELD, Door
from proofward_federation.network.hospital import Answered, Hospital, _request
from proofward_federation.network.host import Host, Logged
from proofward_federation.network.ledger import announced, plan_of
from proofward_federation.network.serving import opened
from proofward_federation.network.wire import Delivery, TheStudy, read_delivery
from proofward_federation.process import aggregator

SUDO, RESEARCHER, SUMS = "//Alice", "//Bob", "//Dave"
SITES = ("//Charlie", "//Eve", "//Ferdie")


class OneUnitMore(Host):
    """An aggregator's host that first tries a sum of its own."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.refusals: list[str] = []

    def publish(self, one: Logged) -> None:
        said = one.told
        for wrong in (
            replace(said, values=(said.values[0] + 1, *said.values[1:])),
            replace(said, absent=() if said.absent else (0,)),
        ):
            with pytest.raises(DispatchError) as refused:
                super().publish(replace(one, told=wrong))
            self.refusals.append(refused.value.name)
        super().publish(one)


class Mortal(Hospital):
    """Dies in round 0, between commitment and delivery."""

    def committed(self, number: int) -> None:
        if number == 0:
            raise SystemExit  # ends its thread


class Stubborn(Hospital):
    """Tries the tree of consents that counted before a patient took one back."""

    before = b""
    refusals: tuple[str, ...] = ()

    def _commit(self, answered: Answered) -> None:
        with pytest.raises(DispatchError) as refused:
            super()._commit(replace(answered, consents=self.before.hex()))
        self.refusals += (refused.value.name,)
        super()._commit(answered)

    def take_back(self, study: Study) -> None:
        there = federation.site(self.client, self.account)
        assert there is not None
        assert there.consents is not None
        self.before = there.consents.root
        register = Register.load(self.folder / "consents.json")
        register.revoke("5")
        register.save(self.folder / "consents.json")
        self.post_consents(study)


class Overtaken(Hospital):
    """Another study's process of the same site posts a tree before the first commitment is in a block."""

    told: tuple[str, ...] = ()

    def _commit(self, answered: Answered) -> None:
        if not self.told:
            self._send(federation.set_consents(bytes(32), 32))
        try:
            super()._commit(answered)
        except DispatchError as error:
            self.told += (error.name,)
            raise


@dataclass
class Run:
    client: SubstrateClient
    study: Study
    name: bytes
    host: OneUnitMore
    hospitals: list[Hospital]
    card: Card
    url: str
    site: int
    """Port of the origin whose pages may ask the chain."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    at = tmp_path_factory.mktemp("network")
    asks = ss58(bytes(dev_keypair(RESEARCHER).public_key))
    study = study_of(cohort=2, rounds=2, budget=2 * study_of().rho, researcher=asks)
    software = simulated_measurement()
    hospitals: list[Hospital] = []
    threads: list[threading.Thread] = []

    def life(one: Hospital) -> None:
        with suppress(SystemExit):
            one.run()

    def start(one: Hospital) -> None:
        threads.append(threading.Thread(target=life, args=(one,)))
        threads[-1].start()

    def tell(line: str) -> None:
        if line.startswith("round 0: the sum"):  # the dead hospital's process is started again
            start(again)

    site = free_port()
    with (
        Devnet(cors=[f"http://127.0.0.1:{site}"]) as devnet,
        devnet.connect() as client,
        aggregator() as call,
    ):
        allow = attestation.allow_measurement(software, "aggregator")
        client.submit(attestation.sudo(allow), dev_keypair(SUDO))
        host = OneUnitMore(client, dev_keypair(SUMS), call, study, state=at / "host", linger=0.5, tell=tell)
        host.register()
        nonce = bytes(range(32))
        plan = plan_of(study, rounds=4, window=12, end=client.finalised_head().number + 500)
        name = announce(client, RESEARCHER, nonce, host.account, plan, SITES)
        client.submit(federation.create(nonce, host.account, plan), dev_keypair(SITES[0]))  # a copycat's
        assert host.find() == name
        copy = study_id(bytes(dev_keypair(SITES[0]).public_key), nonce)
        with pytest.raises(FederationError, match="not its researcher"):
            announced(client, copy, study)
        host.attend(name)
        with opened(Door(host), "127.0.0.1", 0) as port:
            url = f"http://127.0.0.1:{port}"
            for place, (uri, kind) in enumerate(zip(SITES, (Mortal, Stubborn, Overtaken), strict=True)):
                folder = folder_of(at, place, researcher=asks)
                mine = hospital_of(kind, client, uri, folder, name, url)
                mine.enter(study.rho * (1 if place == 2 else 2))
                hospitals.append(mine)
            first = hospitals[0]
            again = hospital_of(Hospital, client, SITES[0], first.folder, name, url)
            hospitals[1].take_back(study)  # type: ignore[attr-defined]
            for one in hospitals:
                start(one)
            host.run(name)
            for thread in threads:
                thread.join(60)
            card = card_of(client, host.transcript(), [(one.opened, one.published) for one in host.logged])
            yield Run(client, study, name, host, [*hospitals, again], card, url, site)


def test_a_study_whose_sites_die_revoke_and_overspend_has_its_sums(run: Run) -> None:
    rounds = federation.rounds(run.client, federation.study(run.client, run.name))  # type: ignore[arg-type]
    accounts = [one.account for one in run.hospitals]
    assert [len(one.present) for one in rounds] == [2, 2]
    dead = next(place for place, one in enumerate(rounds[0].committed) if one.site == accounts[0])
    assert rounds[0].ending.absent == (dead,)  # type: ignore[union-attr]
    assert {one.site for one in rounds[1].present} == {accounts[0], accounts[1]}
    assert "SiteOverspends" in run.hospitals[2].refused[1]
    # who was overtaken answered anew, under the tree as it is, at no further cost
    overtaken = run.hospitals[2]
    assert overtaken.told == ("StaleConsents", "SiteOverspends")  # type: ignore[attr-defined]
    assert overtaken.account in {one.site for one in rounds[0].present}
    assert run.hospitals[1].refusals == ("StaleConsents", "StaleConsents")  # type: ignore[attr-defined]
    # round 0 names the dead; a sum that hides that is as wrong as one of other values
    assert run.host.refusals == ["WrongSum", "WrongSum", "WrongSum", "CohortTooSmall"]
    worker = workers.get(run.client, run.host.account)
    assert worker is not None
    assert worker.measurement == simulated_measurement()


def test_a_round_beyond_the_budget_is_refused_in_the_block(run: Run) -> None:
    with pytest.raises(FederationError, match="StudyOverspends") as refused:
        run.host._round()
    assert refused.value.code == "no-sum"


def test_a_card_leads_back_to_the_chain(run: Run) -> None:
    model, document = onnx_of(run.card), run.card.document()
    checks = follow(model, document, run.client)
    assert all(check.ok for check in checks), "\n".join(map(str, checks))
    assert {"rounds on the chain", "aggregator", "consents' roots"} <= {check.name for check in checks}
    offline = follow(model, document, None)
    assert [check.name for check in offline if check.ok is None] == ["study on the chain"]
    assert 20 < run.card.records[1] < 140, "a noisy count of 78 records with a consent"


def _told(card: Card, **changes: Any) -> Card:
    first, *rest = card.transcript.rounds
    changed = replace(first, **changes)
    return replace(card, transcript=replace(card.transcript, rounds=(changed, *rest)))


LIES: dict[str, Any] = {
    "another weight": lambda card: replace(card, weights=(card.weights[0] + 1e-9, *card.weights[1:])),
    "less privacy spent": lambda card: replace(card, spent=card.spent // 2),
    "a smaller epsilon": lambda card: replace(card, epsilon=0.1),
    "more records": lambda card: replace(card, records=(999.0, *card.records[1:])),
    "a round left out": lambda card: replace(
        card,
        transcript=replace(card.transcript, rounds=card.transcript.rounds[1:]),
        blocks=card.blocks[1:],
    ),
    "other software": lambda card: replace(card, measurement="00" * 32),
    "another chain": lambda card: replace(card, transcript=replace(card.transcript, genesis="00" * 32)),
    "another study": lambda card: replace(card, transcript=replace(card.transcript, study="00" * 32)),
    "one unit more": lambda card: _told(
        card,
        values=(card.transcript.rounds[0].values[0] + 1, *card.transcript.rounds[0].values[1:]),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_card_that_lies_is_refused(run: Run, lie: str) -> None:
    card = LIES[lie](run.card)
    assert any(check.ok is False for check in follow(onnx_of(card), card.document(), run.client))


def test_a_card_is_of_no_study_with_other_terms(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # the document is public: whoever announces its hash with terms of his own has another study
    known = federation.study

    def announced_otherwise(change: dict[str, Any]) -> Any:
        def study(*args: Any) -> Any:
            found = known(*args)
            assert found is not None
            return replace(found, **{name: value(found) for name, value in change.items()})

        return study

    for change in (
        {"plan": lambda one: replace(one.plan, clip=one.plan.clip + 1)},
        {"plan": lambda one: replace(one.plan, variance=one.plan.variance * 2)},
        {"researcher": lambda one: bytes(32)},
    ):
        monkeypatch.setattr(federation, "study", announced_otherwise(change))
        card = run.card
        found = {one.name: one.ok for one in follow(onnx_of(card), card.document(), run.client)}
        assert found["study on the chain"] is False


def test_connections_that_bring_nothing_hold_up_no_delivery() -> None:
    taken: list[bytes] = []
    door = Door(SimpleNamespace(deliver=taken.append))  # type: ignore[arg-type]
    with opened(door, "127.0.0.1", 0) as port, ExitStack() as stack:
        address = ("127.0.0.1", port)
        for _ in range(HELD - 1):
            idle = stack.enter_context(socket.create_connection(address))
            idle.sendall(b"POST /rounds HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        _request(f"http://127.0.0.1:{port}", "POST", "/rounds", b"delivery")
        assert taken == [b"delivery"]


def test_a_card_of_another_model_is_refused(run: Run) -> None:
    first = next(iter(follow(onnx_of(run.card) + b"\0", run.card.document(), None)))
    assert first.ok is False


def test_what_no_site_signed_or_committed_to_is_not_taken(run: Run) -> None:
    site = run.hospitals[1]
    genuine = Delivery(run.name, 9, site.account, bytes(32), bytes(32), 32, b"", b"")
    body = genuine.signed(run.client.genesis, dev_keypair(SITES[1]))
    assert read_delivery(body, run.client.genesis) == genuine
    forged = genuine.signed(run.client.genesis, dev_keypair(SITES[0]))
    for data, code in ((forged, "bad-delivery"), (b"", "bad-delivery"), (body, "no-round")):
        with pytest.raises(FederationError) as refused:
            _request(run.url, "POST", "/rounds", data)
        assert refused.value.code == code
    with pytest.raises(FederationError):
        read_delivery(body, bytes(32))  # signed for another chain


def test_a_hospital_answers_to_no_other_software_and_no_other_model(run: Run) -> None:
    study = federation.study(run.client, run.name)
    waiting = federation.round_of(run.client, run.name, 1)
    assert study is not None
    assert waiting is not None
    site = run.hospitals[1]
    site._measurement, right = bytes(32), site._measurement
    with pytest.raises(FederationError) as refused:
        site._answer(study, waiting)
    assert refused.value.code == "other-measurement"
    site._measurement = right
    told = TheStudy.parse(_request(run.url, "GET", "/study"))
    wrong = replace(told, values={**told.values, 0: (1, 2, 3, 4)})
    site._told = lambda: wrong  # type: ignore[method-assign]
    with pytest.raises(FederationError) as refused:
        site._answer(study, waiting)
    assert refused.value.code == "wrong-values"


@pytest.mark.parametrize(
    "lie", ["hpke_key", "level", "account", "other roots", "quote_hash", "registered_at"]
)
def test_a_node_that_lies_about_the_aggregator_gets_no_update(
    run: Run, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round's own receipt key stands, as a node would leave it; each lie is one that seals to another."""
    study = federation.study(run.client, run.name)
    waiting = federation.round_of(run.client, run.name, 1)
    assert study is not None
    assert waiting is not None
    site = run.hospitals[1]
    told = workers.get(run.client, run.host.account)
    assert told is not None
    site._shown.clear()
    site._attested(study, waiting)
    changes: dict[str, Any] = {
        "hpke_key": HpkePrivateKey.generate().public,
        "level": Level.HARDWARE,
        "account": bytes(32),
        "quote_hash": bytes(32),
        "registered_at": 1,
    }
    if lie == "other roots":
        site._shown.clear()
        monkeypatch.setattr(site, "_roots", PRODUCTION_ROOTS)
    else:
        lying = replace(told, **{lie: changes[lie]})
        if lie == "registered_at":
            site._shown.clear()
        monkeypatch.setattr(workers, "get", lambda *_args, **_named: lying)
    before = {path.name for path in site.folder.iterdir()}
    with pytest.raises(FederationError) as refused:
        site._answer(study, waiting)
    assert refused.value.code == "other-keys"
    assert {path.name for path in site.folder.iterdir()} == before


def test_a_site_knows_what_it_answered_whatever_its_node_says(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = federation.study(run.client, run.name)
    waiting = federation.round_of(run.client, run.name, 1)
    site = run.hospitals[-1]
    there = federation.site(run.client, site.account)
    assert study is not None
    assert waiting is not None
    assert there is not None
    monkeypatch.setattr(federation, "site", lambda *_args, **_named: replace(there, spent=0))
    kept = json.loads((site.folder / "spent.json").read_text())
    assert [(one["number"], one["rho"]) for one in kept] == [(0, run.study.rho), (1, run.study.rho)]
    with pytest.raises(FederationError) as refused:
        site._answer(study, replace(waiting, noise=bytes(32)))
    assert refused.value.code == "answered-already"


def test_an_aggregator_that_was_started_again_goes_on_after_the_last_sum(run: Run) -> None:
    with aggregator() as call:
        second = Host(run.client, dev_keypair(SUMS), call, run.study, state=run.host._state)
        weights = second.run(run.name)
    assert weights.tolist() == list(run.card.weights)
    assert json.loads(second._file().read_text()) == json.loads(run.host._file().read_text())


def test_a_page_has_the_published_sums_under_their_hashes(run: Run, tmp_path: Path) -> None:
    """The explorer's page of the study: each sum from the block that published it, as the card has it."""
    require_browser()
    served = Served(indexed(run.client, tmp_path / "index.sqlite"), run.client.url, run.site, {})
    (tmp_path / "study.json").write_bytes(run.study.document())
    (tmp_path / "other.json").write_bytes(run.study.document() + b" ")
    sums = [" ".join(map(str, one.told.values)) for one in run.host.logged if one.told is not None]
    assert len(sums) == 2
    try:
        with Browser() as browser:
            browser.do("open", url=f"http://127.0.0.1:{run.site}/#/studies")
            browser.do("wait", selector="main tbody a")
            browser.do("go", hash=f"#/studies/0x{run.name.hex()}")
            browser.do("wait", selector="[data-read]")
            shown = browser.do("text", selector="#study")
            assert all(one in shown for one in sums)
            assert f"deviation {run.study.deviation} units" in shown
            browser.do("upload", selector="#document", path=str(tmp_path / "other.json"))
            browser.do("wait", selector="#outbreaks .error")
            browser.do("upload", selector="#document", path=str(tmp_path / "study.json"))
            browser.do("wait", selector='#outbreaks [data-kind="logistic"]')
            assert browser.do("axe") == []
            assert browser.do("seen")["errors"] == []
    finally:
        served.close()
