"""Small ONNX models for the front end's tests, made without any training framework."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import xgboost
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from proofward.zkml import CompileOptions
from proofward.zkml.groth16.compiler import quantise

FLOAT = TensorProto.FLOAT
GROTH16 = CompileOptions(lane="groth16")
REGRESSION = replace(GROTH16, task="regression")


@contextmanager
def hasty() -> Iterator[None]:
    """A search of a tenth of the trials: some constraints more, where it is not the search that is tried."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantise, "MAX_TRIALS", 150)
        yield


class Graph:
    """A chain builder: each call appends a node that reads the last tensor, constants come as arrays."""

    def __init__(self, shape: Sequence[int], seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shape, self.last, self.opset = list(shape), "x", 17
        self.rng = np.random.default_rng(seed)

    def weights(self, *shape: int, scale: float = 0.5) -> np.ndarray:
        return self.rng.normal(0, scale, shape).astype(np.float32)

    def constant(self, value: np.ndarray | np.floating[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(
        self, op: str, *inputs: str | np.ndarray | np.floating[Any], domain: str = "", **attributes: Any
    ) -> str:
        """Append `op(last, *inputs)`; a string input names an earlier tensor."""
        names = [self.last] + [i if isinstance(i, str) else self.constant(i) for i in inputs]
        return self.raw(op, names, domain=domain, **attributes)

    def raw(self, op: str, names: Sequence[str], domain: str = "", **attributes: Any) -> str:
        self.last = f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                op,
                list(names),
                [self.last],
                name=f"{op.lower()}_{len(self.nodes)}",
                domain=domain,
                **attributes,
            )
        )
        return self.last

    def model(self, opset: int | None = None) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "test",
            [helper.make_tensor_value_info("x", FLOAT, [None, *self.shape])],
            [helper.make_tensor_value_info(self.last, FLOAT, None)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset or self.opset), helper.make_opsetid("ai.onnx.ml", 3)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        return bytes(onnx.shape_inference.infer_shapes(proto).SerializeToString())

    def records(self, n: int) -> np.ndarray:
        return self.rng.uniform(-1, 1, (n, int(np.prod(self.shape))))


def tree_of_gaps(x: np.ndarray, y: np.ndarray) -> tuple[xgboost.XGBClassifier, bytes]:
    """One tree that learnt where missing values go, and its export, which says so."""
    tree = xgboost.XGBClassifier(n_estimators=1, max_depth=4, n_jobs=1, random_state=0).fit(x, y)
    types = [("input", FloatTensorType([None, x.shape[1]]))]
    return tree, bytes(convert_xgboost(tree, initial_types=types, target_opset=15).SerializeToString())


def run(model: bytes, x: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """ONNX Runtime's output, `[n, outputs]`."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows = [session.run(None, {"x": row.reshape(1, *shape).astype(np.float32)})[0].reshape(-1) for row in x]
    return np.array(rows, dtype=np.float64)
