"""One measurement in a process of its own, so that its memory is the prover's alone: `python -m bench.child
ARTIFACT`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path


def measure(artifact: Path) -> dict[str, float]:
    """Peak resident memory (MB) of a worker that loads the artifact and proves three times."""
    from proofward.zkml import load_artifact

    model = load_artifact(artifact)
    low, high = model.manifest.input.quantiser.bounds()
    values = ((low + high) // 2)[None, :].repeat(model.manifest.batch, axis=0)
    for _ in range(3):
        model.prove(values, os.urandom(32), os.urandom(32))
    # Not getrusage: its maximum survives exec, and so counts the parent that this process was forked from.
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return {"prover_rss_mb": int(peak.split()[1]) / 1024}


def set_up(artifact: Path) -> dict[str, float]:
    """Seconds of a key setup for the artifact's circuit."""
    import proofward_prover as prover

    from proofward.zkml import load_artifact

    batch = load_artifact(artifact).manifest.batch
    circuit = prover.Circuit((artifact / "private" / "program.bin").read_bytes(), batch)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        prover.setup(circuit, Path(folder) / "pk.bin")
        return {"setup_s": time.perf_counter() - started}


if __name__ == "__main__":
    print(json.dumps({"measure": measure, "setup": set_up}[sys.argv[1]](Path(sys.argv[2]))))
