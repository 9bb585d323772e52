"""The float model itself, run by ONNX Runtime: what the integers are compared with."""

from __future__ import annotations

import numpy as np
import onnxruntime

from proofward.zkml.errors import CompileError
from proofward.zkml.groth16.compiler.network import FloatArray
from proofward.zkml.groth16.compiler.onnx_frontend import Traced

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_CHUNK = 256


def scores(model: bytes, traced: Traced, x: FloatArray) -> FloatArray:
    """The proven output, float64 ``[n, length]``, for records ``[n, features]``; probabilities where the
    model has them.

    Of a sigmoid's ``[1 - p, p]`` only p is returned, as ``p - 1/2``, so that its sign is the decision.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    size = 1 if isinstance(given.shape[0], int) and given.shape[0] > 0 else _CHUNK
    if isinstance(given.shape[0], int) and given.shape[0] > 1:
        raise CompileError(
            f"the model's batch axis is fixed to {given.shape[0]}; export it with a batch of 1 or a free one"
        )
    records = x.reshape(len(x), *traced.input_shape).astype(_TYPES[given.type])
    parts = [
        _array(session.run([traced.output_name], {given.name: records[i : i + size]})[0])
        for i in range(0, len(records), size)
    ]
    found = np.concatenate(parts).reshape(len(x), -1)
    decision = traced.decision
    return found[:, -1:] - 0.5 if decision == "sigmoid" else found


def _array(output: object) -> FloatArray:
    if isinstance(output, list) and output and isinstance(output[0], dict):  # a ZipMap's rows
        return np.array([list(row.values()) for row in output], dtype=np.float64)
    return np.asarray(output, dtype=np.float64)
