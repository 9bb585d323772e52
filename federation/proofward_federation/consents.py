"""Which patients agree: a wallet of consents, a tree of the live ones, its root on the chain.

A consent has a handle of 32 random bytes of its own, drawn for one hospital: two hospitals' handles of one
patient have nothing in common, so that their trees cannot be joined. A revoked consent is not in the next
tree; the chain takes no update under an older one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from proofward.files import write_whole
from proofward.protocol import sha256
from proofward.protocol.sessions import Tree
from proofward_federation.errors import FederationError
from proofward_federation.wallet import read_consent, read_revocation

_LEAF: Final = b"proofward/consent/v1"
_ROUND_UP: Final = 32


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
    """The patient's name here, by which it can revoke; empty when the hospital wrote the consent down."""

    @property
    def leaf(self) -> bytes:
        """What the tree holds: SHA-256(0x00 || "proofward/consent/v1" || handle || purpose)."""
        return sha256(b"\0" + _LEAF + bytes.fromhex(self.handle) + self.purpose.encode())

    def live(self, purpose: str, now: int) -> bool:
        """Whether it counts."""
        return not self.revoked and self.purpose == purpose and now <= self.until


class Register:
    """A hospital's consents, in a file of its own (mode 0600)."""

    def __init__(self, consents: Iterable[Consent] = ()) -> None:
        self._of = {consent.record: consent for consent in consents}

    @classmethod
    def load(cls, path: Path) -> Register:
        """Raises FederationError(bad-consents)."""
        try:
            return cls(Consent(**one) for one in json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise FederationError(f"{path} holds no consents: {error}", code="bad-consents") from None

    def save(self, path: Path) -> None:
        """Write the file whole."""
        write_whole(path, json.dumps([asdict(one) for one in self._of.values()], indent=1).encode())

    def grant(self, record: str, purpose: str, until: int) -> Consent:
        """A patient agrees, under a fresh handle."""
        consent = Consent(record, secrets.token_hex(32), purpose, until)
        self._of[record] = consent
        return consent

    def accept(self, record: str, hospital: str, credential: str) -> Consent:
        """Take in a patient's own consent. Raises FederationError for one that does not verify, and for a
        handle that is here already.
        """
        given = read_consent(credential, hospital)
        if any(one.handle == given.handle for one in self._of.values()):
            raise FederationError("this consent is here already", code="consent-again")
        consent = Consent(record, given.handle, given.purpose, given.until, issuer=given.issuer)
        self._of[record] = consent
        return consent

    def take_back(self, hospital: str, revocation: str) -> Consent:
        """Follow a patient's own revocation. Raises FederationError unless who gave the consent signed it."""
        issuer, handle = read_revocation(revocation, hospital)
        for found in self._of.values():
            if (found.issuer, found.handle) == (issuer, handle):
                self._of[found.record] = replace(found, revoked=True)
                return found
        raise FederationError("no consent here is of this patient and handle", code="unknown-consent")

    def revoke(self, record: str) -> None:
        """A patient agrees no more. Raises FederationError(unknown-consent)."""
        found = self._of.get(record)
        if found is None or found.revoked:
            raise FederationError(f"there is no live consent of {record}", code="unknown-consent")
        self._of[record] = replace(found, revoked=True)

    def live(self, purpose: str, now: int) -> LiveConsents:
        """The consents that count for a purpose. Raises FederationError(no-consents) when there is none."""
        found = [one for one in self._of.values() if one.live(purpose, now)]
        if not found:
            raise FederationError(f"nobody agrees to {purpose}", code="no-consents")
        # in the order of their leaves, which tells nothing of the hospital's
        found.sort(key=lambda one: one.leaf)
        return LiveConsents(tuple(one.record for one in found), tuple(one.leaf for one in found))


@dataclass(frozen=True, slots=True)
class LiveConsents:
    """Records with their leaves, in the tree's order."""

    records: tuple[str, ...]
    leaves: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        """Of their tree."""
        return root_of(self.leaves)

    @property
    def most(self) -> int:
        """How many there are, rounded up: what the chain is told."""
        return -(-len(self.leaves) // _ROUND_UP) * _ROUND_UP

    def places(self, records: Sequence[str]) -> list[int]:
        """Where records stand. Raises FederationError(no-consent) for one whose patient does not agree."""
        where = {record: place for place, record in enumerate(self.records)}
        missing = [record for record in records if record not in where]
        if missing:
            raise FederationError(
                f"{len(missing)} records have no live consent: they are not used", code="no-consent"
            )
        return [where[record] for record in records]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over 1 to 65,536 leaves."""
    return Tree(leaves).root
