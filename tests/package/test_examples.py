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


def test_every_example_is_run_by_a_test() -> None:
    """Here, in the wheels' scenario, on a chain, or by the walkthrough, which a test pastes."""
    root = EXAMPLES.parent
    texts = [path.read_text() for path in (root / "tests").rglob("test_*.py")]
    run = "".join([*texts, (root / "docs" / "walkthrough.md").read_text()])
    examples = {path.name for path in EXAMPLES.glob("*.py")}
    assert {"dapp.py", "hospital.py", "publish.py", "verify_offline.py"} <= examples
    assert not [name for name in examples if f'/ "{name}"' not in run and f"examples/{name}" not in run]
