"""The ezkl lane: exact integers, hiding commitments, verified proofs, and processes that may die."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from proofward.zkml import CompileOptions, InputRangeError, ProvingError, UnsupportedModel, load_public
from proofward.zkml.artifact import PublicArtifact
from proofward.zkml.audit import audit_fields
from proofward.zkml.compile import compile_request
from proofward.zkml.errors import CompileError
from proofward.zkml.ezkl import bounds, commitment, graph
from proofward.zkml.ezkl.build import Compilation
from proofward.zkml.ezkl.commitment import Basis
from proofward.zkml.ezkl.process import EzklProcess
from proofward.zkml.ezkl.solidity import source, tau_g2
from proofward.zkml.hiding import hides
from tests import ezkl_reader
from tests.ezkl_world import SALT_A, SALT_B, mlp, records, world
from tests.zkml.onnx_models import Graph


def test_a_nested_json_cannot_end_a_process_that_loaded_the_lane() -> None:
    """py_ecc raises the recursion limit beyond the C stack; the lane puts it back."""
    script = (
        "import json, proofward.zkml.ezkl.curve\n"
        "try: json.loads('[' * 10**6)\n"
        "except RecursionError: print('no')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "no\n")


def test_a_proof_carries_the_commitments_that_a_client_computes() -> None:
    w = world()
    public = load_public(w.artifact.path)
    values = public.quantize(w.x[:1])
    assert w.proof.input_commitment == public.commit_input(values, SALT_A)
    assert w.proof.output_commitment == public.commit_output(w.proof.outputs, SALT_B)
    assert (w.proof.outputs == w.artifact.infer(values)).all()
    assert public.verify(w.proof.input_commitment, w.proof.output_commitment, w.proof.proof)


def test_integers_follow_the_float_model() -> None:
    w = world()
    public = w.artifact.public
    model = graph.read(w.onnx)
    z = bounds.evaluate(model, w.x[:20])
    found = np.concatenate(
        [public.dequantize(w.artifact.infer(public.quantize(w.x[i : i + 1]))) for i in range(20)]
    )
    assert np.abs(found - z).max() < 0.1
    assert w.artifact.manifest.accuracy.loss <= 0.005


def test_every_input_in_range_is_taken() -> None:
    """The corners of the input box, where a decomposition would overflow first: no refusal, no
    wrap-around.
    """
    w = world()
    low, high = w.artifact.manifest.input.quantiser.bounds()
    weights = graph.fold(graph.read(w.onnx), *_affine()).core.graph.initializer
    first = next(onnx.numpy_helper.to_array(t) for t in weights if t.name == "folded_1")
    corners = [low, high] + [
        np.where(sign * first[:, j] > 0, high, low) for j in range(first.shape[1]) for sign in (1, -1)
    ]
    for corner in corners:
        values = corner[None].astype(np.int64)
        x = w.artifact.manifest.input.quantiser.restore(values)  # type: ignore[union-attr]
        expected = bounds.evaluate(graph.read(w.onnx), x)
        found = w.artifact.public.dequantize(w.artifact.infer(values))
        assert np.abs(found - expected).max() < 0.02 * max(1.0, float(np.abs(expected).max()))


def _affine() -> tuple[np.ndarray, np.ndarray]:
    manifest = world().artifact.manifest
    steps = np.array(manifest.input.quantiser.scale) / 2.0 ** manifest.lane_params["input_scale"]  # type: ignore[union-attr]
    return np.array(manifest.input.quantiser.offset), steps  # type: ignore[union-attr]


def test_out_of_range_is_refused_before_proving() -> None:
    w = world()
    _, high = w.artifact.manifest.input.quantiser.bounds()
    beyond = high[None] + 1
    for act in (
        lambda: w.artifact.prove(beyond, SALT_A, SALT_B),
        lambda: w.artifact.infer(beyond),
        lambda: w.artifact.public.commit_input(beyond, SALT_A),
        lambda: w.artifact.public.commit_input(high[None], b"short"),
        lambda: w.artifact.infer(np.zeros((2, len(high)), dtype=np.int64)),
    ):
        with pytest.raises(InputRangeError):
            act()


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_commitments_differ_with_every_bit_of_salt(a: bytes, b: bytes) -> None:
    public = world().artifact.public
    values = public.quantize(world().x[:1])
    assert (public.commit_input(values, a) == public.commit_input(values, b)) == (a == b)
    assert (
        public.commit_output(world().proof.outputs, a) == public.commit_output(world().proof.outputs, b)
    ) == (a == b)


@given(st.binary(min_size=32, max_size=32))
def test_limbs_hold_the_whole_salt(salt: bytes) -> None:
    parts = commitment.limbs(salt)
    assert (
        sum(part << (commitment.LIMB_BITS * i) for i, part in enumerate(parts)).to_bytes(32, "little") == salt
    )


def test_tampered_proofs_are_invalid() -> None:
    w = world()
    public = w.artifact.public
    p, other = w.proof, w.other
    rng = np.random.default_rng(3)
    flipped = []
    for position in rng.integers(0, len(p.proof), 12):
        changed = bytearray(p.proof)
        changed[position] ^= 1 << int(rng.integers(8))
        flipped.append((p.input_commitment, p.output_commitment, bytes(changed)))
    faults = [
        *flipped,
        (other.input_commitment, p.output_commitment, p.proof),
        (p.input_commitment, other.output_commitment, p.proof),
        (p.output_commitment, p.input_commitment, p.proof),
        (p.input_commitment, other.output_commitment, p.proof[:128] + other.proof[128:192] + p.proof[192:]),
        (p.input_commitment, p.output_commitment, p.proof[:-1]),
        (p.input_commitment, p.output_commitment, p.proof + b"\0"),
        (p.input_commitment[:-1], p.output_commitment, p.proof),
        (p.input_commitment, p.output_commitment, b""),
    ]
    assert not any(public.verify(*fault) for fault in faults)


def test_a_reader_of_one_ezkl_proof_gets_an_equation_over_the_record() -> None:
    """Attack a_ezkl: the proof opens the column of record and salt at the transcript's point, unblinded.
    While this holds, sealed jobs refuse the lane.
    """
    w = world()
    generated = source(w.artifact._prover._process, w.artifact.public.files)  # type: ignore[attr-defined]
    reader = ezkl_reader.Reader(generated.sources["Halo2Verifier.sol"])
    values, salt = w.artifact.public.quantize(w.x[:1])[0].tolist(), commitment.limbs(SALT_A)
    assert reader.evaluates(w.proof.proof, values + salt)
    assert not reader.evaluates(w.proof.proof, [values[0] + 1, *values[1:], *salt])
    assert not reader.evaluates(w.other.proof, values + salt)
    assert not hides("ezkl")


def test_basis_must_hide() -> None:
    """A publisher who swaps commitment points for ones that do not hide is found by the pairing check."""
    files = world().artifact.public.files
    data, tau = files["public/basis.bin"], tau_g2(files["public/srs.bin"])
    logrows = world().artifact.manifest.lane_params["logrows"]
    assert Basis(data).follows(tau, logrows)
    swapped = data[:64] + data[128:192] + data[64:128] + data[192:]
    doubled = commitment.point_bytes(commitment.combine([2], [commitment.decode(data[-64:])]))
    assert not Basis(swapped).follows(tau, logrows)
    assert not Basis(data[:-64] + doubled).follows(tau, logrows)


def test_audit_recomputes_and_finds_another_model() -> None:
    w = world()
    public = w.artifact.public
    checks = audit_fields(w.onnx, public)
    assert [check.name for check in checks if check.ok is False] == []
    unmeasured = {"random records", "own records", "accuracy", "keys"}
    assert {check.name for check in checks if check.required and check.ok is None} == unmeasured
    other = mlp(seed=9)
    claimed = public.manifest.model_copy(update={"weights_digest": hashlib.sha256(other).hexdigest()})
    failed = {
        check.name
        for check in audit_fields(other, PublicArtifact(claimed, public.files))
        if check.ok is False
    }
    assert {"circuit_digest", "verifying key"} <= failed


def test_a_killed_or_slow_prover_costs_one_attempt() -> None:
    w = world()
    values = w.artifact.public.quantize(w.x[:1])
    expected = w.artifact.infer(values)
    prover = w.artifact._prover
    child = prover._process._child  # type: ignore[attr-defined]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert (w.artifact.infer(values) == expected).all()
    os.kill(prover._process._child.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
    with pytest.raises(ProvingError) as caught:
        prover._process.call("srs", 0.1, path="/dev/null", logrows=4)  # type: ignore[attr-defined]
    assert caught.value.code == "prover-timeout"
    assert (w.artifact.infer(values) == expected).all()


def test_a_crash_and_a_refusal_are_told_apart(tmp_path: Path) -> None:
    process = EzklProcess(memory_limit=64 << 20)
    with pytest.raises(ProvingError) as caught:
        process.call("srs", path=str(tmp_path / "srs"), logrows=4)
    assert caught.value.code == "prover-crashed"
    process = EzklProcess()
    with pytest.raises(ProvingError) as caught:
        process.call("infer", compiled=str(tmp_path / "none"), records=[[[1], [1]]])
    assert caught.value.code == "prover-failed"
    process.close()


def test_operators_beyond_the_exact_ones_are_bounded_by_calibration() -> None:
    proto = onnx.load_from_string(mlp())
    proto.graph.node[1].op_type = "Tanh"
    model, x = graph.read(proto.SerializeToString()), records()
    folded = graph.fold(model, *graph.standardisation(model, x))
    assert not folded.exact
    found = bounds.magnitudes(folded, np.ones(x.shape[1]), np.zeros((1, x.shape[1])))
    assert found.looked_up == {"h"}
    assert found.lookup(7) >= 2 * 2**7 * found.peak["h"]


def test_unsupported_operators_are_named() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    node = helper.make_node("Det", ["x"], ["y"], name="odd")
    proto = helper.make_model(
        helper.make_graph([node], "g", [value], [out]), opset_imports=[helper.make_opsetid("", 17)]
    )
    with pytest.raises(UnsupportedModel, match=r"operator Det \(node 'odd'\)"):
        graph.read(proto.SerializeToString())


def test_a_network_as_in_training_is_refused() -> None:
    dropping = Graph((4,))
    dropping.node("Gemm", dropping.weights(4, 6))
    dropping.node("Dropout", np.array(0.5, dtype=np.float32), np.array(True))
    with pytest.raises(UnsupportedModel, match=r"operator Dropout .* is as in training"):
        graph.read(dropping.model())
    normal = Graph((4,))
    normal.node("Gemm", normal.weights(4, 6))
    normal.node("BatchNormalization", *[np.ones(6, dtype=np.float32)] * 4)
    proto = onnx.load_from_string(normal.model(17))
    proto.graph.node[1].attribute.append(helper.make_attribute("training_mode", 1))
    proto.graph.node[1].output.extend(["mean", "variance"])
    with pytest.raises(UnsupportedModel, match=r"operator BatchNormalization .* is as in training"):
        graph.read(proto.SerializeToString())


@pytest.mark.parametrize(
    ("shape", "axis", "opset"), [([0, 2, 3], 2, 17), ([0, 6], 0, 17), ([0, 6, 1], 2, 17), ([0, 2, 3], 2, 12)]
)
def test_a_softmax_over_some_of_the_scores_is_refused(shape: list[int], axis: int, opset: int) -> None:
    graphs = Graph((4,))
    graphs.node("Gemm", graphs.weights(4, 6))
    graphs.node("Reshape", np.array(shape))
    graphs.node("Softmax", axis=axis)
    with pytest.raises(UnsupportedModel, match="over all scores of a record"):
        graph.read(graphs.model(opset))


def test_a_softmax_of_before_opset_13_may_run_over_all_axes_from_its_own() -> None:
    graphs = Graph((4,))
    graphs.node("Gemm", graphs.weights(4, 6))
    graphs.node("Reshape", np.array([0, 2, 3]))
    graphs.node("Softmax", axis=1)
    assert graph.read(graphs.model(12)).decision == "softmax"


def test_a_probability_is_no_logit(tmp_path: Path) -> None:
    graphs = Graph((4,))
    graphs.node("Gemm", graphs.weights(4, 1))
    graphs.node("HardSigmoid")
    with pytest.raises(UnsupportedModel, match="like a probability"):
        Compilation(
            compile_request(graphs.model(), graphs.records(40), options=CompileOptions(task="binary")),
            tmp_path,
        )


@pytest.mark.parametrize(("op", "margin"), [("Relu", 2.0), ("Exp", 0.5)])
def test_beyond_calibration_less_is_taken_where_a_table_follows_an_operator(
    op: str, margin: float, tmp_path: Path
) -> None:
    graphs = Graph((4,))
    graphs.node("Gemm", graphs.weights(4, 1))
    graphs.node(op)
    x = graphs.records(40)
    made = Compilation(
        compile_request(graphs.model(), x, options=CompileOptions(task="regression")), tmp_path
    )
    seen = (made.request.calibration - made.centre) * made.steps
    assert np.allclose(made.high - seen.max(axis=0), margin * np.ptp(seen, axis=0))


def test_a_graph_that_was_changed_on_its_way_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "fold", lambda model, centre, steps: model)
    with pytest.raises(UnsupportedModel, match="differs from ONNX Runtime's"):
        Compilation(compile_request(mlp(), records()), tmp_path)


def test_fewer_than_20_calibration_records_are_refused_as_in_the_other_lane(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="calibration records are too few"):
        Compilation(compile_request(mlp(), records(n=19)), tmp_path)


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from(["", "Sigmoid"]))
def test_folding_the_standardisation_keeps_the_model(seed: int, final: str) -> None:
    model, x = graph.read(mlp(seed=seed, final=final)), records(seed=seed)
    centre, steps = graph.standardisation(model, x)
    folded = graph.fold(model, centre, steps)
    assert np.allclose(bounds.evaluate(folded, (x - centre) * steps), bounds.evaluate(model, x), atol=1e-3)
    limits = np.abs((x - centre) * steps).max(axis=0)
    peak = bounds.magnitudes(folded, limits, x).peak["h"]
    assert peak >= np.abs(((x - centre) * steps) @ _weights(folded)[0] + _weights(folded)[1]).max() * 0.999


def _weights(model: graph.Model) -> tuple[np.ndarray, np.ndarray]:
    found = {t.name: onnx.numpy_helper.to_array(t) for t in model.core.graph.initializer}
    return found["folded_1"], found["folded_2"]
