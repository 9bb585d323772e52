"""The ezkl lane's Solidity: the verifier that ezkl generates from the verifying key, inside our wrapper."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proofward import checkout
from proofward.zkml.errors import ContractError
from proofward.zkml.ezkl import curve as bn
from proofward.zkml.ezkl.process import EzklProcess
from proofward.zkml.lanes import ContractSource

CONTRACTS = checkout.part("contracts/src")
OUTPUT_POINT = 128
_MONTGOMERY = pow(1 << 256, -1, bn.field_modulus)


def source(process: EzklProcess, files: Mapping[str, bytes]) -> ContractSource:
    """Regenerate the verifier's sources from the public files alone."""
    with tempfile.TemporaryDirectory(prefix="proofward-solidity-") as folder:
        paths: dict[str, Any] = {}
        for name in ("settings.json", "vk.bin", "srs.bin"):
            path = Path(folder) / name
            path.write_bytes(files[f"public/{name}"])
            paths[name.split(".")[0]] = str(path)
        generated: str = process.call("solidity", output=str(Path(folder) / "Halo2Verifier.sol"), **paths)
    return ContractSource(
        sources={
            "IProofVerifier.sol": (CONTRACTS / "IProofVerifier.sol").read_text(),
            "EzklVerifier.sol": (CONTRACTS / "EzklVerifier.sol").read_text(),
            "Halo2Verifier.sol": generated,
            "Layout.sol": layout(generated),
        },
        file="EzklVerifier.sol",
        contract="EzklVerifier",
    )


def layout(generated: str) -> str:
    """Layout.sol: the proof's length and where its scalars lie, read off the generated verifier.

    A proof is points, then evaluations (scalars), then the two opening points W and W'.
    """
    length = re.findall(r"eq\((0x[0-9a-f]+), proof\.length\)", generated)
    regions = re.findall(
        r"proof_cptr_end := add\(proof_cptr, (0x[0-9a-f]+)\) \}"
        r"\s*lt\(proof_cptr, proof_cptr_end\)\s*\{\}\s*\{\s*(\S+)",
        generated,
    )
    scalars = [int(size, 16) for size, reading in regions if reading == "let"]
    points = [int(size, 16) for size, reading in regions if reading != "let"]
    if len(length) != 1 or len(scalars) != 1 or sum(points) + scalars[0] + 128 != int(length[0], 16):
        raise ContractError(
            "ezkl generated a verifier of a form that this version does not know", code="unknown-verifier"
        )
    start = sum(points)
    return (
        "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n\n"
        f"uint256 constant PROOF_LENGTH = {int(length[0], 16)};\n"
        f"uint256 constant SCALARS_START = {start};\n"
        f"uint256 constant SCALARS_END = {start + scalars[0]};\n"
        f"uint256 constant OUTPUT_POINT = {OUTPUT_POINT};\n"
    )


def tau_g2(srs: bytes) -> bytes:
    """[tau]_2 of an SRS file (its last 128 bytes, Montgomery form) as x_re, x_im, y_re, y_im, big-endian."""
    (logrows,) = struct.unpack("<I", srs[:4])
    if logrows > 26 or len(srs) != 4 + (128 << logrows) + 256:
        raise ContractError("srs.bin is not a KZG SRS in halo2's format", code="bad-srs")
    words = [int.from_bytes(srs[-128:][i : i + 32], "little") for i in range(0, 128, 32)]
    return b"".join((word * _MONTGOMERY % bn.field_modulus).to_bytes(32, "big") for word in words)
