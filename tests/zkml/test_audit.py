"""Attack c_audit: a manifest that says of a model what is not so. Each lie is named; none is `verified`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from proofward_prover import Circuit
from skl2onnx import to_onnx
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner

from proofward.check import Check
from proofward.cli import app
from proofward.publisher.audit import Audit, AuditOutcome, audit
from proofward.publisher.build import Reading, artifact
from proofward.zkml import Evaluation, UnsupportedModel, compile_model, load_public
from proofward.zkml.artifact import PublicArtifact
from proofward.zkml.audit import audit_fields
from proofward.zkml.groth16.compiler.build import constraints_of
from proofward.zkml.groth16.compiler.recompile import recompile
from proofward.zkml.groth16.plan import LayerPlan, Plan
from proofward.zkml.lanes import KEYS, Auditor, HeldOut
from proofward.zkml.manifest import Manifest
from proofward.zkml.quantiser import AffineQuantiser
from tests.zkml.onnx_models import GROTH16, Graph, hasty, tree_of_gaps


@dataclass(frozen=True)
class World:
    onnx: bytes
    path: Path
    public: PublicArtifact
    records: HeldOut

    def audit(self, manifest: Manifest, *, own: bool = True) -> Audit:
        """What an auditor finds who was given this manifest."""
        public = PublicArtifact(Manifest.parse(manifest.canonical()), self.public.files)
        auditor = Auditor(self.records if own else None, np.random.default_rng(77001))
        return Audit(manifest.setup, tuple(audit_fields(self.onnx, public, auditor)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    graph = Graph((4,), seed=3)
    graph.node("Gemm", graph.weights(4, 6), graph.weights(6))
    graph.node("Relu")
    graph.node("Gemm", graph.weights(6, 1))
    graph.node("Sigmoid")
    x = np.random.default_rng(8).uniform(-1, 1, (300, 4))
    truth = (x @ np.arange(1, 5) > 0).astype(np.int64)
    path = tmp_path_factory.mktemp("audit") / "model"
    with hasty():
        artifact = compile_model(
            graph.model(),
            x[:150],
            path,
            name="audited",
            options=GROTH16,
            evaluation=Evaluation(x[150:], truth[150:]),
        )
    return World(graph.model(), path, artifact.public, HeldOut(x[150:], truth[150:]))


def _failed(audit: Audit) -> set[str]:
    return {check.name for check in audit.checks if check.ok is False}


def test_an_honest_model_is_not_verifiable_for_its_keys_alone(world: World) -> None:
    found = world.audit(world.public.manifest)
    assert found.outcome is AuditOutcome.NOT_VERIFIABLE
    assert [check.name for check in found.checks if check.required and not check.ok] == [KEYS]
    assert found.line.startswith("NOT VERIFIABLE: the keys rest on the publisher alone")
    assert "not checked" not in found.line
    blind = world.audit(world.public.manifest, own=False)
    assert blind.line.endswith("not checked: input range, own records, accuracy")


def _output(manifest: Manifest, **fields: Any) -> Manifest:
    return manifest.model_copy(update={"output": manifest.output.model_copy(update=fields)})


def _accurate(manifest: Manifest, **fields: Any) -> Manifest:
    return manifest.model_copy(update={"accuracy": manifest.accuracy.model_copy(update=fields)})


def _params(manifest: Manifest, **fields: Any) -> Manifest:
    return manifest.model_copy(update={"lane_params": {**manifest.lane_params, **fields}})


LIES: list[tuple[str, Callable[[Manifest], Manifest], str]] = [
    ("labels swapped", lambda m: _output(m, labels=["malignant", "benign"]), "output.labels"),
    ("decision changed to argmax", lambda m: _output(m, decision="argmax"), "output.decision"),
    ("decision changed to value", lambda m: _output(m, decision="value"), "output.decision"),
    ("another scale", lambda m: _output(m, scale=m.output.scale * 2), "output.scale"),
    ("another task", lambda m: _output(m, task="regression"), "circuit"),
    ("outputs renamed", lambda m: _output(m, names=["benign"]), "output.names"),
    ("accuracy invented", lambda m: _accurate(m, integer=1.0, float_=1.0, records=10**6), "accuracy"),
    ("bounds widened", lambda m: _params(m, output_bounds=[[-(2**40), 2**40]]), "lane_params.output_bounds"),
    ("rounding invented", lambda m: _params(m, rounding=0.5), "lane_params.rounding"),
    (
        "another circuit",
        lambda m: m.model_copy(update={"circuit_digest": "00" * 32}),
        "circuit_digest",
    ),
    ("fewer constraints", lambda m: m.model_copy(update={"constraints": {"total": 1}}), "constraints.total"),
    ("another batch", lambda m: m.model_copy(update={"batch": 2}), "circuit_digest"),
    (
        "another program",
        lambda m: m.model_copy(update={"files": {**m.files, "private/program.bin": "00" * 32}}),
        "files.private/program.bin",
    ),
]


@pytest.mark.parametrize(("lie", "spoil", "check"), LIES, ids=[lie[0] for lie in LIES])
def test_c_audit_lies(lie: str, spoil: Callable[[Manifest], Manifest], check: str, world: World) -> None:
    found = world.audit(spoil(world.public.manifest))
    assert found.outcome is AuditOutcome.REFUSED
    assert check in _failed(found), (lie, _failed(found))
    assert check in found.line


@dataclass(frozen=True)
class Gaps:
    """An artefact whose input may be missing, and the file that it was made from."""

    onnx: bytes
    public: PublicArtifact

    def failed(self, quantiser: Any) -> set[str]:
        """What fails of a manifest with this quantiser instead."""
        manifest = self.public.manifest
        manifest = manifest.model_copy(
            update={"input": manifest.input.model_copy(update={"quantiser": quantiser})}
        )
        public = PublicArtifact(Manifest.parse(manifest.canonical()), self.public.files)
        auditor = Auditor(None, np.random.default_rng(77002))
        return _failed(Audit("dev", tuple(audit_fields(self.onnx, public, auditor))))


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Gaps]:
    """A tree and a regression behind an imputer, both of records that lack values."""
    x = np.random.default_rng(11).normal(size=(300, 3))
    y = ((x[:, 0] > 0) ^ (x[:, 1] > 0.5)).astype(int)
    x[::4, 0] = np.nan
    imputer = make_pipeline(SimpleImputer(), LogisticRegression()).fit(x, y)
    models = {
        "tree": tree_of_gaps(x, y)[1],
        "imputer": to_onnx(imputer, x[:1].astype(np.float32)).SerializeToString(),
    }
    made = {}
    for name, model in models.items():
        out = tmp_path_factory.mktemp("gaps") / name
        made[name] = Gaps(model, compile_model(model, x, out, name=name, options=GROTH16).public)
    return made


def _moved(rows: list[list[float]]) -> list[list[float]]:
    return [[value + 0.01 for value in row] for row in rows]


QUANTISER_LIES: list[tuple[str, str, Callable[[Any], dict[str, Any]]]] = [
    ("tree", "thresholds moved", lambda q: {"thresholds": _moved(q.thresholds)}),
    ("tree", "two features swapped", lambda q: {"thresholds": [q.thresholds[i] for i in (1, 0, 2)]}),
    (
        "tree",
        "another rank of a missing value",
        lambda q: {"missing": [(i, 1 - min(r, 1)) for i, r in q.missing]},
    ),
    ("tree", "input of whole numbers", lambda q: {"integers": True}),
    ("tree", "input of doubles", lambda q: {"doubles": True}),
    ("tree", "a value imputed", lambda q: {"imputed": [(0, 99.0)]}),
    ("imputer", "another value imputed", lambda q: {"imputed": [(i, 99.0) for i, _ in q.imputed]}),
    ("imputer", "nothing imputed", lambda q: {"imputed": []}),
    ("imputer", "input of whole numbers", lambda q: {"integers": True}),
]


@pytest.mark.parametrize(("model", "lie", "spoil"), QUANTISER_LIES)
def test_c_audit_lies_about_the_quantiser(
    model: str, lie: str, spoil: Callable[[Any], dict[str, Any]], gaps: dict[str, Gaps]
) -> None:
    """A client quantises by the published one: the circuit is the same, and its answers are others."""
    world = gaps[model]
    honest = world.public.manifest.input.quantiser
    assert world.failed(honest) == set()
    assert "input.quantiser" in world.failed(honest.model_copy(update=spoil(honest))), lie


def _requantised(world: World, quantiser: AffineQuantiser, plan: Plan) -> Manifest:
    """A manifest that is whole and true but for a quantisation that is of no use."""
    manifest = world.public.manifest
    low = recompile(world.onnx, quantiser, plan)
    circuit = Circuit(low.program.encode(), 1)
    manifest = _params(
        manifest,
        output_bounds=[list(bounds) for bounds in circuit.output_bounds],
        plan=plan.model_dump(mode="json"),
    )
    return _output(manifest, scale=low.scale).model_copy(
        update={
            "circuit_digest": circuit.digest.hex(),
            "input": manifest.input.model_copy(update={"quantiser": low.quantiser}),
            "constraints": constraints_of(circuit),
            "files": {
                **manifest.files,
                "private/program.bin": hashlib.sha256(low.program.encode()).hexdigest(),
            },
        }
    )


def _plan(world: World, bits: int, activation: int, output: int) -> Plan:
    return Plan(layers=(LayerPlan(bits=bits, activation=activation),), output=output)


def test_an_input_of_one_bit_is_found_without_any_records(world: World) -> None:
    q = world.public.manifest.input.quantiser
    assert isinstance(q, AffineQuantiser)
    steps = [(high - low) for low, high in zip(q.low, q.high, strict=True)]
    one_bit = AffineQuantiser(
        scale=[scale / step for scale, step in zip(q.scale, steps, strict=True)],
        offset=[o + low / s for o, low, s in zip(q.offset, q.low, q.scale, strict=True)],
        low=[0] * q.features,
        high=[1] * q.features,
    )
    found = world.audit(_requantised(world, one_bit, _plan(world, 14, 10, 14)), own=False)
    assert _failed(found) == {"random records"}


def test_ranges_that_no_record_falls_into_are_found_with_records(world: World) -> None:
    q = world.public.manifest.input.quantiser
    assert isinstance(q, AffineQuantiser)
    offset = [o + 5 * h / s for o, h, s in zip(q.offset, q.high, q.scale, strict=True)]
    moved = _requantised(world, q.model_copy(update={"offset": offset}), _plan(world, 14, 10, 14))
    assert "input range" in _failed(world.audit(moved))
    assert "input range" in world.audit(moved, own=False).line  # not checked, and said so


def test_a_field_that_this_version_does_not_know_never_passes(world: World) -> None:
    found = world.audit(_params(world.public.manifest, approved_by="the FDA"))
    unknown = {check.name: check for check in found.checks}["lane_params.approved_by"]
    assert (unknown.ok, unknown.required) == (None, True)
    assert "lane_params.approved_by" in found.line
    ceremony = Audit("ceremony", (Check("x", True, ""), unknown))
    assert ceremony.line == "incomplete; not checked: lane_params.approved_by"


def test_the_publisher_s_own_file_of_several_inputs_and_outputs_is_audited(tmp_path: Path) -> None:
    """Its digest is of the model whose inputs are joined and whose one output is kept."""
    graph = Graph((1,), seed=5)
    graph.raw("Concat", ["x", "z"], axis=1)
    hidden = graph.node("Gemm", graph.weights(2, 1))
    graph.raw("Sigmoid", [hidden])
    proto = onnx.load_model_from_string(graph.model())
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 1]))
    proto.graph.output.append(helper.make_tensor_value_info(hidden, TensorProto.FLOAT, None))
    own, table = tmp_path / "m.onnx", tmp_path / "cal.csv"
    own.write_bytes(proto.SerializeToString())
    rows = np.random.default_rng(6).normal(size=(100, 2)).tolist()
    table.write_text("z,x\n" + "".join(f"{a},{b}\n" for a, b in rows))
    made = artifact(own, table, None, reading=Reading(output=graph.last))
    public = made.path / "public"
    assert not _failed(audit(own, public, None, "", output=graph.last))
    with pytest.raises(UnsupportedModel, match="no output 'other'"):
        audit(own, public, None, "", output="other")
    assert _failed(audit(own, public, None, "")) == {"weights_digest"}
    assert not _failed(audit(made.path / "private" / "model.onnx", public, None, ""))
    manifest = made.manifest
    swapped = manifest.input.model_copy(update={"features": list(manifest.input.features or [])[::-1]})
    lie = manifest.model_copy(update={"input": swapped})
    (public / "manifest.json").write_bytes(lie.canonical())
    found = audit(own, public, None, "", output=graph.last)
    assert _failed(found) == {"feature names"}
    assert "refused: feature names" in found.line


def test_another_models_onnx_is_refused(world: World) -> None:
    found = audit_fields(world.onnx + b"\0", world.public)
    assert [(check.name, check.ok) for check in found] == [("weights_digest", False)]


@pytest.mark.parametrize(
    ("setup", "checks", "line"),
    [
        ("ceremony", [Check("x", True, ""), Check(KEYS, True, "")], "verified"),
        ("ceremony", [Check("x", True, ""), Check(KEYS, None, "")], "incomplete; not checked: keys"),
        ("attested", [Check("x", False, ""), Check(KEYS, None, "")], "refused: x"),
        (
            "dev",
            [Check("x", None, "", required=False), Check(KEYS, None, "")],
            "NOT VERIFIABLE: the keys rest",
        ),
        ("attested", [Check(KEYS, None, "")], "NOT VERIFIABLE: the keys rest on the enclave"),
    ],
)
def test_lines(setup: str, checks: list[Check], line: str) -> None:
    assert Audit(setup, tuple(checks)).line.startswith(line)


def test_the_verb_has_an_exit_code_of_its_own(world: World, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(world.onnx)
    assert world.records.y is not None
    rows = np.column_stack([world.records.x, world.records.y])
    np.savetxt(tmp_path / "mine.csv", rows, delimiter=",")
    command = ["model", "audit", str(tmp_path / "m.onnx"), "--artifact", str(world.path / "public")]
    done = CliRunner().invoke(app, [*command, "--records", str(tmp_path / "mine.csv"), "--json"])
    assert done.exit_code == 8, done.stderr
    value = json.loads(done.stdout)
    assert (value["outcome"], load_public(world.path).manifest.setup) == ("not-verifiable", "dev")
    assert value["verdict"].startswith("NOT VERIFIABLE")
