"""An auditor's machine: verify a bundle without a chain.

Usage: verify_offline.py job.bundle GENESIS MEASUREMENT
"""

from __future__ import annotations

import sys
from pathlib import Path

from proofward import Policy, load_bundle, verify_bundle


def main(bundle: str, genesis: str, measurement: str) -> int:
    """Pin the chain and the enclave's software, print a line a check, and end with 0 when all of it holds."""
    policy = Policy.for_development(  # a real chain: Policy(...)
        genesis=bytes.fromhex(genesis.removeprefix("0x")),
        measurements=frozenset({bytes.fromhex(measurement.removeprefix("0x"))}),
    )
    verdict = verify_bundle(load_bundle(Path(bundle)), policy)
    print(verdict)
    return 0 if verdict.accepted else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
