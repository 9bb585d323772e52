"""A network namespace a node, on one bridge, so that nodes can be parted from each other and never from us.

A partition is a route in each namespace that makes the other side unreachable (ip-route(8)): packets of
connections that stand are lost as well, as behind a cable that was cut.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence

from proofward.network.errors import NetworkError
from proofward.network.state import Network


def refusal() -> str | None:
    """Why this account cannot part nodes on this machine; None when it can."""
    if shutil.which("ip") is None:
        return "the program `ip` is not installed (apt-get install iproute2)"
    if os.geteuid() != 0:
        return "network namespaces are for root"
    probe = f"pw{secrets.token_hex(3)}"
    try:
        _ip("netns", "add", probe)
    except NetworkError as error:
        return f"this machine does not allow network namespaces ({error.message})"
    _ip("netns", "del", probe)
    return None


def new_subnet() -> str:
    """First three numbers of a private /24 that nobody on this machine has."""
    taken = _ip("-o", "addr")
    while f" {(found := f'10.{96 + secrets.randbelow(32)}.{secrets.randbelow(256)}')}." in taken:
        pass
    return found


def namespace_of(network: Network, name: str) -> str:
    """The name of a node's namespace."""
    return f"{_tag(network)}-{name}"


def host_of(subnet: str, index: int) -> str:
    """The address of the node of this index; the bridge has the first one."""
    return f"{subnet}.{index + 2}"


def make(network: Network) -> None:
    """Bridge and namespaces, where they are not there yet. Raises NetworkError."""
    bridge = _tag(network)
    if not _there("link", bridge):
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{network.subnet}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
    for index, node in enumerate(network.nodes):
        space, outer, inner = namespace_of(network, node.name), f"{bridge}o{index}", f"{bridge}i{index}"
        if space in _ip("netns", "list").split():
            continue
        _ip("netns", "add", space)
        _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        _ip("link", "set", outer, "master", bridge, "up")
        _ip("link", "set", inner, "netns", space)
        _ip("-n", space, "addr", "add", f"{node.host}/24", "dev", inner)
        _ip("-n", space, "link", "set", inner, "up")
        _ip("-n", space, "link", "set", "lo", "up")


def remove(network: Network) -> None:
    """All of it, as far as it is there."""
    for index, node in enumerate(network.nodes):
        with contextlib.suppress(NetworkError):
            _ip("netns", "del", namespace_of(network, node.name))
        with contextlib.suppress(NetworkError):
            _ip("link", "del", f"{_tag(network)}o{index}")
    with contextlib.suppress(NetworkError):
        _ip("link", "del", _tag(network))


def part(network: Network, groups: Sequence[Sequence[str]]) -> None:
    """Let nodes reach those of their own group only."""
    for group in groups:
        for name in group:
            for other in (one for side in groups if side is not group for one in side):
                host = network.node(other).host
                _ip("-n", namespace_of(network, name), "route", "replace", "unreachable", f"{host}/32")


def heal(network: Network) -> None:
    """Let every node reach every other again."""
    for node in network.nodes:
        for other in network.nodes:
            with contextlib.suppress(NetworkError):
                space = namespace_of(network, node.name)
                _ip("-n", space, "route", "del", "unreachable", f"{other.host}/32")


def _tag(network: Network) -> str:
    """Names of interfaces are short (IFNAMSIZ), so a network's is made of its subnet."""
    assert network.subnet is not None
    return "pw" + "".join(f"{int(part):02x}" for part in network.subnet.split(".")[1:])


def _there(kind: str, name: str) -> bool:
    try:
        _ip(kind, "show", name)
    except NetworkError:
        return False
    return True


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkError(f"ip {' '.join(words)}: {done.stderr.strip()}", code="namespaces")
    return done.stdout
