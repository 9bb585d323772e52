"""What a network's folder holds: `network.json`, written before any process starts, and a folder a node.

```
network.json      which nodes, their addresses and processes
spec.json         the chain's spec, with the boot nodes
NAME/node.key     the node's network key, mode 0600
NAME/data/        its database and keystore
NAME/log          what it said
```
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from proofward.files import read_whole, write_whole
from proofward.network.errors import NetworkError
from proofward.protocol import strict_json

FORMAT: Final = "proofward/network/v1"
VALIDATORS: Final = ("alice", "bob", "charlie", "dave")
"""The validators of the `local` preset, whose keys are published."""
RPC: Final = "rpc"
"""The node that validates nothing, keeps every state, and answers clients."""
MAX_STATE: Final = 1 << 20
"""Bytes of `network.json`."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `pid` and `began` (clock ticks since the machine started, proc(5)) name its process, as far
    as it was started.
    """

    name: str
    validator: bool
    host: str
    p2p: int
    ws: int
    rpc: int
    prometheus: int
    peer: str
    pid: int | None = None
    began: int | None = None

    @property
    def url(self) -> str:
        """Address of its JSON-RPC."""
        return f"ws://{self.host}:{self.rpc}"

    @property
    def addresses(self) -> tuple[str, str]:
        """Where peers find it: by TCP, and by WebSocket, which browsers speak."""
        return (
            f"/ip4/{self.host}/tcp/{self.p2p}/p2p/{self.peer}",
            f"/ip4/{self.host}/tcp/{self.ws}/ws/p2p/{self.peer}",
        )


@dataclass(frozen=True, slots=True)
class Network:
    """All of it. `parted` holds the groups of a partition in force."""

    folder: Path
    binary: Path
    subnet: str | None
    nodes: tuple[Node, ...]
    parted: tuple[tuple[str, ...], ...] = ()

    @property
    def spec(self) -> Path:
        """The chain's spec."""
        return self.folder / "spec.json"

    def home(self, name: str) -> Path:
        """A node's folder."""
        return self.folder / name

    def node(self, name: str) -> Node:
        """A node by its name. Raises NetworkError."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise NetworkError(f"the network has no node {name!r}; it has {names}", code="no-such-node")

    def with_node(self, changed: Node) -> Network:
        """The same with this node as it is now."""
        nodes = tuple(changed if node.name == changed.name else node for node in self.nodes)
        return replace(self, nodes=nodes)

    def save(self) -> None:
        """Write it, whole or not at all."""
        value = {
            "format": FORMAT,
            "binary": str(self.binary),
            "subnet": self.subnet,
            "parted": self.parted,
            "nodes": [asdict(node) for node in self.nodes],
        }
        write_whole(self.folder / "network.json", json.dumps(value, indent=1).encode(), mode=0o666)


def load(folder: Path) -> Network:
    """The network of a folder. Raises NetworkError."""
    path = folder / "network.json"
    try:
        value = strict_json.loads(read_whole(path, MAX_STATE), limit=MAX_STATE)
        if value["format"] != FORMAT:
            raise ValueError(f"its format is {value['format']!r}")
        return Network(
            folder.resolve(),
            Path(value["binary"]),
            value["subnet"],
            tuple(Node(**node) for node in value["nodes"]),
            tuple(tuple(group) for group in value["parted"]),
        )
    except FileNotFoundError as error:
        raise NetworkError(
            f"there is no network in {folder}: `proofward network up --folder {folder}` makes one",
            code="no-network",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise NetworkError(f"{path} cannot be used: {error}; remove {folder} and begin anew") from error
