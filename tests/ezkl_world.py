"""A small trained-looking MLP through the whole ezkl lane, compiled once for all tests of one run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnx.reference
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from proofward.zkml import Artifact, CompileOptions, Evaluation, Proof, compile_model

SALT_A, SALT_B = bytes(range(32)), bytes(range(32, 64))


def mlp(
    features: int = 5, hidden: int = 4, seed: int = 1, *, outputs: int = 1, final: str = "Sigmoid"
) -> bytes:
    """Gemm, Relu, Gemm, final: with raw features of very different size."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.integers(-2, 3, features)
    tensors = {
        "w0": rng.normal(0, 1, (features, hidden)) / sizes[:, None],
        "b0": rng.normal(0, 0.5, hidden),
        "w1": rng.normal(0, 1, (hidden, outputs)),
        "b1": rng.normal(0, 0.1, outputs),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], name="hidden"),
        helper.make_node("Relu", ["h"], ["a"], name="relu"),
        helper.make_node("Gemm", ["a", "w1", "b1"], ["logit"], name="logit"),
    ]
    last = "logit"
    if final:
        nodes.append(helper.make_node(final, ["logit"], ["p"], name="final"))
        last = "p"
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", features])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", outputs])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialised: bytes = proto.SerializeToString(deterministic=True)
    return serialised


def records(features: int = 5, seed: int = 1, n: int = 64) -> NDArray[np.float64]:
    """Records of the sizes that mlp() expects."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.integers(-2, 3, features)
    return np.asarray(rng.normal(0.5, 1, (n, features)) * sizes, dtype=np.float64)


@dataclass(frozen=True)
class World:
    onnx: bytes
    x: NDArray[np.float64]
    artifact: Artifact
    proof: Proof
    other: Proof


@lru_cache(maxsize=1)
def world() -> World:
    """Compiled, with two verified proofs of different records (the folder goes when the test run ends)."""
    model, x = mlp(), records()
    _FOLDER.append(tempfile.TemporaryDirectory(prefix="proofward-test-"))
    out = Path(_FOLDER[0].name) / "artifact"
    evaluator = onnx.reference.ReferenceEvaluator(onnx.load_from_string(model))
    (probability,) = cast(list[NDArray[np.float32]], evaluator.run(None, {"x": x.astype(np.float32)}))
    y = probability > 0.5
    artifact = compile_model(
        model, x, out, name="test", evaluation=Evaluation(x, y.astype(np.int64)),
        options=CompileOptions(lane="ezkl"),
    )  # fmt: skip
    values = artifact.public.quantize(x)
    proofs = [artifact.prove(values[i : i + 1], SALT_A, SALT_B) for i in (0, 1)]
    return World(model, x, artifact, *proofs)


_FOLDER: list[tempfile.TemporaryDirectory[str]] = []
