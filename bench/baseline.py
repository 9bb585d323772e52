"""The parent's side of the ezkl baseline."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any

import numpy as np

from bench.models import Model, for_ezkl

CALIBRATION_RECORDS = 16


class EzklBaseline:
    """A child process that holds one model, set up."""

    def __init__(self, model: Model) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.ezkl_baseline"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.facts = self._call(
            "setup",
            onnx=for_ezkl(model.onnx).hex(),
            calibration=model.split.train_x[:CALIBRATION_RECORDS].tolist(),
        )

    def __enter__(self) -> EzklBaseline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def prove(self, record: np.ndarray) -> dict[str, Any]:
        """Seconds of witness and proof, of the verification, and whether it held."""
        return dict(self._call("prove", record=record.tolist()))

    def infer(self, records: np.ndarray) -> np.ndarray:
        """The circuit's own scores, `[n, outputs]`."""
        return np.array(self._call("infer", records=records.tolist()))

    def _call(self, op: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
        self._process.stdin.flush()
        reply = self._process.stdout.readline()
        if not reply or "error" in (answer := json.loads(reply)):
            raise SystemExit(f"ezkl's {op} failed: {reply or 'the process ended'}")
        return answer["result"]
