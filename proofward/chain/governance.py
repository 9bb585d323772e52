"""What only the chain's sudo key may do, and an operator of a development chain needs."""

from __future__ import annotations

from proofward.chain import Call, SubstrateClient, accounts
from proofward.chain.pallets import attestation


def allow_measurement(url: str, signer: str, measurement: bytes, label: str) -> int:
    """Put software on the allow-list; gives the block. Raises DispatchError (not the sudo key), ChainError,
    AccountError.
    """
    return _sudo(url, signer, attestation.allow_measurement(measurement, label))


def disallow_measurement(url: str, signer: str, measurement: bytes) -> int:
    """Take software off the allow-list; gives the block. Raises as `allow_measurement`."""
    return _sudo(url, signer, attestation.disallow_measurement(measurement))


def _sudo(url: str, signer: str, call: Call) -> int:
    keypair = accounts.keypair_of(signer)
    with SubstrateClient.connect(url) as client:
        return client.submit(attestation.sudo(call), keypair).block
