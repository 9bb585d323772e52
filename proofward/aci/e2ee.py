"""E2EE v2: fields of a request or an answer, encrypted in place (spec/e2ee-v2.md, frozen)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proofward.aci import jcs
from proofward.aci.documents import Key
from proofward.aci.errors import AciError

VERSION: Final = "2"
X25519: Final = "x25519-aes-256-gcm-hkdf-sha256"
SECP256K1: Final = "secp256k1-aes-256-gcm-hkdf-sha256"
SUITES: Final = (X25519, SECP256K1)
WINDOW_SECONDS: Final = 300
"""How far a request's timestamp may lie from the service's clock."""
HEADERS: Final = (
    "X-E2EE-Version",
    "X-Client-Pub-Key",
    "X-Model-Pub-Key",
    "X-E2EE-Nonce",
    "X-E2EE-Timestamp",
)
CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
ENDPOINTS: Final = (CHAT, COMPLETIONS, EMBEDDINGS)

_INFO: Final = {X25519: b"aci.e2ee.v2.x25519", SECP256K1: b"aci.e2ee.v2.secp256k1"}
_POINT: Final = {X25519: 32, SECP256K1: 65}
_IV, _TAG = 12, 16
_NONCE: Final = re.compile(r"[0-9a-fA-F]{64}")
_DIGITS: Final = re.compile(r"[0-9a-f]+")

Field = Callable[[str, str], str]
"""Field path and value, to the value that takes its place."""


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """A static key of one suite, of a service or of a client; its private half is never printed."""

    suite: str
    _inner: X25519PrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def generate(cls, suite: str = X25519) -> PrivateKey:
        """A fresh key."""
        inner = (
            X25519PrivateKey.generate()
            if _known(suite) == X25519
            else ec.generate_private_key(ec.SECP256K1())
        )
        return cls(suite, inner)

    @classmethod
    def from_bytes(cls, suite: str, raw: bytes) -> PrivateKey:
        """From 32 bytes: the X25519 seed, or the scalar. Raises AciError."""
        try:
            if _known(suite) == X25519:
                return cls(suite, X25519PrivateKey.from_private_bytes(raw))
            return cls(suite, ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256K1()))
        except ValueError:
            raise AciError("it is no private key of the suite", code="e2ee-invalid-public-key") from None

    def to_bytes(self) -> bytes:
        """The inverse of `from_bytes`: a secret."""
        if isinstance(self._inner, X25519PrivateKey):
            return self._inner.private_bytes_raw()
        return self._inner.private_numbers().private_value.to_bytes(32, "big")

    @property
    def public(self) -> bytes:
        """32 bytes, or 65 of an uncompressed SEC1 point."""
        return _public(self._inner)

    def shared(self, peer: bytes) -> bytes:
        """The ECDH secret with a peer's public key. Raises AciError(e2ee-invalid-public-key)."""
        try:
            if isinstance(self._inner, X25519PrivateKey):
                return self._inner.exchange(X25519PublicKey.from_public_bytes(peer))
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), peer)
            return self._inner.exchange(ec.ECDH(), point)
        except ValueError:
            raise AciError("it is no public key of the suite", code="e2ee-invalid-public-key") from None


def public_key(suite: str, text: str) -> bytes:
    """A public key from its hex, `0x` and SEC1's `04` optional (section 4).

    Raises AciError(e2ee-invalid-public-key).
    """
    digits = text.removeprefix("0x").lower()
    if len(digits) > 130 or not _is_hex(digits):
        raise AciError("a public key is hex", code="e2ee-invalid-public-key")
    raw = bytes.fromhex(digits)
    if _known(suite) == SECP256K1 and len(raw) == 64:
        raw = b"\x04" + raw
    if len(raw) != _POINT[suite]:
        raise AciError(f"a public key of the suite has {_POINT[suite]} bytes", code="e2ee-invalid-public-key")
    PrivateKey.generate(suite).shared(raw)  # on the curve, and of no small order
    return raw


@dataclass(frozen=True, slots=True)
class Context:
    """What binds a request's fields and those of its answer: the headers and the model's name."""

    suite: str
    model: str
    nonce: str
    timestamp: int

    def request_aad(self, path: str) -> bytes:
        """Section 6, of a request's field."""
        return jcs.canonical({**self._common(path), "purpose": "aci.e2ee.request.v2"})

    def response_aad(self, path: str, response_id: str) -> bytes:
        """Section 6, of an answer's field; `response_id` is "" when it has none."""
        return jcs.canonical({**self._common(path), "id": response_id, "purpose": "aci.e2ee.response.v2"})

    def _common(self, path: str) -> dict[str, Any]:
        return {
            "algo": self.suite,
            "field": path,
            "model": self.model,
            "nonce": self.nonce,
            "ts": self.timestamp,
        }


def seal(suite: str, recipient: bytes, plaintext: bytes, aad: bytes) -> str:
    """Encrypt one field under a fresh key and nonce (section 4). Raises AciError."""
    ephemeral, iv = PrivateKey.generate(suite), secrets.token_bytes(_IV)
    sealed = AESGCM(_key(suite, ephemeral.shared(recipient))).encrypt(iv, plaintext, aad)
    return (ephemeral.public + iv + sealed).hex()


def open_field(key: PrivateKey, text: str, aad: bytes) -> bytes:
    """The inverse of `seal`. Raises AciError(e2ee-decryption-failed)."""
    refusal = AciError("a field does not decrypt under this key in this place", code="e2ee-decryption-failed")
    if not looks_sealed(key.suite, text):
        raise refusal
    raw, point = bytes.fromhex(text), _POINT[key.suite]
    try:
        secret = key.shared(raw[:point])
        return AESGCM(_key(key.suite, secret)).decrypt(raw[point : point + _IV], raw[point + _IV :], aad)
    except (AciError, InvalidTag):
        raise refusal from None


def looks_sealed(suite: str, text: Any) -> bool:
    """Whether a value has the form of a ciphertext: lower-case hex of at least an empty field's length."""
    least = 2 * (_POINT[suite] + _IV + _TAG)
    return isinstance(text, str) and len(text) >= least and _is_hex(text)


def _is_hex(text: str) -> bool:
    """Whether this is lower-case hex of whole bytes."""
    return len(text) % 2 == 0 and _DIGITS.fullmatch(text) is not None


def map_request(endpoint: str, body: dict[str, Any], change: Field) -> None:
    """Put `change(path, value)` in the place of each string that section 5 names in a request.

    Raises AciError(e2ee-unsupported-endpoint).
    """
    if endpoint == CHAT:
        for m, message in enumerate(_items(body, "messages")):
            _map_message(f"messages.{m}.content", message, change)
    elif endpoint in (COMPLETIONS, EMBEDDINGS):
        name = "prompt" if endpoint == COMPLETIONS else "input"
        _change(body, name, name, change)
        if isinstance(body.get(name), list):
            items = body[name]
            body[name] = [
                change(f"{name}.{i}", one) if isinstance(one, str) else one for i, one in enumerate(items)
            ]
    else:
        raise AciError(f"E2EE v2 does not define {endpoint}", code="e2ee-unsupported-endpoint")


def map_response(endpoint: str, body: dict[str, Any], change: Field, *, opening: bool = False) -> None:
    """As `map_request`, for each generated content of an answer or of a chunk of one.

    An embedding goes in as its compact JSON; with `opening`, comes out as the value that the JSON says.
    """
    for position, choice in enumerate(_items(body, "choices")):
        path = f"choices.{_index(choice, position)}"
        if endpoint == COMPLETIONS:
            _change(choice, "text", f"{path}.text", change)
        for part in ("message", "delta"):
            for name in ("content", "reasoning", "reasoning_content"):
                _change(choice.get(part), name, f"{path}.{part}.{name}", change)
        message = choice.get("message")
        if isinstance(message, dict):
            _change(message.get("audio"), "data", f"{path}.message.audio.data", change)
    if endpoint == EMBEDDINGS:
        for position, item in enumerate(_items(body, "data")):
            if "embedding" in item:
                path = f"data.{_index(item, position)}.embedding"
                if opening:
                    item["embedding"] = jcs.loads(change(path, item["embedding"]).encode(), limit=1 << 24)
                else:
                    item["embedding"] = change(path, jcs.compact(item["embedding"]).decode())


@dataclass(frozen=True, slots=True, repr=False)
class Exchange:
    """One encrypted request as the service sees it: its context, its own key and the client's."""

    context: Context
    client_key: bytes
    service_key: PrivateKey

    def open_request(self, endpoint: str, body: dict[str, Any]) -> None:
        """Restore a request's encrypted fields in place. Raises AciError(e2ee-decryption-failed) when one
        does not open, or none is encrypted.
        """
        opened = 0

        def change(path: str, value: str) -> str:
            nonlocal opened
            if not looks_sealed(self.context.suite, value):
                return value
            opened += 1
            plain = open_field(self.service_key, value, self.context.request_aad(path))
            try:
                return plain.decode("utf-8")
            except UnicodeDecodeError:
                raise AciError("a field holds no UTF-8", code="e2ee-decryption-failed") from None

        sealed_whole = _whole_contents(endpoint, body, self.context.suite)
        map_request(endpoint, body, change)
        if not opened:
            raise AciError("no field of the request is encrypted", code="e2ee-decryption-failed")
        for message in sealed_whole:
            message["content"] = _restored(message["content"])

    def seal_response(self, endpoint: str, body: dict[str, Any]) -> None:
        """Encrypt an answer's content in place, to the client."""
        response_id = body["id"] if isinstance(body.get("id"), str) else ""
        suite = self.context.suite

        def change(path: str, value: str) -> str:
            return seal(suite, self.client_key, value.encode(), self.context.response_aad(path, response_id))

        map_response(endpoint, body, change)


def open_response(key: PrivateKey, context: Context, endpoint: str, body: dict[str, Any]) -> None:
    """Decrypt an answer's content in place, at the client. Raises AciError(e2ee-decryption-failed): also when
    a content is there in plain text.
    """
    response_id = body["id"] if isinstance(body.get("id"), str) else ""

    def change(path: str, value: str) -> str:
        return open_field(key, value, context.response_aad(path, response_id)).decode("utf-8")

    try:
        map_response(endpoint, body, change, opening=True)
    except (UnicodeDecodeError, AttributeError):
        raise AciError("a field holds no text", code="e2ee-decryption-failed") from None


def seal_request(service_key: bytes, context: Context, endpoint: str, body: dict[str, Any]) -> int:
    """Encrypt every field of a request in place, at the client; returns how many there were."""
    sealed = 0

    def change(path: str, value: str) -> str:
        nonlocal sealed
        sealed += 1
        return seal(context.suite, service_key, value.encode(), context.request_aad(path))

    if endpoint == CHAT:
        for m, message in enumerate(_items(body, "messages")):
            parts = message.get("content")
            if isinstance(parts, list) and not all(_listed(one) for one in parts):
                # section 5: a part that has no path of its own is encrypted as a whole
                message["content"] = change(f"messages.{m}.content", jcs.compact(parts).decode())
            else:
                _map_message(f"messages.{m}.content", message, change)
        return sealed
    map_request(endpoint, body, change)
    return sealed


def plain_contents(body: dict[str, Any]) -> None:
    """Turn contents whose text parses as a JSON array into a text part, in place.

    Section 5 restores such a text as structured content; as a part it stays the text that it is.
    """
    for message in _items(body, "messages"):
        content = message.get("content")
        if isinstance(content, str) and isinstance(_restored(content), list):
            message["content"] = [{"type": "text", "text": content}]


def parse_headers(
    headers: dict[str, str], keys: dict[str, PrivateKey], *, now: float
) -> tuple[PrivateKey, bytes, str, int] | None:
    """What an E2EE request's headers name: service key, client's key, nonce, timestamp; None when there are
    none of them. Raises AciError, as section 9 has it.

    Args:
        headers: by lower-case name.
        keys: the service's, by the hex of their public half.
        now: Unix seconds.
    """
    found = [headers.get(name.lower()) for name in HEADERS]
    if all(one is None for one in found):
        return None
    version, client, model_key, nonce, timestamp = found
    if version is None or client is None or model_key is None or nonce is None or timestamp is None:
        raise AciError("E2EE v2 needs all five of its headers", code="e2ee-header-missing")
    if version != VERSION or "x-signing-algo" in headers:
        raise AciError("this service speaks E2EE version 2 alone", code="e2ee-invalid-version")
    key = _listed_key(model_key, keys)
    if not _NONCE.fullmatch(nonce):
        raise AciError("X-E2EE-Nonce is 64 hex digits", code="e2ee-invalid-nonce")
    if not re.fullmatch(r"\d{1,12}", timestamp) or abs(now - int(timestamp)) > WINDOW_SECONDS:
        raise AciError(
            f"X-E2EE-Timestamp is not within {WINDOW_SECONDS} s of now", code="e2ee-invalid-timestamp"
        )
    return key, public_key(key.suite, client), nonce, int(timestamp)


def service_keys(*keys: PrivateKey) -> tuple[Key, ...]:
    """The keyset's entries of a service's keys."""
    return tuple(Key(f"e2ee-{key.suite.partition('-')[0]}", key.suite, key.public.hex()) for key in keys)


def _listed_key(text: str, keys: dict[str, PrivateKey]) -> PrivateKey:
    digits = text.removeprefix("0x").lower()
    key = keys.get(digits) or keys.get("04" + digits)
    if key is None:
        raise AciError(
            "X-Model-Pub-Key is no E2EE key of this service's keyset: fetch the attestation again",
            code="e2ee-model-key-mismatch",
        )
    return key


def _known(suite: str) -> str:
    if suite not in SUITES:
        raise AciError("the suite is none of E2EE v2's", code="e2ee-invalid-version")
    return suite


def _key(suite: str, secret: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO[suite]).derive(secret)


def _public(key: X25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(key, X25519PrivateKey):
        return key.public_key().public_bytes_raw()
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _items(value: Any, name: str) -> list[dict[str, Any]]:
    """The objects in a list member; others keep their place as empty objects, so that indices hold."""
    items = value.get(name) if isinstance(value, dict) else None
    return [one if isinstance(one, dict) else {} for one in items] if isinstance(items, list) else []


def _change(value: Any, name: str, path: str, change: Field) -> None:
    if isinstance(value, dict) and isinstance(value.get(name), str):
        value[name] = change(path, value[name])


def _map_message(path: str, message: dict[str, Any], change: Field) -> None:
    _change(message, "content", path, change)
    for c, part in enumerate(_items(message, "content")):
        _change(part, "text", f"{path}.{c}.text", change)
        _change(part.get("image_url"), "url", f"{path}.{c}.image_url.url", change)
        _change(part.get("input_audio"), "data", f"{path}.{c}.input_audio.data", change)


def _index(item: dict[str, Any], position: int) -> int:
    index = item.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else position


def _listed(part: Any) -> bool:
    """Whether a content part has a field path of its own, for all of its content."""
    names = {"text": "text", "image_url": "image_url", "input_audio": "input_audio"}
    return isinstance(part, dict) and part.get("type") in names and names[part["type"]] in part


def _whole_contents(endpoint: str, body: dict[str, Any], suite: str) -> list[dict[str, Any]]:
    """Messages whose whole content is a ciphertext."""
    if endpoint != CHAT:
        return []
    return [one for one in _items(body, "messages") if looks_sealed(suite, one.get("content"))]


def _restored(text: str) -> Any:
    """A decrypted content: structured when it parses as a JSON array, else the text (section 5)."""
    if not text.lstrip().startswith("["):
        return text
    try:
        value = jcs.loads(text.encode(), limit=1 << 25)
    except AciError:
        return text
    return value if isinstance(value, list) else text
