"""The examples do what their first line says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from proofward.evidence.bundle import save_bundle
from tests.evidence import GENESIS, Evidence

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_verify_offline(evidence: Evidence, tmp_path: Path) -> None:
    path = tmp_path / "job.bundle"
    save_bundle(evidence.bundle, path)
    command = [sys.executable, str(EXAMPLES / "verify_offline.py"), str(path)]
    measurement = evidence.bundle.worker.measurement.hex()
    pinned = subprocess.run(
        [*command, GENESIS.hex(), measurement], capture_output=True, text=True, check=False
    )
    assert pinned.stdout.splitlines()[-1] == "accepted (simulated, setup: dev)", pinned.stdout + pinned.stderr
    assert pinned.returncode == 0
    elsewhere = subprocess.run(
        [*command, "00" * 32, measurement], capture_output=True, text=True, check=False
    )
    assert elsewhere.returncode == 1
    assert elsewhere.stdout.splitlines()[-1].startswith("refused")
