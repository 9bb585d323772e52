"""A ceremony of three, one of them an enclave, and what is refused of it. `make ceremony`: on a CNN."""

from __future__ import annotations

import numpy as np
import pytest

from proofward.zkml import compile_model
from tests import ceremony
from tests.zkml.onnx_models import Graph


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> ceremony.Held:
    folder = tmp_path_factory.mktemp("c")
    graph = Graph((4,), seed=3)
    graph.node("Gemm", graph.weights(4, 1))
    graph.node("Sigmoid")
    x = np.random.default_rng(8).uniform(-1, 1, (150, 4))
    artifact = compile_model(graph.model(), x, folder / "model", name="m", lane="groth16")
    return ceremony.hold(artifact, folder)


def test_a_full_ceremony_is_verified_by_all_who_can_read_it(held: ceremony.Held) -> None:
    ceremony.check(held, phase1=False)


def test_a_full_ceremony_that_was_tampered_with_is_refused(held: ceremony.Held) -> None:
    ceremony.attack(held)
