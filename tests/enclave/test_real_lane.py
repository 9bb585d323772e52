"""The whole of it with a real lane: keys set up inside the enclave, attested, and a job proven with them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from proofward_prover import Circuit
from proofward_prover import setup as groth16_setup

from proofward.attestation import DEVELOPMENT_ROOTS, Collateral, verify_quote
from proofward.protocol import setup_report_data, sha256
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.requests import Params
from proofward.publisher.build import setup_request
from proofward.zkml import ArtifactError, CompileError, compile_model, load_artifact, load_public
from proofward.zkml.artifact import hash_tree
from proofward_enclave.models import ModelStore
from proofward_enclave.providers.base import Evidence
from proofward_enclave.providers.simulator import SimulatorProvider
from proofward_enclave.setup import SetupRunner
from tests.enclave import world
from tests.enclave.world import Refused, begin
from tests.zkml.onnx_models import GROTH16, Graph


def logistic() -> bytes:
    """Two features, one output."""
    weights = numpy_helper.from_array(np.array([[0.5], [-1.25]], dtype=np.float32), "w")
    bias = numpy_helper.from_array(np.array([0.25], dtype=np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["z"]), helper.make_node("Sigmoid", ["z"], ["y"])],
        "logistic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weights, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


PURPOSE = {"genesis": world.GENESIS, "publisher": world.PUBLISHER, "block_hash": world.BLOCK_HASH}


class Watching(SimulatorProvider):
    """Looks at the models' directory, which the host can write, when it is asked for a quote."""

    def __init__(self, models: Path) -> None:
        super().__init__()
        self.models = models
        self.seen: list[list[Path]] = []

    def quote(self, report_data: bytes) -> Evidence:
        self.seen.append(list(self.models.iterdir()))
        return super().quote(report_data)


def test_a_setups_quote_rests_on_nothing_that_the_host_can_write(tmp_path: Path) -> None:
    """Attack t_attested: a process that can write the models' directory swaps the key under the hash."""
    models = tmp_path / "models"
    models.mkdir()
    provider = Watching(models)
    runner = SetupRunner(provider, ModelStore(models, load_artifact))
    table = np.random.default_rng(424242).normal(size=(40, 2))
    params = {
        "onnx": logistic(),
        "name": "logistic",
        "batch": 1,
        "features": 2,
        "calibration": table.tobytes(),
    }
    made = runner.prepare(Params(params | PURPOSE))()
    assert provider.seen == [[]]
    folder = models / made["path"]
    public = load_public(folder)
    assert (public.manifest_hash, sha256(public.vk)) == (made["manifest_hash"], made["vk_hash"])
    assert public.manifest.files["private/pk.bin"] == sha256((folder / "private/pk.bin").read_bytes()).hex()

    circuit = Circuit((folder / "private/program.bin").read_bytes(), 1)
    evil, _ = groth16_setup(circuit, tmp_path / "evil.pk")
    (folder / "public/vk.bin").write_bytes(evil)
    with pytest.raises(ArtifactError):
        load_artifact(folder)


def test_t_attested_a_key_swapped_while_it_is_written_ends_the_setup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack t_attested inside the enclave's own folder: what is hashed must be what was computed."""

    def swapped(staging: Path) -> dict[str, str]:
        (staging / "public/vk.bin").write_bytes(b"the attacker's key")
        return hash_tree(staging)

    monkeypatch.setattr("proofward.zkml.compile.hash_tree", swapped)
    with pytest.raises(CompileError, match="changed while"):
        compile_model(
            logistic(),
            np.random.default_rng(1).normal(size=(40, 2)),
            tmp_path / "m",
            name="m",
            options=GROTH16,
        )


def test_an_attested_setup_measures_each_of_several_labels(tmp_path: Path) -> None:
    weights = np.array([[2.0, 0.1], [0.1, -3.0]], dtype=np.float32)
    graph = Graph((2,))
    graph.node("Gemm", weights)
    (tmp_path / "m.onnx").write_bytes(graph.model())
    x = np.random.default_rng(2).normal(size=(160, 2))
    rows = np.column_stack([x, (x @ weights > 0).astype(int)]).tolist()
    (tmp_path / "c.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b, *_ in rows[:80]))
    (tmp_path / "h.csv").write_text(
        "a,b,flu,covid\n" + "".join(f"{a},{b},{int(p)},{int(q)}\n" for a, b, p, q in rows[80:])
    )
    models = tmp_path / "models"
    models.mkdir()
    runner = SetupRunner(Watching(models), ModelStore(models, load_artifact))
    request = setup_request(
        tmp_path / "m.onnx", tmp_path / "c.csv", tmp_path / "h.csv", name=None,
        options=replace(GROTH16, task="multilabel"),
    )  # fmt: skip
    made = load_public(models / runner.prepare(Params(request | PURPOSE))()["path"]).manifest
    assert (made.output.names, made.accuracy.metric) == (["flu", "covid"], "accuracy")
    assert made.accuracy.report is not None
    assert len(made.accuracy.report.each or []) == 2
    for truths in (0, 3):
        with pytest.raises(EnclaveError, match="whole records"):
            runner.prepare(Params(request | PURPOSE | {"truths": truths, "evaluation_y": bytes(64)}))


def test_an_attested_setup_and_a_job_proven_with_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    model, rng = logistic(), np.random.default_rng(1)
    table = rng.normal(size=(40, 2))
    with world.enclave(models, load=load_artifact) as (host, _):
        np.savetxt(tmp_path / "c.csv", table, delimiter=",")
        (tmp_path / "m.onnx").write_bytes(model)
        request = setup_request(
            tmp_path / "m.onnx", tmp_path / "c.csv", None, name=None, options=replace(GROTH16, batch=2)
        )
        made = SimpleNamespace(**host.call("setup", **request, **PURPOSE))
        assert made.weights_digest == sha256(model)
        now = int(dt.datetime.now(dt.UTC).timestamp())
        collateral = Collateral.decode(made.collateral)
        assert load_public(models / made.path).manifest_hash == made.manifest_hash
        verified = verify_quote(made.quote, collateral, now=now, roots=DEVELOPMENT_ROOTS)
        names = ("manifest_hash", "circuit_digest", "vk_hash")
        binding = setup_report_data(**PURPOSE, **{name: getattr(made, name) for name in names})
        assert verified.quote.report_data == binding

        assert host.call("load_model", path=made.path)["vk_hash"] == made.vk_hash
        public = load_public(models / made.path)
        assert public.manifest.setup == "attested"
        values = public.pad(public.quantize(table[:1]))
        job = world.Job(public, values=tuple(int(v) for v in values.reshape(-1)), records=1)
        sealed = job.seal(begin(host)["hpke_key"])
        result = host.call("work", job=job.request(), envelope=sealed, block=9)

        out_of_range = job.but(values=(2**62,) * 4)
        with pytest.raises(Refused, match="input-out-of-range"):
            host.call("work", job=job.request(), envelope=out_of_range.seal_as(job, begin(host)), block=9)

    output = job.open(result)
    logits = np.array(output.values, dtype=np.int64).reshape(2, 1)
    expected = table[0] @ np.array([0.5, -1.25]) + 0.25
    assert public.dequantize(logits)[0, 0] == pytest.approx(expected, abs=0.2)
    assert public.commit_output(logits, output.output_salt) == result["output_commitment"]
    assert public.verify(job.context.input_commitment, result["output_commitment"], result["proof"])
    flipped = bytes([result["proof"][0] ^ 1]) + result["proof"][1:]
    assert not public.verify(job.context.input_commitment, result["output_commitment"], flipped)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"onnx": b"nonsense"}, "unsupported-model|compile-failed"),
        ({"lane": "none"}, "malformed-request"),
        ({"features": 0}, "malformed-request"),
        ({"calibration": b"1234567"}, "malformed-request"),
        ({"calibration": b""}, "malformed-request"),
        ({"onnx": bytes(2 * 1024 * 1024 + 1)}, "oversize"),
        ({"name": "x" * 65}, "malformed-request"),
        ({"batch": 33}, "malformed-request"),
        ({"wishes": '{"max_shift": 0}'}, "malformed-request"),
        ({"publisher": b"short"}, "malformed-request"),
    ],
    ids=[
        "no ONNX",
        "no such lane",
        "no features",
        "odd table",
        "no table",
        "oversize",
        "long name",
        "batch",
        "a bound that nothing keeps",
        "no publisher",
    ],
)
def test_a_setup_that_cannot_be_made_is_refused(
    tmp_path: Path, changes: dict[str, object], code: str
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    params = {
        "onnx": logistic(),
        "name": "logistic",
        "batch": 1,
        "features": 2,
        "calibration": np.arange(8.0).tobytes(),
    }
    with world.enclave(models) as (host, _), pytest.raises(Refused, match=code):
        host.call("setup", **(params | PURPOSE | changes))
    assert not list(models.iterdir())
