"""The baseline: ezkl after `calibrate_settings("resources")`, public input and output, weights fixed in the
key.

Runs as a child process, `python -m bench.ezkl_baseline`: one JSON request and one reply a line. ezkl prints
as it likes and may crash as it exits, so its standard output is moved away first and the process ends without
running destructors.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ezkl: Any = importlib.import_module("ezkl")  # its own stubs leave out its defaults


class Baseline:
    """One model set up in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> str:
        """Give the path of a file of this run."""
        return str(self.folder / name)

    def setup(self, calibration: list[list[float]]) -> dict[str, Any]:
        """Settings, calibration, circuit, test SRS and keys for `model.onnx`."""
        started = time.perf_counter()
        arguments = ezkl.PyRunArgs()
        arguments.input_visibility = arguments.output_visibility = "public"
        arguments.param_visibility = "fixed"
        model, settings = self.path("model.onnx"), self.path("settings.json")
        ezkl.gen_settings(model, settings, py_run_args=arguments)
        data = self.path("calibration.json")
        Path(data).write_text(
            json.dumps({"input_data": [[value for record in calibration for value in record]]})
        )
        ezkl.calibrate_settings(data, model, settings, "resources")
        found = json.loads(Path(settings).read_text())
        ezkl.compile_circuit(model, self.path("compiled"), settings)
        ezkl.gen_srs(self.path("srs"), found["run_args"]["logrows"])
        ezkl.setup(self.path("compiled"), self.path("vk"), self.path("pk"), self.path("srs"))
        return {
            "setup_s": time.perf_counter() - started,
            "logrows": found["run_args"]["logrows"],
            "scale": found["model_output_scales"][0],
            "pk_mb": os.path.getsize(self.path("pk")) / 1e6,
        }

    def infer(self, records: list[list[float]]) -> list[list[float]]:
        """The circuit's outputs, rescaled to floats."""
        settings = json.loads(Path(self.path("settings.json")).read_text())
        outputs, scale = [], settings["model_output_scales"][0]
        for record in records:
            data, witness = self.path("input.json"), self.path("witness.json")
            Path(data).write_text(json.dumps({"input_data": [record]}))
            found = ezkl.gen_witness(data, self.path("compiled"), witness, None, None)
            outputs.append([ezkl.felt_to_float(felt, scale) for felt in found["outputs"][0]])
        return outputs

    def prove(self, record: list[float]) -> dict[str, Any]:
        """Witness and proof, timed together; then the proof is verified."""
        data, witness, proof = self.path("input.json"), self.path("witness.json"), self.path("proof.json")
        Path(data).write_text(json.dumps({"input_data": [record]}))
        started = time.perf_counter()
        ezkl.gen_witness(data, self.path("compiled"), witness, self.path("vk"), self.path("srs"))
        ezkl.prove(witness, self.path("compiled"), self.path("pk"), proof, self.path("srs"))
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        valid = ezkl.verify(proof, self.path("settings.json"), self.path("vk"), self.path("srs"))
        return {
            "prove_s": seconds,
            "verify_s": time.perf_counter() - started,
            "valid": bool(valid),
            "proof_bytes": len(json.loads(Path(proof).read_text())["hex_proof"]) // 2 - 1,
        }


def main() -> None:
    """Serve requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as name:
        baseline = Baseline(Path(name))
        for line in sys.stdin:
            request = json.loads(line)
            if "onnx" in request:
                Path(baseline.path("model.onnx")).write_bytes(bytes.fromhex(request.pop("onnx")))
            try:
                reply = {"result": getattr(baseline, request.pop("op"))(**request)}
            except Exception as error:  # noqa: BLE001 - whatever ezkl raises is the parent's to report
                reply = {"error": f"{type(error).__name__}: {error}"[:2000]}
            replies.write(json.dumps(reply) + "\n")
    os._exit(0)


if __name__ == "__main__":
    main()
