"""What a dstack guest runs, from the log of its boot: the quote's RTMR3 is a hash chain over that log.

The chain holds things that differ by instance, so no list can name the whole of it. A `deployment` can be
named: the operating system (MRTD and RTMR0 to 2, which also hold the machine's shape) and the compose file.

Source: Dstack-TEE/dstack, attestation.md and `cc-eventlog` (runtime events).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final

from proofward.attestation.errors import AttestationError, Code
from proofward.attestation.quote import Quote
from proofward.protocol import sha256

RUNTIME_EVENT: Final = 0x08000001
MAX_EVENTS: Final = 1024
MAX_PAYLOAD: Final = 1 << 20
"""Characters of one event's payload."""
COMPOSE: Final = "compose-hash"
_REGISTER: Final = 48
_DOMAIN: Final = b"proofward/dstack-deployment/v1"


def deployment(event_log: Any, quote: Quote) -> bytes:
    """SHA-256 (32 bytes) over the domain, MRTD, RTMR0 to 2, MR_OWNER, MR_OWNER_CONFIG and the compose file's
    hash. `event_log` is dstack's list of events, or its JSON.

    Raises AttestationError(malformed-quote): the log is not that of the quote, or names no one compose file.
    """
    compose = compose_hash(event_log, quote.rtmrs[3])
    bound = quote.mr_config_id
    if bound != bytes(_REGISTER) and bound != b"\x01" + compose + bytes(_REGISTER - 33):
        raise _wrong("MR_CONFIG_ID is of another compose file than the log")
    registers = (quote.mrtd, *quote.rtmrs[:3], quote.mr_owner, quote.mr_owner_config)
    return sha256(_DOMAIN + b"".join(registers) + compose)


def compose_hash(event_log: Any, rtmr3: bytes) -> bytes:
    """The hash (32 bytes) of the compose file in a log that gives this register. Raises as `deployment`."""
    try:
        events = json.loads(event_log) if isinstance(event_log, str) else event_log
        if not isinstance(events, list) or len(events) > MAX_EVENTS:
            raise ValueError(f"it is no list of at most {MAX_EVENTS} events")
        register, named = bytes(_REGISTER), []
        for event in events:
            if not isinstance(event, dict) or type(event["imr"]) is not int:
                raise ValueError("an event names no register by its number")
            if event["imr"] != 3:
                continue
            digest = _digest(event)
            register = hashlib.sha384(register + digest).digest()
            if event["event"] == COMPOSE:
                named.append(bytes.fromhex(event["event_payload"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _wrong(f"the event log cannot be read: {error}") from None
    if not hmac.compare_digest(register, rtmr3):
        raise _wrong("the event log does not give the quote's RTMR3")
    # an application may append events of its own, and so a second name: then neither counts
    if len(named) != 1 or len(named[0]) != 32:
        raise _wrong(f"the event log names {len(named)} compose files")
    return named[0]


def _digest(event: dict[str, Any]) -> bytes:
    """The digest (48 bytes) of a runtime event, computed: the one in the log is the host's word."""
    kind, name, payload = event["event_type"], event["event"], event["event_payload"]
    # JSON's 134217729.0 equals the constant, and has no bytes
    if type(kind) is not int or kind != RUNTIME_EVENT:
        raise ValueError("RTMR3 holds an event that is none of dstack's")
    if not isinstance(name, str) or not isinstance(payload, str):
        raise ValueError("an event's name or payload is no text")
    if ":" in name:  # the digest sets name and payload apart by the first colon alone
        raise ValueError(f"the event's name {name[:64]!r} has a colon: it could be cut in another way")
    if len(payload) > MAX_PAYLOAD:
        raise ValueError("an event is too long")
    said = kind.to_bytes(4, "little") + b":" + name.encode() + b":" + bytes.fromhex(payload)
    found = hashlib.sha384(said).digest()
    if event.get("digest", "") not in ("", found.hex()):
        raise ValueError(f"the digest of event {name!r} is not its own")
    return found


def _wrong(what: str) -> AttestationError:
    return AttestationError(what, code=Code.MALFORMED_QUOTE)
