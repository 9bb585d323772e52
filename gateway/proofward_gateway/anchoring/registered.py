"""The chain's proof of a registration, written anew every so often for a gateway inside its enclave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proofward.chain import SubstrateClient
from proofward.chain.pallets import workers
from proofward.client.inclusion import prove_keys
from proofward.consensus import decode_header
from proofward.consensus.registered import FORMAT, keys
from proofward.errors import ProofwardError
from proofward.files import write_whole
from proofward_gateway.anchoring.proving import fields
from proofward_gateway.channel import GatewayError


def prove(client: SubstrateClient, account: bytes) -> tuple[int, dict[str, Any]]:
    """The number of a final block, and the proof of what it has of an account.

    Raises GatewayError(not-bonded): no such registration, or a chain that proves nothing; NotFound,
    ChainError.
    """
    record = workers.get(client, account)
    if record is None:
        raise GatewayError(f"0x{account.hex()} is not registered on this chain", code="not-bonded")
    least = max(record.registered_at, client.finalised_head().number - 8)
    part = prove_keys(
        client, keys(account, record.measurement, record.root, record.platform), block=max(1, least)
    )
    if part is None:
        raise GatewayError(
            f"the chain at {client.url} has no GRANDPA: its state cannot be proved to a gateway",
            code="not-bonded",
        )
    return decode_header(part.header).number, {"format": FORMAT, **fields(part)}


def keep(
    client: SubstrateClient,
    account: bytes,
    out: Path,
    told: Callable[[int], None],
    failed: Callable[[ProofwardError | OSError], None] | None = None,
    *,
    seconds: float = 120.0,
    stop: threading.Event | None = None,
) -> None:
    """Write a proof, and again every so many seconds until `stop`; without `failed` once.

    What fails is told to `failed`, a chain that finalises nothing and a full disk too, and tried again.
    Raises GatewayError, NotFound, ChainError, OSError where there is no `failed`.
    """
    stop = stop or threading.Event()
    while not stop.is_set():
        try:
            block, proof = prove(client, account)
            write_whole(out, json.dumps(proof).encode(), mode=0o644)
            told(block)
        except (ProofwardError, OSError) as error:
            if failed is None:
                raise
            failed(error)
        if failed is None:
            return
        stop.wait(seconds)
