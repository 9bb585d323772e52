"""What a hospital posts to the aggregator's host, and what the host tells of a study.

`POST /rounds`: SCALE of `Delivery`, signed by the site's account over
`"proofward/federation-delivery/v1" || genesis || SCALE without the signature`. `GET /study`: JSON with the
study's document and the values of each published round, which a hospital compares with their hashes on the
chain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from proofward.chain.extrinsic import Signer
from proofward.chain.keypair import Keypair
from proofward.protocol import ProtocolError, scale, strict_json
from proofward_federation.enclave import MAX_SEALED
from proofward_federation.errors import FederationError

MAX_PROOF: Final = 5 << 20
"""Of a proof of length: 32 bytes a parameter, and 6.3 KiB."""
MAX_DELIVERY: Final = MAX_SEALED + MAX_PROOF + 1024
MAX_TOLD: Final = 64 << 20
"""Of what a host tells of a study, in bytes."""
_DOMAIN: Final = b"proofward/federation-delivery/v1"
_FIELDS: Final = ("study", "number", "site", "commitment", "consents", "most", "proof", "sealed")
_SAID = scale.Record(
    "Delivery",
    {
        "study": scale.H256,
        "number": scale.U32,
        "site": scale.H256,
        "commitment": scale.H256,
        "consents": scale.H256,
        "most": scale.U32,
        "proof": scale.byte_vec(MAX_PROOF),
        "sealed": scale.byte_vec(MAX_SEALED),
    },
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An update on its way: `most` is the number of records that its length is proved for."""

    study: bytes
    number: int
    site: bytes
    commitment: bytes
    consents: bytes
    most: int
    proof: bytes = field(repr=False)
    sealed: bytes = field(repr=False)

    def signed(self, genesis: bytes, keypair: Signer) -> bytes:
        """The bytes to post: 64 of signature, then the rest."""
        said = _SAID.encode({name: getattr(self, name) for name in _FIELDS})
        return bytes(keypair.sign(_DOMAIN + genesis + said)) + said


def read_delivery(data: bytes, genesis: bytes) -> Delivery:
    """What its site signed. Raises FederationError(bad-delivery)."""
    if len(data) > MAX_DELIVERY:
        raise FederationError(f"a delivery has at most {MAX_DELIVERY} bytes", code="bad-delivery")
    signature, said = data[:64], data[64:]
    try:
        found = Delivery(**_SAID.decode(said))
    except ProtocolError as error:
        raise FederationError(f"this is no delivery: {error.message}", code="bad-delivery") from None
    if not Keypair(found.site).verify(_DOMAIN + genesis + said, signature):
        raise FederationError("the delivery is not signed by its site's account", code="bad-delivery")
    return found


@dataclass(frozen=True, slots=True)
class TheStudy:
    """`values` are those of the published rounds, by number."""

    study: bytes
    document: bytes
    values: dict[int, tuple[int, ...]]

    def body(self) -> dict[str, Any]:
        """As it is told."""
        rounds = [{"number": number, "values": list(values)} for number, values in self.values.items()]
        return {"study": self.study.hex(), "document": self.document.hex(), "rounds": rounds}

    @classmethod
    def parse(cls, data: bytes) -> TheStudy:
        """Raises FederationError(bad-study)."""
        try:
            said = strict_json.loads(data, limit=MAX_TOLD)
            values = {one["number"]: tuple(one["values"]) for one in said["rounds"]}
            if not all(type(value) is int for name, numbers in values.items() for value in (name, *numbers)):
                raise ValueError("a value is no integer")
            return cls(bytes.fromhex(said["study"]), bytes.fromhex(said["document"]), values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FederationError(f"the aggregator tells of no study: {error}", code="bad-study") from None
