"""The Intel SGX extension of a PCK certificate, in DER.

Source: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, section 1.3.5.
Written by hand because `cryptography` has no ENUMERATED.
"""

from __future__ import annotations

from typing import Final

from cryptography.x509 import ObjectIdentifier

SGX_EXTENSION: Final = ObjectIdentifier("1.2.840.113741.1.13.1")

_SEQUENCE, _OBJECT_ID, _OCTETS, _INTEGER, _ENUMERATED, _BOOLEAN = 0x30, 0x06, 0x04, 0x02, 0x0A, 0x01


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _sequence(*parts: bytes) -> bytes:
    return _tlv(_SEQUENCE, b"".join(parts))


def _oid(*tail: int) -> bytes:
    first, second, *rest = (int(arc) for arc in SGX_EXTENSION.dotted_string.split("."))
    encoded = bytes([40 * first + second])
    for arc in (*rest, *tail):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | (arc & 0x7F))
        encoded += bytes(reversed(septets))
    return _tlv(_OBJECT_ID, encoded)


def _integer(value: int) -> bytes:
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def sgx_extension(*, ppid: bytes, cpu_svn: bytes, pce_svn: int, fmspc: bytes, instance_id: bytes) -> bytes:
    """The extension's value for a scalable platform with Platform CA.

    `ppid` and `instance_id` are 16 bytes, `cpu_svn` 16 components of a byte each, `fmspc` 6 bytes. Flags:
    several packages, cached keys and hyperthreading, as on every TDX server.
    """
    tcb = [_sequence(_oid(2, index + 1), _integer(svn)) for index, svn in enumerate(cpu_svn)]
    tcb += [
        _sequence(_oid(2, 17), _integer(pce_svn)),
        _sequence(_oid(2, 18), _tlv(_OCTETS, cpu_svn)),
    ]
    flags = [_sequence(_oid(7, index), _tlv(_BOOLEAN, b"\xff")) for index in (1, 2, 3)]
    return _sequence(
        _sequence(_oid(1), _tlv(_OCTETS, ppid)),
        _sequence(_oid(2), _sequence(*tcb)),
        _sequence(_oid(3), _tlv(_OCTETS, bytes(2))),
        _sequence(_oid(4), _tlv(_OCTETS, fmspc)),
        _sequence(_oid(5), _tlv(_ENUMERATED, b"\x01")),
        _sequence(_oid(6), _tlv(_OCTETS, instance_id)),
        _sequence(_oid(7), _sequence(*flags)),
    )
