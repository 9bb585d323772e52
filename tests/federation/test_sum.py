"""The sum is exactly that of the committed updates that it names; what lies or is too long is out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import proofward_prover
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.chain.keypair import Keypair
from proofward.protocol import sha256
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.federation import Aggregate, Opening, UpdateContext, values_hash
from proofward.protocol.keys import hpke_seal, verify_signature
from proofward_federation.enclave import Wanted, seal_payload
from proofward_federation.errors import FederationError, PolicyRefused
from proofward_federation.site import Answer, Site
from proofward_federation.update import (
    COUNT_SHARE,
    Update,
    bound,
    clip,
    four_squares,
    is_short,
    logistic_parts,
    prove_short,
)
from tests.federation.world import (
    BLOCK,
    GENESIS,
    KEYS,
    POLICY,
    STUDY,
    UNITS,
    World,
    site_of,
    some_noise,
    study_of,
)
from tests.vectors import federation


def test_the_vectors_are_made_by_this_code() -> None:
    assert json.loads(Path(federation.PATH).read_text()) == federation.vectors()


def test_a_round_sums_exactly_and_is_signed() -> None:
    world = World(noise=some_noise)
    sites = [site_of(place) for place in range(3)]
    world.open()
    opening = Opening(GENESIS, STUDY, world.study.rule, 0, 7, BLOCK, world.commitment)
    verify_signature(world.epoch.receipt.public, opening.message(), world.signature)
    answers = [world.answer(site) for site in sites]
    for site, answer in zip(sites, answers, strict=True):
        world.take(site, answer)
    result = world.close(sites, answers)
    total = proofward_prover.vector_sum([world.commitment, *(answer.commitment for answer in answers)])
    assert total == result["sum"] == proofward_prover.vector_commit(result["values"], result["blinding"])
    said = Aggregate(GENESIS, STUDY, 0, total, values_hash(result["values"]), ())
    verify_signature(world.epoch.receipt.public, said.message(), result["signature"])
    wrong = [*result["values"]]
    wrong[1] += 1
    assert proofward_prover.vector_commit(wrong, result["blinding"]) != total


def test_the_sum_is_what_the_records_add_up_to() -> None:
    world, sites = World(), [site_of(place) for place in range(2)]
    world.open()
    answers = [world.answer(site) for site in sites]
    for site, answer in zip(sites, answers, strict=True):
        world.take(site, answer)
    expected = np.zeros(4, np.int64)
    for site in sites:
        names = site._records.names
        features = site._records.features(world.study.columns, names)
        target = site._records.features(("num",), names)[:, 0]
        parts = logistic_parts(features, target, np.zeros(3), world.study)
        expected += clip(parts, world.study).sum(axis=0)
    assert world.close(sites, answers)["values"] == expected.tolist()


def _refused(act: Callable[[], Any]) -> str:
    with pytest.raises(EnclaveError) as refused:
        act()
    return refused.value.code


def test_a_round_has_one_sum() -> None:
    """Two sums of one round over different sets would differ by an update in clear."""
    world, sites = World(), [site_of(place) for place in range(3)]
    world.open()
    answers = [world.answer(site) for site in sites]
    for site, answer in zip(sites, answers, strict=True):
        world.take(site, answer)
    world.close(sites, answers, absent=b"\2")
    assert _refused(lambda: world.close(sites, answers)) == "unknown-round"
    assert _refused(world.open) == "round-again"
    world.open(1)
    assert _refused(lambda: world.take(sites[0], answers[0])) == "wrong-binding"


def test_a_restart_loses_the_round_and_nothing_else() -> None:
    world, sites = World(), [site_of(place) for place in range(2)]
    world.open()
    answers = [world.answer(site) for site in sites]
    restarted = World()
    assert _refused(lambda: restarted.take(sites[0], answers[0])) == "unknown-round"
    restarted.open(1)
    assert _refused(lambda: restarted.take(sites[0], answers[0])) == "wrong-binding"


def test_sets_that_are_not_the_chain_s() -> None:
    world, sites = World(), [site_of(place) for place in range(3)]
    world.open()
    answers = [world.answer(site) for site in sites]
    for site, answer in zip(sites[:2], answers[:2], strict=True):
        world.take(site, answer)
    assert _refused(lambda: world.close(sites, answers)) == "no-update"
    assert _refused(lambda: world.close([sites[0]] * 2, [answers[0]] * 2)) == "bad-set"
    assert _refused(lambda: world.close(sites, answers, absent=b"\3")) == "bad-set"
    assert _refused(lambda: world.close(sites, answers, absent=b"\2", cohorts=b"\2\2")) == "bad-set"
    assert _refused(lambda: world.close(sites, answers, absent=b"\2\2")) == "bad-set"
    assert _refused(lambda: world.close(sites, answers, absent=b"\1\2")) == "cohort"
    assert _refused(lambda: world.close(sites[:2], [answers[1], answers[0]])) == "no-update"
    assert len(world.close(sites, answers, absent=b"\2")["values"]) == 4


def _invented(place: int) -> Site:
    """A site whose key is the host's own, with records, rules and consents like any other."""
    key, site = Keypair.of_seed(sha256(b"invented %d" % place)), site_of(place)
    site.account, site._sign = key.public_key, key.sign
    return site


def test_a_host_that_invents_the_other_sites_has_no_sum() -> None:
    world, hospital, peer = World(), site_of(0), site_of(3)
    sites = [hospital, _invented(1), _invented(2)]
    world.open()
    joined = frozenset(one.account for one in sites)
    with pytest.raises(PolicyRefused) as refused:
        hospital.answer(world.study, world.view(hospital, members=joined), np.zeros(3))
    assert refused.value.code == "policy-peers"
    # a node that lies about the members gets an update, which the enclave sums with peers alone
    answers = [world.answer(one) for one in sites]
    for one, answer in zip(sites, answers, strict=True):
        world.take(one, answer)
    assert _refused(lambda: world.close(sites, answers)) == "cohort"
    assert _refused(lambda: world.close(sites, answers, absent=b"\1")) == "cohort"
    renamed = _invented(1)
    renamed.account = peer.account
    assert _refused(lambda: world.take(peer, world.answer(renamed))) == "not-signed"
    answers.append(world.answer(peer))
    world.take(peer, answers[3])
    assert len(world.close([*sites, peer], answers, absent=b"\1\2")["values"]) == 4


def test_a_host_whose_inventions_want_nobody_sums_them_alone() -> None:
    world, sites = World(), [site_of(0), _invented(1), _invented(2)]
    for one in sites[1:]:
        one.policy = replace(one.policy, peers=frozenset(other.account for other in sites))
    world.open()
    answers = [world.answer(one) for one in sites]
    for one, answer in zip(sites, answers, strict=True):
        world.take(one, answer)
    result = world.close(sites, answers)
    assert result["absent"] == b"\0"
    total = proofward_prover.vector_sum([world.commitment, *(one.commitment for one in answers[1:])])
    assert result["sum"] == total, "without the hospital"


def _demanding(place: int, **demand: Any) -> Site:
    """A site that seals other demands than its own rules', and looks at none of them."""
    site = site_of(place)
    honest = site.policy

    def sealed(*given: Any) -> bytes:
        site.policy = replace(honest, **demand)
        found = Site._sealed(site, *given)
        site.policy = honest
        return found

    site._sealed = sealed  # type: ignore[assignment]
    return site


DEMANDS: dict[str, dict[str, Any]] = {
    "peers whom nobody meets": {"peers": frozenset({bytes(32)})},
    "all peers of its list": {"least": 15, "peers": frozenset(bytes([one]) * 32 for one in range(15))},
    "the largest cohort": {"cohort": 16},
    "a cohort beyond all": {"cohort": 2**32 - 1},
}


@pytest.mark.parametrize("demand", [*DEMANDS.values(), {}], ids=[*DEMANDS, "a cohort that it registered"])
@pytest.mark.parametrize("liar", range(4))
def test_a_demand_that_nobody_meets_costs_who_makes_it_alone(demand: dict[str, Any], liar: int) -> None:
    world, sites = World(), [site_of(place) for place in range(4)]
    sites[liar] = _demanding(liar, **demand)
    world.open()
    answers = [world.answer(site) for site in sites]
    for site, answer in zip(sites, answers, strict=True):
        world.take(site, answer)
    cohorts = bytes(2 if demand or place != liar else 16 for place in range(4))
    result = world.close(sites, answers, cohorts=cohorts)
    assert result["absent"] == bytes([liar])
    others = [answer.commitment for place, answer in enumerate(answers) if place != liar]
    total = proofward_prover.vector_sum([world.commitment, *others])
    assert result["sum"] == total == proofward_prover.vector_commit(result["values"], result["blinding"])
    said = Aggregate(GENESIS, STUDY, 0, total, values_hash(result["values"]), (liar,))
    verify_signature(world.epoch.receipt.public, said.message(), result["signature"])


def test_who_wants_a_site_that_is_left_out_is_left_out_too() -> None:
    world, sites = World(), [_demanding(0, cohort=5), *(site_of(place) for place in range(1, 4))]
    sites[1].policy = replace(sites[1].policy, peers=frozenset({sites[0].account}))
    world.open()
    answers = [world.answer(site) for site in sites]
    for site, answer in zip(sites, answers, strict=True):
        world.take(site, answer)
    assert _refused(lambda: world.close(sites[:3], answers[:3])) == "cohort"
    assert world.close(sites, answers)["absent"] == b"\0\1"


def test_a_site_is_no_peer_of_its_own() -> None:
    world, sites = World(), [site_of(0), _invented(1)]
    world.open()
    answers = [world.answer(one) for one in sites]
    for one, answer in zip(sites, answers, strict=True):
        world.take(one, answer)
    assert sites[0].account in sites[0].policy.peers
    assert _refused(lambda: world.close(sites, answers)) == "cohort"


def _sealed_by_a_liar(world: World, site: Site, honest: Answer, **lies: Any) -> tuple[Answer, dict[str, Any]]:
    """An answer whose payload, or whose commitment, is not what an honest site would give."""
    live = site.consents.live("cardiology", 1_000)
    shown = replace(live.shown(live.records), **lies.get("shown", {}))
    update = lies.get("update") or Update.of([1, 2, 3, 4], 20)
    commitment = lies.get("commitment", update.commitment)
    context = UpdateContext(
        genesis=GENESIS,
        study=STUDY,
        rule=world.study.rule,
        number=0,
        noise=world.commitment,
        site=site.account,
        commitment=commitment,
        consents=live.root,
    )
    key = lies.get("key", KEYS[0])
    payload = seal_payload(update, Wanted(2, 0, ()), key.sign(context.info()), shown)
    sealed = hpke_seal(world.epoch.hpke.public, payload, context.info())
    return Answer(commitment, live.root, sealed, b"", 0), {}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("an update over the bound", "over-bound"),
        ("another update than the committed one", "wrong-commitment"),
        ("a parameter too many", "bad-dimension"),
        ("one consent for two records", "no-consent"),
        ("a consent that is not in the tree", "wrong-consents"),
        ("a consent for another purpose", "wrong-consents"),
        ("leaves that are shown as consents", "wrong-consents"),
        ("no tree", "no-consent"),
        ("no consents", "no-consent"),
        ("a count of more records than have a consent", "wrong-count"),
        ("a count of none", "wrong-count"),
        ("a consent that was over when the round began", "no-consent"),
        ("a consent that lasts longer than its patient said", "wrong-consents"),
        ("another account's signature", "not-signed"),
    ],
)
def test_a_lying_site_is_left_out(fault: str, code: str) -> None:
    world, site = World(), site_of(0)
    world.open()
    site.consents.grant("0-0", "infection", 2_000)
    live = site.consents.live("cardiology", 1_000)
    ours, places = live.shown(live.records), list(range(len(live.leaves)))
    honest = world.answer(site)
    most = bound(world.study, 20)
    lies: dict[str, dict[str, Any]] = {
        "an update over the bound": {"update": Update.of([int(most**0.5) + 1, 0, 0, 0], 20)},
        "another update than the committed one": {"commitment": honest.commitment},
        "a parameter too many": {"update": Update.of([1] * 5, 20)},
        "one consent for two records": {"shown": {"used": [0, 0, 1], "ends": [2_000] * 3}},
        "a consent that is not in the tree": {"shown": {"tree": [bytes(32), *ours.tree[1:]]}},
        "a consent for another purpose": {
            "shown": {
                "tree": [bytes.fromhex(one.handle) for one in live.consents],
                "used": places,
                "ends": [2_000] * len(places),
            }
        },
        "leaves that are shown as consents": {"shown": {"tree": list(live.leaves)}},
        "no tree": {"shown": {"tree": []}},
        "no consents": {"shown": {"used": [], "ends": []}},
        "a consent that was over when the round began": {"shown": {"ends": [999, *ours.ends[1:]]}},
        "a consent that lasts longer than its patient said": {"shown": {"ends": [2_001, *ours.ends[1:]]}},
        "another account's signature": {"key": KEYS[1]},
        "a count of more records than have a consent": {
            "update": Update.of([0, 0, 0, int(COUNT_SHARE * UNITS) * 21], 20)
        },
        "a count of none": {"update": Update.of([0, 0, 0, 0], 20)},
    }
    lie, _ = _sealed_by_a_liar(world, site, honest, **lies[fault])
    assert _refused(lambda: world.take(site, lie)) == code
    assert _refused(lambda: world.take(site, honest, commitment=bytes(32))) == "wrong-binding"
    assert _refused(lambda: world.take(site, honest, consents=bytes(32))) == "wrong-binding"
    world.take(site, honest)


def test_a_patient_who_revokes_is_in_no_later_update() -> None:
    site, world = site_of(0), World()
    before = site.consents.live("cardiology", 1_000)
    site.consents.revoke("0-3")
    after = site.consents.live("cardiology", 1_000)
    assert after.root != before.root
    assert "0-3" not in after.records
    assert len(after.records) == 19
    with pytest.raises(FederationError, match="1 records"):
        after.places(["0-3"])
    world.open()
    assert world.answer(site).consents == after.root
    late = site_of(1)
    late._now = lambda: 2_001.0
    with pytest.raises(FederationError, match="nobody agrees"):
        world.answer(late)


def test_two_studies_of_two_purposes_share_a_site_s_one_root() -> None:
    """A site has one root on the chain: neither study's update makes the other's stale."""
    worlds = [World(), World(study_of(name="weekly", purpose="infection"))]
    policy = POLICY.replace('["cardiology"]', '["cardiology", "infection"]')
    sites = [site_of(place, policy=policy) for place in range(2)]
    for site in sites:
        for name in site._records.names[:5]:
            site.consents.grant(name, "infection", 2_000)
    counts = []
    for number, world in enumerate(worlds):  # one study's round 0 and the other's round 1
        world.open(number)
        answers = [world.answer(site) for site in sites]
        assert [one.consents for one in answers] == [
            site.consents.live(world.study.purpose, 1_000).root for site in sites
        ]
        for site, answer in zip(sites, answers, strict=True):
            world.take(site, answer)
        counts.append((world.close(sites, answers)["values"][-1], {one.consents for one in answers}))
    share = int(COUNT_SHARE * UNITS)
    assert [count for count, _ in counts] == [2 * 20 * share, 2 * 5 * share]
    assert counts[0][1] == counts[1][1]


def test_a_tree_out_of_order_shows_nobody_s_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    world, site = World(), site_of(0)
    world.open()
    register = site.consents.live("cardiology", 1_000)
    turned = replace(register, consents=register.consents[::-1])
    monkeypatch.setattr(site.consents, "live", lambda _purpose, _now: turned)
    assert _refused(lambda: world.take(site, world.answer(site))) == "wrong-consents"


def test_two_hospitals_cannot_join_a_patient() -> None:
    first, second = site_of(0).consents, site_of(0).consents
    shared = set(first.live("cardiology", 0).leaves) & set(second.live("cardiology", 0).leaves)
    assert not shared


def test_everybody_can_check_that_an_update_is_short() -> None:
    study, context = study_of(), b"study, round, site"
    update = Update.of([study.clip, -study.clip, 3, 0], 2)
    proof = prove_short(update, study, 2, context)
    assert is_short(update.commitment, study, 2, context, proof)
    assert not is_short(update.commitment, study, 1, context, proof)
    assert not is_short(update.commitment, study, 2, b"another round", proof)
    assert not is_short(Update.of(update.values, 2).commitment, study, 2, context, proof)
    assert not is_short(update.commitment, study, 2, context, proof[:-1] + bytes([proof[-1] ^ 1]))
    assert not is_short(update.commitment, study, 2, context, b"")
    with pytest.raises(FederationError, match="longer than"):
        prove_short(update, study, 1, context)


@given(st.one_of(st.integers(0, 1 << 17), st.integers(0, (1 << 79) - 1)))
@settings(max_examples=150)
def test_every_number_is_four_squares(number: int) -> None:
    assert sum(part * part for part in four_squares(number)) == number


@given(st.lists(st.lists(st.floats(-1e12, 1e12), min_size=4, max_size=4), min_size=1, max_size=8))
@settings(max_examples=100)
def test_no_record_adds_more_than_the_clip(rows: list[list[float]]) -> None:
    study = study_of()
    for row in clip(np.array(rows), study):
        assert sum(int(value) ** 2 for value in row) <= study.clip**2
