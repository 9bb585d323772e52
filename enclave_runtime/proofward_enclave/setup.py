"""Attested setup: the keys of a model are made in here, and a quote binds what came out.

Whoever trusts the enclave's measurement need not trust the publisher: the randomness of the setup never left.
All is made in a folder of the enclave's own and copied to the models' directory, which the host can write,
only when the quote is there: no byte that the host could have changed is hashed or quoted.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from proofward.protocol import setup_report_data
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.requests import Params
from proofward.zkml import Artifact, CompileError, CompileOptions, Evaluation, ZkmlError, compile_model
from proofward.zkml.manifest import LaneChoice
from proofward.zkml.options import Wishes
from proofward_enclave.models import ModelStore
from proofward_enclave.providers import QuoteProvider
from proofward_enclave.providers.base import quote_over

MAX_ONNX: Final = 2 * 1024 * 1024
MAX_TABLE: Final = 2 * 1024 * 1024
"""Bytes of a calibration or evaluation table; a frame holds 4 MiB."""
MAX_WISHES: Final = 512 * 1024
"""Characters of the publisher's wishes: the names of the widest models' features."""

Compile = Callable[..., Artifact]


class SetupRunner:
    """Compiles models into the models' directory."""

    def __init__(self, provider: QuoteProvider, models: ModelStore, compile: Compile = compile_model) -> None:
        self._provider = provider
        self._models = models
        self._compile = compile

    def prepare(self, params: Params) -> Callable[[], dict[str, Any]]:
        """Check the params and give the blocking work.

        Params: onnx (bytes), name, lane (default groth16), batch (u32), calibration and optionally
        evaluation_x (float64 LE, C order) with features (u32), evaluation_y (float64 LE) with truths (u32:
        its columns), wishes (JSON, proofward.zkml.options.Wishes); and what the quote is for: genesis,
        publisher and block_hash (32 bytes each), of a recent block. The result:
        {path, manifest_hash, weights_digest, vk_hash, circuit_digest, quote, collateral}; path is relative
        to the models' directory.

        Raises EnclaveError: malformed-request, oversize; the work raises the compiler's codes.
        """
        onnx, name = params.blob("onnx", MAX_ONNX), params.text("name", 64)
        options, features = _options(params), params.u32("features")
        calibration = _table(params.blob("calibration", MAX_TABLE), features)
        purpose = {name: params.raw(name) for name in ("genesis", "publisher", "block_hash")}
        evaluation = None
        if params.has("evaluation_x"):
            x = _table(params.blob("evaluation_x", MAX_TABLE), features)
            y = _table(params.blob("evaluation_y", MAX_TABLE), params.u32("truths"))
            evaluation = Evaluation(x, y[:, 0] if y.shape[1] == 1 else y)

        def run() -> dict[str, Any]:
            folder = f"attested-{secrets.token_hex(8)}"
            with tempfile.TemporaryDirectory(prefix="proofward-setup-") as own:
                try:
                    artifact = self._compile(
                        onnx,
                        calibration,
                        Path(own) / folder,
                        name=name,
                        evaluation=evaluation,
                        options=options,
                    )
                except ZkmlError as error:
                    raise EnclaveError(error.message, code=error.code) from None
                result = self._attest(artifact, purpose)
                _hand_over(Path(own) / folder, self._models.directory / folder)
            return {"path": folder, **result}

        return run

    def _attest(self, artifact: Artifact, purpose: dict[str, bytes]) -> dict[str, Any]:
        manifest = artifact.manifest
        if manifest.setup != "attested":
            raise EnclaveError(
                f"the {manifest.lane} lane has no setup of its own to attest", code="setup-not-attested"
            )
        made = {
            "manifest_hash": artifact.public.manifest_hash,
            "circuit_digest": bytes.fromhex(manifest.circuit_digest),
            "vk_hash": bytes.fromhex(manifest.vk_hash),
        }
        evidence = quote_over(self._provider, setup_report_data(**purpose, **made))
        return {
            **made,
            "weights_digest": bytes.fromhex(manifest.weights_digest),
            "quote": evidence.quote,
            "collateral": evidence.collateral,
        }


def _options(params: Params) -> CompileOptions:
    """Raises EnclaveError(malformed-request)."""
    try:
        return CompileOptions(
            lane=cast(LaneChoice, params.text("lane", 16, "groth16")),
            batch=params.u32("batch"),
            setup="attested",
            **dict(Wishes.model_validate_json(params.text("wishes", MAX_WISHES, "{}"))),
        )
    except ValueError:
        raise EnclaveError("wishes is not JSON of the fields it may have", code="malformed-request") from None
    except CompileError as error:
        raise EnclaveError(error.message, code="malformed-request") from None


def _hand_over(made: Path, out: Path) -> None:
    """Copy what was made to where the host reads it, whole or not at all. Raises EnclaveError."""
    draft = out.with_name(f".{out.name}")
    try:
        shutil.copytree(made, draft)
        draft.rename(out)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise EnclaveError(
            f"the artefact cannot be written to the models' directory: {error.strerror}", code="disk-full"
        ) from None


def _table(data: bytes, features: int) -> NDArray[np.float64]:
    """float64 LE bytes as [n, features]. Raises EnclaveError(malformed-request)."""
    if features == 0 or not data or len(data) % (8 * features):
        raise EnclaveError(
            f"a table must hold whole records of {features} float64 values", code="malformed-request"
        )
    return np.frombuffer(data, dtype="<f8").reshape(-1, features).astype(np.float64)
