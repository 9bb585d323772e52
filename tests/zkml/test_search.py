"""The search for integers: the records it is held to, and what is said before it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from proofward.zkml import CompileError, CompileOptions, Evaluation, dry_run
from proofward.zkml.groth16.compiler import quantise, size
from proofward.zkml.groth16.compiler.edges import COUNT, edges
from tests.zkml.onnx_models import GROTH16, REGRESSION, Graph, run


def test_edges_lie_where_a_decision_ends() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    x[:, 2] = np.where(x[:, 2] > 0, 1.0, 0.0)
    slopes = np.array([1.0, -2.0, 0.5])

    def decide(records: np.ndarray) -> np.ndarray:
        return np.asarray(records @ slopes > 0.1, dtype=np.int64)

    found = edges(x, [2], decide)
    assert found.shape == (COUNT, 3)
    assert np.abs(found @ slopes - 0.1).max() < 1e-3
    assert set(found[:, 2]) <= {0.0, 1.0}
    assert edges(x, [], lambda records: np.zeros(len(records), dtype=np.int64)).shape == (0, 3)


def test_a_plan_is_held_to_records_that_calibration_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of calibration lies next to the edge, as of a model's own training data; without the rule the
    search takes integers that flip there.
    """
    graph = Graph((4,), seed=1)
    graph.node("Gemm", graph.weights(4, 12), graph.weights(12))
    graph.node("Relu")
    graph.node("Gemm", graph.weights(12, 1, scale=2.0))
    graph.node("Sigmoid")
    drawn = np.random.default_rng(0).uniform(-1, 1, (3000, 4))
    scores = run(graph.model(), drawn, [4])[:, 0]
    far = drawn[np.abs(scores - np.median(scores)) > 0.15]
    graph.nodes[-2].input.append(graph.constant(np.array([-_logit(np.median(scores))], dtype=np.float32)))

    def flips() -> float:
        held_out = Evaluation(
            drawn[2000:], (run(graph.model(), drawn[2000:], [4])[:, 0] > 0.5).astype(np.int64)
        )
        _, found = dry_run(
            graph.model(),
            far[:400],
            evaluation=held_out,
            options=CompileOptions(max_shift=0.9, max_disagreement=0.01),
        )
        assert found.accuracy.report is not None
        assert found.accuracy.report.agreement is not None
        return 1 - found.accuracy.report.agreement

    held = flips()
    monkeypatch.setattr(quantise._Search, "edge_flips", lambda *_: 0.0)
    loose = flips()
    assert loose > 0.05
    assert held < 0.6 * loose


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_what_no_circuit_holds_is_refused_before_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line: which node, how much, and what to do."""
    monkeypatch.setattr(quantise, "search", lambda *_a, **_k: pytest.fail("it was searched"))
    wide = Graph((9_000,))
    wide.node("Gemm", wide.weights(9_000, 1, scale=0.01))
    cases = [(wide, 1, "9,000 values and a job carries 8,192: resample"), (_small(), 25, "lower --batch")]
    for graph, batch, says in cases:
        with pytest.raises(CompileError, match=says):
            dry_run(
                graph.model(),
                graph.records(40),
                options=replace(REGRESSION, batch=batch),
            )
    for limit, says in (
        ("MAX_ROWS", "node 'relu_1' alone has 6 act"),
        ("MAX_MATRIX_TERMS", "'relu_1' alone"),
    ):
        monkeypatch.setattr(size, limit, 20)
        graph = _small()
        with pytest.raises(CompileError, match=says):
            dry_run(graph.model(), graph.records(40), options=REGRESSION)
        monkeypatch.undo()


def test_integers_that_no_circuit_holds_name_their_largest_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "MAX_ROWS", 24)
    monkeypatch.setattr(quantise, "MAX_TRIALS", 100)  # the first integers that serve are too many already
    graph = Graph((2,))
    graph.node("Gemm", graph.weights(2, 6))
    graph.node("Relu")
    graph.node("Gemm", graph.weights(6, 1))
    graph.node("Sigmoid")
    with pytest.raises(CompileError, match=r"node 'relu_1' alone takes .* or accept larger bounds"):
        dry_run(graph.model(), graph.records(80), options=GROTH16)


def _small() -> Graph:
    graph = Graph((400,))
    graph.node("Gemm", graph.weights(400, 6, scale=0.05))
    graph.node("Relu")
    graph.node("Gemm", graph.weights(6, 1))
    return graph
