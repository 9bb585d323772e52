"""Real nodes change their members and runtime by vote, and put out who says two things at once."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from proofward.chain import Call, SubstrateClient, accounts, council, governance
from proofward.chain.client import Inclusion
from proofward.chain.pallets import consortium
from proofward.chain.pallets.consortium import Notice
from proofward.devnet.chains import find_binary
from proofward.network import control, process
from proofward.network.state import Network, Node, load
from tests.network.campaign import Stream, wait_for
from tests.network.conftest import until

VOTERS = ("//Alice", "//Bob", "//Charlie", "//Dave")
OFFENCE_BLOCKS = 10
"""From the first block beside another one of the same slot to the chain's word of it."""
SECONDS = 180.0


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A network of its own: its members change."""
    if find_binary(control.BINARY) is None:
        pytest.skip("proofward-chain is neither on PATH nor in build/bin: `make node`")
    folder = tmp_path / "members"
    try:
        control.up(folder)
        yield load(folder)
    finally:
        control.down(load(folder), delete=True)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def another(network: Network, folder: str, key: str) -> Network:
    """One more validator's process, with the published key of that name, under a folder of its own."""
    home = network.home(folder)
    home.mkdir()
    made = subprocess.run(
        [
            str(network.binary),
            "key",
            "generate-node-key",
            "--file",
            str(home / "node.key"),
            "--chain",
            str(network.spec),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    p2p, ws, rpc, prometheus = free_ports(4)
    node = Node(folder, False, "127.0.0.1", p2p, ws, rpc, prometheus, (made.stderr or made.stdout).strip())
    words = [*process.command(network, node), f"--{key}", "--validator"]
    with (home / "log").open("ab") as log:
        started = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    node = replace(node, pid=started.pid, began=process._began(started.pid))
    changed = replace(network, nodes=(*network.nodes, node))
    changed.save()
    return changed


def key(name: str) -> bytes:
    return bytes(accounts.keypair_of(name).public_key)


def submit(chain: SubstrateClient, name: str, call: Call) -> Inclusion:
    return chain.submit(call, accounts.keypair_of(name), timeout=SECONDS).raise_for_error()


def decide(chain: SubstrateClient, call: Call, voters: tuple[str, ...]) -> Notice:
    """What these agree to, each as its member would: the notice of it."""
    known = {one.number for one in consortium.notices(chain)}
    for name in voters:
        found = council.agree(chain, accounts.keypair_of(name), call)
    assert found.block is not None, f"{len(found.agreed)} of {found.needed} that are needed agreed"
    (notice,) = [one for one in consortium.notices(chain) if one.number not in known]
    return notice


def wait(chain: SubstrateClient, good: Callable[[], bool], what: str, blocks: int = 120) -> int:
    """The finalised block at which it is so. Fails when it is not within so many blocks."""
    last = chain.best_number() + blocks
    for head in chain.follow():
        if good():
            return head.number
        assert head.number < last, f"no {what} by block {head.number}"
    raise AssertionError(what)


def validators(chain: SubstrateClient) -> set[bytes]:
    return {bytes(one) for one in chain.query("Session", "Validators")}


@pytest.fixture
def stream(network: Network, tmp_path: Path) -> Iterator[Stream]:
    """Jobs, one after the other, from before the first vote to behind the last."""
    with ExitStack() as stack:
        running = Stream(network, tmp_path, stack)
        running.start()
        yield running


def test_a_member_is_voted_in_and_another_one_out_while_jobs_run(network: Network, stream: Stream) -> None:
    with SubstrateClient.connect(network.node("rpc").url) as chain:
        eve, charlie = key("//Eve"), key("//Charlie")
        done = one_more_accepted(stream, 0)

        network = another(network, "eve", "eve")
        admission = consortium.admit(eve, hashlib.sha256(b"Eve").digest(), "/ip4/127.0.0.1")
        # her node first: a candidate without keys when the notice is due does not come in
        with SubstrateClient.connect(network.node("eve").url, patience=SECONDS):
            decide(chain, admission, VOTERS[:3])
        submit(chain, "//Eve", governance.new_session_keys(network.node("eve").url, eve))
        wait(chain, lambda: eve in validators(chain), "fifth validator")
        done = one_more_accepted(stream, done)

        decide(chain, consortium.remove(charlie), ("//Alice", "//Bob", "//Dave", "//Eve"))
        wait(chain, lambda: charlie not in validators(chain), "set of validators without him")
        assert charlie not in members(chain)
        control.kill(load(network.folder), "charlie")  # the others finalise without him
        until(network.folder, lambda now: now.best - now.finalised <= 4, SECONDS)
        one_more_accepted(stream, done)
        nothing_lost(stream)


def test_who_makes_two_blocks_in_a_slot_is_out_at_the_next_session_while_jobs_run(
    network: Network, stream: Stream
) -> None:
    with SubstrateClient.connect(network.node("rpc").url) as chain:
        dave = key("//Dave")
        done = one_more_accepted(stream, 0)
        network = another(network, "twin", "dave")
        out = wait(chain, lambda: dave not in members(chain), "offence")
        first = equivocation(network, "dave", "twin")
        assert 0 <= out - first <= OFFENCE_BLOCKS, (first, out)
        session = chain.query("Session", "CurrentIndex", at=chain.block_hash(out))
        gone = wait(chain, lambda: dave not in validators(chain), "new set of validators")
        assert chain.query("Session", "CurrentIndex", at=chain.block_hash(gone)) == session + 1
        until(network.folder, lambda now: now.best - now.finalised <= 4, SECONDS)
        one_more_accepted(stream, done)
        nothing_lost(stream)


def test_the_runtime_is_upgraded_by_vote_with_notice_while_jobs_run(network: Network, stream: Stream) -> None:
    with SubstrateClient.connect(network.node("rpc").url) as chain:
        done = one_more_accepted(stream, 0)
        top = json.loads(network.spec.read_bytes())["genesis"]["raw"]["top"]
        code = bytes.fromhex(top["0x3a636f6465"][2:])
        authorise = Call(
            "System",
            "authorize_upgrade_without_checks",  # of the same version: this test has no other
            {"code_hash": hashlib.blake2b(code, digest_size=32).digest()},
        )
        announced = hashlib.blake2b(chain.runtime.encode_call(authorise), digest_size=32).digest()
        notice = decide(chain, consortium.announce_call(announced), VOTERS[:3])
        chain.wait_block(notice.due, timeout=SECONDS)
        submit(chain, "//Ferdie", consortium.enact(notice.number, authorise))
        applied = submit(chain, "//Ferdie", consortium.apply_upgrade(code))
        assert applied.find("System", "CodeUpdated") is not None
        one_more_accepted(stream, done)
        nothing_lost(stream)


def equivocation(network: Network, one: str, other: str) -> int:
    """The first height at which two nodes each sealed a block, and another one."""
    sealed = [
        dict(re.findall(r"Pre-sealed block for proposal at (\d+)\. Hash now (0x[0-9a-f]+)", log))
        for log in ((network.home(name) / "log").read_text(errors="replace") for name in (one, other))
    ]
    return min(int(at) for at in sealed[0].keys() & sealed[1].keys() if sealed[0][at] != sealed[1][at])


def nothing_lost(stream: Stream) -> None:
    """Every job came to one good end."""
    ended = stream.settle()
    assert (ended["lost"], ended["accepted_twice"], ended["rejected"]) == (0, 0, 0), ended


def accepted(stream: Stream) -> int:
    """Jobs that the workers had accepted."""
    ended = (one for worker in stream.workers for one in worker.events("job-done"))
    return sum(one.get("outcome") == "accepted" for one in ended)


def one_more_accepted(stream: Stream, before: int) -> int:
    """Wait until more are accepted than before, and say how many that are."""
    before = max(before, accepted(stream))
    wait_for(lambda: accepted(stream) > before, "a job to be accepted after the change")
    return accepted(stream)


def members(chain: SubstrateClient) -> set[bytes]:
    """Who has a seat in the council: the members that take part."""
    return {bytes(one) for one in chain.query("Council", "Members")}
