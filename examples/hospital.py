"""A hospital: have a record diagnosed by somebody else's model, and check the answer.

Usage: hospital.py ws://127.0.0.1:9944 MODEL record.csv mlp.proofward/public

The record is one row of numbers in the model's own units; MODEL a name or an id. A development chain.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from proofward import Client


def main(chain: str, model: str, record: str, artifact: str) -> int:
    """Submit the record, wait, print the answer and a line a check; end with 0 when all of it holds."""
    row = np.loadtxt(Path(record), delimiter=",", ndmin=2)
    with Client(
        chain, signer="//Alice", development=True
    ) as client:  # a real chain: a key file, no development
        job = client.submit(model, row, artifact=artifact)
        print(f"job {job}: sealed to {len(job.recipients)} workers")
        print(f"the chain says: {client.wait(job).state}")
        print(client.open(job))  # raises OutputMismatch if it does not open the proven commitment
        verdict = client.verify(job)
        print(verdict)
    return 0 if verdict.accepted else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
