"""A site's rules hold, whatever a study or the chain's view asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proofward.protocol import Level
from proofward_federation.errors import FederationError, PolicyRefused
from proofward_federation.policy import SitePolicy
from proofward_federation.site import Answer
from proofward_federation.spent import YEAR, Ledger
from proofward_federation.study import Study
from tests.federation.world import KEYS, POLICY, UNITS, World, site_of, study_of

HARD = POLICY.replace('level = "simulated"', 'level = "hardware"')
LOOSENING: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("a larger clip", {"clip": UNITS + 1, "deviation": 4 * UNITS}, {}, "policy-clip"),
    ("a larger clip by a coarser grid", {"units": UNITS // 2}, {}, "policy-clip"),
    ("less noise", {"deviation": 2 * UNITS - 1}, {}, "policy-noise"),
    ("a sum of one", {"cohort": 1}, {}, "policy-cohort"),
    ("another purpose", {"purpose": "teaching"}, {}, "policy-purpose"),
    ("a column more", {"columns": ("age", "postcode")}, {}, "policy-columns"),
    ("another target", {"target": "hiv"}, {}, "policy-target"),
    ("another researcher", {"researcher": "mallory"}, {}, "policy-researcher"),
    ("more rounds than a year pays", {"rounds": 200}, {}, "policy-year"),
    ("a budget above the year's", {"budget": 10**12}, {}, "policy-study-budget"),
    ("another study on the chain", {}, {"rule": bytes(32)}, "policy-rule"),
    ("a policy loosened after it was registered", {}, {"policy": bytes(32)}, "policy-changed"),
    ("a round among strangers", {}, {"members": frozenset((KEYS[0].public_key, bytes(32)))}, "policy-peers"),
    ("a round of this site alone", {}, {"members": frozenset()}, "policy-peers"),
    ("a year's budget spent twice", {}, {"spent": 10**10}, "policy-spent"),
]


@pytest.mark.parametrize(("fault", "asked", "told", "code"), LOOSENING, ids=[row[0] for row in LOOSENING])
def test_nothing_leaves_that_the_site_does_not_let(
    fault: str, asked: dict[str, Any], told: dict[str, Any], code: str
) -> None:
    site, world = site_of(0), World(study_of(**asked))
    world.open()
    with pytest.raises(PolicyRefused) as refused:
        site.answer(world.study, world.view(site, **told), np.zeros(3))
    assert refused.value.code == code, fault


def _answered(world: World, folder: Path, **told: Any) -> Answer:
    """By a site whose process was started again, to a node that says that it has spent nothing."""
    site = site_of(0)
    site._ledger = Ledger(folder / "spent.json")
    return site.answer(world.study, world.view(site, spent=0, **told), np.zeros(3))


def test_a_node_that_forgets_what_was_spent_gets_no_more_than_a_year(tmp_path: Path) -> None:
    world = World()
    rounds = site_of(0).policy.yearly // world.study.rho
    assert 1 < rounds < 64
    for number in range(rounds):
        world.open(number)
        _answered(world, tmp_path)
    world.open(rounds)
    before = (tmp_path / "spent.json").read_bytes()
    with pytest.raises(PolicyRefused) as refused:
        _answered(world, tmp_path)
    assert refused.value.code == "policy-spent"
    assert (tmp_path / "spent.json").read_bytes() == before
    site = site_of(0)
    site._ledger, site._now = Ledger(tmp_path / "spent.json"), lambda: 1_000.0 + YEAR
    site.consents.grant("0-0", "cardiology", 2_000 + YEAR)
    assert site.answer(world.study, world.view(site), np.zeros(3)).sealed, "a year later"


def test_a_round_is_answered_under_one_noise(tmp_path: Path) -> None:
    world = World()
    world.open()
    _answered(world, tmp_path)
    before = (tmp_path / "spent.json").read_bytes()
    assert _answered(world, tmp_path).sealed, "after a death, or a consent taken back: into the same sum"
    assert (tmp_path / "spent.json").read_bytes() == before
    with pytest.raises(FederationError) as refused:
        _answered(world, tmp_path, noise=bytes(32))
    assert refused.value.code == "answered-already"
    assert _answered(world, tmp_path, noise=bytes(32), genesis=bytes(32)).sealed, "another chain's"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"number": 1}]'])
def test_a_ledger_that_cannot_be_read_lets_nothing_out(text: str, tmp_path: Path) -> None:
    world = World()
    world.open()
    (tmp_path / "spent.json").write_text(text)
    with pytest.raises(FederationError) as refused:
        _answered(world, tmp_path)
    assert refused.value.code == "bad-ledger"


def test_an_aggregator_below_the_level_gets_nothing() -> None:
    site, world = site_of(0, policy=HARD), World()
    world.open()
    with pytest.raises(PolicyRefused) as refused:
        world.answer(site)
    assert refused.value.code == "policy-level"
    assert site.answer(world.study, world.view(site, level=Level.HARDWARE), np.zeros(3)).sealed


def test_a_study_brings_no_code() -> None:
    with pytest.raises(FederationError) as refused:
        study_of(kind="lambda")
    assert refused.value.code == "unknown-rule"


def test_a_study_is_its_canonical_document() -> None:
    study = study_of()
    assert Study.parse(study.document()) == study
    for spoilt in (
        study.document() + b" ",
        study.document().replace(b'"cohort":2', b'"cohort":2.0'),
        study.document().replace(b'"cohort":2', b'"cohort":true'),
        study.document().replace(b'"version":1', b'"version":2'),
        b"[]",
        b"",
    ):
        with pytest.raises(FederationError):
            Study.parse(spoilt)
    assert study_of(rate=2_001).rule != study.rule


NUMBER, TEXT = b'"budget":300000000', b'"num"'
HOSTILE: dict[str, tuple[bytes, bytes]] = {
    "an integer past 2^53": (NUMBER, b'"budget":9007199254740992'),
    "an integer of 110 digits": (NUMBER, b'"budget":' + b"4" * 110),
    "an integer that no double holds": (NUMBER, b'"budget":' + b"4" * 310),
    "an integer of 5,000 digits": (NUMBER, b'"budget":' + b"4" * 5_000),
    "a float that no double holds": (NUMBER, b'"budget":1e999'),
    "no number": (NUMBER, b'"budget":NaN'),
    "no end": (NUMBER, b'"budget":Infinity'),
    "minus nothing": (NUMBER, b'"budget":-0.0'),
    "a member twice": (NUMBER, NUMBER + b"," + NUMBER),
    "a lone surrogate": (TEXT, b'"\\ud800"'),
    "a target that is no text": (TEXT, b'{"a":1}'),
    "a text that is too long": (TEXT, b'"' + b"n" * 129 + b'"'),
    "lists in lists": (TEXT, b"[" * 100_000 + b"]" * 100_000),
    "no UTF-8": (TEXT, b'"\xff"'),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_strangers_study_is_refused_and_nothing_else_happens(fault: str) -> None:
    good = study_of().document()
    assert good.count(HOSTILE[fault][0]) == 1
    with pytest.raises(FederationError) as refused:
        Study.parse(good.replace(*HOSTILE[fault]))
    assert refused.value.code == "bad-study"


@pytest.mark.parametrize(
    "line",
    [
        "clip = 1.0",
        "noise = 2.0",
        "cohort = 2",
        "peers = 1",
        "delta = 1e-5",
        'level = "simulated"',
        'targets = ["num"]',
    ],
)
def test_a_rule_that_is_missing_is_no_default(line: str) -> None:
    assert line in POLICY
    with pytest.raises(FederationError):
        SitePolicy.parse(POLICY.replace(line, "").encode())


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("clip = 1.0", "clip = -1.0"),
        ("clip = 1.0", "clip = nan"),
        ("noise = 2.0", "noise = 0"),
        ("cohort = 2", "cohort = 1"),
        ("epsilon_a_year = 8.0", "epsilon_a_year = inf"),
        ("delta = 1e-5", "delta = 0.5"),
        ('purposes = ["cardiology"]', 'purposes = ["anything"]'),
        ('researchers = ["alice"]', "researchers = []"),
        ("[site]", "[site]\nextra = 1"),
        ("[site]", "a = " + "[" * 50_000),
        ("peers = 1", "peers = 0"),
        ("peers = 1", "peers = 8"),
        ("peers = 1", "peers = true"),
        ("epsilon_a_year = 8.0", "epsilon_a_year = true"),
        ("epsilon_a_year = 8.0", 'epsilon_a_year = "8.0"'),
        ("delta = 1e-5", 'delta = "1e-5"'),
        ("[site]\nname = ", "[site]\nname = 1 # "),
        ('peers = ["', 'peers = ["x'),
    ],
)
def test_a_rule_without_sense_is_refused(good: str, bad: str) -> None:
    assert good in POLICY
    with pytest.raises(FederationError):
        SitePolicy.parse(POLICY.replace(good, bad).encode())
