"""A contribution to a ceremony by the enclave of a configuration, and the quote that shows it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofward.attestation import parse_quote
from proofward.errors import ProofwardError
from proofward.files import copy_whole, sibling, write_whole
from proofward.protocol import contribution_report_data
from proofward_node.config import NodeConfig
from proofward_node.enclave_link import EnclaveDown, enclave_of

CONTRIBUTION_SECONDS = 1800.0
"""Every point of a large key is multiplied."""


class ContributionRefused(ProofwardError):
    """No enclave answers, or what it answers is no contribution to this ceremony."""

    code = "contribution-refused"


@dataclass(frozen=True, slots=True)
class EnclaveContribution:
    """The ceremony's new file, the file with the quote, and the transcript's hash after the contribution."""

    state: Path
    quote: Path
    contribution: bytes


def contribute(config: NodeConfig, state: Path, name: str, out: Path) -> EnclaveContribution:
    """Have the enclave add its share to a ceremony; the quote is written to `out`, with `.quote` behind it.

    Raises EnclaveError with the ceremony's code, ContributionRefused.
    """
    quote = sibling(out, ".quote")
    for path in (out, quote):
        if path.exists():
            raise ContributionRefused(f"{path} exists already; a ceremony's file is never overwritten")
    handed = config.enclave.models / f"ceremony-{secrets.token_hex(8)}"
    try:
        copy_whole(state, handed, mode=0o666)
    except OSError as error:
        raise ContributionRefused(f"cannot hand {state} to the enclave: {error.strerror}") from error
    try:
        made = asyncio.run(_ask(config, {"path": handed.name, "name": name}))
    except EnclaveDown as error:
        raise ContributionRefused(f"nothing was contributed: {error}") from error
    finally:
        handed.unlink(missing_ok=True)
    bound = {name: made[name] for name in ("circuit_digest", "phase1", "contribution")}
    if parse_quote(made["quote"]).report_data != contribution_report_data(**bound):
        raise ContributionRefused("the enclave's quote does not bind its contribution: do not pass it on")
    contributed = config.enclave.models / Path(made["path"]).name
    copy_whole(contributed, out, mode=0o666)
    contributed.unlink()
    # proofward.evidence.contribution reads it
    evidence = {
        "quote": made["quote"].hex(),
        "collateral": (made["collateral"] or b"").hex(),
        "time": int(time.time()),
        "contribution": made["contribution"].hex(),
    }
    write_whole(quote, f"{json.dumps(evidence, indent=1)}\n".encode(), mode=0o666)
    return EnclaveContribution(out, quote, made["contribution"])


async def _ask(config: NodeConfig, request: dict[str, Any]) -> dict[str, Any]:
    async with enclave_of(config) as enclave:
        return await enclave.call("contribute", request, CONTRIBUTION_SECONDS)
