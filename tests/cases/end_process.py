"""One circuit of `to_the_end.py` set up, or proved and verified, in a process that loads the prover alone:
`python -m tests.cases.end_process setup|prove FILES`, whose names begin with FILES. Prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import proofward_prover as prover


def _set_up(model: Path) -> dict[str, float]:
    circuit = prover.Circuit(model.with_suffix(".program").read_bytes(), 1)
    started = time.perf_counter()
    key, _ = prover.setup(circuit, model.with_suffix(".pk"))
    seconds = time.perf_counter() - started
    model.with_suffix(".vk").write_bytes(key)
    return {"seconds": seconds, "megabytes": _peak(), "key_bytes": model.with_suffix(".pk").stat().st_size}


def _prove(model: Path) -> dict[str, float]:
    circuit = prover.Circuit(model.with_suffix(".program").read_bytes(), 1)
    key = prover.ProvingKey.load(model.with_suffix(".pk"), circuit)
    values = [int(value) for value in model.with_suffix(".values").read_text().split()]
    started, worked = time.perf_counter(), time.process_time()
    made = prover.prove(key, circuit, values, os.urandom(32), os.urandom(32))
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    claim = (made.input_commitment, made.output_commitment, made.proof)
    started = time.perf_counter()
    if not prover.verify(model.with_suffix(".vk").read_bytes(), *claim):
        raise SystemExit("the proof does not verify")
    verified = time.perf_counter() - started
    return {
        "seconds": seconds,
        "processor_seconds": processor,
        "verify_ms": 1e3 * verified,
        "megabytes": _peak(),
    }


def _peak() -> float:
    """This process's peak of resident memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps({"setup": _set_up, "prove": _prove}[sys.argv[1]](Path(sys.argv[2]))))
