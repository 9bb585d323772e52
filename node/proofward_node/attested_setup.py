"""Attested setup: the enclave of a configuration makes a model's keys, and its quote binds them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofward.attestation import parse_quote
from proofward.chain import SubstrateClient
from proofward.errors import ProofwardError
from proofward.files import write_together
from proofward.protocol import setup_report_data, sha256
from proofward.protocol.setup_files import BLOCK_FILE, COLLATERAL_FILE, QUOTE_FILE
from proofward_node.config import NodeConfig
from proofward_node.enclave_link import EnclaveDown, enclave_of

SETUP_SECONDS = 3600.0
"""A setup searches, compiles and makes keys: long for a large model on a busy machine."""


class SetupRefused(ProofwardError):
    """No enclave answers, or what it answers is not a setup of this model."""

    code = "setup-refused"


@dataclass(frozen=True, slots=True)
class AttestedSetup:
    """The artefact's folder, the file with the quote, the block that dates it, and what the quote binds."""

    folder: Path
    quote: Path
    block: int
    circuit_digest: bytes
    vk_hash: bytes


def attested_setup(config: NodeConfig, request: dict[str, Any], publisher: bytes) -> AttestedSetup:
    """Have a model compiled and set up inside the enclave; the quote is written into the artefact's folder.

    `request` holds the params of the enclave's `setup` (docs/protocol.md) but for what the quote is for;
    `proofward.publisher.build.setup_request` makes them. `publisher` is the account (32 bytes) that will
    publish the model, on the configuration's chain and before today's finalised head is 256 blocks old.
    Raises EnclaveError with the compiler's code, SetupRefused, ChainError. Whether root and measurement of
    the quote can be trusted is for the chain and the clients to judge.
    """
    with SubstrateClient.connect(config.chain.url) as chain:
        head = chain.finalised_head()
        purpose = {"genesis": chain.genesis, "publisher": publisher, "block_hash": head.hash}
    if config.chain.genesis not in (None, f"0x{purpose['genesis'].hex()}"):
        raise SetupRefused(f"the chain at {config.chain.url} is not the one that the configuration pins")
    try:
        made = asyncio.run(_ask(config, request | purpose))
    except EnclaveDown as error:
        raise SetupRefused(f"no setup was made: {error}") from error
    names = ("manifest_hash", "circuit_digest", "vk_hash")
    binding = setup_report_data(**purpose, **{name: made[name] for name in names})
    if made["weights_digest"] != sha256(request["onnx"]) or parse_quote(made["quote"]).report_data != binding:
        raise SetupRefused("the enclave's quote does not bind a setup of this model: do not publish it")
    folder = config.enclave.models / Path(made["path"]).name
    told = {
        QUOTE_FILE: made["quote"],
        BLOCK_FILE: f"{head.number}\n".encode(),
        COLLATERAL_FILE: made["collateral"],
    }
    write_together([(folder / name, data, 0o666) for name, data in told.items() if data is not None])
    return AttestedSetup(folder, folder / QUOTE_FILE, head.number, made["circuit_digest"], made["vk_hash"])


async def _ask(config: NodeConfig, request: dict[str, Any]) -> dict[str, Any]:
    async with enclave_of(config) as enclave:
        return await enclave.call("setup", request, SETUP_SECONDS)
