"""The file of a gateway's answer: request, answer, and the key that opens it. It is the user's own (0600)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

from proofward.aci import documents, e2ee, jcs
from proofward.aci.errors import AciError
from proofward.attestation.gateway import Channel
from proofward.errors import ProofwardError
from proofward.evidence.answer import Answer, Encryption
from proofward.files import TooLong, read_whole, write_new, write_whole

FORMAT: Final = "proofward/answer/v1"
MAX_FILE: Final = 128 << 20


class AnswerError(ProofwardError):
    """An answer's file that cannot be read or written."""

    code = "bad-answer-file"


def save(answer: Answer, path: Path) -> None:
    """Write the file anew, mode 0600. Raises AnswerError."""
    write_document(path, _document(answer), 0o600)


def replace_file(answer: Answer, path: Path) -> None:
    """Put the answer into the place of its file, in one step. Raises AnswerError."""
    try:
        write_whole(path, json.dumps(_document(answer), ensure_ascii=False).encode())
    except OSError as error:
        raise AnswerError(f"cannot write {path}: {error.strerror}") from None


def _document(answer: Answer) -> dict[str, Any]:
    encryption = answer.encryption
    return {
        "format": FORMAT,
        "gateway": answer.gateway,
        "at": answer.at,
        "nonce": answer.nonce,
        "report": _b64(answer.report),
        "channel": {
            "host": answer.channel.host,
            "spki_sha256": answer.channel.spki_sha256,
            "e2ee_key": answer.channel.e2ee_key,
        },
        "endpoint": answer.endpoint,
        "request": _b64(answer.request),
        "response": _b64(answer.response),
        "encryption": None
        if encryption is None
        else {
            "suite": encryption.context.suite,
            "model": encryption.context.model,
            "nonce": encryption.context.nonce,
            "timestamp": encryption.context.timestamp,
            "client_key": encryption.key.to_bytes().hex(),
        },
        "receipt": answer.receipt,
        "session": answer.session,
        **{
            name: value
            for name, value in (("anchor", answer.anchor), ("bond", answer.bond))
            if value is not None
        },
    }


def write_document(path: Path, value: dict[str, Any], mode: int) -> None:
    """Write a JSON object into a file that is not there yet, with this mode. Raises AnswerError."""
    try:
        write_new(path, json.dumps(value, ensure_ascii=False).encode(), mode=mode)
    except OSError as error:
        raise AnswerError(f"cannot write {path}: {error.strerror}") from None


def is_answer(path: Path) -> bool:
    """Whether a file begins as `save` writes one."""
    return begins_as(path, FORMAT)


def begins_as(path: Path, form: str) -> bool:
    """Whether a file begins as a JSON object of this format."""
    try:
        with path.open("rb") as file:
            return file.read(64).startswith(b'{"format": "' + form.encode() + b'"')
    except OSError:
        return False


def load(path: Path) -> Answer:
    """Read a file. Raises AnswerError: unreadable, too long, or a member that is not as it should be."""
    try:
        value = jcs.loads(read_whole(path, MAX_FILE), limit=MAX_FILE)
        sealed, channel = value["encryption"], value["channel"]
        if value["format"] != FORMAT:
            raise AnswerError(f"{path} is of another format than {FORMAT}")
        answer = Answer(
            str(value["gateway"]),
            _int(value["at"]),
            documents.nonce_of(str(value["nonce"])),
            _bytes(value["report"]),
            Channel(
                str(channel["host"]),
                str(channel["spki_sha256"]),
                None if channel["e2ee_key"] is None else str(channel["e2ee_key"]),
            ),
            str(value["endpoint"]),
            _bytes(value["request"]),
            _bytes(value["response"]),
            None if sealed is None else _encryption(sealed),
            dict(value["receipt"]),
            None if value["session"] is None else dict(value["session"]),
            *(None if value.get(name) is None else dict(value[name]) for name in ("anchor", "bond")),
        )
        if not isinstance(jcs.loads(answer.request, limit=documents.MAX_ANSWER), dict):
            raise AnswerError(f"{path}: the request is no JSON object")
    except OSError as error:
        raise AnswerError(f"{path} cannot be read: {error.strerror}") from None
    except (AciError, KeyError, TypeError, ValueError) as error:
        told = "a member is missing, or is of another kind"
        if isinstance(error, (AciError, TooLong)):
            told = error.message
        raise AnswerError(f"{path} is no answer's file: {told}") from None
    return answer


def _encryption(value: Any) -> Encryption:
    suite = str(value["suite"])
    context = e2ee.Context(suite, str(value["model"]), str(value["nonce"]), _int(value["timestamp"]))
    return Encryption(context, e2ee.PrivateKey.from_bytes(suite, bytes.fromhex(value["client_key"])))


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise TypeError("no integer")
    return value


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)
