"""A contribution to a ceremony, made in here: whoever trusts the measurement knows that its secret is gone.

The quote binds the transcript's hash after the contribution, and with it everything that came before.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proofward.files import copy_whole
from proofward.protocol import contribution_report_data
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.requests import Params
from proofward.zkml import ZkmlError
from proofward.zkml.groth16 import ceremony
from proofward_enclave.models import ModelStore
from proofward_enclave.providers import QuoteProvider
from proofward_enclave.providers.base import quote_over


class ContributionRunner:
    """Contributes to ceremonies whose files lie in the models' directory."""

    def __init__(self, provider: QuoteProvider, models: ModelStore) -> None:
        self._provider = provider
        self._models = models

    def prepare(self, params: Params) -> Callable[[], dict[str, Any]]:
        """Check the params and give the blocking work.

        Params: path (the ceremony's file, relative to the models' directory), name (the contributor's). The
        file is read once; the new one is made in a folder of the enclave's own, quoted, and copied beside it.
        The result: {path, circuit_digest, phase1, contribution, quote, collateral}.

        Raises EnclaveError: malformed-request, bad-path; the work raises the ceremony's codes.
        """
        name = params.text("name", 64)
        state = self._models.inside(params.text("path", 4096))

        def run() -> dict[str, Any]:
            with tempfile.TemporaryDirectory(prefix="proofward-ceremony-") as own:
                made = Path(own) / f"contribution-{secrets.token_hex(8)}.ceremony"
                try:
                    done = ceremony.contribute(state, name, made)
                except ZkmlError as error:
                    raise EnclaveError(error.message, code=error.code) from None
                bound = {
                    "circuit_digest": bytes.fromhex(done.circuit),
                    "phase1": bytes.fromhex(done.phase1),
                    "contribution": bytes.fromhex(done.contributions[-1].hash),
                }
                evidence = quote_over(self._provider, contribution_report_data(**bound))
                _hand_over(made, self._models.directory / made.name)
            return {"path": made.name, **bound, "quote": evidence.quote, "collateral": evidence.collateral}

        return run


def _hand_over(made: Path, out: Path) -> None:
    try:
        copy_whole(made, out, mode=0o666)
    except OSError as error:
        raise EnclaveError(
            f"the ceremony's file cannot be written to the models' directory: {error.strerror}",
            code="disk-full",
        ) from None
