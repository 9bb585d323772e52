"""Four validators for real: what they do when some are gone or parted, and what a light client believes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from proofward.chain import FinalityWatch, SubstrateClient
from proofward.consensus import Checkpoint
from proofward.light.client import LightClient
from proofward.light.errors import LightError
from proofward.light.spec import load, read_spec, with_checkpoint
from proofward.light.transport import LightTransport
from proofward.network import control
from proofward.network.state import VALIDATORS, Network
from tests.network.conftest import until

BACK_BLOCKS = 15
"""Slots of 2 s within which a validator that was killed votes and makes blocks again: 30 s."""


def spec(network: Network) -> dict[str, object]:
    return load(network.spec)


def test_each_validator_makes_blocks_and_finality_follows(network: Network) -> None:
    now = until(network.folder, lambda now: now.finalised >= 8 and set(now.authors) == set(VALIDATORS))
    assert now.best - now.finalised <= 4
    assert [node.peers for node in now.nodes] == [4] * 5


def test_one_of_four_is_killed_and_finality_goes_on(network: Network) -> None:
    control.kill(network, "dave")
    began = control.status(network).finalised
    now = until(network.folder, lambda now: now.finalised >= began + 8)
    assert now.best - now.finalised <= 4
    assert not now.nodes[3].running
    control.start(network, "dave")
    started = control.status(network).best
    until(network.folder, lambda now: bool(now.nodes[3].votes) and "dave" in now.authors[-4:])
    assert control.status(network).best - started <= BACK_BLOCKS


def test_two_of_four_are_killed_finality_stands_and_comes_back(network: Network) -> None:
    watch = FinalityWatch(blocks=6)
    control.kill(network, "charlie")
    control.kill(network, "dave")
    stood = until(network.folder, lambda now: watch.saw(now.finalised, now.best).stalled)
    control.start(control.start(network, "charlie"), "dave")
    now = until(network.folder, lambda now: not watch.saw(now.finalised, now.best).stalled)
    assert now.finalised > stood.finalised


def test_a_partition_stops_finality_and_one_chain_is_left_when_it_is_healed(network: Network) -> None:
    if network.subnet is None:
        pytest.skip("network namespaces are not allowed here")
    control.partition(network, "alice,bob,rpc | charlie,dave")
    parted = until(network.folder, lambda now: now.best - now.finalised >= 8)
    assert parted.parted == (("alice", "bob", "rpc"), ("charlie", "dave"))
    control.heal(network)
    now = until(network.folder, lambda now: now.finalised > parted.best)
    assert len({node.finalised for node in now.nodes}) <= 3


def test_a_deleted_database_comes_back_by_warp_sync(network: Network) -> None:
    until(network.folder, lambda now: now.finalised > 10)
    control.kill(network, "bob")
    changed = control.start(network, "bob", fresh=True)
    now = until(network.folder, lambda now: (now.nodes[1].finalised or 0) > 10)
    assert now.nodes[1].running
    assert "warp" in (changed.home("bob") / "log").read_text(errors="replace").lower()
    control.wait_votes(network, "bob")
    before = now.finalised
    control.kill(network, "charlie")
    now = until(network.folder, lambda now: now.finalised > before + 10, 60)
    assert [node.votes for node in now.nodes] == [True, True, None, True, None]


def test_a_light_client_reads_what_a_node_says_without_asking_it(network: Network) -> None:
    until(network.folder, lambda now: now.finalised > 2)
    began = time.monotonic()
    with LightClient.open(network.spec) as light:
        print(f"cold start {time.monotonic() - began:.1f} s")
        assert light.reading.fresh
        with SubstrateClient.connect(network.node("rpc").url) as node:
            head = light.finalised_head()
            assert node.block_hash(head.number) == head.hash
            assert light.block_hash(2) == node.block_hash(2)
            assert light.block(2) == node.block(2)
            assert light.events(head.hash) == node.events(head.hash)
            for pallet, item in (("Attestation", "Roots"), ("System", "Account"), ("System", "BlockHash")):
                found = list(light.iterate(pallet, item))
                assert found == list(node.iterate(pallet, item, at=head.hash))
                assert list(light.keys(pallet, item, limit=2)) == [key for key, _ in found][:2]
            numbers = [(key,) for key, _ in found[:3]]
            assert light.query_many("System", "BlockHash", numbers) == [value for _, value in found[:3]]
        with pytest.raises(LightError, match="needs a node"):
            light.nonce(bytes(32))


def test_a_spec_of_another_genesis_is_refused(network: Network, tmp_path: Path) -> None:
    """Its protocols have another name, so no peer speaks to the light client."""
    other = spec(network)
    other["genesis"]["raw"]["top"]["0x" + os.urandom(8).hex()] = "0x00"  # type: ignore[index]
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(other))
    with pytest.raises(LightError) as caught:
        LightTransport(read_spec(path), start_seconds=8)
    assert caught.value.code == "no-finality-proof"


def test_a_chain_without_the_checkpoint_is_refused(network: Network, tmp_path: Path) -> None:
    now = until(network.folder, lambda now: now.finalised > 5)
    path = tmp_path / "spec.json"
    for point, code in [
        (Checkpoint(5, b"f" * 32), "other-fork"),
        (Checkpoint(now.finalised + 10_000, b"f" * 32), "behind-checkpoint"),
    ]:
        path.write_text(json.dumps(with_checkpoint(spec(network), point)))
        with pytest.raises(LightError) as caught:
            LightClient.open(path)
        assert caught.value.code == code


def test_one_validator_alone_convinces_no_light_client(network: Network, tmp_path: Path) -> None:
    """An eclipse: all peers that the reader knows are one validator's, who makes blocks by himself."""
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec(network) | {"bootNodes": []}))
    alone = control.up(tmp_path / "alone", program=network.binary, spec=path, validators=1, wait_final=False)
    try:
        until(alone.folder, lambda now: now.best >= 3)
        read = read_spec(path, boot_nodes=alone.node("alice").addresses)
        with pytest.raises(LightError) as caught:
            LightTransport(read, start_seconds=8)
        assert caught.value.code == "no-finality-proof"
    finally:
        control.down(alone, delete=True)
