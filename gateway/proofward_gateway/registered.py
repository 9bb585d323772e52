"""An upstream that is registered on the chain: its software and keys as the final state has them.

The proof comes in a file, which `proofward gateway registered` keeps fresh outside the enclave. Nothing of it
is believed: finality is checked against the spec's authorities and every value against the state's root, so
whoever writes the file can at most withhold it, and then nothing goes to the upstream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofward.aci import jcs
from proofward.aci.documents import Keyset
from proofward.aci.errors import AciError
from proofward.consensus import BadProof, Registered, genesis_authorities, spec_checkpoint
from proofward.consensus.final import MAX_PROOF
from proofward.consensus.registered import MAX_AGE, read
from proofward.files import TooLong, read_whole
from proofward.protocol import Level
from proofward_gateway.channel import GatewayError
from proofward_gateway.config import Bond, ChainUpstream


@dataclass(frozen=True, slots=True, repr=False)
class Standing:
    """A registration that stands now, and the proof (JSON) that says so."""

    record: Registered
    proof: Mapping[str, Any]

    @property
    def ends(self) -> int:
        """Unix second after which it must be proved anew."""
        return min(self.record.expires_at, self.record.at + MAX_AGE)


def proof_in(path: Path) -> dict[str, Any]:
    """The proof (JSON) in a file, as it is. Raises OSError, AciError, BadProof."""
    try:
        proof = jcs.loads(read_whole(path, MAX_PROOF), limit=MAX_PROOF)
    except TooLong as error:
        raise BadProof(f"the proof is too long: {error}") from None
    if not isinstance(proof, dict):
        raise BadProof("the proof is no object")
    return proof


def standing(what: ChainUpstream, chain: Bond, *, now: float, development: bool) -> Standing:
    """The registration of an upstream, at most `MAX_AGE` old. Raises GatewayError(unattested)."""
    try:
        assert chain.spec is not None  # the configuration demands it
        authorities = genesis_authorities(chain.spec)
        if authorities is None:
            raise BadProof(f"the chain of {chain.spec} has no GRANDPA: nobody can prove what its state holds")
        proof = proof_in(what.proof)
        record = read(proof, what.account, authorities, spec_checkpoint(chain.spec))
    except OSError as error:
        raise _unattested(f"{what.proof} cannot be read: {error.strerror}") from None
    except (BadProof, AciError) as error:
        raise _unattested(error.message) from None
    if record.genesis != chain.genesis:
        raise _unattested(f"the proof is of chain 0x{record.genesis.hex()}")
    if abs(now - record.at) > MAX_AGE:
        raise _unattested(
            f"the proof is of {record.at}, more than {MAX_AGE} s away: is `gateway registered` at work?"
        )
    if record.expires_at <= now:
        raise _unattested(f"the registration of 0x{record.account.hex()} ended at {record.expires_at}")
    if record.level is not Level.HARDWARE and not development:
        raise _unattested(f"the chain has the upstream at level {record.level.label}")
    return Standing(record, proof)


def require_keys(record: Registered, keyset: Keyset) -> None:
    """Whether an attested keyset is the registered one. Raises GatewayError(unattested)."""
    receipt = [key.public_key for key in keyset.receipt_keys]
    if not record.keys_of(receipt, [key.public_key for key in keyset.e2ee_keys]):
        raise _unattested(
            "it shows other keys than the chain has of it: has it begun anew without `gateway register`?"
        )


def _unattested(told: str) -> GatewayError:
    return GatewayError(f"the upstream's registration does not hold: {told}", code="unattested")
