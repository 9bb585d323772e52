"""A chain as a process: it keeps its data, ends with its owner, and says what is wrong.

The real node too, where its binary is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from proofward.chain import Outbox, dev_keypair
from proofward.chain.client import Inclusion
from proofward.chain.values import Call
from proofward.devnet.chains import Devnet, DevnetError, LocalChain, OmniNode, free_port
from proofward.devnet.foreground import serve
from tests.nodes import KINDS

ALICE = dev_keypair("//Alice")


def remark(data: bytes) -> Call:
    return Call("System", "remark_with_event", {"remark": data})


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_directory_keeps_the_chain_across_a_kill(kind: type[LocalChain], tmp_path: Path) -> None:
    with kind(tmp_path / "chain") as first:
        with first.connect() as client:
            receipt = client.submit(remark(b"kept"), ALICE)
            nonce = client.finalised_nonce(bytes(ALICE.public_key))
        assert first._process is not None
        os.killpg(first._process.pid, signal.SIGKILL)
        first.wait()
    if kind is Devnet:
        with (tmp_path / "chain" / "blocks.jsonl").open("ab") as log:
            log.write(b'{"number": 99, "ha')  # as a kill in the middle of a write leaves it
    with kind(tmp_path / "chain") as second, second.connect() as client:
        assert second.genesis == first.genesis
        assert client.block_hash(receipt.block) == receipt.block_hash
        (call,) = client.find_calls(receipt.block_hash, "System", "remark_with_event")
        assert call.args["remark"] == b"kept"
        assert client.finalised_nonce(bytes(ALICE.public_key)) == nonce
        assert client.submit(remark(b"more"), ALICE).block > receipt.block


def test_a_kept_chain_that_was_deleted_takes_the_same_act_again(tmp_path: Path) -> None:
    def act(chain: Devnet) -> Inclusion:
        with chain.connect() as client, contextlib.closing(Outbox(tmp_path / "outbox", client)) as outbox:
            return outbox.send("publish", remark(b"published"), ALICE)

    with Devnet(tmp_path / "chain") as chain:
        chain.new_blocks(30)
        first = act(chain)
        assert act(chain) == first
    shutil.rmtree(tmp_path / "chain")
    with Devnet(tmp_path / "chain") as chain:
        assert act(chain).block < first.block


TWICE = """
import sys
from pathlib import Path
from proofward.chain import Outbox, dev_keypair
from proofward.chain.client import SubstrateClient
from proofward.chain.values import Call
url, path, name = sys.argv[1:]
with SubstrateClient.connect(url) as client:
    outbox = Outbox(Path(path), client)
    print("ready", flush=True)
    sys.stdin.readline()
    for key in ["both", *(f"{name} {number}" for number in range(4))]:
        call = Call("System", "remark_with_event", {"remark": key.encode()})
        outbox.send(key, call, dev_keypair("//Alice"))
"""


def test_two_processes_share_one_outbox(tmp_path: Path) -> None:
    with Devnet() as chain:
        two = [
            subprocess.Popen(
                [sys.executable, "-c", TWICE, chain.url, str(tmp_path / "outbox"), name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for name in ("first", "second")
        ]  # fmt: skip
        for one in two:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in two:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        for one in two:
            _, errors = one.communicate(timeout=120)
            assert one.returncode == 0, errors
        with chain.connect() as client:
            said = [
                call.args["remark"].decode()
                for number in range(client.finalised_head().number + 1)
                for call in client.find_calls(client.block_hash(number), "System", "remark_with_event")
            ]
    assert sorted(said) == sorted(["both", *(f"{who} {n}" for who in ("first", "second") for n in range(4))])


def test_a_directory_in_use_and_one_of_another_chain_are_refused(tmp_path: Path) -> None:
    with Devnet(tmp_path), pytest.raises(DevnetError, match="in use") as caught:
        Devnet(tmp_path).start()
    assert caught.value.code == "data-unusable"
    (tmp_path / "blocks.jsonl").write_text('{"format":"proofward/devnet/v1","genesis":"0x00"}\n')
    with pytest.raises(DevnetError, match="another chain"):
        Devnet(tmp_path).start()


def test_a_directory_that_is_a_file_is_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.touch()
    with pytest.raises(DevnetError, match="EEXIST") as caught:
        Devnet(path).start()
    assert caught.value.code == "data-unusable"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_in_use_is_refused(kind: type[Devnet | OmniNode]) -> None:
    port = free_port()
    with Devnet(port=port), pytest.raises(DevnetError) as caught:
        kind(port=port).start()
    assert caught.value.code == "port-in-use"


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_that_is_none_is_refused(kind: type[Devnet | OmniNode], tmp_path: Path) -> None:
    bad = tmp_path / "spec.json"
    bad.write_text("{}")
    with pytest.raises(DevnetError, match=r"no raw chain spec|Error parsing spec file"):
        kind(spec=bad).start()
    with pytest.raises(DevnetError, match="missing"):
        kind(spec=tmp_path / "none.json").start()


@pytest.mark.skipif(len(KINDS) == 1, reason="polkadot-omni-node is not here: make omni-node")
def test_both_nodes_make_the_same_genesis(tmp_path: Path) -> None:
    with Devnet(tmp_path / "embedded") as embedded, OmniNode(tmp_path / "real") as real:
        assert embedded.genesis == real.genesis


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_that_is_not_kept_has_a_genesis_of_its_own(
    kind: type[Devnet | OmniNode], tmp_path: Path
) -> None:
    with kind(tmp_path) as kept, kind() as first, kind() as second:
        assert len({kept.genesis, first.genesis, second.genesis}) == 3
        for chain in (kept, first, second):
            with chain.connect() as client:
                assert client.genesis == chain.genesis


def test_a_lock_of_a_process_id_that_lives_again_is_stale(tmp_path: Path) -> None:
    # as a chain that was killed leaves it in a container: the next one's processes have the same ids
    (tmp_path / "lock").write_text(str(os.getpid()))
    with Devnet(tmp_path) as chain:
        assert (tmp_path / "lock").read_text() == str(chain.pid)


def test_a_web_page_asks_only_from_an_allowed_origin() -> None:
    page = Origin("https://page.example")
    with Devnet(cors=[page]) as chain:
        connect(chain.url, origin=page).close()
        with pytest.raises(InvalidStatus, match="403"):
            connect(chain.url, origin=Origin("https://evil.example"))
    with pytest.raises(DevnetError, match="no origin"):
        Devnet(cors=["page.example"]).start()


@pytest.mark.parametrize("kind", KINDS)
def test_the_chain_ends_with_the_process_that_started_it(kind: type[Devnet | OmniNode]) -> None:
    code = (
        f"from proofward.devnet.chains import {kind.__name__}\n"
        "import sys, time\n"
        f"chain = {kind.__name__}().start()\n"
        "print(chain._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    chain = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 120
    while Path(f"/proc/{chain}").exists() and _state(chain) != "Z":
        assert time.monotonic() < deadline, "the chain outlived its owner"
        time.sleep(0.05)


def test_a_chain_that_stops_by_itself_is_an_error() -> None:
    chain = Devnet()
    with pytest.raises(DevnetError, match="stopped by itself"):
        serve(chain, lambda: os.killpg(chain.pid, signal.SIGKILL))
    assert not chain.running


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_blocks_and_time_move_on_demand() -> None:
    with Devnet(block_time_ms=600_000) as chain, chain.connect() as client:
        height = client.finalised_head().number
        chain.new_blocks(5)
        assert client.finalised_head().number == height + 5
        tomorrow = client.timestamp() + 86_400_000
        chain.travel(tomorrow)
        assert 0 <= client.timestamp() - tomorrow < 60_000


def test_blocks_on_demand_share_a_slot_and_keep_to_the_clock() -> None:
    """Development's genesis lets a slot have several blocks; each has the slot of its time."""
    with Devnet() as chain, chain.connect() as client:
        blocks = sorted({client.submit(remark(bytes([number])), ALICE).block for number in range(6)})
        slots = []
        for number in blocks:
            at = client.block_hash(number)
            (log,) = client.rpc("chain_getHeader", "0x" + at.hex()).logs
            assert log.startswith("0x066175726120"), "Aura's pre-runtime digest"
            slot = int.from_bytes(bytes.fromhex(log[-16:]), "little")
            assert slot == client.timestamp(at) // 1_000
            slots.append(slot)
        assert slots == sorted(slots)
        assert client.timestamp() <= time.time() * 1_000
        assert client.query("Session", "Validators") == [bytes(ALICE.public_key)]
        assert client.query("Consortium", "SettingsOf")["kind"] == "Development"
