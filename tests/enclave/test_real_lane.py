"""The whole of it with a real lane: keys set up inside the enclave, attested, and a job proven with them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from proofward.attestation import DEVELOPMENT_ROOTS, Collateral, verify_quote
from proofward.protocol import HpkePrivateKey, HpkeSuite, setup_report_data, sha256
from proofward.publisher.build import setup_request
from proofward.zkml import load_artifact, load_public
from tests.enclave import world
from tests.enclave.world import Refused, begin
from tests.vectors.make import value


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


def test_an_attested_setup_and_a_job_proven_with_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    model, rng = logistic(), np.random.default_rng(1)
    table = rng.normal(size=(40, 2))
    with world.enclave(models, load=load_artifact) as (host, _):
        np.savetxt(tmp_path / "c.csv", table, delimiter=",")
        (tmp_path / "m.onnx").write_bytes(model)
        request = setup_request(
            tmp_path / "m.onnx", tmp_path / "c.csv", None, name=None, lane="groth16", batch=2
        )
        made = SimpleNamespace(**host.call("setup", **request))
        assert made.weights_digest == sha256(model)
        now = int(dt.datetime.now(dt.UTC).timestamp())
        collateral = Collateral.decode(made.collateral)
        assert load_public(models / made.path).manifest_hash == made.manifest_hash
        verified = verify_quote(made.quote, collateral, now=now, roots=DEVELOPMENT_ROOTS)
        binding = setup_report_data(circuit_digest=made.circuit_digest, vk_hash=made.vk_hash)
        assert verified.quote.report_data == binding

        assert host.call("load_model", path=made.path)["vk_hash"] == made.vk_hash
        public = load_public(models / made.path)
        assert public.manifest.setup == "attested"
        reply = HpkePrivateKey.from_bytes(HpkeSuite.X25519, value("reply"))
        values = public.pad(public.quantize(table[:1]))
        job = world.Job(public, values=tuple(int(v) for v in values.reshape(-1)), records=1, reply=reply)
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
        ({"batch": 33}, "compile-failed"),
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
        host.call("setup", **(params | changes))
    assert not list(models.iterdir())
