"""The wheels, built once, and an environment for each kind of user."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.package.venvs import Venv, build_wheels, make_venv


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    scratch = tmp_path_factory.mktemp("wheels")
    return build_wheels(scratch / "sources", scratch / "out")


@pytest.fixture(scope="session")
def client(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """A client and auditor: the base dependencies alone."""
    return make_venv(tmp_path_factory.mktemp("client") / "venv", wheels, "proofward")


@pytest.fixture(scope="session")
def publisher(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """A model's owner: the extra `publish`."""
    folder = tmp_path_factory.mktemp("publisher")
    return make_venv(folder / "venv", wheels, "proofward", extras={"publish"})


@pytest.fixture(scope="session")
def everything(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """All of them but the demo, without an extra."""
    ours = [name for name in wheels if name != "proofward-demo"]
    return make_venv(tmp_path_factory.mktemp("everything") / "venv", wheels, *ours)


@pytest.fixture(scope="session")
def worker(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """An operator: daemon and enclave."""
    ours = ("proofward-node", "proofward-enclave", "proofward")
    return make_venv(tmp_path_factory.mktemp("worker") / "venv", wheels, *ours)
