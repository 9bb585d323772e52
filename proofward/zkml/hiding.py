"""Which lanes' proofs hide what they are about, and so may carry a sealed job.

A lane is in HIDING when there is an argument that a proof shows nothing of input and output beyond the two
commitments. The ezkl lane is not: its committed columns are neither blinded nor masked, and each proof opens
them at the transcript's point, which is one linear equation over record and salt. One published proof gives
the answer by a lattice of dimension five; as many proofs as a record has values give the record. Shown by
`test_a_reader_of_one_ezkl_proof_gets_an_equation_over_the_record` in tests/zkml/test_ezkl.py.
"""

from __future__ import annotations

from typing import Final

from proofward.zkml.errors import ZkmlError
from proofward.zkml.manifest import LaneName

HIDING: Final[frozenset[LaneName]] = frozenset({"groth16"})


class NotHiding(ZkmlError):
    """A sealed job for a lane whose proofs show what was sealed."""

    code = "lane-not-hiding"


def hides(lane: str) -> bool:
    """Whether the lane's proofs hide input and output."""
    return lane in HIDING


def require_hiding(lane: str) -> None:
    """Raises NotHiding for a lane that must not carry a sealed job."""
    if not hides(lane):
        raise NotHiding(
            f"a proof of the {lane} lane is not hiding: who reads it can recover the sealed data, so no "
            f"sealed job takes it; compile the model for the {' or '.join(sorted(HIDING))} lane"
        )
