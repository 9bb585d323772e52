"""docs/walkthrough.md and its four tutorials, pasted line by line; then the README's snippet."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: In the order in which the walk says to read them; its own last block comes after them.
TUTORIALS = ("publisher", "operator", "hospital", "auditor")


def blocks(page: str) -> list[str]:
    """What a page has to be pasted."""
    return re.findall(r"```bash\n(.*?)```", (DOCS / page).read_text(), re.S)


def snippet() -> str:
    """The README's, for the walk's model, its record, and the artefact that the hospital fetched."""
    found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert found is not None
    given = 'import numpy\nmodel, record = "wdbc", numpy.loadtxt("record.csv", delimiter=",", skiprows=1)\n'
    return given + found[1].replace("build/models/mlp/public", "public.proofward")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_the_walkthrough_works_when_pasted(tmp_path: Path) -> None:
    pytest.importorskip("skl2onnx")
    train, chain_block, end = blocks("walkthrough.md")
    tutorials = [blocks(f"tutorials/{name}.md") for name in TUTORIALS]
    assert [len(one) for one in tutorials] == [2, 2, 1, 2]
    whole = [train, chain_block, *(block for one in tutorials for block in one), "python3 readme.py\n", end]
    chain, http = _free_port(), _free_port()
    script = "set -emo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "".join(whole)
    script = script.replace("9944", str(chain)).replace("127.0.0.1:9615", f"127.0.0.1:{http}")
    # the one line that no page needs: another port for the worker's metrics, since this machine may run one
    script = script.replace(
        "proofward worker run", f"sed -i 's/^port = 9615/port = {http}/' worker.toml\nproofward worker run"
    )
    (tmp_path / "readme.py").write_text(snippet().replace("9944", str(chain)))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PROOFWARD": str(ROOT),
        "PROOFWARD_CHAIN": f"ws://127.0.0.1:{chain}",
        "PROOFWARD_STATE": str(tmp_path / "state"),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400
    )
    logs = "\n".join(path.read_text()[-2000:] for path in tmp_path.glob("*.log"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
    assert done.stdout.count("\naccepted (simulated, setup: dev)\n") == 3, "JOB, the bundle, the README's"
    assert len(re.findall(r"^record 0: \S+ ", done.stdout, re.M)) >= 2, "the hospital's, the README's"
    assert "consistent, not anchored" in done.stdout
    assert re.search(r"^0x[0-9a-f]{64}  accepted by .*, 1 UNIT paid$", done.stdout, re.M)
