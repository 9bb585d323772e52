"""Many seeds: `python -m tests.simulation FIRST COUNT`. Prints the first failing seed, and exits 1."""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.simulation.run import run


def main() -> int:
    first, count = int(sys.argv[1]), int(sys.argv[2])
    faults, ended, bonds = Counter[str](), Counter[str](), Counter[str]()
    began = time.monotonic()
    for seed in range(first, first + count):
        report = run(seed)
        faults.update(kind for _, _, kind, _ in report.hits)
        ended.update(report.ended)
        bonds.update(report.bonds)
        if report.wrong:
            print(report)
            return 1
    seconds = time.monotonic() - began
    print(f"{count} seeds from {first}: {sum(faults.values())} faults, none of them harmful, {seconds:.0f} s")
    print("faults:", dict(sorted(faults.items())))
    print("jobs:", dict(ended), "bonds lost while down half a claim or more:", dict(bonds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
