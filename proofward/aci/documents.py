"""ACI's documents: keyset, attestation statement, session and receipt (sections 3, 7, 8 and appendix A)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proofward.aci.errors import AciError
from proofward.aci.jcs import canonical, tagged
from proofward.protocol import sha256

API_VERSION = "aci/1"
PURPOSE = "aci.report_data.v1"
RECEIPT_ALGORITHM = "ed25519"
MAX_KEYS = 16
"""Of each role in a keyset."""
MAX_TEXT = 256
"""Characters of an id, a label, a model's name."""
MAX_EVENTS = 64
MAX_ANSWER = 32 << 20
"""Bytes of an answer's wire."""

_NONCE = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
SESSION_ID = re.compile(r"[0-9a-f]{64}")
RECEIPT_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of one role, as the keyset lists it."""

    key_id: str
    algo: str
    public_key: str

    def document(self) -> Document:
        """Its member of the keyset."""
        return {"key_id": self.key_id, "algo": self.algo, "public_key": self.public_key}


@dataclass(frozen=True, slots=True)
class TlsKey:
    """The SHA-256 (hex) of a certificate's public key, and the one host that it is for."""

    spki_sha256: str
    domain: str | None = None

    def document(self) -> Document:
        """Its member of the keyset."""
        value: Document = {"spki_sha256": self.spki_sha256}
        return value if self.domain is None else {**value, "domain": self.domain}


@dataclass(frozen=True, slots=True)
class Keyset:
    """The identity of a service: its public keys by role, and the Unix second after which none counts."""

    subject: str | None
    not_after: int
    receipt_keys: tuple[Key, ...]
    e2ee_keys: tuple[Key, ...]
    tls_keys: tuple[TlsKey, ...]

    def document(self) -> Document:
        """The JSON form of section 3.1."""
        return {
            "subject": self.subject,
            "not_after": self.not_after,
            "receipt_signing_keys": [key.document() for key in self.receipt_keys],
            "e2ee_public_keys": [key.document() for key in self.e2ee_keys],
            "tls_public_keys": [key.document() for key in self.tls_keys],
        }

    @property
    def digest(self) -> str:
        """`sha256:` over the canonical form."""
        return tagged(canonical(self.document()))

    @classmethod
    def read(cls, value: Any) -> Keyset:
        """A keyset that has the fixed shape, whose keys have one role each. Raises AciError(bad-keyset)."""
        try:
            keyset = cls(
                value["subject"],
                value["not_after"],
                tuple(_key(one) for one in _few(value["receipt_signing_keys"])),
                tuple(_key(one) for one in _few(value["e2ee_public_keys"])),
                tuple(_tls(one) for one in _few(value["tls_public_keys"])),
            )
        except (KeyError, TypeError):
            raise AciError(
                "the keyset lacks a member, or has one of another kind", code="bad-keyset"
            ) from None
        if not isinstance(keyset.not_after, int) or isinstance(keyset.not_after, bool):
            raise AciError("the keyset's not_after is no integer", code="bad-keyset")
        if keyset.subject is not None and not _is_text(keyset.subject):
            raise AciError("the keyset's subject is no short text", code="bad-keyset")
        if keyset.document() != value:
            raise AciError("the keyset has a member that aci/1 does not know", code="bad-keyset")
        keyset._check_roles()
        return keyset

    def _check_roles(self) -> None:
        receipt = {key.public_key for key in self.receipt_keys}
        e2ee = {key.public_key for key in self.e2ee_keys}
        ids = [key.key_id for key in self.receipt_keys]
        if len(set(ids)) != len(ids):
            raise AciError("two receipt keys have one id", code="bad-keyset")
        if receipt & e2ee or {_spki_of(key) for key in receipt | e2ee} & {
            one.spki_sha256 for one in self.tls_keys
        }:
            raise AciError("one key has two roles in the keyset", code="bad-keyset")

    def receipt_key(self, key_id: Any) -> Ed25519PublicKey:
        """The key that signs receipts under this id. Raises AciError: not listed, or another algorithm."""
        for key in self.receipt_keys:
            if key.key_id == key_id:
                if key.algo != RECEIPT_ALGORITHM:
                    raise AciError("the receipt's key has an algorithm that is not known", code="bad-receipt")
                try:
                    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public_key))
                except ValueError:
                    raise AciError("the receipt's key is no Ed25519 key", code="bad-receipt") from None
        raise AciError("the receipt names a key that the keyset does not list", code="bad-receipt")

    def lists_tls(self, spki_sha256: str, host: str) -> bool:
        """Whether a host may be met under this TLS key."""
        return any(one.spki_sha256 == spki_sha256 and one.domain in (None, host) for one in self.tls_keys)

    def lists_e2ee(self, public_key: str) -> bool:
        """Whether content may be encrypted to this key."""
        return any(one.public_key == public_key for one in self.e2ee_keys)


def nonce_of(text: str) -> str:
    """A nonce as section 3.2 has it: 64 lower-case hex digits. Raises AciError(invalid-request-error)."""
    if not _NONCE.fullmatch(text):
        raise AciError("a nonce is 32 bytes in 64 lower-case hex digits", code="invalid-request-error")
    return text


def statement(keyset_digest: str, nonce: str | None) -> bytes:
    """The exact bytes whose SHA-256 is the quote's report_data (section 3.2). Raises AciError."""
    if not DIGEST.fullmatch(keyset_digest):
        raise AciError("a keyset digest is `sha256:` and 64 hex digits")
    return canonical(
        {
            "keyset_digest": keyset_digest,
            "nonce": None if nonce is None else nonce_of(nonce),
            "purpose": PURPOSE,
        }
    )


def report_data(keyset_digest: str, nonce: str | None) -> bytes:
    """SHA-256 of the statement, 32 bytes."""
    return sha256(statement(keyset_digest, nonce))


def report_slot(keyset_digest: str, nonce: str | None) -> bytes:
    """The quote's 64 bytes: `report_data`, then zeroes."""
    return report_data(keyset_digest, nonce) + bytes(32)


def session_id(document: Mapping[str, Any]) -> str:
    """The content address of a session (section 8): bare lower-case hex."""
    return sha256(canonical(dict(document))).hex()


def evidence_of(data: bytes, *, content_type: str = "application/json") -> Document:
    """A session's evidence: a data URI of the exact bytes that were verified, and their digest."""
    return {
        "digest": tagged(data),
        "data": f"data:{content_type};base64,{base64.b64encode(data).decode('ascii')}",
    }


def check_session(document: Any, expected: str) -> bytes:
    """Whether a session is the one that a receipt cites; returns its evidence's bytes (section 9.2, 1 and 2).

    Raises AciError(bad-session).
    """
    if not isinstance(document, dict) or document.get("api_version") != API_VERSION:
        raise AciError("the session is none of aci/1", code="bad-session")
    if session_id(document) != expected:
        raise AciError("the session does not hash to the id that the receipt cites", code="bad-session")
    evidence = document.get("evidence")
    text = evidence.get("data") if isinstance(evidence, dict) else None
    head, found, payload = text.partition(";base64,") if isinstance(text, str) else ("", "", "")
    if not found or not head.startswith("data:"):
        raise AciError("the session holds no evidence", code="bad-session")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise AciError("the session's evidence is no base64", code="bad-session") from None
    if not isinstance(evidence, dict) or evidence.get("digest") != tagged(data):
        raise AciError("the session's evidence does not hash to its digest", code="bad-session")
    return data


def sign_receipt(unsigned: Document, key: Ed25519PrivateKey) -> Document:
    """The receipt with its `signature` (section 7.2). Raises AciError when it carries one already."""
    if "signature" in unsigned:
        raise AciError("the receipt is signed already")
    return {**unsigned, "signature": key.sign(canonical(unsigned)).hex()}


def check_receipt(receipt: Any, keyset: Keyset) -> list[Document]:
    """Signature and frame of a receipt (section 9.3, 1 and 2); returns its events.

    Raises AciError(bad-receipt).
    """
    if not isinstance(receipt, dict) or receipt.get("api_version") != API_VERSION:
        raise AciError("it is no receipt of aci/1", code="bad-receipt")
    if receipt.get("workload_keyset_digest") != keyset.digest:
        raise AciError("the receipt is of another keyset", code="bad-receipt")
    signature = receipt.get("signature")
    if not isinstance(signature, str) or not re.fullmatch(r"[0-9a-f]{128}", signature):
        raise AciError("the receipt has no signature of 64 bytes in hex", code="bad-receipt")
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    try:
        keyset.receipt_key(receipt.get("key_id")).verify(bytes.fromhex(signature), canonical(unsigned))
    except InvalidSignature:
        raise AciError("the receipt's signature does not verify", code="bad-receipt") from None
    events = receipt.get("event_log")
    if (
        not isinstance(events, list)
        or not 1 <= len(events) <= MAX_EVENTS
        or not all(isinstance(one, dict) for one in events)
        or events[0].get("type") != "request.received"
    ):
        raise AciError("the receipt's first event is not request.received", code="bad-receipt")
    return events


def one_event(events: list[Document], kind: str) -> Document:
    """The only event of a type. Raises AciError(bad-receipt): none, or more than one."""
    found = [one for one in events if one.get("type") == kind]
    if len(found) != 1:
        raise AciError(f"the receipt has {len(found)} events {kind}, not one", code="bad-receipt")
    return found[0]


def _few(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_KEYS:
        raise AciError(f"a keyset lists at most {MAX_KEYS} keys of a role", code="bad-keyset")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT


def _key(value: Any) -> Key:
    key = Key(value["key_id"], value["algo"], value["public_key"])
    if not (_is_text(key.key_id) and _is_text(key.algo) and _is_text(key.public_key)):
        raise AciError("a key's id, algorithm or bytes are no short text", code="bad-keyset")
    return key


def _tls(value: Any) -> TlsKey:
    key = TlsKey(value["spki_sha256"], value.get("domain"))
    if not isinstance(key.spki_sha256, str) or not SESSION_ID.fullmatch(key.spki_sha256):
        raise AciError("a TLS key is named by 64 hex digits", code="bad-keyset")
    if key.domain is not None and not _is_text(key.domain):
        raise AciError("a TLS key's domain is no short text", code="bad-keyset")
    return key


def _spki_of(public_key: str) -> str | None:
    """What a TLS entry would call an Ed25519 key; None for other keys."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    except ValueError:
        return None
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hex()
