"""The ezkl lane's commitments, without ezkl: KZG over BN254, in the basis that the artifact publishes.

ezkl commits to a tensor as one advice column: sum m_i * [L_i(tau)] + [B], where L_i are the Lagrange
polynomials over the circuit's rows and B is the column's constant filling of the unusable rows. basis.bin
holds B and the first L_i, so a client multiplies a few dozen points and needs neither the SRS nor a proving
key.
"""

from __future__ import annotations

import hashlib
import secrets

from proofward.protocol import keccak256
from proofward.zkml.errors import ArtifactError
from proofward.zkml.ezkl import curve as bn

SALT_LIMBS = 3
LIMB_BITS = 86
POINT_BYTES = 64

Point = tuple[bn.FQ, bn.FQ, bn.FQ]


def limbs(salt: bytes) -> list[int]:
    """A 32-byte salt as three 86-bit limbs, little-endian: all 256 bits are used."""
    value = int.from_bytes(salt, "little")
    return [(value >> (LIMB_BITS * i)) & ((1 << LIMB_BITS) - 1) for i in range(SALT_LIMBS)]


def encode(x: int, y: int) -> bytes:
    """A point as it stands in a proof: x and y, 32 bytes big-endian each (EIP-196)."""
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def decode(data: bytes) -> Point:
    """The reverse. Raises ArtifactError when off the curve, at infinity or not canonical (G1 has cofactor
    1).
    """
    x, y = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
    if len(data) != POINT_BYTES or x >= bn.field_modulus or y >= bn.field_modulus:
        raise ArtifactError("a commitment point is not two field elements")
    point = (bn.FQ(x), bn.FQ(y), bn.FQ.one())
    if not bn.is_on_curve(point, bn.b):
        raise ArtifactError("a commitment point is not on BN254")
    return point


def point_bytes(point: Point) -> bytes:
    """A point as x and y, 64 bytes; infinity is zeros."""
    if bn.is_inf(point):
        return bytes(POINT_BYTES)
    x, y = bn.normalize(point)
    return encode(int(x), int(y))


def combine(scalars: list[int], points: list[Point]) -> Point:
    """sum scalars[i] * points[i]; scalars signed. Straus' method: the doublings are shared."""
    total = bn.Z1
    signed = [(abs(s), p if s >= 0 else bn.neg(p)) for s, p in zip(scalars, points, strict=True) if s]
    for bit in reversed(range(max((s.bit_length() for s, _ in signed), default=0))):
        total = bn.double(total)
        for scalar, point in signed:
            if scalar >> bit & 1:
                total = bn.add(total, point)
    return total


class Basis:
    """basis.bin, read: B, then L_0, L_1, ... of 64 bytes each."""

    def __init__(self, data: bytes) -> None:
        if not data or len(data) % POINT_BYTES:
            raise ArtifactError("basis.bin is not a list of 64-byte points")
        points = [decode(data[i : i + POINT_BYTES]) for i in range(0, len(data), POINT_BYTES)]
        if len(set(data[i : i + POINT_BYTES] for i in range(0, len(data), POINT_BYTES))) != len(points):
            raise ArtifactError("basis.bin repeats a point: a commitment in it would not hide")
        self.constant, self.lagrange = points[0], points[1:]

    @staticmethod
    def from_commitments(points: list[bytes]) -> bytes:
        """basis.bin from the commitments to zero (B), and to each unit vector (B + L_i)."""
        constant = decode(points[0])
        minus = bn.neg(constant)
        return points[0] + b"".join(point_bytes(bn.add(decode(point), minus)) for point in points[1:])

    def commit(self, message: list[int]) -> bytes:
        """The commitment's 32 bytes: keccak256 of the point as it stands in the proof."""
        point = bn.add(combine(message, self.lagrange[: len(message)]), self.constant)
        return keccak256(point_bytes(point))

    def follows(self, tau_g2: bytes, logrows: int) -> bool:
        """Whether the L_i are the Lagrange basis of [tau]_2 (x_re, x_im, y_re, y_im, 32 bytes big-endian
        each).

        L_i (tau w^-i - 1) = (tau^n - 1)/n is the same for all i, so (w^-i L_i - L_0) tau = L_i - L_0; checked
        at once with random 128-bit factors, by one pairing equation. w is of order 2^logrows, from the
        generator 7 as in halo2. A publisher who swaps points for ones that do not hide is caught here.
        """
        root = pow(7, (bn.curve_order - 1) >> logrows, bn.curve_order)
        if pow(root, 1 << (logrows - 1), bn.curve_order) != bn.curve_order - 1:
            raise ArtifactError("no evaluation domain of that size")
        x = [int.from_bytes(tau_g2[i : i + 32], "big") for i in range(0, 128, 32)]
        tau = (bn.FQ2([x[0], x[1]]), bn.FQ2([x[2], x[3]]), bn.FQ2.one())
        if not bn.is_on_curve(tau, bn.b2):
            return False
        left, right = bn.Z1, bn.Z1
        for i, point in enumerate(self.lagrange[1:], start=1):
            factor = secrets.randbits(128)
            inverse = pow(root, -i, bn.curve_order)
            scaled = bn.multiply(point, factor * inverse % bn.curve_order)
            first = bn.multiply(self.lagrange[0], factor)
            left = bn.add(left, bn.add(scaled, bn.neg(first)))
            right = bn.add(right, bn.add(bn.multiply(point, factor), bn.neg(first)))
        return bool(bn.pairing(tau, left) == bn.pairing(bn.G2, right))


def digest(*parts: bytes) -> bytes:
    """SHA-256 over the lane's tag and length-prefixed parts."""
    hasher = hashlib.sha256(b"proofward/ezkl-circuit/v1")
    for part in parts:
        hasher.update(len(part).to_bytes(8, "little") + part)
    return hasher.digest()
