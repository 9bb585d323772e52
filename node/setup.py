"""Attested setup: the enclave of a configuration makes a model's keys, and its quote says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from node.config import NodeConfig
from node.enclave_link import EnclaveDown, EnclaveLink, enclave_command
from proofward.attestation import AttestationError, parse_quote
from proofward.protocol import setup_report_data, sha256

#: A setup searches, compiles and makes keys: minutes for a large model on a busy machine.
SETUP_SECONDS = 3600.0
#: The quote and its collateral lie beside the artefact's two halves; `proofward.publishing` finds them there.
QUOTE_FILE = "setup.quote"
COLLATERAL_FILE = "setup.collateral"


class SetupRefused(Exception):
    """The enclave is not there, or its answer is not a setup of this model."""

    code = "setup-refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def attested_setup(config: NodeConfig, request: dict[str, Any]) -> Path:
    """Have a model compiled and set up inside the enclave; gives the artefact's folder, with quote and
    collateral in it.

    `request`: the parameters of the enclave's `setup` (docs/protocol.md);
    `proofward.building.setup_request` makes them. Whether the
    quote's root and measurement can be trusted is for the chain and the clients to judge.

    Raises:
        SetupRefused: no enclave answers, or its quote binds something else. EnclaveError: with the
        compiler's code.
    """
    try:
        reply = asyncio.run(_ask(config, request))
    except EnclaveDown as error:
        raise SetupRefused(f"no setup was made: {error}") from error
    if reply["weights_digest"] != sha256(request["onnx"]):
        raise SetupRefused("the enclave set up another model: ask it again")
    binding = setup_report_data(circuit_digest=reply["circuit_digest"], vk_hash=reply["vk_hash"])
    try:
        bound = parse_quote(reply["quote"]).report_data
    except AttestationError as error:
        raise SetupRefused(f"the enclave's quote cannot be read: {error.message}") from error
    if bound != binding:
        raise SetupRefused("the enclave's quote binds another circuit or verifying key: do not publish it")
    folder = config.enclave.models / Path(str(reply["path"])).name
    (folder / QUOTE_FILE).write_bytes(reply["quote"])
    if reply.get("collateral"):
        (folder / COLLATERAL_FILE).write_bytes(reply["collateral"])
    return folder


async def _ask(config: NodeConfig, request: dict[str, Any]) -> dict[str, Any]:
    command = enclave_command(config.socket, config.enclave.provider, config.enclave.models)
    link = EnclaveLink(config.socket, command if config.enclave.spawn else None)
    await link.start()
    try:
        return await link.call("setup", request, SETUP_SECONDS)
    finally:
        await link.stop()
