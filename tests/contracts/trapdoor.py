"""Groth16 keys whose secrets are known, so that true statements, and false ones that nearly hold, are made by
algebra alone: no circuit, no prover. Groups and pairing are py_ecc's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

from py_ecc import optimized_bn128 as bn

R: int = bn.curve_order


@cache
def g1(scalar: int) -> bytes:
    """The generator times `scalar`: x, y, big-endian; infinity is zeros."""
    if scalar % R == 0:
        return bytes(64)
    x, y = bn.normalize(bn.multiply(bn.G1, scalar % R))
    return int(x).to_bytes(32, "big") + int(y).to_bytes(32, "big")


@cache
def g2(scalar: int) -> bytes:
    """The generator of G2 times `scalar`, imaginary parts first (EIP-197)."""
    if scalar % R == 0:
        return bytes(128)
    x, y = bn.normalize(bn.multiply(bn.G2, scalar % R))
    return b"".join(int(c).to_bytes(32, "big") for c in (x.coeffs[1], x.coeffs[0], y.coeffs[1], y.coeffs[0]))


@dataclass(frozen=True)
class Statement:
    """Two commitments (scalars) and a proof's discrete logarithms."""

    input: int
    output: int
    a: int
    b: int
    c: int

    @property
    def case(self) -> tuple[bytes, bytes, bytes]:
        """(input commitment, output commitment, proof) as bytes."""
        proof = g1(self.a) + g2(self.b) + g1(self.c)
        return self.input.to_bytes(32, "big"), self.output.to_bytes(32, "big"), proof


@dataclass(frozen=True)
class Trapdoor:
    """The key's discrete logarithms."""

    alpha: int
    beta: int
    gamma: int
    delta: int
    ic: tuple[int, int, int]

    @staticmethod
    def random(seed: int) -> Trapdoor:
        draw = random.Random(seed)
        alpha, beta, gamma, delta, *ic = (draw.randrange(1, R) for _ in range(7))
        return Trapdoor(alpha, beta, gamma, delta, (ic[0], ic[1], ic[2]))

    @property
    def key(self) -> bytes:
        """The verifying key, 640 bytes."""
        head = g1(self.alpha) + g2(self.beta) + g2(self.gamma) + g2(self.delta)
        return head + b"".join(g1(scalar) for scalar in self.ic)

    def error(self, s: Statement) -> int:
        """The logarithm of the equation's left side: 0 exactly when the proof holds."""
        inputs = self.ic[0] + s.input * self.ic[1] + s.output * self.ic[2]
        return (self.alpha * self.beta + inputs * self.gamma + s.c * self.delta - s.a * s.b) % R

    def prove(self, seed: int) -> Statement:
        """A true statement about random commitments."""
        draw = random.Random(seed)
        inputs, output, a, b = (draw.randrange(1, R) for _ in range(4))
        s = Statement(inputs, output, a, b, c=0)
        return replace(s, c=-self.error(s) * pow(self.delta, -1, R) % R)
