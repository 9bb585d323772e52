"""A node's process: started, looked for, ended; never one that is not ours."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from proofward.network.errors import NetworkError
from proofward.network.namespaces import namespace_of
from proofward.network.state import Network, Node

STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.1
_TICKS_FIELD: Final = 19
"""Of /proc/PID/stat behind the name: when the process began (proc(5), field 22)."""


def _began(pid: int) -> int | None:
    """When the process began, in clock ticks; None when there is none, or a dead one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[_TICKS_FIELD])


def running(node: Node) -> bool:
    """Whether this very process runs: a number that the kernel gave to another one since does not count."""
    return node.pid is not None and node.began is not None and _began(node.pid) == node.began


def resident(node: Node) -> int | None:
    """Bytes of memory that its process holds; None when it does not run."""
    if not running(node):
        return None
    with contextlib.suppress(OSError, IndexError, ValueError):
        pages = int(Path(f"/proc/{node.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None


def command(network: Network, node: Node, *, warp: bool = False) -> list[str]:
    """How the node is started. Only a node that keeps every state cannot come by warp sync."""
    home = network.home(node.name)
    words = [
        str(network.binary),
        *("--chain", str(network.spec)),
        *("--base-path", str(home / "data")),
        *("--node-key-file", str(home / "node.key")),
        *("--name", node.name),
        *("--listen-addr", f"/ip4/{node.host}/tcp/{node.p2p}"),
        *("--listen-addr", f"/ip4/{node.host}/tcp/{node.ws}/ws"),
        *("--rpc-port", str(node.rpc)),
        *("--rpc-max-request-size", "32"),
        *("--prometheus-port", str(node.prometheus)),
        "--no-telemetry",
        "--no-mdns",
        "--allow-private-ip",
    ]
    if network.subnet is not None:  # alone in its namespace: whoever reaches the bridge is this machine
        words += [
            "--unsafe-rpc-external",
            "--rpc-methods",
            "unsafe",
            "--rpc-cors",
            "all",
            "--prometheus-external",
        ]
    if node.validator:
        words += [f"--{node.name}", "--validator"]
    else:
        words += ["--state-pruning", "archive", "--blocks-pruning", "archive"]
    return [*words, *(("--sync", "warp") if warp else ())]


def start(network: Network, node: Node, *, warp: bool = False) -> Network:
    """Start a node that does not run; the network with its process in it, saved."""
    if running(node):
        return network
    words = command(network, node, warp=warp)
    if network.subnet is not None:
        words = ["ip", "netns", "exec", namespace_of(network, node.name), *words]
    with (network.home(node.name) / "log").open("ab") as log:
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            raise NetworkError(f"{network.binary} cannot be started: {error.strerror}") from error
    changed = network.with_node(replace(node, pid=process.pid, began=_began(process.pid)))
    changed.save()
    return changed


def stop(network: Network, nodes: tuple[Node, ...]) -> None:
    """End nodes in peace, and those that do not listen by force."""
    for node in nodes:
        if running(node):
            os.kill(node.pid or 0, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for node in nodes:
        while running(node) and time.monotonic() < deadline:
            _reap(node)
            time.sleep(_LOOK_SECONDS)
        kill(node)


def kill(node: Node) -> bool:
    """SIGKILL; False when it did not run."""
    if not running(node):
        return False
    os.kill(node.pid or 0, signal.SIGKILL)
    while running(node):
        _reap(node)
        time.sleep(_LOOK_SECONDS)
    return True


def last_words(network: Network, node: Node) -> str:
    """The end of a node's log."""
    try:
        lines = (network.home(node.name) / "log").read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    return " ".join(line.strip() for line in lines[-3:]) or "an empty log"


def _reap(node: Node) -> None:
    """Where it is this process's child, it is dead only once it was waited for."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(node.pid or 0, os.WNOHANG)
