"""BN254's moduli, and points that a verifier must refuse."""

from __future__ import annotations

Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617

Fq2 = tuple[int, int]


def multiply(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] * b[0] - a[1] * b[1]) % Q, (a[0] * b[1] + a[1] * b[0]) % Q


def square_root(a: Fq2) -> Fq2 | None:
    """In Fq[i], i^2 = -1, by the norm; None for a non-residue."""
    norm = pow(a[0] * a[0] + a[1] * a[1], (Q + 1) // 4, Q)
    half = pow(2, -1, Q)
    for sign in (norm, -norm):
        real = pow((a[0] + sign) * half, (Q + 1) // 4, Q)
        if real:
            root = (real, a[1] * pow(2 * real, -1, Q) % Q)
            if multiply(root, root) == a:
                return root
    return None


def off_subgroup() -> bytes:
    """A point of the twist y^2 = x^3 + 3/(9 + i), as the EVM has it. One in 2^254 is in the subgroup."""
    inverse = pow(82, -1, Q)
    b = (27 * inverse % Q, -3 * inverse % Q)
    for x0 in range(1, 100):
        x = (x0, 0)
        cube = multiply(x, multiply(x, x))
        y = square_root(((cube[0] + b[0]) % Q, (cube[1] + b[1]) % Q))
        if y is not None:
            return b"".join(n.to_bytes(32, "big") for n in (x[1], x[0], y[1], y[0]))
    raise AssertionError("half of all abscissas have a point")
