"""The files for real machines: what systemd says of the unit, and that unit and container start one node."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from proofward.devnet.chains import find_binary
from proofward.network.control import BINARY

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "proofward-chain.service"
#: A container's own network is not the machine's: what listens inside is published to the loopback only.
CONTAINER_ONLY = {"--rpc-external", "--prometheus-external"}


def options(path: Path) -> set[str]:
    begins = "ExecStart=" if path == UNIT else "command:"
    command = path.read_text().partition(begins)[2].partition("Restart=")[0].partition("volumes:\n  data")[0]
    return set(re.findall(r"(?<![\w-])--[a-z0-9-]+", command)) | {"--chain"}


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/proofward-chain", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_unit_and_container_start_the_same_node() -> None:
    unit, container = options(UNIT), options(DEPLOY / "compose.yaml")
    assert container - unit == CONTAINER_ONLY
    assert unit - container == set()
    ports = re.findall(r'^ +- "([\d.:]+)"', (DEPLOY / "compose.yaml").read_text(), re.MULTILINE)
    assert ports == ["30333:30333", "30334:30334", "127.0.0.1:9944:9944", "127.0.0.1:9615:9615"]


def test_the_node_knows_each_option() -> None:
    program = find_binary(BINARY)
    if program is None:
        pytest.skip("proofward-chain is neither on PATH nor in build/bin: `make node`")
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"--[a-z0-9-]+", told))
    role = set(re.findall(r"--[a-z0-9-]+", (DEPLOY / "chain.env").read_text()))
    assert options(UNIT) | options(DEPLOY / "compose.yaml") | role <= known


def test_what_joins_a_chain_can_warp_and_nothing_unsafe_is_served_unless_said() -> None:
    """A place for `--sync warp` where the runbook sends its reader, with the same defaults in both files."""
    unit, container = UNIT.read_text(), (DEPLOY / "compose.yaml").read_text()
    for option, setting, default in (("sync", "SYNC", "full"), ("rpc-methods", "RPC_METHODS", "safe")):
        assert f"--{option} ${{{setting}}}" in unit
        assert f"{setting}={default}" in unit.partition("EnvironmentFile=")[0]
        assert f"--{option} ${{{setting}:-{default}}}" in container
        assert f"\n{setting}={default}\n" in (DEPLOY / "chain.env").read_text()
    assert "SYNC=warp" in (DEPLOY.parent / "docs" / "runbook.md").read_text()
