"""The measurement that a simulated enclave of this checkout reports: what a development chain must allow."""

from __future__ import annotations

from enclave_runtime.measure import code_digest
from enclave_runtime.providers.dev_platform import TdIdentity
from proofward.protocol import measurement


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
