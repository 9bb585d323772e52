"""What governance decides about workers' software: by the sudo key of a development chain, or by the
council.
"""

from __future__ import annotations

from proofward.chain import Call, SubstrateClient, accounts, council
from proofward.chain.council import Agreement
from proofward.chain.pallets import attestation


def allow_measurement(url: str, signer: str, measurement: bytes, label: str) -> int:
    """Put software on the allow-list; gives the block. Raises DispatchError (not the sudo key), ChainError,
    AccountError.
    """
    return _sudo(url, signer, attestation.allow_measurement(measurement, label))


def disallow_measurement(url: str, signer: str, measurement: bytes) -> int:
    """Take software off the allow-list; gives the block. Raises as `allow_measurement`."""
    return _sudo(url, signer, attestation.disallow_measurement(measurement))


def agree_to_allow(url: str, signer: str, measurement: bytes, label: str) -> Agreement:
    """As a member of the council: agree that software comes on the allow-list, under this very label.

    Raises as `council.agree`, and AccountError.
    """
    return _agree(url, signer, attestation.allow_measurement(measurement, label))


def agree_to_disallow(url: str, signer: str, measurement: bytes) -> Agreement:
    """The same for taking it off. Raises as `council.agree`, and AccountError."""
    return _agree(url, signer, attestation.disallow_measurement(measurement))


def _agree(url: str, signer: str, call: Call) -> Agreement:
    keypair = accounts.keypair_of(signer)
    with SubstrateClient.connect(url) as client:
        return council.agree(client, keypair, call)


def _sudo(url: str, signer: str, call: Call) -> int:
    keypair = accounts.keypair_of(signer)
    with SubstrateClient.connect(url) as client:
        return client.submit(attestation.sudo(call), keypair).block
