"""A real network of four validators and one more node, where the node's program is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proofward.devnet.chains import find_binary
from proofward.network import control, namespaces
from proofward.network.errors import NetworkError
from proofward.network.state import Network, load

SPEC = os.environ.get("PROOFWARD_NETWORK_SPEC")
"""Another spec than that of the committed runtime."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if find_binary(control.BINARY) is None:
        pytest.skip("proofward-chain is neither on PATH nor in build/bin: `make node`")
    path = tmp_path_factory.mktemp("network") / "four"
    try:
        control.up(path, apart=namespaces.refusal() is None, spec=Path(SPEC) if SPEC else None)
    except NetworkError as error:
        if error.code == "genesis-refused":
            pytest.skip(f"the committed runtime makes no such network: {error.message}")
        if (path / "network.json").exists():
            control.down(load(path), delete=True)
        raise
    try:
        yield path
    finally:
        control.down(load(path), delete=True)


@pytest.fixture
def network(folder: Path) -> Iterator[Network]:
    """Whole before and after each test."""
    yield load(folder)
    control.heal(load(folder))
    control.up(folder)
    until(folder, lambda now: now.best - now.finalised <= 4)


def until(folder: Path, good: Callable[[control.Status], bool], seconds: float = 90.0) -> control.Status:
    """The network's state once it is good. Fails when it is not in time."""
    for now in control.looks(load(folder), seconds):
        if good(now):
            return now
    raise AssertionError(f"not so in {seconds:g} s: {control.describe(now)}")
