"""What is sent: envelopes, frames of the enclave's socket and of sessions, SCALE."""

from __future__ import annotations

import contextlib

import cbor2

from proofward.protocol.collateral import decode_collateral, encode_collateral
from proofward.protocol.enclave import EnclaveError, parse_reply, parse_request
from proofward.protocol.errors import ProtocolError
from proofward.protocol.requests import JobRequest, Params
from proofward.protocol.sealing import _OUTPUT_PAYLOAD, _PAYLOAD, decode_envelope
from proofward.protocol.session_frames import parse_message
from proofward.protocol.types import Setup


def envelope(data: bytes) -> None:
    """A client's sealed input, as worker and enclave take it apart."""
    try:
        read = decode_envelope(data)
    except ProtocolError:
        return
    assert len({one.account for one in read.recipients}) == len(read.recipients) > 0
    for one in read.recipients:
        assert read.recipient(one.account) == one


def frame(data: bytes) -> None:
    """A frame of the enclave's socket, read by the enclave and by its host, and the job in it; or a message
    between a session's ends.
    """
    with contextlib.suppress(ProtocolError):
        assert parse_message(data).encode() == data
    try:
        request = parse_request(data)
    except EnclaveError:
        pass
    else:
        assert cbor2.loads(request.frame()[4:]) == {"params": {}} | cbor2.loads(data)
        try:
            job = JobRequest.parse(Params(request.params))
        except EnclaveError:
            pass
        else:
            assert JobRequest.parse(Params(job.encode())) == job
    with contextlib.suppress(EnclaveError):
        assert isinstance(parse_reply(data, 7), dict)


def scale(data: bytes) -> None:
    """SCALE: a collateral, an origin of keys, and what an envelope and an answer hold."""
    for record in (_PAYLOAD, _OUTPUT_PAYLOAD):
        with contextlib.suppress(ProtocolError):
            assert record.encode(record.decode(data)) == data
    with contextlib.suppress(ProtocolError):
        assert encode_collateral(decode_collateral(data)) == data
    with contextlib.suppress(ProtocolError):
        assert Setup.decode(data).encode() == data
