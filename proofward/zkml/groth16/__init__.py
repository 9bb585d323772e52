"""The groth16 lane: weights are constants of the circuit, so only rounding, activations and commitments are
paid for.
"""

from proofward.zkml.groth16.lane import LANE
from proofward.zkml.groth16.records import OpenedRecord, check_record, open_record

__all__ = ["LANE", "OpenedRecord", "check_record", "open_record"]
