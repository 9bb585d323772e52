"""What a patient sees of a hospital's tree, by the chain's root: in it, or out of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from proofward.chain import SubstrateClient
from proofward.chain.pallets import federation
from proofward.cli import app
from proofward.protocol import sha256
from proofward.protocol.sessions import Tree
from proofward_federation.consents import Register, root_of
from proofward_federation.errors import FederationError
from proofward_federation.placed import Shown, load, save, show, stands

LEAVES = sorted(sha256(b"%d" % number) for number in range(41))


@pytest.mark.parametrize("count", [1, 2, 3, 31, 32, 33, 41])
def test_every_leaf_is_shown_and_every_other_is_not(count: int) -> None:
    leaves = LEAVES[:count]
    root, told = root_of(leaves), -(-count // 32) * 32
    for leaf in leaves:
        assert stands(leaf, show(leaves, leaf), root, told)
    for other in (bytes([0] * 31 + [1]), b"\xff" * 32, *(sha256(leaf) for leaf in leaves)):
        assert not stands(other, show(leaves, other), root, told)


def _hashes_of_two(leaves: list[bytes]) -> list[Shown]:
    """The level above the leaves, as if it were that of the leaves: the root is the same."""
    above = Tree(leaves)._levels[1]
    tree = Tree(above)
    return [Shown(above[at].hex(), at, [one.hex() for one in tree.path(at)]) for at in range(len(above))]


FORGERIES: dict[str, Callable[[bytes], list[Shown]]] = {
    "nothing": lambda leaf: [],
    "another leaf": lambda leaf: show(LEAVES, LEAVES[3]),
    "neighbours with one between": lambda leaf: [*show(LEAVES, LEAVES[6]), *show(LEAVES, LEAVES[8])],
    "the places after the last leaf": lambda leaf: [
        Shown("00" * 32, place, [one.hex() for one in Tree(LEAVES).path(place)]) for place in (50, 51)
    ],
    "the left one alone": lambda leaf: show(LEAVES, LEAVES[6]),
    "the first, and it is smaller": lambda leaf: show(LEAVES, LEAVES[0]),
    "neighbours in another tree": lambda leaf: show(LEAVES[:7] + LEAVES[8:], leaf),
    "a place below none": lambda leaf: [replace(one, place=-1) for one in show(LEAVES, leaf)],
    "no hexadecimal": lambda leaf: [replace(one, leaf="zz") for one in show(LEAVES, leaf)],
    "a longer path": lambda leaf: [replace(one, path=[*one.path, "00" * 32]) for one in show(LEAVES, leaf)],
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_consent_that_counts_is_not_shown_as_gone(forgery: str) -> None:
    leaf = LEAVES[7]
    with pytest.raises(FederationError) as refused:
        stands(leaf, FORGERIES[forgery](leaf), root_of(LEAVES), 64)
    assert refused.value.code == "bad-path"


def test_a_hash_of_two_leaves_is_no_leaf() -> None:
    above = _hashes_of_two(LEAVES)
    fooled = 0
    for left, right in pairwise(above):
        if left.leaf < right.leaf != "00" * 32:
            between = bytes.fromhex(left.leaf[:-2] + "ff")
            with pytest.raises(FederationError):
                stands(between, [left, right], root_of(LEAVES), 64)
            fooled += 1
    assert fooled


def _invoke(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["consent", *arguments, "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.output


def test_a_patient_sees_the_consent_and_then_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvc", reason="make federation installs openvc-core")
    wallet, register, places = (str(tmp_path / name) for name in ("me.json", "consents.json", "places.json"))
    hospital = ("--register", register, "--hospital", "VA")
    with Register.changing(Path(register), new=True) as held:
        for number in range(40):
            held.grant(str(number), "cardiology", int(time.time()) + 1_000)
    for purpose in ("cardiology", "infection"):
        given = str(tmp_path / purpose)
        assert _invoke("grant", "VA", "--wallet", wallet, "--purpose", purpose, "--out", given)[0] == 0
        assert _invoke("accept", "4711", given, *hospital)[0] == 0

    def seen(*, posted: bool = True) -> Any:
        """What the patient's command says; `posted`: the hospital's tree is on the chain as it is."""
        if posted:
            live = Register.load(Path(register)).live("cardiology", int(time.time()))
            there = SimpleNamespace(consents=federation.Consents(live.root, live.most, 7))
            monkeypatch.setattr(federation, "site", lambda *_: there)
            assert _invoke("path", "4711", "--register", register, "--out", places)[0] == 0
        code, told = _invoke("placed", "VA", "--wallet", wallet, "--path", places, "--site", "//Charlie")
        return code, [one["in_tree"] for one in told["consents"]]

    monkeypatch.setattr(SubstrateClient, "connect", lambda *_args, **_named: SubstrateClientless())
    assert seen() == (0, [True, True])
    back = str(tmp_path / "back")
    assert _invoke("revoke", "VA", "--wallet", wallet, "--purpose", "infection", "--out", back)[0] == 0
    assert seen(posted=False) == (1, [True, True]), "the hospital did not follow yet"
    assert _invoke("take-back", back, *hospital)[0] == 0
    assert seen() == (0, [True, False])
    code, told = _invoke("show", "--wallet", wallet)
    assert code == 0
    assert [(one["purpose"], one["revoked"]) for one in told["given"]] == [
        ("cardiology", False),
        ("infection", True),
    ]
    assert CliRunner().invoke(app, ["consent", "show", "--wallet", wallet, "--purpose", "x"]).exit_code == 2


class SubstrateClientless:
    """A connection that nothing is asked of."""

    def __enter__(self) -> SubstrateClientless:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("text", ["", "[]", '{"zz": []}', '{"00": [{"leaf": "00"}]}', '{"00": 1}'])
def test_what_shows_no_places_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "places.json").write_text(text)
    with pytest.raises(FederationError) as refused:
        load(tmp_path / "places.json")
    assert refused.value.code == "bad-path"
    save(tmp_path / "places.json", {LEAVES[0]: show(LEAVES, LEAVES[0])})
    assert load(tmp_path / "places.json") == {LEAVES[0]: show(LEAVES, LEAVES[0])}
