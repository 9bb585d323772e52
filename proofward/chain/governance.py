"""What governance decides: about workers' software by the sudo key of a development chain or by the council,
about the members and the runtime by the council; and what a member does for itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from proofward.chain import Call, SubstrateClient, accounts, council
from proofward.chain.council import Agreement
from proofward.chain.metadata import Reader
from proofward.chain.pallets import attestation, consortium
from proofward.errors import Refused
from proofward.files import TooLong, read_whole
from proofward.protocol.hashes import blake2_256

MOST_CODE: Final = 5 << 20
"""Bytes of a runtime, above what a block takes."""
COMPRESSED: Final = bytes.fromhex("52bc537646db8e05")
"""What Substrate puts before compressed wasm."""


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
    return agree(url, signer, attestation.allow_measurement(measurement, label))


def agree_to_disallow(url: str, signer: str, measurement: bytes) -> Agreement:
    """The same for taking it off. Raises as `council.agree`, and AccountError."""
    return agree(url, signer, attestation.disallow_measurement(measurement))


def agree(url: str, signer: str, call: Call, *, final: bool = True) -> Agreement:
    """As a member of the council: agree to a call. Raises as `council.agree`, and AccountError."""
    keypair = accounts.keypair_of(signer)
    with SubstrateClient.connect(url) as client:
        return council.agree(client, keypair, call, final=final)


def send(url: str, signer: str, call: Call, seconds: float = 120.0) -> int:
    """Sign and send one call; gives its finalised block. Raises DispatchError, ChainError, AccountError."""
    keypair = accounts.keypair_of(signer)
    with SubstrateClient.connect(url) as client:
        return client.submit(call, keypair, timeout=seconds).block


def new_session_keys(node: str, account: bytes) -> Call:
    """Have one's own node make session keys, which stay in its keystore, and give the call that sets them.

    Raises ChainError: nobody answers, or the node does not let this address have keys made.
    """
    with SubstrateClient.connect(node) as client:
        made = client.rpc("author_rotateKeysWithOwner", "0x" + account.hex())
    keys, proof = (bytes.fromhex(str(made[name]).removeprefix("0x")) for name in ("keys", "proof"))
    if len(keys) != 64:
        raise Refused(f"the node at {node} made keys of {len(keys)} bytes, not 64; is it this chain's?")
    return consortium.set_keys(keys[:32], keys[32:], proof)


def upgrade(code: Path) -> Call:
    """The call, root's, that lets a runtime in: what is announced and enacted. Raises Refused, OSError."""
    return consortium.authorise_upgrade(blake2_256(read_code(code)))


def read_code(path: Path) -> bytes:
    """A runtime's code, as the build leaves it. Raises Refused: it is none."""
    try:
        code = read_whole(path, MOST_CODE)
    except TooLong:
        raise Refused(
            f"{path} has more than {MOST_CODE >> 20} MiB; a runtime has less", code="usage"
        ) from None
    if not code.startswith((b"\0asm", COMPRESSED)):
        raise Refused(f"{path} is no runtime: it begins neither as wasm nor as compressed wasm", code="usage")
    return code


def read_call(url: str, encoded: bytes) -> Call:
    """A call by its SCALE encoding, as the chain at `url` reads it. Raises ChainError: it is none."""
    with SubstrateClient.connect(url) as client:
        reader = Reader(encoded)
        call = client.runtime.read_call(reader)
        if reader.left() or client.runtime.encode_call(call) != encoded:
            raise Refused("the call is not in its one encoding; encode it anew", code="usage")
        return call


def announced(url: str, call: Call) -> bytes:
    """What a call is announced by: the BLAKE2b-256 of its encoding. Raises ChainError."""
    with SubstrateClient.connect(url) as client:
        return blake2_256(client.runtime.encode_call(call))


def _sudo(url: str, signer: str, call: Call) -> int:
    keypair = accounts.keypair_of(signer)
    with SubstrateClient.connect(url) as client:
        return client.submit(attestation.sudo(call), keypair).block
