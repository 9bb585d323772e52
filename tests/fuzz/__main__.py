"""Run the fuzzers, two at a time: `python -m tests.fuzz SECONDS [TARGET...]`. Exit code 1 for a finding.

For 0 seconds each runs its corpus and so many inputs from one seed, the same every time: the suite's part,
which says of a tree what it said of it before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
ELSEWHERE = {
    "table": ROOT / "tests" / "cases" / "tables",
    "program": ROOT / "prover" / "fuzz" / "corpus" / "program",
}
WORK = ROOT / "build" / "fuzz"
_STATS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+)", re.M)
_JOBS = 2
_INPUTS = 2_000
_SEED = 1
_MEMORY = Path("/dev/shm")


def run(target: str, seconds: int, scratch: str) -> tuple[str, bool]:
    """A line about a fuzzer's run in a process of its own, and whether it found nothing."""
    kept = WORK / f"python-{target}" if seconds else Path(scratch) / target
    kept.mkdir(parents=True, exist_ok=True)
    (WORK / "found").mkdir(parents=True, exist_ok=True)
    options = [
        *([f"-max_total_time={seconds}"] if seconds else [f"-runs={_INPUTS}", f"-seed={_SEED}"]),
        "-timeout=120",  # of wall-clock seconds, on a machine that may be busy
        "-rss_limit_mb=4096",
        "-max_len=16384",
        f"-artifact_prefix={WORK / 'found'}/{target}-",
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz.one",
            target,
            *options,
            str(kept),
            str(ELSEWHERE.get(target, CORPUS / target)),
        ],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": scratch, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    progress = _STATS.findall(said)
    if done.returncode or not progress:
        lines = [line for line in said.splitlines() if not line.startswith(("INFO", "#", "\tNEW"))]
        return "\n".join([f"fuzz {target}: broken; its bytes are in {WORK / 'found'}", *lines[-60:]]), False
    inputs, edges = progress[-1]
    return f"fuzz {target}: {inputs} inputs, {edges} edges", True


def main() -> int:
    """The exit code: 1 when a fuzzer found something."""
    seconds, names = int(sys.argv[1]), sys.argv[2:] or list(TARGETS)
    memory = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch, ThreadPoolExecutor(_JOBS) as pool:
        results = list(pool.map(lambda name: run(name, seconds, scratch), names))
    for line, _ in results:
        print(line)
    return 0 if all(passed for _, passed in results) else 1


if __name__ == "__main__":
    sys.exit(main())
