"""A chain that the tests finalise themselves: a trie's nodes, headers and justifications, written anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proofward.consensus import Authorities
from proofward.protocol import blake2_256
from proofward.protocol.scale import compact


def nibbles(key: bytes) -> tuple[int, ...]:
    """A key's half bytes, the high one first."""
    return tuple(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def trie(entries: Mapping[bytes, bytes]) -> tuple[bytes, list[bytes]]:
    """Root and nodes (values that are hashed among them) of a trie of state version 1."""
    nodes: list[bytes] = []

    def kept(data: bytes) -> bytes:
        nodes.append(data)
        return blake2_256(data)

    def header(bits: int, prefix: int, partial: Sequence[int]) -> bytes:
        most, count = 255 >> bits, len(partial)
        out = bytes([prefix << (8 - bits) | min(count, most)])
        if count >= most:
            left = count - most
            out += b"\xff" * (left // 255) + bytes([left % 255])
        padded = [0, *partial] if count % 2 else list(partial)
        return out + bytes(high << 4 | low for high, low in zip(padded[::2], padded[1::2], strict=True))

    def stored(value: bytes) -> tuple[bool, bytes]:
        return (True, kept(value)) if len(value) >= 33 else (False, compact(len(value)) + value)

    def node(below: dict[tuple[int, ...], bytes]) -> bytes:
        keys = list(below)
        shared = 0
        while all(len(key) > shared and key[shared] == keys[0][shared] for key in keys):
            shared += 1
        partial = keys[0][:shared]
        if len(keys) == 1:
            hashed, value = stored(below[keys[0]])
            return (header(3, 0b001, partial) if hashed else header(2, 0b01, partial)) + value
        own, children = b"", b""
        hashed = False
        if partial in below:
            hashed, own = stored(below[partial])
        bitmap = 0
        for nibble in range(16):
            under = {
                key[shared + 1 :]: value
                for key, value in below.items()
                if key[shared : shared + 1] == (nibble,)
            }
            if under:
                bitmap |= 1 << nibble
                child = node(under)
                name = kept(child) if len(child) >= 32 else child
                children += compact(len(name)) + name
        first = header(4, 1, partial) if hashed else header(2, 3 if own else 2, partial)
        return first + bitmap.to_bytes(2, "little") + own + children

    root = node({nibbles(key): value for key, value in entries.items()}) if entries else b"\0"
    return kept(root), nodes


@dataclass
class Chain:
    """Authorities whose keys are here."""

    keys: list[Ed25519PrivateKey]
    set_id: int = 0
    weights: list[int] = field(default_factory=list)

    @property
    def authorities(self) -> Authorities:
        """As a verifier knows them."""
        weights = self.weights or [1] * len(self.keys)
        names = [key.public_key().public_bytes_raw() for key in self.keys]
        return Authorities(tuple(zip(names, weights, strict=True)), self.set_id)

    def justify(
        self, header: bytes, number: int, voters: Sequence[int], *, votes: Sequence[tuple[bytes, int]] = (),
        ancestors: Sequence[bytes] = (), round_number: int = 7, set_id: int | None = None,
    ) -> bytes:  # fmt: skip
        """A justification by some of them: each votes for the block itself, or for the vote in its place."""
        target = (blake2_256(header), number)
        out = bytearray(round_number.to_bytes(8, "little") + target[0] + number.to_bytes(4, "little"))
        out += compact(len(voters))
        for place, voter in enumerate(voters):
            block, height = votes[place] if place < len(votes) else target
            vote = block + height.to_bytes(4, "little")
            number_of_set = self.set_id if set_id is None else set_id
            message = b"\1" + vote + round_number.to_bytes(8, "little") + number_of_set.to_bytes(8, "little")
            key = self.keys[voter]
            out += vote + key.sign(message) + key.public_key().public_bytes_raw()
        return bytes(out + compact(len(ancestors)) + b"".join(ancestors))


def header(
    number: int, state_root: bytes, parent: bytes = bytes(32), change: Authorities | None = None
) -> bytes:
    """A header with Aura's two digest items, and a scheduled change when there is one."""
    items = [b"\x06aura" + compact(8) + bytes(8), b"\x05aura" + compact(64) + bytes(64)]
    if change is not None:
        voters = b"".join(key + weight.to_bytes(8, "little") for key, weight in change.voters)
        log = b"\1" + compact(len(change.voters)) + voters + bytes(4)
        items.insert(1, b"\x04FRNK" + compact(len(log)) + log)
    return parent + compact(number) + state_root + bytes(32) + compact(len(items)) + b"".join(items)


def chain(count: int, seed: int = 0, set_id: int = 0) -> Chain:
    """So many authorities, with keys from a seed."""
    keys = [
        Ed25519PrivateKey.from_private_bytes(blake2_256(f"{seed} {index}".encode())) for index in range(count)
    ]
    return Chain(keys, set_id)
