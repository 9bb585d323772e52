"""The measurement that a simulated enclave of this checkout reports: what a development chain must allow."""

from __future__ import annotations

from proofward.protocol import measurement
from proofward_enclave.measure import code_digest
from proofward_enclave.providers.dev_platform import TdIdentity


def this_checkout() -> bytes:
    """32 bytes, as `Attestation.allow_measurement` takes them."""
    td = TdIdentity(mrtd=code_digest())
    return measurement(
        mrtd=td.mrtd,
        rtmrs=td.rtmrs,
        mr_config_id=td.mr_config_id,
        mr_owner=td.mr_owner,
        mr_owner_config=td.mr_owner_config,
    )
