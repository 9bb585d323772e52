"""How large the integers inside a circuit can get, so that no input in range is refused half-way by the
prover.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from proofward.zkml.ezkl.graph import CALIBRATED, Model

Floats = NDArray[np.float64]

_ADDS_SCALE = {"Gemm", "MatMul", "Conv", "Mul", "BatchNormalization", "AveragePool", "GlobalAveragePool"}
_DECOMPOSES = {"Relu", "LeakyRelu", "MaxPool"}
CALIBRATION_MARGIN = 4.0


@dataclass(frozen=True)
class Magnitudes:
    """Per tensor: the largest |value|, how many multiplications by weights lie before it, whether it is
    decomposed.
    """

    peak: dict[str, float]
    depth: dict[str, int]
    decomposed: set[str]
    looked_up: set[str]

    def lookup(self, input_scale: int) -> int:
        """The largest integer that meets a lookup table, when every product is divided back at once."""
        peaks = [self.peak[name] for name in self.looked_up if name in self.peak]
        return max(128, int(np.ceil(2 * max(peaks, default=0.0) * 2.0**input_scale)))

    def bits(self, input_scale: int, param_scale: int, multiplier: int) -> int:
        """log2 of the largest integer that is decomposed, rounded up, one bit of slack for weight rounding.

        A tensor's scale grows by param_scale with each multiplication; once above input_scale * multiplier it
        is divided back, and a division decomposes what it divides.
        """
        worst = 1.0
        for name, peak in self.peak.items():
            scale = input_scale + self.depth[name] * param_scale
            ceiling = input_scale * multiplier
            rebased = scale > ceiling
            if rebased:
                scale = min(scale, ceiling + param_scale)
            if rebased or name in self.decomposed:
                worst = max(worst, peak * 2.0**scale)
        return int(np.ceil(np.log2(worst))) + 1


def magnitudes(model: Model, limits: Floats, calibration: Floats) -> Magnitudes:
    """Bounds for inputs |z| <= limits [features]. Exact models: the same graph over absolute weights, biases
    and inputs is an upper bound of every tensor (each operator is monotone, ReLU the identity there). Others:
    the largest seen on the calibration records [n, features], times four.
    """
    if model.exact:
        values = _run(_absolute(model), model.input, limits.reshape(1, *model.shape))
        peak = {name: float(np.abs(value).max()) for name, value in values.items()}
    else:
        peak = {}
        for record in calibration:
            for name, value in _run(model.core, model.input, record.reshape(1, *model.shape)).items():
                peak[name] = max(peak.get(name, 0.0), float(np.abs(value).max()) * CALIBRATION_MARGIN)
    depth: dict[str, int] = {}
    for node in model.core.graph.node:
        before = max((depth.get(name, 0) for name in node.input), default=0)
        for name in node.output:
            depth[name] = before + (node.op_type in _ADDS_SCALE)
    nodes = model.core.graph.node
    decomposed = {
        name for node in nodes if node.op_type in _DECOMPOSES or not model.exact for name in node.input
    }
    looked_up = {name for node in nodes if node.op_type in CALIBRATED for name in node.input}
    known = {name: value for name, value in peak.items() if name in depth}
    return Magnitudes(known, depth, decomposed, looked_up)


def evaluate(model: Model, z: Floats) -> Floats:
    """The float model's scores [n, length] for z [n, features]."""
    return _answers(model.core, model, z)


def answers(onnx_file: bytes, model: Model, x: Floats) -> Floats:
    """What ONNX Runtime says of x [n, features] by the file that `model` was cut from."""
    return _answers(onnx.load_from_string(onnx_file), model, x)


def _answers(proto: onnx.ModelProto, model: Model, x: Floats) -> Floats:
    session = _session(proto)
    feeds = x.astype(np.float32).reshape(len(x), 1, *model.shape)
    found = [session.run(None, {model.input: record})[0] for record in feeds]
    return np.stack([np.asarray(one, dtype=np.float64).reshape(-1) for one in found])


def _absolute(model: Model) -> onnx.ModelProto:
    core = onnx.ModelProto()
    core.CopyFrom(model.core)
    means = {node.input[3] for node in core.graph.node if node.op_type == "BatchNormalization"}
    for tensor in core.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f":
            sign = -1 if tensor.name in means else 1
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(sign * np.abs(values)), tensor.name))
    for node in core.graph.node:
        if node.op_type == "Sub":
            node.op_type = "Add"
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    values = numpy_helper.to_array(attribute.t)
                    if values.dtype.kind == "f":
                        attribute.t.CopyFrom(numpy_helper.from_array(np.asarray(np.abs(values))))
    return core


def _run(core: onnx.ModelProto, name: str, record: Floats) -> dict[str, Floats]:
    """Every node's float outputs for one record."""
    traced = onnx.ModelProto()
    traced.CopyFrom(core)
    del traced.graph.output[:]
    names = [output for node in core.graph.node for output in node.output if output]
    traced.graph.output.extend(helper.make_empty_tensor_value_info(output) for output in names)
    values = _session(traced).run(names, {name: record.astype(np.float32)})
    found = {}
    for output, value in zip(names, values, strict=True):
        if np.asarray(value).dtype.kind == "f":
            found[output] = np.asarray(value, dtype=np.float64)
    return found


def _session(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
