"""What a patient holds: a wallet of consents, each signed by the patient, for one hospital.

A consent is an SD-JWT VC (RFC 9901, draft-ietf-oauth-sd-jwt-vc) that the patient issues under a key of its
own for each hospital, a did:jwk: two hospitals see two issuers that have nothing in common. It names the
hospital, the purpose, the scope (which need not be shown on), the end, and a handle that the wallet draws. A
revocation is another, over the handle. Needs openvc-core; sd-jwt, the reference implementation, checks the
same credentials in the tests.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from proofward.files import read_whole, write_whole
from proofward.protocol import ReceiptKey, sha256, strict_json
from proofward_federation.errors import EngineMissing, FederationError
from proofward_federation.study import PURPOSES

CONSENT: Final = "urn:proofward:consent:v1"
REVOCATION: Final = "urn:proofward:consent-revoked:v1"
MAX_BYTES: Final = 1 << 14
LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999, after which no consent ends: Unix seconds."""
_MAX_WALLET: Final = 1 << 24
_KEY: Final = b"proofward/consent-key/v1"
_DID: Final = "did:jwk:"


@dataclass(frozen=True, slots=True)
class Given:
    """A consent that verifies: `issuer` is the patient's for this hospital, `until` the last Unix second."""

    issuer: str
    hospital: str
    handle: str
    purpose: str
    scope: tuple[str, ...]
    until: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a wallet keeps of a consent; an older one kept neither `purpose` nor `until` (Unix seconds)."""

    handle: str
    purpose: str = ""
    until: int = 0
    revoked: bool = False


@dataclass(slots=True, repr=False)
class Wallet:
    """A patient's file (mode 0600): the seed of all keys, and by hospital what was given, and what of it was
    taken back.
    """

    seed: bytes = field(repr=False)
    given: dict[str, list[Held]] = field(default_factory=dict)

    @classmethod
    def new(cls) -> Wallet:
        """With a fresh seed."""
        return cls(secrets.token_bytes(32))

    @classmethod
    def load(cls, path: Path) -> Wallet:
        """Raises FederationError(bad-wallet)."""
        try:
            values = json.loads(read_whole(path, _MAX_WALLET))
            seed = bytes.fromhex(values["seed"])
            if len(seed) != 32:
                raise ValueError("its seed has another length")
            return cls(seed, {name: [_held(one) for one in kept] for name, kept in values["given"].items()})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise FederationError(f"{path} is no wallet: {error}", code="bad-wallet") from None

    def save(self, path: Path) -> None:
        """Write the file whole."""
        given = {hospital: [asdict(one) for one in kept] for hospital, kept in self.given.items()}
        write_whole(path, json.dumps({"seed": self.seed.hex(), "given": given}, indent=1).encode())

    def grant(self, hospital: str, purpose: str, *, until: int, scope: Sequence[str] = ("all",)) -> str:
        """A consent for a hospital to take in. Raises FederationError(unknown-purpose), EngineMissing."""
        if purpose not in PURPOSES:
            raise FederationError(f"a purpose is one of {', '.join(PURPOSES)}", code="unknown-purpose")
        handle = secrets.token_hex(32)
        claims = {"purpose": purpose, "scope": list(scope), "handle": handle, "exp": until}
        credential = self._signed(hospital, CONSENT, claims, disclosable=("scope",))
        self.given.setdefault(hospital, []).append(Held(handle, purpose, until))
        return credential

    def revoke(self, hospital: str, purpose: str | None = None) -> list[str]:
        """Revocations of all that was given to a hospital, or of that for one purpose; those given out before
        again, since one may have been lost. Raises FederationError(unknown-consent).
        """
        kept = self.given.get(hospital, [])
        # what an older wallet kept without its purpose may be of this one
        meant = [one for one in kept if purpose is None or one.purpose in (purpose, "")]
        if not meant:
            told = "" if purpose is None else f" for {purpose}"
            raise FederationError(f"nothing was given to {hospital}{told}", code="unknown-consent")
        self.given[hospital] = [replace(one, revoked=True) if one in meant else one for one in kept]
        return [self._signed(hospital, REVOCATION, {"handle": one.handle}) for one in meant]

    def issuer(self, hospital: str) -> str:
        """Who the patient is for a hospital."""
        return _did_of(self._key(hospital).public)

    def _key(self, hospital: str) -> ReceiptKey:
        return ReceiptKey(self._secret(hospital))

    def _secret(self, hospital: str) -> bytes:
        return sha256(_KEY + self.seed + hospital.encode())

    def _signed(
        self, hospital: str, kind: str, claims: dict[str, Any], disclosable: Sequence[str] = ()
    ) -> str:
        suite, keys = _openvc()
        issuer = self.issuer(hospital)
        jwk = {**_jwk(self._key(hospital).public), "d": _encode(self._secret(hospital))}
        key = keys.Ed25519SigningKey.from_jwk(jwk, f"{issuer}#0")
        named = {"iss": issuer, "aud": hospital, **claims}
        return str(suite.issue(named, signing_key=key, vct=kind, disclosable=disclosable))


def _held(value: Any) -> Held:
    found = Held(value) if isinstance(value, str) else Held(**value)
    if not _is_handle(found.handle):
        raise ValueError("a handle is 64 hexadecimal digits")
    return found


def read_consent(credential: str, hospital: str) -> Given:
    """A consent for this hospital that is signed and not over. Raises FederationError(bad-credential)."""
    claims = _verified(credential, hospital, CONSENT)
    purpose, scope, handle, until = (claims.get(name) for name in ("purpose", "scope", "handle", "exp"))
    fits = (
        purpose in PURPOSES
        and isinstance(scope, list)
        and all(isinstance(one, str) for one in scope)
        and _is_handle(handle)
        and type(until) is int
        and time.time() < until <= LAST_SECOND
    )
    if not fits:
        raise FederationError("the consent lacks purpose, scope, handle or end", code="bad-credential")
    return Given(claims["iss"], hospital, str(handle), str(purpose), tuple(scope or ()), int(until or 0))


def read_revocation(credential: str, hospital: str) -> tuple[str, str]:
    """Issuer and handle of a revocation. Raises FederationError(bad-credential)."""
    claims = _verified(credential, hospital, REVOCATION)
    if not _is_handle(claims.get("handle")):
        raise FederationError("the revocation names no handle", code="bad-credential")
    return claims["iss"], claims["handle"]


def _verified(credential: str, hospital: str, kind: str) -> dict[str, Any]:
    """The claims of a credential that its own issuer signed. The issuer's key is in its name."""
    suite, _ = _openvc()
    from openvc.errors import OpenvcError

    try:
        if len(credential) > MAX_BYTES:
            raise ValueError("it is too long")
        issuer, _ = suite.peek_issuer(credential)
        found = suite.verify(credential, public_key_jwk=_key_of(issuer), audience=hospital, expected_vct=kind)
    except (OpenvcError, ValueError, TypeError, KeyError) as error:
        raise FederationError(
            f"this is no consent or revocation for {hospital}: {error}", code="bad-credential"
        ) from None
    return dict(found.claims)


def _key_of(issuer: str) -> dict[str, str]:
    jwk = strict_json.loads(_decode(issuer.removeprefix(_DID)), limit=MAX_BYTES)
    public = _decode(jwk["x"])
    if len(public) != 32 or issuer != _did_of(public):
        raise ValueError("its issuer is no did:jwk of an Ed25519 key in its one form")
    return _jwk(public)


def _did_of(public: bytes) -> str:
    return _DID + _encode(json.dumps(_jwk(public), sort_keys=True, separators=(",", ":")).encode())


def _jwk(public: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": _encode(public)}


def _is_handle(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _openvc() -> tuple[Any, Any]:
    try:
        from openvc import keys
        from openvc.proof.sd_jwt import SdJwtVcProofSuite
    except ImportError:
        raise EngineMissing.of("openvc-core") from None
    return SdJwtVcProofSuite(), keys
