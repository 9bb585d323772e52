"""What a reader of the chain makes of one published ezkl proof: its evaluations, and where they were taken.

The challenge comes from the transcript (Keccak-256 over the verifying key's digest and the proof's points);
the evaluations follow the points. So who guesses a committed column can compare it with the proof.
"""

from __future__ import annotations

import re

from proofward.protocol import keccak256

R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
MOST_UNUSABLE_ROWS = 12


class Reader:
    """Reads proofs by the constants of the verifier's Solidity."""

    def __init__(self, solidity: str) -> None:
        def constant(comment: str) -> int:
            found = re.search(rf"(0x[0-9a-f]{{64}})\) // {comment}\b", solidity)
            assert found, comment
            return int(found.group(1), 16)

        self._digest = constant("vk_digest")
        self._rows, self._omega = 1 << constant("k"), constant("omega")
        self._phases = [
            int(size, 16)
            for size in re.findall(r"proof_cptr_end := add\(proof_cptr, (0x[0-9a-f]+)\) \}", solidity)
        ]

    def evaluations(self, proof: bytes) -> tuple[int, list[int]]:
        """The point that the transcript gives, and the proof's evaluations."""
        state, at, point = self._digest.to_bytes(32, "big"), 0, 0
        for number, size in enumerate(self._phases[:4]):
            state = keccak256(state + proof[at : at + size])
            at += size
            point = int.from_bytes(state, "big") % R
            if number == 1:
                state = keccak256(state + b"\1")
        scalars = proof[at : at + self._phases[4]]
        return point, [int.from_bytes(scalars[i : i + 32], "big") for i in range(0, len(scalars), 32)]

    def evaluates(self, proof: bytes, column: list[int]) -> bool:
        """Whether the proof opens a column that begins with these values and ends in zeros or ones."""
        point, evaluations = self.evaluations(proof)
        rows = [*range(len(column)), *range(self._rows - MOST_UNUSABLE_ROWS, self._rows)]
        basis = self._lagrange(point, rows)
        base = sum(v * b for v, b in zip(column, basis, strict=False)) % R
        tail = basis[len(column) :]
        fillings = (sum(tail[len(tail) - unusable :]) for unusable in range(MOST_UNUSABLE_ROWS))
        return any((base + filling) % R in evaluations for filling in (0, *fillings))

    def _lagrange(self, point: int, rows: list[int]) -> list[int]:
        z = (pow(point, self._rows, R) - 1) * pow(self._rows, -1, R) % R
        roots = [pow(self._omega, row, R) for row in rows]
        return [z * root * pow(point - root, -1, R) % R for root in roots]
