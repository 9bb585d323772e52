"""Which patients agree: a wallet of consents, a tree of the live ones, its root on the chain.

A consent has a handle of 32 random bytes of its own, drawn for one hospital: two hospitals' handles of one
patient have nothing in common, so that their trees cannot be joined. A revoked consent is not in the next
tree; the chain takes no update under an older one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from proofward.files import read_whole, write_whole
from proofward.protocol import sha256
from proofward.protocol.sessions import Tree
from proofward_federation.errors import FederationError
from proofward_federation.locking import exclusive
from proofward_federation.wallet import read_consent, read_revocation

_LEAF: Final = b"proofward/consent/v2"
ROUND_UP: Final = 32
"""Live consents are told in multiples of it."""
MAX_LIVE: Final = 1 << 16
"""Consents in a tree."""
MAX_KEPT: Final = 1 << 18
"""Consents and revocations of a register, those that count no more included."""
_MAX_REGISTER: Final = MAX_KEPT << 12  # bytes


@dataclass(frozen=True, slots=True)
class Consent:
    """`record` is the hospital's own number of the patient; `purpose` what it may be used for; `until` the
    last second, Unix.
    """

    record: str
    handle: str
    purpose: str
    until: int
    revoked: bool = False
    issuer: str = ""
    """The patient's name here, by which it can revoke; empty when the hospital wrote the consent down.

    A revocation that came before its consent is one without a record."""

    @property
    def leaf(self) -> bytes:
        """What the tree holds."""
        return leaf_of(bytes.fromhex(self.handle), self.purpose, self.until)

    def live(self, now: int) -> bool:
        """Whether it counts."""
        return not self.revoked and now <= self.until


class Register:
    """A hospital's consents, in a file of its own (mode 0600): all that were ever given, so that none that
    was taken back comes in again. A record may have several, for several purposes and renewed.
    """

    def __init__(self, consents: Iterable[Consent] = ()) -> None:
        self._all = list(consents)

    @classmethod
    def load(cls, path: Path) -> Register:
        """Raises FederationError(bad-consents)."""
        try:
            values = json.loads(read_whole(path, _MAX_REGISTER))
            if not isinstance(values, list):
                raise ValueError("they are no list")
            found = [Consent(**one) for one in values]
            if not all(type(one.until) is int and type(one.revoked) is bool for one in found):
                raise ValueError("`until` is a second, `revoked` true or false")
            return cls(found)
        except (OSError, ValueError, TypeError) as error:
            raise FederationError(f"{path} holds no consents: {error}", code="bad-consents") from None

    @classmethod
    @contextmanager
    def changing(cls, path: Path, *, new: bool = False) -> Iterator[Register]:
        """The file's consents, written back at the end, and not after an error; another process that changes
        them waits. `new`: a file that is not there yet is begun. Raises FederationError(bad-consents).
        """
        with exclusive(path.parent):
            held = cls() if new and not path.exists() else cls.load(path)
            yield held
            held.save(path)

    def save(self, path: Path) -> None:
        """Write the file whole."""
        write_whole(path, json.dumps([asdict(one) for one in self._all], indent=1).encode())

    def grant(self, record: str, purpose: str, until: int) -> Consent:
        """A patient agrees, under a fresh handle. Raises FederationError(register-full)."""
        return self._kept(Consent(record, secrets.token_hex(32), purpose, until))

    def accept(self, record: str, hospital: str, credential: str) -> Consent:
        """Take in a patient's own consent. Raises FederationError for one that does not verify, for a handle
        that is here already (consent-again), and for one that was taken back (consent-revoked).
        """
        given = read_consent(credential, hospital)
        for one in self._all:
            if one.handle != given.handle:
                continue
            if one.revoked and one.issuer == given.issuer:
                raise FederationError("the patient took this consent back", code="consent-revoked")
            if one.record:
                raise FederationError("this consent is here already", code="consent-again")
        return self._kept(Consent(record, given.handle, given.purpose, given.until, issuer=given.issuer))

    def take_back(self, hospital: str, revocation: str) -> Consent | None:
        """Follow a patient's own revocation: the consent that it takes back. None where no consent here is of
        this patient and handle; then the revocation is kept, and the consent not taken in when it comes.

        Raises FederationError(bad-credential, register-full).
        """
        issuer, handle = read_revocation(revocation, hospital)
        for place, found in enumerate(self._all):
            if (found.issuer, found.handle) == (issuer, handle):
                self._all[place] = replace(found, revoked=True)
                return found if found.record else None
        self._kept(Consent("", handle, "", 0, revoked=True, issuer=issuer))
        return None

    def revoke(self, record: str) -> None:
        """A patient agrees no more, to nothing. Raises FederationError(unknown-consent)."""
        places = [place for place, one in enumerate(self._all) if one.record == record and not one.revoked]
        if not places:
            raise FederationError(f"there is no live consent of {record}", code="unknown-consent")
        for place in places:
            self._all[place] = replace(self._all[place], revoked=True)

    def live(self, purpose: str, now: int) -> LiveConsents:
        """The consents that count for a purpose. Raises FederationError: there is none (no-consents), or
        there are more than a tree holds.
        """
        tree = self.tree(now)
        if not any(one.purpose == purpose for one in tree):
            raise FederationError(f"nobody agrees to {purpose}", code="no-consents")
        return LiveConsents(tree, purpose)

    def tree(self, now: int) -> tuple[Consent, ...]:
        """The consents that count, of each record and purpose the one that lasts longest, in the order of
        their leaves, which tells nothing of the hospital's. Raises FederationError(register-full).
        """
        longest: dict[tuple[str, str], Consent] = {}
        for one in self._all:
            other = longest.get((one.record, one.purpose))
            if one.live(now) and (other is None or one.until > other.until):
                longest[one.record, one.purpose] = one
        if len(longest) > MAX_LIVE:
            raise FederationError(f"a tree holds at most {MAX_LIVE} consents", code="register-full")
        return tuple(sorted(longest.values(), key=lambda one: one.leaf))

    def of(self, record: str) -> list[Consent]:
        """All of a record, those that count no more included. Raises FederationError(unknown-consent)."""
        found = [one for one in self._all if one.record == record]
        if not found:
            raise FederationError(f"there was never a consent of {record}", code="unknown-consent")
        return found

    def _kept(self, consent: Consent) -> Consent:
        if len(self._all) >= MAX_KEPT:
            raise FederationError(f"a register has at most {MAX_KEPT} consents", code="register-full")
        self._all.append(consent)
        return consent


@dataclass(frozen=True, slots=True)
class LiveConsents:
    """All live consents in the order of their leaves: a site has one tree, whatever its studies are for.
    Records and places are of those for `purpose`.
    """

    consents: tuple[Consent, ...]
    purpose: str

    @property
    def records(self) -> tuple[str, ...]:
        """Whose patients agree to the purpose, in the tree's order."""
        return tuple(one.record for one in self.consents if one.purpose == self.purpose)

    @property
    def leaves(self) -> tuple[bytes, ...]:
        """Of the whole tree."""
        return tuple(one.leaf for one in self.consents)

    @property
    def root(self) -> bytes:
        """Of the whole tree."""
        return root_of(self.leaves)

    @property
    def most(self) -> int:
        """How many there are for all purposes, rounded up: what the chain is told."""
        return -(-len(self.consents) // ROUND_UP) * ROUND_UP

    def places(self, records: Sequence[str]) -> list[int]:
        """Where records stand. Raises FederationError(no-consent) for one whose patient does not agree."""
        where = {one.record: place for place, one in enumerate(self.consents) if one.purpose == self.purpose}
        missing = [record for record in records if record not in where]
        if missing:
            raise FederationError(
                f"{len(missing)} records have no live consent: they are not used", code="no-consent"
            )
        return [where[record] for record in records]

    def shown(self, records: Sequence[str]) -> ShownTree:
        """The tree with these records' consents in it. Raises FederationError(no-consent)."""
        used, tree = self.places(records), list(self.leaves)
        for place in used:
            tree[place] = bytes.fromhex(self.consents[place].handle)
        return ShownTree(tree, used, [self.consents[place].until for place in used])


@dataclass(frozen=True, slots=True)
class ShownTree:
    """The leaves of a tree, but handles in the places that are `used`, whose consents last until `ends`."""

    tree: list[bytes]
    used: list[int]
    ends: list[int]


def leaf_of(handle: bytes, purpose: str, until: int) -> bytes:
    """SHA-256(0x00 || "proofward/consent/v2" || handle || until, as u64 LE || purpose)."""
    return sha256(b"\0" + _LEAF + handle + until.to_bytes(8, "little") + purpose.encode())


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over 1 to 65,536 leaves."""
    return Tree(leaves).root
