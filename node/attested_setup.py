"""Ask an enclave to set up a model's keys, and check the quote that it gives for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.enclave_link import EnclaveDown, EnclaveLink
from proofward.attestation import parse_quote
from proofward.protocol import setup_report_data, sha256

#: A setup searches, compiles and makes keys: minutes for a large model on a busy machine.
SETUP_SECONDS = 1800.0


class SetupRefused(Exception):
    """The enclave's answer is not a setup of this model."""

    code = "setup-refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class AttestedSetup:
    """What the enclave made.

    `path`: the artefact's folder, relative to the enclave's models directory. `quote` binds circuit digest
    and verifying key; `collateral` (SCALE) is there when the enclave's provider has it.
    """

    path: str
    manifest_hash: bytes
    circuit_digest: bytes
    vk_hash: bytes
    quote: bytes
    collateral: bytes | None


def attested_setup(socket: Path, onnx: bytes, params: Mapping[str, Any]) -> AttestedSetup:
    """Run `setup` (docs/protocol.md) on the enclave behind `socket`.

    Raises EnclaveError with the compiler's code, SetupRefused when the enclave is not there or its quote binds
    something else. Whether the quote's root and measurement can be trusted is for the chain and the clients to judge.
    """
    link = EnclaveLink(socket)
    try:
        made = asyncio.run(link.call("setup", {"onnx": onnx, **params}, SETUP_SECONDS))
    except EnclaveDown as error:
        raise SetupRefused(f"no setup was made: {error}") from error
    if made["weights_digest"] != sha256(onnx):
        raise SetupRefused("the enclave set up another model: ask it again")
    setup = AttestedSetup(
        path=made["path"],
        manifest_hash=made["manifest_hash"],
        circuit_digest=made["circuit_digest"],
        vk_hash=made["vk_hash"],
        quote=made["quote"],
        collateral=made["collateral"],
    )
    binding = setup_report_data(circuit_digest=setup.circuit_digest, vk_hash=setup.vk_hash)
    if parse_quote(setup.quote).report_data != binding:
        raise SetupRefused("the enclave's quote binds another circuit or verifying key: do not publish it")
    return setup
