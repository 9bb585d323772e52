"""The lane whole: an ONNX file in, proofs that hold for exactly the integers that the reference computes."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier

from proofward.zkml import (
    AccuracyError,
    Artifact,
    ArtifactError,
    CompileError,
    Evaluation,
    InputRangeError,
    compile_model,
    load_artifact,
)
from proofward.zkml.artifact import PublicArtifact
from proofward.zkml.audit import audit_fields
from proofward.zkml.groth16 import OpenedRecord, check_record, open_record
from proofward.zkml.groth16.program import reference
from proofward.zkml.groth16.program.program import Program
from tests.zkml.onnx_models import GROTH16, REGRESSION, Graph, hasty

SALTS = bytes(range(32)), bytes(range(32, 64))


def _data(n: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).uniform(-1, 1, (n, features))
    x[:2] = [[-1.0] * features, [1.0] * features]
    return x, (x @ np.arange(1, features + 1) > 0).astype(np.int64)


def _network() -> bytes:
    graph = Graph((4,), seed=3)
    graph.node("Gemm", graph.weights(4, 6), graph.weights(6))
    graph.node("Relu")
    graph.node("Gemm", graph.weights(6, 1))
    graph.node("Sigmoid")
    return graph.model()


def _linear(out: Path, **options: Any) -> Artifact:
    """A model whose integers are found at once, in batches of three."""
    graph = Graph((4,), seed=3)
    graph.node("Gemm", graph.weights(4, 1))
    x, _ = _data(200, 4, 0)
    return compile_model(
        graph.model(),
        x,
        out,
        name="linear",
        options=replace(REGRESSION, batch=3, **options),
    )


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("network")
    x, _ = _data(200, 4, 0)
    with hasty():
        return compile_model(
            _network(),
            x,
            folder / "model",
            name="network",
            options=replace(GROTH16, batch=3, accuracy_bound=0.02),
        )


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    x, y = _data(200, 5, 1)
    model = GradientBoostingClassifier(n_estimators=6, max_depth=3, random_state=0).fit(x, y)
    onnx_bytes = to_onnx(model, x[:1].astype(np.float32)).SerializeToString()
    held_x, held_y = _data(100, 5, 2)
    return compile_model(
        onnx_bytes,
        x,
        tmp_path_factory.mktemp("trees") / "model",
        name="trees",
        options=GROTH16,
        evaluation=Evaluation(held_x, held_y),
    )


def test_a_batch_proof_holds_for_the_references_integers_and_no_others(network: Artifact) -> None:
    public, x = network.public, _data(3, 4, 5)[0]
    values = public.quantize(x)
    made = network.prove(values, *SALTS)
    program = Program.decode((network.path / "private" / "program.bin").read_bytes())
    np.testing.assert_array_equal(made.outputs, reference.evaluate(program, values))
    np.testing.assert_array_equal(made.outputs, network.infer(values))
    assert made.input_commitment == public.commit_input(values, SALTS[0])
    assert made.output_commitment == public.commit_output(made.outputs, SALTS[1])
    assert len(made.proof) == 256
    assert public.verify(made.input_commitment, made.output_commitment, made.proof)
    other = public.commit_output(made.outputs + 1, SALTS[1])
    assert not public.verify(made.input_commitment, other, made.proof)
    assert not public.verify(made.output_commitment, made.input_commitment, made.proof)
    assert not public.verify(made.input_commitment, made.output_commitment, made.proof[:-1])
    flipped = bytes([made.proof[0] ^ 1]) + made.proof[1:]
    assert not public.verify(made.input_commitment, made.output_commitment, flipped)


def test_every_accepted_record_can_be_proven_extremes_included(network: Artifact) -> None:
    low, high = network.manifest.input.quantiser.bounds()
    made = network.prove(np.stack([low, high, (low + high) // 2]), *SALTS)
    assert network.public.verify(made.input_commitment, made.output_commitment, made.proof)


def test_one_record_of_a_batch_opens_alone(network: Artifact) -> None:
    manifest, values = network.manifest, network.public.quantize(_data(3, 4, 6)[0])
    commitment = network.public.commit_input(values, SALTS[0])
    opened = open_record(manifest, "input", values, SALTS[0], 1)
    assert check_record(manifest, "input", opened, commitment)
    assert opened.values == tuple(values[1])
    assert not check_record(manifest, "input", replace(opened, index=2), commitment)
    assert not check_record(manifest, "input", replace(opened, values=tuple(values[2])), commitment)
    assert not check_record(manifest, "input", replace(opened, salt=SALTS[0]), commitment)
    assert not check_record(manifest, "output", opened, commitment)
    with pytest.raises(InputRangeError):
        open_record(manifest, "input", values, SALTS[0], 3)


def test_a_flat_batch_opens_as_nothing_else(tmp_path: Path) -> None:
    """One hash over the batch: proved and opened whole, and not as another form, order, shape or record."""
    treed, flat = (
        _linear(tmp_path / name, record_openings=openings)
        for name, openings in (("treed", True), ("flat", False))
    )
    manifest, values = flat.manifest, flat.public.quantize(_data(3, 4, 6)[0])
    assert manifest.lane_params["commitment"] == "flat"
    assert "commitment" not in treed.manifest.lane_params
    rows = [made.manifest.constraints["total"] for made in (flat, treed) if made.manifest.constraints]
    assert rows[0] < rows[1] - 1000
    made = flat.prove(values, *SALTS)
    about = made.input_commitment, made.output_commitment
    assert about == (
        flat.public.commit_input(values, SALTS[0]),
        flat.public.commit_output(made.outputs, SALTS[1]),
    )
    assert flat.public.verify(*about, made.proof)
    assert flat.public.verify_made(*about, made.proof)
    others = [values[::-1].copy(), np.repeat(values[:1], 3, axis=0)]
    assert all(flat.public.commit_input(other, SALTS[0]) != about[0] for other in others)
    assert flat.public.commit_input(values, SALTS[1]) != about[0]
    tree = treed.public
    forms = [tree.commit_input(values, SALTS[0]), tree.commit_output(made.outputs, SALTS[1])]
    assert not flat.public.verify(forms[0], about[1], made.proof)
    assert not flat.public.verify(about[0], forms[1], made.proof)
    for opening in (
        lambda: open_record(manifest, "input", values, SALTS[0], 1),
        lambda: check_record(manifest, "input", OpenedRecord(1, (0,) * 4, bytes(32), ()), about[0]),
    ):
        with pytest.raises(ArtifactError, match="none opens without the others"):
            opening()
    params = {name: value for name, value in manifest.lane_params.items() if name != "commitment"}
    lying = manifest.model_copy(update={"lane_params": params})
    (flat.path / "public" / "manifest.json").write_bytes(lying.canonical())
    with pytest.raises(ArtifactError, match="not the circuit that the manifest names"):
        load_artifact(flat.path).warm()


def test_out_of_range_is_refused_at_the_client_and_before_proving(network: Artifact) -> None:
    with pytest.raises(InputRangeError):
        network.public.quantize(np.full((1, 4), 9.0))
    _, high = network.manifest.input.quantiser.bounds()
    values = np.stack([high, high, high + 1])
    for refused in (network.prove, lambda v, s, t: network.public.commit_input(v, s)):
        with pytest.raises(InputRangeError):
            refused(values, *SALTS)


def test_trees_decide_as_onnx_runtime_does(trees: Artifact) -> None:
    assert trees.manifest.accuracy.loss == 0
    assert trees.manifest.lane_params["rounding"] == 0.0
    values = trees.public.quantize(_data(40, 5, 7)[0])
    made = trees.prove(values[7:8], *SALTS)
    assert trees.public.verify(made.input_commitment, made.output_commitment, made.proof)


def test_a_proof_of_one_model_does_not_pass_for_another(network: Artifact, trees: Artifact) -> None:
    made = trees.prove(trees.public.quantize(_data(3, 5, 8)[0][2:]), *SALTS)
    assert not network.public.verify(made.input_commitment, made.output_commitment, made.proof)


@pytest.mark.parametrize("which", ["network", "trees"])
def test_an_audit_recompiles_the_circuit_and_catches_other_weights(
    which: str, request: pytest.FixtureRequest
) -> None:
    artifact: Artifact = request.getfixturevalue(which)
    checks = audit_fields(artifact.onnx, artifact.public)
    assert [(c.name, c.detail) for c in checks if c.ok is False] == []
    assert not [check.detail for check in checks if "cannot recompute" in check.detail]
    model = onnx.load_model_from_string(artifact.onnx)
    if which == "network":
        weights = onnx.numpy_helper.to_array(model.graph.initializer[0]) * np.float32(0.75)
        model.graph.initializer[0].CopyFrom(
            onnx.numpy_helper.from_array(weights.copy(), model.graph.initializer[0].name)
        )
        weights[0, 0] = 2.0
        model.graph.initializer[0].CopyFrom(
            onnx.numpy_helper.from_array(weights, model.graph.initializer[0].name)
        )
    else:
        leaf = next(a for a in model.graph.node[0].attribute if a.name == "class_weights")
        leaf.floats[0] += 0.5
    other = model.SerializeToString()
    digest = hashlib.sha256(other).hexdigest()
    claimed = artifact.manifest.model_copy(update={"weights_digest": digest})
    checks = audit_fields(other, PublicArtifact(claimed, artifact.public.files))
    assert {check.name: check.ok for check in checks}["circuit_digest"] is False


def test_cached_keys_serve_the_same_circuit_and_a_spoilt_one_is_not_used(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = _linear(tmp_path / "first", cache=cache).public.vk
    assert _linear(tmp_path / "second", cache=cache).public.vk == first
    key = next(cache.glob("*.pk"))
    content = bytearray(key.read_bytes())
    content[len(content) // 2] ^= 1
    key.write_bytes(content)
    assert _linear(tmp_path / "third", cache=cache).public.vk != first


def test_a_swapped_program_or_key_is_refused_on_loading(
    network: Artifact, trees: Artifact, tmp_path: Path
) -> None:
    for name in ("program.bin", "pk.bin"):
        copy = tmp_path / name
        for source in network.path.rglob("*"):
            target = copy / source.relative_to(network.path)
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
        (copy / "private" / name).write_bytes((trees.path / "private" / name).read_bytes())
        with pytest.raises(ArtifactError, match=name):
            load_artifact(copy)


def test_a_manifest_with_other_output_bounds_than_the_circuits_does_not_load(
    network: Artifact, tmp_path: Path
) -> None:
    """By these bounds the chain judges an output that is contested, and the publisher wrote them."""
    copy = tmp_path / "model"
    shutil.copytree(network.path, copy)
    bounds = network.manifest.lane_params["output_bounds"]
    wider = [[low - 1, high] for low, high in bounds]
    params = {**network.manifest.lane_params, "output_bounds": wider}
    lying = network.manifest.model_copy(update={"lane_params": params})
    (copy / "public" / "manifest.json").write_bytes(lying.canonical())
    with pytest.raises(ArtifactError, match="output_bounds"):
        load_artifact(copy).warm()


@pytest.mark.parametrize("change", [{"low": -1}, {"high": 1}, {"low": 1}, {"high": -1}, {"high": 1 << 20}])
def test_a_manifest_with_other_input_bounds_than_the_circuits_does_not_load(
    network: Artifact, tmp_path: Path, change: dict[str, int]
) -> None:
    """Attack: by these bounds inputs are committed to. A publisher who wrote others had pages and claims of
    its model committed to as no proof could be, and its clients were given the workers' bonds.
    """
    copy = tmp_path / "model"
    shutil.copytree(network.path, copy)
    spec = network.manifest.input
    ((side, by),) = change.items()
    other = spec.quantiser.model_copy(update={side: [one + by for one in getattr(spec.quantiser, side)]})
    lying = network.manifest.model_copy(update={"input": spec.model_copy(update={"quantiser": other})})
    (copy / "public" / "manifest.json").write_bytes(lying.canonical())
    with pytest.raises(ArtifactError, match="input_bounds"):
        load_artifact(copy).warm()


def _bounded(network: Artifact, low: int, high: int) -> PublicArtifact:
    """The network as a publisher may describe it."""
    params = {**network.manifest.lane_params, "output_bounds": [[low, high]] * network.manifest.output.length}
    return PublicArtifact(network.manifest.model_copy(update={"lane_params": params}), network.public.files)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 2**63), (-(2**63) - 1, 0), (0, 2**70), (1, 0), (-(2**59), 2**59), (-(2**63), 2**63 - 1)],
)
def test_output_bounds_that_no_circuit_has_are_refused(network: Artifact, low: int, high: int) -> None:
    """Of more than 64 bits they overflowed where a client commits to its answer. Of more than 60, or none,
    the chain takes no contest about: a worker would be paid for what does not open, and keep it (attack A5).
    """
    public = _bounded(network, low, high)
    values = np.zeros((public.manifest.batch, public.manifest.input.quantiser.features), np.int64)
    with pytest.raises(ArtifactError, match="lane_params"):
        public.commit_input(values, bytes(32))


def test_the_widest_output_bounds_of_a_circuit_are_taken(network: Artifact) -> None:
    public = _bounded(network, -(2**59), 2**59 - 1)
    zeros = np.zeros((public.manifest.batch, public.manifest.output.length), np.int64)
    assert len(public.commit_output(zeros, bytes(32))) == 32


def test_no_quantisation_within_the_bound_is_an_accuracy_error(tmp_path: Path) -> None:
    graph = Graph((1,))
    graph.node("Gemm", np.full((1, 1), 1.0, dtype=np.float32), np.full(1, -0.5, dtype=np.float32))
    graph.node("Relu")
    graph.node("Gemm", np.full((1, 1), 1.0, dtype=np.float32), np.full(1, -1e-5, dtype=np.float32))
    graph.node("Sigmoid")
    near = 0.5 + np.tile([1e-6, 2e-5], 100)[:, None]
    x = np.concatenate([near, [[0.0], [1.0]]])
    with pytest.raises(AccuracyError, match="ezkl"):
        compile_model(graph.model(), x, tmp_path / "model", name="m", options=GROTH16)
    assert not (tmp_path / "model").exists()


def test_calibration_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="4"):
        compile_model(_network(), _data(20, 3, 0)[0], tmp_path / "model", name="m", options=GROTH16)


def test_a_constant_feature_is_accepted_near_its_value(tmp_path: Path) -> None:
    x, _ = _data(200, 4, 0)
    x[:, 2] = 0.0
    made = compile_model(
        _network(),
        x,
        tmp_path / "model",
        name="m",
        options=replace(GROTH16, accuracy_bound=0.02),
    )
    assert made.public.quantize(x[:1]).shape == (1, 4)
    assert made.manifest.weights_digest == hashlib.sha256(_network()).hexdigest()
