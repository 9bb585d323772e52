"""The ezkl lane (Halo2 over BN254 with KZG, by ezkl in child processes): for models that groth16 does not
take.
"""

from proofward.zkml.ezkl.lane import EzklLane

LANE = EzklLane()

__all__ = ["LANE"]
