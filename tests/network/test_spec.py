"""The chain of six members, made as the runbook says: what its genesis holds, and how it decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from proofward.chain import SubstrateClient, accounts
from proofward.chain.pallets import attestation, consortium
from proofward.cli import app
from proofward.devnet.chains import Devnet
from proofward.network.spec import CODE

NAMES = "ABCDEF"
SETTINGS = {"session_blocks": 40, "notice_blocks": 5, "least_validators": 4}
BALANCE = 10**15
DEVELOPERS = ("//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key files of six members, and the spec that `network spec` makes of their members.json."""
    folder = tmp_path_factory.mktemp("consortium")
    members = []
    for name in NAMES:
        account, aura = (accounts.new_key_file(folder / f"{name}.{kind}") for kind in ("key", "aura"))
        grandpa = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        members.append(
            {
                "legal_name": f"Hospital {name}",
                "account": accounts.ss58(account),
                "aura": accounts.ss58(aura),
                "grandpa": accounts.ss58(grandpa),
                "endpoint": f"/dns/{name.lower()}.example/tcp/30333",
                "balance": BALANCE,
            }
        )
    value = {"name": "Six Hospitals", "id": "six", "members": members, "settings": SETTINGS}
    (folder / "members.json").write_text(json.dumps(value))
    made = CliRunner().invoke(
        app, ["network", "spec", str(folder / "members.json"), "--out", str(folder / "spec.json")]
    )
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture(scope="module")
def chain(folder: Path) -> Iterator[Devnet]:
    """The spec as it is, on the embedded executor: its blocks have no seals, and are final at once."""
    with Devnet(folder / "data", spec=folder / "spec.json", block_time_ms=500) as chain:
        yield chain


@pytest.fixture
def rpc(chain: Devnet) -> Iterator[SubstrateClient]:
    with chain.connect() as client:
        yield client


def account(folder: Path, name: str) -> bytes:
    return bytes(accounts.keypair_of(str(folder / f"{name}.key")).public_key)


def test_a_consortiums_genesis_has_its_members_its_pace_and_nothing_of_developments(
    folder: Path, rpc: SubstrateClient
) -> None:
    genesis = rpc.block_hash(0)
    spec = json.loads((folder / "spec.json").read_text())
    assert (spec["name"], spec["id"], spec["chainType"]) == ("Six Hospitals", "six", "Live")
    settings = consortium.settings(rpc, genesis)
    assert settings == consortium.Settings("Consortium", **SETTINGS)
    ours = {account(folder, name) for name in NAMES}
    members = consortium.members(rpc, genesis)
    assert {one.account for one in members} == ours
    assert all(one.seated and one.has_keys and one.out_since is None for one in members)
    assert {bytes(one) for one in rpc.query("Session", "Validators", at=genesis)} == ours
    assert len(rpc.query("Aura", "Authorities", at=genesis)) == len(NAMES)
    assert rpc.query("Sudo", "Key", at=genesis) is None, "somebody decides alone"
    assert [root.level.label for root in attestation.roots(rpc, genesis)] == ["hardware"]
    held = {bytes(one): value["data"]["free"] for one, value in rpc.iterate("System", "Account", at=genesis)}
    assert {one: held[one] for one in ours} == dict.fromkeys(ours, BALANCE)
    published = {bytes(accounts.dev_keypair(name).public_key) for name in DEVELOPERS}
    assert not published & held.keys()
    everything = "".join(key + value for key, value in spec["genesis"]["raw"]["top"].items() if key != CODE)
    assert not [
        name for name in DEVELOPERS if bytes(accounts.dev_keypair(name).public_key).hex() in everything
    ]


def test_a_consortium_decides_with_five_of_six_and_not_with_four(folder: Path, rpc: SubstrateClient) -> None:
    def run(*words: str, name: str) -> Any:
        arguments = [*words, "--signer", str(folder / f"{name}.key"), "--chain", rpc.url, "--json"]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    gone = accounts.ss58(account(folder, "F"))
    for name in "ABCD":
        found = run("network", "vote", "remove", gone, name=name)
    assert (found["block"], len(found["agreed"]), found["needed"], found["seats"]) == (None, 4, 5, 6)
    found = run("network", "vote", "remove", gone, name="E")
    assert found["block"] is not None
    (notice,) = consortium.notices(rpc)
    rpc.wait_block(notice.due + 1)
    assert account(folder, "F") not in {one.account for one in consortium.members(rpc)}
    assert len(rpc.query("Council", "Members")) == 5


def test_members_that_the_runtime_refuses_make_no_spec(folder: Path, tmp_path: Path) -> None:
    value = json.loads((folder / "members.json").read_text())
    value["settings"] = SETTINGS | {"notice_blocks": 0}
    (tmp_path / "members.json").write_text(json.dumps(value))
    made = CliRunner().invoke(
        app, ["network", "spec", str(tmp_path / "members.json"), "--out", str(tmp_path / "spec.json")]
    )
    assert made.exit_code != 0
    assert "nobody could object" in made.output
    assert not (tmp_path / "spec.json").exists()
