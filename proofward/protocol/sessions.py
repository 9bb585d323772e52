"""Sessions: pages and their tree, what both ends sign, and what the beacon picks. docs/sessions.md is
normative.

`chain/primitives/src/sessions.rs` holds the same, and both give the vectors of `tests/vectors/sessions.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proofward.protocol import scale
from proofward.protocol.bounds import HASH_LENGTH
from proofward.protocol.errors import Code, ProtocolError
from proofward.protocol.hashes import blake2_256, sha256
from proofward.protocol.types import require_length

MAX_PATH: Final = 16
MAX_PAGES: Final = 1 << MAX_PATH
"""Pages between two checkpoints."""
MAX_SAMPLED: Final = 128
"""Pages of a window that the beacon picks."""
PARTS: Final = 1_000_000
"""The rate of sampling is in so many parts."""

_SESSION, _LEAF, _PAGE = b"proofward/session/v1", b"proofward/page/v1", b"proofward/page-receipt/v1"
_CHECKPOINT, _VOUCHER = b"proofward/checkpoint/v1", b"proofward/voucher/v1"
_RUNNING, _SAMPLE = b"proofward/running/v1", b"proofward/sample/v1"
_HELLO: Final = b"proofward/session-hello/v1"
_EMPTY: Final = bytes(HASH_LENGTH)
_STATE = scale.Record(
    "Checkpoint",
    {
        "genesis": scale.H256,
        "session": scale.H256,
        "number": scale.U32,
        "root": scale.H256,
        "pages": scale.U32,
        "records": scale.fixed(8),
    },
)


def session_id(client: bytes, nonce: bytes) -> bytes:
    """BLAKE2b-256("proofward/session/v1" || client || nonce); `nonce`: 32 bytes, above the client's last."""
    require_length("client", client, HASH_LENGTH)
    require_length("nonce", nonce, HASH_LENGTH)
    return blake2_256(_SESSION + client + nonce)


def leaf(session: bytes, page: int, input_commitment: bytes, output_commitment: bytes) -> bytes:
    """What a page is in the tree: SHA-256(0x00 || domain || session || u32 LE page || the two)."""
    return sha256(b"\0" + _LEAF + session + page.to_bytes(4, "little") + input_commitment + output_commitment)


def page_message(genesis: bytes, session: bytes, page: int, page_leaf: bytes) -> bytes:
    """What the enclave signs for a page."""
    return _PAGE + genesis + session + page.to_bytes(4, "little") + page_leaf


def hello_message(genesis: bytes, session: bytes, client_random: bytes, wrapped: bytes) -> bytes:
    """What a client signs by the session's voucher key when it connects: anybody could seal a secret to the
    enclave, and the first secret is the session's.
    """
    return _HELLO + genesis + session + client_random + sha256(wrapped)


def running_message(genesis: bytes, session: bytes, records: int, running: bytes) -> bytes:
    """What the enclave signs with each answer: `records` of the session so far, and their running hash."""
    return _RUNNING + genesis + session + records.to_bytes(8, "little") + running


def run_on(running: bytes, salt: bytes, inputs: bytes, outputs: bytes) -> bytes:
    """The running hash behind one more frame: SHA-256 over all of it, each part behind its u32 LE length."""
    parts = (running, salt, inputs, outputs)
    return sha256(_RUNNING + b"".join(len(part).to_bytes(4, "little") + part for part in parts))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A session's state that both ends sign: `root` is of the pages since checkpoint `number` - 1; `pages`
    and `records` count the whole session.
    """

    genesis: bytes
    session: bytes
    number: int
    root: bytes
    pages: int
    records: int

    def _encoded(self) -> bytes:
        return _STATE.encode(
            {
                "genesis": self.genesis,
                "session": self.session,
                "number": self.number,
                "root": self.root,
                "pages": self.pages,
                "records": self.records.to_bytes(8, "little"),
            }
        )

    def enclave_message(self) -> bytes:
        """What the enclave signs by the receipt key of the session's epoch."""
        return _CHECKPOINT + self._encoded()

    def voucher_message(self) -> bytes:
        """What the client signs by the session's voucher key."""
        return _VOUCHER + self._encoded()


class Tree:
    """A binary tree over 1 to 65,536 leaves; places up to the next power of two hold zeros."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not 1 <= len(leaves) <= MAX_PAGES:
            raise ProtocolError(
                f"a window has 1 to {MAX_PAGES} pages, not {len(leaves)}", code=Code.MALFORMED
            )
        width = 1 << (len(leaves) - 1).bit_length()
        self._levels = [[*leaves, *([_EMPTY] * (width - len(leaves)))]]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([_node(*below[at : at + 2]) for at in range(0, len(below), 2)])

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    def path(self, position: int) -> list[bytes]:
        """The siblings of a leaf on its way up, lowest first."""
        return [level[(position >> height) ^ 1] for height, level in enumerate(self._levels[:-1])]


def root_of(page_leaf: bytes, position: int, path: Sequence[bytes]) -> bytes:
    """The root of a tree that holds a leaf at `position`."""
    node = page_leaf
    for height, sibling in enumerate(path):
        node = _node(sibling, node) if position >> height & 1 else _node(node, sibling)
    return node


def depth(pages: int) -> int:
    """Levels of a tree above its leaves: 0 for one page."""
    return (pages - 1).bit_length()


def sampled(pages: int, rate: int, most: int = MAX_SAMPLED) -> int:
    """How many of `pages` are picked at `rate` millionths: rounded up, one at least, `most` at most."""
    return min(max(-(-pages * rate // PARTS), 1), pages, most)


def most_pages(rate: int) -> int:
    """The most pages of a window of which the chain picks `rate` millionths: of more, a smaller share."""
    return min(MAX_SAMPLED * PARTS // rate, MAX_PAGES)


def sample(value: bytes, session: bytes, number: int, pages: int, count: int) -> list[int]:
    """The positions below `pages` that a beacon's value picks: `count` different ones, each set of them as
    likely as any other (Bentley and Floyd 1987, "A sample of brilliance").
    """
    seed = blake2_256(_SAMPLE + value + session + number.to_bytes(4, "little"))
    chosen: list[int] = []
    for last in range(pages - min(count, pages), pages):
        word = int.from_bytes(blake2_256(seed + last.to_bytes(4, "little"))[:8], "little")
        one = word % (last + 1)
        chosen.append(last if one in chosen else one)
    return chosen


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right)
