"""Bring a network up, look at it, break it, and take it down.

`up` may be said again at any time: it starts what does not run, with the addresses and keys that are written
down. Everything else is told to the processes and to nobody's memory: what runs is looked up each time.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from proofward.chain import ChainError, SubstrateClient
from proofward.chain.accounts import address
from proofward.devnet.chains import find_binary, free_port
from proofward.files import write_new, write_whole
from proofward.light.spec import load as load_spec
from proofward.network import namespaces, process
from proofward.network.errors import NetworkError
from proofward.network.spec import local
from proofward.network.state import RPC, VALIDATORS, Network, Node, load

BINARY: Final = "proofward-chain"
P2P, WS, RPC_PORT, PROMETHEUS = 30333, 30334, 9944, 9615
"""Ports of a node that has a namespace, and with it an address, of its own."""
START_SECONDS: Final = 180.0
FINAL_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 1.0
VOTES_SECONDS: Final = 180.0
"""Longer than the two minutes after which a node of GRANDPA says its round again, unasked."""
ROUNDS_BEHIND: Final = 2
"""So many rounds behind the newest a validator asks for what it missed (GRANDPA's catch-up threshold)."""
AUTHORS: Final = 8
"""Blocks whose authors are shown."""
_PEER: Final = re.compile(r"^12D3Koo[1-9A-HJ-NP-Za-km-z]{40,64}$")


@dataclass(frozen=True, slots=True)
class Seen:
    """One node as it is now; None for what a node that does not run, or does not answer, cannot tell.
    `resident` is in bytes. `round` is GRANDPA's set of authorities and round that a validator is in, and
    `votes` whether that is one of the newest that any validator is in: one that came back votes only when
    another has handed it what it missed.
    """

    name: str
    running: bool
    validator: bool
    url: str
    best: int | None = None
    finalised: int | None = None
    peers: int | None = None
    resident: int | None = None
    round: tuple[int, int] | None = None
    votes: bool | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A network as it is now. `authors` are of the newest blocks, oldest first."""

    nodes: tuple[Seen, ...]
    authors: tuple[str, ...]
    genesis: str | None
    parted: tuple[tuple[str, ...], ...]

    @property
    def best(self) -> int:
        """The highest block that any node knows."""
        return max((node.best for node in self.nodes if node.best is not None), default=0)

    @property
    def finalised(self) -> int:
        """The highest finalised block that any node knows."""
        return max((node.finalised for node in self.nodes if node.finalised is not None), default=0)


def binary(given: Path | None = None) -> Path:
    """The node's program. Raises NetworkError."""
    found = given or find_binary(BINARY)
    if found is None or not os.access(found, os.X_OK):
        where = (
            f"{given} is not there, or no program"
            if given
            else f"{BINARY} is neither on PATH nor in build/bin"
        )
        raise NetworkError(f"{where}: `make node` builds it, or give --binary", code="node-missing")
    return found.resolve()


def up(
    folder: Path,
    *,
    program: Path | None = None,
    spec: Path | None = None,
    validators: int = len(VALIDATORS),
    apart: bool = False,
    ports: int | None = None,
    wait_final: bool = True,
    tell: Callable[[str], None] = lambda line: None,
) -> Network:
    """Bring the network of a folder up, as it was or new, and wait until it finalises.

    Args:
        program: the node; default on PATH or in build/bin.
        spec: another raw spec; default of the committed runtime with published keys.
        validators: how many, of `VALIDATORS` in their order; one RPC node is besides.
        apart: a network namespace a node, so that nodes can be parted (root).
        ports: the first of the ports; default free ones.
        wait_final: whether to wait until a block is final; fewer than three of four finalise none.
        tell: told of each step.

    Raises NetworkError.
    """
    found = binary(program)
    if (folder / "network.json").exists():
        network = replace(load(folder), binary=found)
        tell(f"network of {folder}: {len(network.nodes)} nodes are written down")
    else:
        network = _new(folder, found, spec=spec, validators=validators, apart=apart, ports=ports)
        tell(f"{folder}: spec, keys and addresses of {len(network.nodes)} nodes")
    if network.subnet is not None:
        namespaces.make(network)
    network.save()
    for node in network.nodes:
        if process.running(node):
            tell(f"{node.name:8} runs already, process {node.pid}")
        else:
            network = process.start(network, node)
            tell(f"{node.name:8} started, process {network.node(node.name).pid}, RPC at {node.url}")
    _serving(network)
    if wait_final:
        _finalising(network, tell)
    return network


def start(network: Network, name: str, *, fresh: bool = False) -> Network:
    """Start a node; `fresh` deletes its database first, so that it comes back by warp sync."""
    node = network.node(name)
    if process.running(node):
        raise NetworkError(f"{name} runs already, process {node.pid}", code="runs-already")
    if fresh:
        for chain in (network.home(name) / "data" / "chains").glob("*"):
            for part in ("db", "paritydb"):
                shutil.rmtree(chain / part, ignore_errors=True)
    return process.start(network, node, warp=fresh and node.validator)


def kill(network: Network, name: str) -> None:
    """SIGKILL a node. Raises NetworkError when it does not run."""
    if not process.kill(network.node(name)):
        raise NetworkError(f"{name} does not run", code="not-running")


def down(network: Network, *, delete: bool = False) -> None:
    """End all nodes; `delete` removes the folder as well."""
    process.stop(network, network.nodes)
    if network.subnet is not None:
        namespaces.remove(network)
    if delete:
        shutil.rmtree(network.folder)
    else:
        replace(network, parted=()).save()


def partition(network: Network, text: str) -> Network:
    """Part the nodes into groups, such as `alice,bob | charlie,dave`; who is not named stays with nobody.
    Raises NetworkError, also where this machine does not allow it.
    """
    groups = [[name.strip() for name in side.split(",") if name.strip()] for side in text.split("|")]
    named = [name for group in groups for name in group]
    if len(groups) < 2 or not all(groups) or len(set(named)) < len(named):
        raise NetworkError(
            f"{text!r} is no partition: name each node once, as in 'alice,bob | charlie,dave'", code="usage"
        )
    for name in named:
        network.node(name)
    if network.subnet is None:
        reason = namespaces.refusal()
        remedy = (
            "take it down and up again with --apart"
            if reason is None
            else f"which is not possible here: {reason}"
        )
        raise NetworkError(
            "these nodes share one network, and can only be parted when each has a namespace of its own, "
            f"{remedy}",
            code="cannot-part",
        )
    groups += [[node.name] for node in network.nodes if node.name not in named]
    namespaces.heal(network)
    namespaces.part(network, groups)
    changed = replace(network, parted=tuple(map(tuple, groups)))
    changed.save()
    return changed


def heal(network: Network) -> Network:
    """End a partition."""
    if network.subnet is not None:
        namespaces.heal(network)
    changed = replace(network, parted=())
    changed.save()
    return changed


def status(network: Network) -> Status:
    """Ask every node how it is."""
    seen: list[Seen] = []
    authors: tuple[str, ...] = ()
    genesis: str | None = None
    for node in network.nodes:
        one = Seen(
            node.name, process.running(node), node.validator, node.url, resident=process.resident(node)
        )
        if one.running:
            try:
                with SubstrateClient.connect(node.url, patience=1.0) as client:
                    one = replace(
                        one,
                        best=client.best_number(),
                        finalised=client.finalised_head().number,
                        peers=int(client.rpc("system_health")["peers"]),
                        round=_round(client) if node.validator else None,
                    )
                    genesis = "0x" + client.genesis.hex()
                    if not authors:
                        authors = tuple(_authors(client))
            except (ChainError, OSError, KeyError, TypeError):
                pass  # what is not answered is shown as unknown
        seen.append(one)
    return Status(tuple(_voting(seen)), authors, genesis, network.parted)


def wait_votes(
    network: Network,
    name: str,
    seconds: float = VOTES_SECONDS,
    tell: Callable[[str], None] = lambda line: None,
) -> float:
    """Wait until a validator votes, and return the seconds that it took. Take no other down before: the
    others need its vote then, and tell it their round, once they stand, every two minutes only.
    Raises NetworkError.
    """
    if not network.node(name).validator:
        raise NetworkError(f"{name} is no validator: it never votes", code="usage")
    began, last = time.monotonic(), ""
    while True:
        now = status(load(network.folder))
        one = next(node for node in now.nodes if node.name == name)
        if one.votes:
            return time.monotonic() - began
        if not one.running:
            raise NetworkError(
                f"{name} ended: {process.last_words(network, network.node(name))}", code="node-failed"
            )
        newest = max((node.round for node in now.nodes if node.round), default=None)
        line = f"{name}: block {one.best}, round {shown(one.round)}; the newest round is {shown(newest)}"
        if time.monotonic() - began > seconds:
            raise NetworkError(f"{name} did not vote within {seconds:g} s ({line})", code="not-voting")
        if line != last:
            tell(line)
            last = line
        time.sleep(LOOK_SECONDS)


def shown(at: tuple[int, int] | None) -> str:
    """A round of GRANDPA as SET/ROUND."""
    return "-" if at is None else f"{at[0]}/{at[1]}"


def looks(network: Network, seconds: float, every: float = LOOK_SECONDS) -> Iterator[Status]:
    """How the network is, again and again, for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield status(load(network.folder))
        time.sleep(every)


def _authors(client: SubstrateClient) -> Iterator[str]:
    """Names of the authors of the newest blocks: Aura's slot says whose turn it was."""
    answer = client.runtime_call("AuraApi", "authorities")
    keys = [answer[at : at + 32] for at in range(1, len(answer), 32)]
    names = {address(f"//{name.capitalize()}"): name for name in VALIDATORS}
    best = client.best_number()
    for number in range(max(1, best - AUTHORS + 1), best + 1):
        slot = _slot(client.header(client.block_hash(number)).logs)
        if slot is not None and keys:
            key = keys[slot % len(keys)]
            yield names.get(key, f"0x{key.hex()[:8]}…")


def _round(client: SubstrateClient) -> tuple[int, int] | None:
    """Where a validator's voter is; None while it has none, as before the end of a warp sync."""
    try:
        state = client.rpc("grandpa_roundState")
        return int(state["setId"]), int(state["best"]["round"])
    except (ChainError, KeyError, TypeError, ValueError):
        return None


def _voting(seen: Sequence[Seen]) -> Iterator[Seen]:
    """The nodes, each validator told whether its round is one of the newest."""
    newest = max((node.round for node in seen if node.round is not None), default=None)
    for node in seen:
        if not node.validator or node.best is None or newest is None:
            yield node
        else:
            at = node.round
            yield replace(
                node, votes=at is not None and at[0] == newest[0] and newest[1] - at[1] <= ROUNDS_BEHIND
            )


def _slot(logs: Sequence[str]) -> int | None:
    """Of Aura's pre-runtime digest: 6, the engine's name, the length, the slot."""
    for log in logs:
        data = bytes.fromhex(log[2:])
        if data[:5] == b"\x06aura" and len(data) == 14:
            return int.from_bytes(data[6:], "little")
    return None


def _new(
    folder: Path, program: Path, *, spec: Path | None, validators: int, apart: bool, ports: int | None
) -> Network:
    if not 1 <= validators <= len(VALIDATORS):
        raise NetworkError(f"--validators is 1 to {len(VALIDATORS)}, not {validators}", code="usage")
    if apart and (reason := namespaces.refusal()) is not None:
        raise NetworkError(f"--apart is not possible: {reason}", code="cannot-part")
    if folder.exists() and any(folder.iterdir()):
        raise NetworkError(
            f"{folder} holds something else than a network; give another --folder", code="folder-used"
        )
    value = local() if spec is None else load_spec(spec)
    names = [*VALIDATORS[:validators], RPC]
    subnet = namespaces.new_subnet() if apart else None
    nodes = []
    for index, name in enumerate(names):
        home = folder / name
        home.mkdir(parents=True, exist_ok=True)
        peer = _new_key(program, home / "node.key")
        if subnet is not None:
            numbers, host = (P2P, WS, RPC_PORT, PROMETHEUS), namespaces.host_of(subnet, index)
        else:
            first = None if ports is None else ports + 4 * index
            at = [free_port() if first is None else first + offset for offset in range(4)]
            numbers, host = (at[0], at[1], at[2], at[3]), "127.0.0.1"
        p2p, ws, rpc, metrics = numbers
        nodes.append(Node(name, name != RPC, host, p2p, ws, rpc, metrics, peer))
    network = Network(folder.resolve(), program, subnet, tuple(nodes))
    addresses = [one for node in nodes for one in node.addresses]
    write_whole(network.spec, json.dumps({**value, "bootNodes": addresses}).encode(), mode=0o666)
    return network


def _new_key(program: Path, path: Path) -> str:
    """A node's network key, and the peer that it is."""
    write_new(path, secrets.token_hex(32).encode())
    done = subprocess.run(
        [program, "key", "inspect-node-key", "--file", path], capture_output=True, text=True, check=False
    )
    peer = done.stdout.strip()
    if done.returncode or not _PEER.match(peer):
        raise NetworkError(f"{program} is not the chain's node: {(done.stderr or peer).strip()[:300]}")
    return peer


def _serving(network: Network) -> None:
    """Wait until every node answers."""
    deadline = time.monotonic() + START_SECONDS
    for node in network.nodes:
        while True:
            if not process.running(node):
                raise NetworkError(
                    f"{node.name} ended: {process.last_words(network, node)}", code="node-failed"
                )
            with ExitStack() as opened:
                try:
                    opened.enter_context(SubstrateClient.connect(node.url, patience=0.5))
                    break
                except (ChainError, OSError) as error:
                    if time.monotonic() > deadline:
                        raise NetworkError(
                            f"{node.name} does not answer at {node.url}: {error}", code="node-failed"
                        ) from error
            time.sleep(LOOK_SECONDS)


def _finalising(network: Network, tell: Callable[[str], None]) -> None:
    """Wait until something is final, a line a look."""
    deadline = time.monotonic() + FINAL_SECONDS
    last: Any = None
    while True:
        now = status(network)
        if (line := describe(now)) != last:
            tell(line)
            last = line
        if now.finalised > 0:
            return
        if time.monotonic() > deadline:
            raise NetworkError(
                f"nothing was finalised in {FINAL_SECONDS:g} s ({line}): three of four validators must reach "
                f"each other; see the logs in {network.folder}",
                code="not-finalising",
            )
        time.sleep(LOOK_SECONDS)


def describe(now: Status) -> str:
    """A network in one line."""
    alive = sum(node.running for node in now.nodes)
    peers = "/".join("-" if node.peers is None else str(node.peers) for node in now.nodes)
    return (
        f"block {now.best}, finalised {now.finalised}, {now.best - now.finalised} behind; {alive} of "
        f"{len(now.nodes)} run; peers {peers}; authors {' '.join(now.authors) or '-'}"
    )
