"""`proofward network`: a chain of several validators on this machine, and specs of chains on several."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proofward.cli.amounts import finite
from proofward.cli.output import DEFAULT_CHAIN, ChainOption, JsonOption, emit, note, reporting
from proofward.files import write_new, write_whole

if TYPE_CHECKING:
    from proofward.network.control import Status

app = typer.Typer(no_args_is_help=True, help="Several validators on this machine, and specs of their chains.")

FolderOption = Annotated[Path, typer.Option(help="The network's folder: spec, keys, databases, logs.")]
DEFAULT_FOLDER = Path("build/network")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A node: alice to dave, or rpc.")]
BinaryOption = Annotated[
    Path | None, typer.Option(help="The node, proofward-chain; default on PATH or in build/bin.")
]


def _value(now: Status) -> dict[str, Any]:
    return {
        "best": now.best,
        "finalised": now.finalised,
        "lag": now.best - now.finalised,
        "genesis": now.genesis,
        "authors": list(now.authors),
        "parted": [list(group) for group in now.parted],
        "nodes": [asdict(node) for node in now.nodes],
    }


def _lines(now: Status) -> list[str]:
    from proofward.network.control import describe, shown

    lines = [
        f"{'node':8} {'block':>8} {'final':>8} {'peers':>5} {'MB':>5} {'round':>8} {'votes':>5}  address"
    ]
    for node in now.nodes:
        if not node.running:
            lines.append(f"{node.name:8} {'does not run':>44}  {node.url}")
            continue
        best, final, peers = ("?" if one is None else one for one in (node.best, node.finalised, node.peers))
        memory = "?" if node.resident is None else node.resident // 10**6
        votes = {None: "-", True: "yes", False: "no"}[node.votes]
        grandpa = f"{shown(node.round):>8} {votes:>5}"
        lines.append(f"{node.name:8} {best:>8} {final:>8} {peers:>5} {memory:>5} {grandpa}  {node.url}")
    if now.parted:
        lines.append("parted   " + " | ".join(",".join(group) for group in now.parted))
    return [*lines, describe(now)]


@app.command()
def up(
    validators: Annotated[int, typer.Option(help="How many of alice, bob, charlie and dave.")] = 4,
    folder: FolderOption = DEFAULT_FOLDER,
    spec: Annotated[
        Path | None, typer.Option(help="Another raw spec, with the validators' published keys.")
    ] = None,
    binary: BinaryOption = None,
    apart: Annotated[
        bool, typer.Option("--apart", help="A network namespace a node, so that they can be parted (root).")
    ] = False,
    ports: Annotated[
        int | None,
        typer.Option(min=1024, max=65000, help="First port, four a node: p2p, WebSocket, RPC, metrics."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start validators and one RPC node in the background, and wait until they finalise. Said again, it
    starts what does not run.

    Example: proofward network up --validators 4 --folder build/network
    """
    from proofward.network import control

    with reporting(as_json):
        network = control.up(
            folder,
            program=binary,
            spec=spec,
            validators=validators,
            apart=apart,
            ports=ports,
            tell=lambda line: note(as_json, line),
        )
        now = control.status(network)
        emit(as_json, _value(now) | {"spec": str(network.spec)}, [*_lines(now), f"spec     {network.spec}"])


@app.command()
def status(
    folder: FolderOption = DEFAULT_FOLDER,
    follow: Annotated[
        float | None, typer.Option(min=0.5, callback=finite, help="Again, every so many seconds.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How each node is: block, finalised block, peers, memory, GRANDPA's set and round, whether it votes in
    it; and who made the newest blocks.

    Example: proofward network status --follow 2
    """
    from proofward.network import control
    from proofward.network.state import load

    with reporting(as_json, serves=follow is not None):
        while True:
            now = control.status(load(folder))
            emit(as_json, _value(now), _lines(now) if follow is None else [control.describe(now)])
            if follow is None:
                break
            time.sleep(follow)


@app.command()
def down(
    folder: FolderOption = DEFAULT_FOLDER,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the folder as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """End all nodes; databases and keys stay unless --delete is given.

    Example: proofward network down --delete
    """
    from proofward.network import control
    from proofward.network.state import load

    with reporting(as_json):
        control.down(load(folder), delete=delete)
        emit(as_json, {"down": str(folder), "deleted": delete}, [f"the network of {folder} is down"])


@app.command()
def kill(name: NameArgument, folder: FolderOption = DEFAULT_FOLDER, as_json: JsonOption = False) -> None:
    """End a node by SIGKILL, as a crash would.

    Example: proofward network kill dave
    """
    from proofward.network import control
    from proofward.network.state import load

    with reporting(as_json):
        control.kill(load(folder), name)
        emit(as_json, {"killed": name}, [f"{name} was killed"])


@app.command()
def start(
    name: NameArgument,
    folder: FolderOption = DEFAULT_FOLDER,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete its database first: it comes back by warp sync.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it votes: take no other down before.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a node that does not run.

    Example: proofward network start dave --fresh --wait
    """
    from proofward.network import control
    from proofward.network.state import load

    with reporting(as_json):
        network = control.start(load(folder), name, fresh=fresh)
        node = network.node(name)
        value: dict[str, Any] = {"started": name, "pid": node.pid}
        line = f"{name} started, process {node.pid}"
        if wait:
            note(as_json, line)
            seconds = control.wait_votes(network, name, tell=lambda text: note(as_json, text))
            value["votes_after_seconds"], line = round(seconds, 1), f"{name} votes after {seconds:.0f} s"
        emit(as_json, value, [line])


@app.command()
def partition(
    groups: Annotated[str, typer.Argument(help="Groups of nodes, such as 'alice,bob | charlie,dave'.")],
    folder: FolderOption = DEFAULT_FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Cut nodes off from those of other groups. The network must be up with --apart.

    Example: proofward network partition 'alice,bob | charlie,dave'
    """
    from proofward.network import control
    from proofward.network.state import load

    with reporting(as_json):
        parted = control.partition(load(folder), groups).parted
        text = " | ".join(",".join(group) for group in parted)
        emit(as_json, {"parted": [list(group) for group in parted]}, [f"parted: {text}"])


@app.command()
def heal(folder: FolderOption = DEFAULT_FOLDER, as_json: JsonOption = False) -> None:
    """End a partition.

    Example: proofward network heal
    """
    from proofward.network import control
    from proofward.network.state import load

    with reporting(as_json):
        control.heal(load(folder))
        emit(as_json, {"parted": []}, ["every node reaches every other"])


@app.command()
def spec(
    members: Annotated[Path, typer.Argument(metavar="MEMBERS", help="JSON of the members; docs/network.md.")],
    out: Annotated[Path, typer.Option(help="Where the raw spec is written.")] = Path("spec.json"),
    as_json: JsonOption = False,
) -> None:
    """Make the raw spec of a consortium's chain from its members and their keys.

    Example: proofward network spec members.json --out spec.json
    """
    from proofward.network.errors import NetworkError
    from proofward.network.spec import consortium, read_members

    with reporting(as_json):
        read = read_members(members)
        if out.exists():
            raise NetworkError(f"{out} exists already and is not replaced; give another --out", code="exists")
        write_new(out, f"{json.dumps(consortium(read), indent=1)}\n".encode(), mode=0o666)
        emit(
            as_json,
            {"spec": str(out), "members": len(read.members)},
            [f"{out}: the chain of {len(read.members)} members; each needs the same file, byte for byte"],
        )


@app.command()
def checkpoint(
    source: Annotated[Path, typer.Argument(metavar="SPEC", help="The chain's raw spec.")],
    out: Annotated[Path, typer.Option(help="Where the spec with the checkpoint is written.")],
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Write the finalised head of your own node into a spec, for readers by --light and --spec: they refuse
    any chain without that block, and evidence that those did not finalise who did so from it on.

    Example: proofward network checkpoint spec.json --out spec-light.json --chain ws://127.0.0.1:9944
    """
    from proofward.chain import SubstrateClient
    from proofward.client.inclusion import checkpoint as point_of
    from proofward.light.spec import load, with_checkpoint

    with reporting(as_json):
        value = load(source)
        with SubstrateClient.connect(chain) as client:
            point = point_of(client)
        write_whole(out, f"{json.dumps(with_checkpoint(value, point))}\n".encode(), mode=0o666)
        emit(
            as_json,
            {"spec": str(out), **point.value()},
            [f"{out}: checkpoint at block {point.number}, 0x{point.hash.hex()}"],
        )
