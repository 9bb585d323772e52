"""The network's folder and commands, without a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofward.network import control, process
from proofward.network.errors import NetworkError
from proofward.network.spec import read_members
from proofward.network.state import Network, Node, load

NODE = Node("alice", True, "127.0.0.1", 1, 2, 3, 4, "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp")


def network(folder: Path, *nodes: Node) -> Network:
    for node in nodes:
        (folder / node.name).mkdir(exist_ok=True)
    return Network(folder, Path("/bin/true"), None, nodes or (NODE,))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    saved = replace(network(tmp_path), parted=(("alice",), ("bob",)))
    saved.save()
    assert load(tmp_path) == saved


@pytest.mark.parametrize("text", ["", "{}", "[]", "[" * 10_000, '{"format": "proofward/network/v9"}'])
def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "network.json").write_text(text)
    with pytest.raises(NetworkError, match="cannot be used"):
        load(tmp_path)


def test_a_folder_without_a_network_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="network up --folder"):
        load(tmp_path)


def test_a_process_number_that_was_given_to_another_is_not_ours(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        stat = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()
        ours = replace(NODE, pid=other.pid, began=int(stat[19]))
        assert process.running(ours)
        stale = replace(ours, began=int(stat[19]) - 1)
        assert not process.running(stale)
        assert not process.kill(stale)
        assert other.poll() is None
        assert process.kill(ours)
        other.wait()  # it waits for input, so only the kill ends it; its code goes to whoever reaped it
    assert not process.running(ours)


def test_who_does_not_run_is_not_killed(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="does not run"):
        control.kill(network(tmp_path), "alice")
    with pytest.raises(NetworkError, match="no node 'mallory'; it has alice"):
        control.kill(network(tmp_path), "mallory")


@pytest.mark.parametrize("text", ["", "alice", "alice,bob", "alice|", "alice | alice", "|"])
def test_a_partition_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(NetworkError, match="is no partition"):
        control.partition(network(tmp_path), text)


def test_nodes_that_share_one_network_are_not_parted(tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        control.partition(network(tmp_path, NODE, replace(NODE, name="bob")), "alice | bob")
    assert caught.value.code == "cannot-part"


@pytest.mark.parametrize(
    ("rounds", "votes"),
    [
        ([(1, 40), (1, 40), (1, 38), (1, 41)], [True, True, False, True]),
        ([(1, 40), (1, 2), None, (1, 42)], [True, False, False, True]),
        ([(0, 900), (1, 1), (1, 2), (1, 2)], [False, True, True, True]),
        ([None, None, None, None], [None, None, None, None]),
    ],
)
def test_only_who_is_in_a_newest_round_votes(
    rounds: list[tuple[int, int] | None], votes: list[bool | None]
) -> None:
    seen = [
        control.Seen(name, True, True, "", best=9, round=at) for name, at in zip("abcd", rounds, strict=True)
    ]
    dead, rpc = control.Seen("e", False, True, ""), control.Seen("rpc", True, False, "", best=9)
    assert [node.votes for node in control._voting([*seen, dead, rpc])] == [*votes, None, None]


def test_a_missing_node_names_what_builds_it(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="make node"):
        control.up(tmp_path / "n", program=tmp_path / "absent")


def test_another_program_is_not_taken_for_the_node(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"genesis": {"raw": {"top": {}}}}))
    with pytest.raises(NetworkError, match="is not the chain's node"):
        control.up(tmp_path / "n", program=Path("/bin/true"), spec=spec)
    assert (tmp_path / "n" / "alice" / "node.key").stat().st_mode & 0o777 == 0o600


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(NetworkError, match="something else"):
        control.up(tmp_path, program=Path("/bin/true"))
    assert os.listdir(tmp_path) == ["letter.txt"]


def member(number: int, **changes: Any) -> dict[str, Any]:
    letter = "ABCDEFGH"[number]
    return {
        "legal_name": f"Hospital {letter}",
        "account": f"5{letter}" + "a" * 46,
        "aura": f"5{letter}" + "b" * 46,
        "grandpa": f"5{letter}" + "c" * 46,
        "endpoint": "/dns/a.example/tcp/30333",
        **changes,
    }


def members(*changed: dict[str, Any], **changes: Any) -> dict[str, Any]:
    people = [*changed, *(member(number) for number in range(len(changed), 4))]
    return {"name": "Test", "id": "test", "members": people, **changes}


@pytest.mark.parametrize(
    ("fault", "value"),
    [
        ("three members", members() | {"members": [member(number) for number in range(3)]}),
        ("two of one account", members(member(0, account=member(1)["account"]))),
        ("two of one session key", members(member(0, grandpa=member(1)["grandpa"]))),
        ("two of one name", members(member(0, legal_name="Hospital B"))),
        ("no address", members(member(0, aura="//Alice"))),
        ("a boot node without its peer", members(member(0, boot_node="/ip4/10.0.0.1/tcp/30333"))),
        ("more money than a u128 holds", members(member(0, balance=2**128))),
        ("an unknown setting", members(settings={"kind": 1})),
        ("an unknown key", members(sudo="5A")),
    ],
)
def test_members_that_make_no_consortium_are_refused(
    tmp_path: Path, fault: str, value: dict[str, Any]
) -> None:
    path = tmp_path / "members.json"
    path.write_text(json.dumps(members()))
    assert len(read_members(path).members) == 4
    path.write_text(json.dumps(value))
    with pytest.raises(NetworkError) as caught:
        read_members(path)
    assert caught.value.code == "bad-members", fault


def test_a_members_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        read_members(tmp_path / "members.json")
    assert caught.value.message == f"cannot read {tmp_path}/members.json: No such file or directory"
