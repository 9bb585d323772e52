"""Random graphs: the trace says what ONNX Runtime says, or refuses in one line. No library's exception
passes.

`make fuzz` runs more of it: PROOFWARD_FUZZ is the number of graphs.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proofward.zkml import ZkmlError
from proofward.zkml.groth16.compiler import float_model
from proofward.zkml.groth16.compiler.onnx_frontend import trace
from tests.zkml.onnx_models import Graph

I64 = np.int64
_Node = tuple[str, tuple[np.ndarray, ...], dict[str, Any]]

_small = st.integers(-2, 3)
_axes = st.lists(_small, min_size=1, max_size=2)
NODES: st.SearchStrategy[_Node] = st.one_of(
    st.sampled_from(
        ["Relu", "Abs", "Neg", "LeakyRelu", "HardSigmoid", "Identity", "Sigmoid", "Tanh", "GlobalMaxPool",
         "Squeeze", "Exp", "LogSoftmax"]
    ).map(lambda op: (op, (), {})),
    st.tuples(st.sampled_from(["Softmax", "ArgMax", "Flatten"]), _small).map(lambda t: (t[0], (), {"axis":
    t[1]})),
    _axes.map(lambda a: ("ReduceSum", (np.array(a, dtype=I64),), {"keepdims": 0})),
    _axes.map(lambda a: ("ReduceMax", (), {"axes": a})),
    st.lists(st.integers(-1, 6), min_size=1, max_size=3).map(lambda s: ("Reshape", (np.array(s,
    dtype=I64),), {})),
    st.tuples(_small, _small, _small).map(
        lambda t: ("Slice", tuple(np.array([v], dtype=I64) for v in t), {})
    ),
    st.permutations([0, 1, 2]).map(lambda p: ("Transpose", (), {"perm": p})),
    st.tuples(st.sampled_from(["MaxPool", "AveragePool"]), st.integers(1, 3), st.integers(1, 2),
    st.integers(0, 1),
              st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])).map(
        lambda t: (t[0], (), {"kernel_shape": [t[1]], "strides": [t[2]], "ceil_mode": t[3], "auto_pad": t[4]})
    ),
    st.sampled_from(["Add", "Mul", "Sub", "Div"]).map(lambda op: (op, (np.float32(1.5),), {})),
)  # fmt: skip


@settings(
    max_examples=int(os.environ.get("PROOFWARD_FUZZ", "120")),
    derandomize="PROOFWARD_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.sampled_from([(6,), (2, 5), (2, 3, 4)]), st.lists(NODES, min_size=1, max_size=4), st.integers(9, 18)
)
def test_a_random_graph_is_traced_rightly_or_refused(
    shape: tuple[int, ...], nodes: list[_Node], opset: int
) -> None:
    graph = Graph(shape)
    for op, constants, attributes in nodes:
        graph.node(op, *constants, **attributes)
    try:
        model = graph.model(opset)
    except Exception:  # noqa: BLE001 - onnx's own shape inference refuses the graph: nobody has such a file
        return
    x = graph.records(5)
    try:
        traced = trace(model)
        theirs = float_model.scores(model, traced, x)
    except ZkmlError as error:
        refusal = error.message
    else:
        refusal = ""
    if refusal:
        assert "\n" not in refusal
        return
    assert traced.network is not None
    ours = float_model.squashed(traced, traced.network.evaluate(x))
    np.testing.assert_allclose(ours, theirs, atol=1e-3, rtol=1e-3)
