"""A model's owner: compile an ONNX model and publish it.

Usage: publish.py ws://127.0.0.1:9944 mlp.onnx train.csv [binary|multiclass|regression|...]

The calibration table has representative records, one a row. A development chain; a real one takes a key file
instead of //Alice, and keys by a ceremony (docs/ceremony.md).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from proofward.amounts import UNIT
from proofward.chain.pallets.models import Terms
from proofward.publisher.build import artifact
from proofward.publisher.publish import publish_at
from proofward.zkml import CompileOptions

if TYPE_CHECKING:
    from proofward.zkml.manifest import Task

TERMS = Terms(price=UNIT, share=100_000, bond=UNIT, claim_blocks=60)  # a tenth of the price is the owner's


def main(chain: str, onnx: str, calibration: str, task: str | None = None) -> int:
    """Compile to a folder beside the ONNX file, publish, and print the model's id."""
    options = CompileOptions(task=cast("Task | None", task))
    made = artifact(Path(onnx), Path(calibration), None, options=options)
    print(f"{made.path}: lane {made.manifest.lane}, {made.manifest.constraints} constraints")
    done = publish_at(chain, "//Alice", made.public, terms=TERMS, evidence=made.path)
    print(f"model 0x{done.model.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
