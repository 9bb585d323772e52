"""Attested setup: the enclave of a configuration makes a model's keys, and its quote binds them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofward.attestation import parse_quote
from proofward.errors import ProofwardError
from proofward.protocol import setup_report_data, sha256
from proofward_node.config import NodeConfig
from proofward_node.enclave_link import EnclaveDown, EnclaveLink, enclave_command

#: A setup searches, compiles and makes keys: long for a large model on a busy machine.
SETUP_SECONDS = 3600.0
#: The quote and its collateral lie beside the artefact's two halves.
QUOTE_FILE = "setup.quote"
COLLATERAL_FILE = "setup.collateral"


class SetupRefused(ProofwardError):
    """No enclave answers, or what it answers is not a setup of this model."""

    code = "setup-refused"


@dataclass(frozen=True, slots=True)
class AttestedSetup:
    """The artefact's folder, the file with the quote, and what the quote binds."""

    folder: Path
    quote: Path
    circuit_digest: bytes
    vk_hash: bytes


def attested_setup(config: NodeConfig, request: dict[str, Any]) -> AttestedSetup:
    """Have a model compiled and set up inside the enclave; the quote is written into the artefact's folder.

    `request` holds the params of the enclave's `setup` (docs/protocol.md);
    `proofward.publisher.build.setup_request` makes them.
    Raises EnclaveError with the compiler's code, SetupRefused. Whether root and measurement of
    the quote can be trusted is for the chain and the clients to judge.
    """
    try:
        made = asyncio.run(_ask(config, request))
    except EnclaveDown as error:
        raise SetupRefused(f"no setup was made: {error}") from error
    binding = setup_report_data(circuit_digest=made["circuit_digest"], vk_hash=made["vk_hash"])
    if made["weights_digest"] != sha256(request["onnx"]) or parse_quote(made["quote"]).report_data != binding:
        raise SetupRefused("the enclave's quote does not bind a setup of this model: do not publish it")
    folder = config.enclave.models / Path(made["path"]).name
    (folder / QUOTE_FILE).write_bytes(made["quote"])
    if made["collateral"] is not None:
        (folder / COLLATERAL_FILE).write_bytes(made["collateral"])
    return AttestedSetup(folder, folder / QUOTE_FILE, made["circuit_digest"], made["vk_hash"])


async def _ask(config: NodeConfig, request: dict[str, Any]) -> dict[str, Any]:
    """Connect to the worker's enclave, or start one for the time of the setup."""
    command = enclave_command(config.socket, config.enclave.provider, config.enclave.models)
    link = EnclaveLink(config.socket, command if config.enclave.spawn else None)
    await link.start()
    try:
        return await link.call("setup", request, SETUP_SECONDS)
    finally:
        await link.stop()
