"""Attested setup: the keys of a model are made in here, and a quote binds what came out.

Whoever trusts the enclave's measurement need not trust the publisher: the randomness of the setup never left.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proofward.protocol import setup_report_data
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.requests import Params
from proofward.zkml import Artifact, Evaluation, ZkmlError, compile_model
from proofward.zkml.manifest import Wishes
from proofward_enclave.models import ModelStore
from proofward_enclave.providers import QuoteProvider
from proofward_enclave.providers.base import quote_over

MAX_ONNX: Final = 2 * 1024 * 1024
MAX_TABLE: Final = 2 * 1024 * 1024
"""Bytes of a calibration or evaluation table; a frame holds 4 MiB."""
MAX_WISHES: Final = 512 * 1024
"""Characters of the publisher's wishes: the names of the widest models' features."""

_LANES: Final = ("auto", "ezkl", "groth16")

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
        evaluation_x (float64 LE, C order) with features (u32), evaluation_y (float64 LE), and wishes (JSON,
        proofward.zkml.manifest.Wishes). The result:
        {path, manifest_hash, weights_digest, vk_hash, circuit_digest, quote, collateral}; path is relative
        to the models' directory.

        Raises EnclaveError: malformed-request, oversize; the work raises the compiler's codes.
        """
        onnx = params.blob("onnx", MAX_ONNX)
        name, lane = params.text("name", 64), params.text("lane", 16, "groth16")
        if lane not in _LANES:
            raise EnclaveError(f"lane must be one of {', '.join(_LANES)}", code="malformed-request")
        batch, features = params.u32("batch"), params.u32("features")
        calibration = _table(params.blob("calibration", MAX_TABLE), features)
        evaluation = None
        if params.has("evaluation_x"):
            x = _table(params.blob("evaluation_x", MAX_TABLE), features)
            y = _table(params.blob("evaluation_y", MAX_TABLE), 1).reshape(-1)
            evaluation = Evaluation(x, y)
        try:
            wishes = Wishes.model_validate_json(params.text("wishes", MAX_WISHES, "{}"))
        except ValueError:
            raise EnclaveError(
                "wishes is not JSON of the fields it may have", code="malformed-request"
            ) from None

        def run() -> dict[str, Any]:
            folder = f"attested-{secrets.token_hex(8)}"
            try:
                artifact = self._compile(
                    onnx,
                    calibration,
                    self._models.directory / folder,
                    name=name,
                    lane=lane,
                    evaluation=evaluation,
                    batch=batch,
                    setup="attested",
                    **dict(wishes),
                )
            except ZkmlError as error:
                raise EnclaveError(error.message, code=error.code) from None
            return {"path": folder, **self._attest(artifact)}

        return run

    def _attest(self, artifact: Artifact) -> dict[str, Any]:
        manifest = artifact.manifest
        if manifest.setup != "attested":
            raise EnclaveError(
                f"the {manifest.lane} lane has no setup of its own to attest", code="setup-not-attested"
            )
        circuit, vk = bytes.fromhex(manifest.circuit_digest), bytes.fromhex(manifest.vk_hash)
        evidence = quote_over(self._provider, setup_report_data(circuit_digest=circuit, vk_hash=vk))
        return {
            "manifest_hash": artifact.public.manifest_hash,
            "weights_digest": bytes.fromhex(manifest.weights_digest),
            "vk_hash": vk,
            "circuit_digest": circuit,
            "quote": evidence.quote,
            "collateral": evidence.collateral,
        }


def _table(data: bytes, features: int) -> NDArray[np.float64]:
    """float64 LE bytes as [n, features]. Raises EnclaveError(malformed-request)."""
    if features == 0 or not data or len(data) % (8 * features):
        raise EnclaveError(
            f"a table must hold whole records of {features} float64 values", code="malformed-request"
        )
    return np.frombuffer(data, dtype="<f8").reshape(-1, features).astype(np.float64)
