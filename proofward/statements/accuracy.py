"""Accuracy, proved: `k` of the `n` records of the test set with this root are right, one proof for all.

The model is public, the test set is not: records and truths stay with who holds them, and only a commitment
to all of them (the root) is shown. The circuit is the model's integer program, once a record, and a sum of
the decisions that are the truth; so the verifier needs the program, and makes the circuit again himself.

The root is of the records as this model's quantiser reads them, with their truths. Published from the
model's manifest alone, before its weights are seen, it shows that nobody picked them to suit.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from proofward_prover import Circuit, ProverError, ProvingKey, check_key, commit, prove, verify
from pydantic import BaseModel, ConfigDict, Field, model_validator

from proofward.check import Check
from proofward.files import TooLong, read_whole, write_together, write_whole
from proofward.statements.document import read_document
from proofward.statements.errors import StatementError
from proofward.statements.keys import VERIFYING_KEY_BYTES
from proofward.zkml import PublicArtifact
from proofward.zkml.groth16.keys import set_up
from proofward.zkml.groth16.params import circuit_of, output_bounds
from proofward.zkml.groth16.program.program import (
    MAX_NODES,
    MAX_SHIFT,
    MAX_TERMS,
    Builder,
    Input,
    IntArray,
    Linear,
    Mux,
    Node,
    Output,
    Program,
    ReluShift,
    Shift,
    Thermometer,
    linear,
)
from proofward.zkml.manifest import Manifest

FORMAT: Literal["proofward/accuracy/v1"] = "proofward/accuracy/v1"
CONFIDENCE = 0.95
PUBLIC_SALT = bytes(32)
"""The count is public, so its commitment hides nothing."""
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Hash = Field(pattern=r"^[0-9a-f]{64}$")


class Accuracy(BaseModel):
    """A proof's file: hex without a prefix; `key` is SHA-256 of the verifying key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["proofward/accuracy/v1"] = FORMAT
    manifest_hash: str = Hash
    records: int = Field(ge=1, le=8192)
    right: int = Field(ge=0, le=8192)
    root: str = Hash
    key: str = Hash
    proof: str = Field(pattern=r"^[0-9a-f]{512}$")

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Accuracy:
        if self.right > self.records:
            raise ValueError("more records are right than there are")
        return self

    @property
    def words(self) -> str:
        """What it says, with a 95 % interval of the share (Clopper and Pearson 1934)."""
        low, high = clopper_pearson(self.right, self.records)
        share = self.right / self.records
        return (
            f"{self.right} of {self.records} records are right: {share:.4f}, "
            f"95 % interval {low:.4f} to {high:.4f}"
        )

    def save(self, path: Path, *, salt: tuple[Path, bytes] | None = None) -> None:
        """Write it whole (mode 0600), and with it the salt that was drawn for its root. Raises OSError."""
        salts = [] if salt is None else [(salt[0], salt[1].hex().encode(), 0o600)]
        write_together([*salts, (path, self.model_dump_json(indent=1).encode(), 0o600)])


@dataclass(frozen=True, repr=False)
class TestSet:
    """Quantised records [n, features], their truths [n] as class indices, and the root's salt. Secret."""

    __test__ = False  # pytest collects classes of this name

    values: Integers
    truth: Integers
    salt: bytes

    def flat(self) -> list[int]:
        """As the circuit takes them: all records, then all truths."""
        return [*self.values.reshape(-1).tolist(), *self.truth.tolist()]


@dataclass(frozen=True)
class AccuracyKey:
    """Keys for one model and one number of records, in `folder`."""

    circuit: Circuit
    verifying_key: bytes
    folder: Path

    @property
    def hash(self) -> bytes:
        """SHA-256 of the verifying key."""
        return hashlib.sha256(self.verifying_key).digest()

    def warm(self) -> None:
        """Load and check the proving key now, not in the first proof. Raises StatementError."""
        _ = self.proving

    @cached_property
    def proving(self) -> ProvingKey:
        """Loaded and checked once. Raises StatementError."""
        try:
            return ProvingKey.load(self.folder / "pk.bin", self.circuit, verifying_key=self.verifying_key)
        except ProverError as error:
            raise StatementError(
                f"the keys in {self.folder} are unusable: {error}", code="bad-statement-key"
            ) from error


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a share of which `k` of `n` were seen (Clopper and Pearson 1934, Biometrika 26):
    every share outside it would make `k` or fewer, or `k` or more, less likely than half of 1 - confidence.
    """
    half = (1 - confidence) / 2
    low = 0.0 if k == 0 else _solve(lambda p: _at_least(k, n, p) - half)
    high = 1.0 if k == n else _solve(lambda p: half - (1 - _at_least(k + 1, n, p)))
    return low, high


def _solve(rising: Any) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) of a binomial."""
    if not 0 < p < 1:
        return float(p >= 1 or k <= 0)
    logs = (
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1)
        + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k, n + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))


def counting(model: Program, manifest: Manifest, records: int) -> Program:
    """The program that counts the right decisions of a model's: inputs are `records` records and then their
    truths. Raises StatementError for a model that decides nothing.
    """
    decision = manifest.output.decision
    # A difference of two scores, less one, is below 2^bits in magnitude.
    bits = max(abs(end) for bounds in output_bounds(manifest) for end in bounds).bit_length() + 2
    if bits > MAX_SHIFT:
        raise StatementError(f"scores of {bits} bits are too wide here", code="statement-too-large")
    if decision not in ("sigmoid", "softmax", "argmax"):
        raise StatementError(
            f"a model whose end is {decision!r} decides between no classes: no record is right or wrong",
            code="no-classes",
        )
    first, classes = model.input, 2 if decision == "sigmoid" else len(model.output.wires)
    features = len(first.low)
    lows = np.concatenate([np.tile(first.low, records), np.zeros(records, dtype=np.int64)])
    highs = np.concatenate([np.tile(first.high, records), np.full(records, classes - 1, dtype=np.int64)])
    if len(lows) > 8192:
        raise StatementError(
            f"{records} records of {features} features are {len(lows)} inputs; one proof takes 8192",
            code="statement-too-large",
        )
    terms = sum(len(node.wires) for node in model.nodes if isinstance(node, Linear))
    if records * terms > MAX_TERMS or records * len(model.nodes) > MAX_NODES:
        raise StatementError(f"{records} copies of this model are no circuit", code="statement-too-large")
    builder = Builder()
    builder.add(Input(lows, highs, "test set"))
    zero, one = builder.add(linear([(0, {}), (1, {})], "constants")).tolist()
    rights = []
    for record in range(records):
        scores = _copy(builder, model, record * features)
        truth = records * features + record
        rights.append(_right(builder, decision, scores.tolist(), truth, (zero, one), bits))
    count = builder.add(linear([(0, {int(wire): 1 for wire in rights})], "count"))
    return builder.finish(count)


def _copy(builder: Builder, model: Program, inputs: int) -> IntArray:
    """The model's nodes once more, over the inputs that begin at a wire; the wires of its outputs."""
    features, base = len(model.input.low), builder.wires

    def moved(wires: IntArray) -> IntArray:
        return np.where(wires < features, wires + inputs, wires - features + base)

    for node in model.nodes[1:-1]:
        builder.add(_moved(node, moved))
    return moved(model.output.wires)


def _moved(node: Node, moved: Any) -> Node:
    match node:
        case Linear():
            return Linear(node.bias, node.starts, moved(node.wires), node.coefficients, node.label)
        case Shift() | ReluShift():
            return type(node)(node.shift, moved(node.wires), node.label)
        case Thermometer():
            return Thermometer(int(moved(np.array([node.wire]))[0]), node.ranks, node.label)
        case Mux():
            return Mux(moved(node.bit), moved(node.high), moved(node.low), node.label)
        case Input() | Output():
            raise AssertionError("a program has its ends once")


def _right(
    builder: Builder, decision: str, scores: list[int], truth: int, constants: tuple[int, int], bits: int
) -> int:
    """1 where the decision is the truth."""
    zero, one = constants

    def choose(bit: int, high: int, low: int) -> int:
        one, two, three = (np.array([wire], dtype=np.int64) for wire in (bit, high, low))
        return int(builder.add(Mux(one, two, three, "choose"))[0])

    def not_negative(rows: list[tuple[int, dict[int, int]]]) -> list[int]:
        half = 1 << (bits - 1)
        sums = builder.add(linear([(bias - half, row) for bias, row in rows], "difference"))
        floors = builder.add(Shift(bits, sums, "sign")).tolist()
        return [int(w) for w in builder.add(linear([(1, {w: 1}) for w in floors], "sign"))]

    if decision == "sigmoid":
        (positive,) = not_negative([(-1, {scores[0]: 1})])
        (negative,) = (int(w) for w in builder.add(linear([(1, {positive: -1})], "negative")))
        return choose(truth, positive, negative)
    steps = builder.add(Thermometer(truth, len(scores) - 1, "truth")).tolist()
    chosen = scores[0]
    for step, score in zip(steps, scores[1:], strict=True):
        chosen = choose(step, score, chosen)
    # The first of the greatest decides: those before the truth's must be less, those behind not greater.
    rows = []
    for j, score in enumerate(scores):
        row = {chosen: 1, score: -1}
        if j < len(steps):
            row[steps[j]] = -1
        rows.append((0, row))
    whole = one
    for bit in not_negative(rows):
        whole = choose(bit, whole, zero)
    return whole


def key_for(program: Program, public: PublicArtifact, records: int, folder: Path) -> AccuracyKey:
    """Keys of a model and so many records in `folder`, made there when there are none. Raises StatementError,
    CompileError.
    """
    encoded = counting(program, public.manifest, records).encode()
    circuit = _circuit(encoded)
    if not (folder / "pk.bin").exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key, _ = set_up(encoded, "1", folder / "pk.bin")
        write_whole(folder / "vk.bin", key)
    return AccuracyKey(circuit, (folder / "vk.bin").read_bytes(), folder)


def _circuit(program: bytes) -> Circuit:
    try:
        return Circuit(program, 1)
    except ProverError as error:
        raise StatementError(
            f"so many records of this model are no circuit: {error}; prove fewer at a time", code=error.code
        ) from error


def root_of(circuit_bounds: list[tuple[int, int]], test_set: TestSet) -> bytes:
    """The commitment to a test set. Raises StatementError."""
    try:
        return commit(circuit_bounds, 1, test_set.flat(), test_set.salt)
    except ProverError as error:
        raise StatementError(f"the test set is not one of this model: {error}", code=error.code) from error


def prove_accuracy(public: PublicArtifact, key: AccuracyKey, test_set: TestSet) -> Accuracy:
    """Count and prove. Raises StatementError."""
    try:
        made = prove(key.proving, key.circuit, test_set.flat(), test_set.salt, PUBLIC_SALT)
    except ProverError as error:
        raise StatementError(f"the accuracy could not be proved: {error}", code=error.code) from error
    return Accuracy(
        manifest_hash=public.manifest_hash.hex(),
        records=len(test_set.truth),
        right=made.outputs[0],
        root=made.input_commitment.hex(),
        key=key.hash.hex(),
        proof=made.proof.hex(),
    )


def quantised(public: PublicArtifact, x: Floats, y: NDArray[Any] | None, salt: bytes) -> TestSet:
    """Records [n, features] and truths [n] as class indices, quantised. Raises StatementError,
    InputRangeError.
    """
    if y is None or np.ndim(y) != 1:
        raise StatementError(
            "the test set has no truth: its last column, or what --truth names", code="usage"
        )
    truth = np.asarray(y, dtype=np.float64)
    classes = 2 if public.manifest.output.decision == "sigmoid" else public.manifest.output.length
    if not np.all((truth == np.rint(truth)) & (truth >= 0) & (truth < classes)):
        raise StatementError(f"the truths are no classes 0 to {classes - 1} of this model", code="usage")
    return TestSet(public.quantize(x), truth.astype(np.int64), salt)


def salt_at(path: Path) -> bytes | None:
    """The salt in a file; None where there is no file. Raises StatementError."""
    try:
        salt = bytes.fromhex(read_whole(path, 80).decode().strip())
        if len(salt) != 32:
            raise ValueError
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StatementError(f"{path} holds no salt of 64 hex digits: {error}", code="usage") from error
    return salt


def program_of(artifact: Path, public: PublicArtifact) -> Program:
    """The integer program beside an artefact's public half. Raises StatementError."""
    path = (artifact.parent if artifact.name == "public" else artifact) / "private" / "program.bin"
    try:
        program = Program.decode(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StatementError(
            f"{path} is not the model's program ({error}); its publisher has it, and `proofward "
            "compile` makes it again from the ONNX file",
            code="no-program",
        ) from error
    if _circuit_digest(program, public.manifest) != public.manifest.circuit_digest:
        raise StatementError(f"{path} is not the program of this artefact", code="no-program")
    return program


def name(public: PublicArtifact, records: int) -> str:
    """A folder's name for the keys of a model and so many records."""
    return f"accuracy-{public.manifest.circuit_digest[:16]}-{records}"


def is_accuracy(path: Path) -> bool:
    """Whether a file names this format."""
    try:
        with path.open("rb") as file:
            return FORMAT.encode() in file.read(256)
    except OSError:
        return False


def load(path: Path) -> Accuracy:
    """Read a proof of accuracy. Raises StatementError."""
    return read_document(path, Accuracy, f"proof of accuracy ({FORMAT})")


def checks(
    proved: Accuracy,
    public: PublicArtifact,
    program: Program,
    key: Path,
    *,
    development: bool,
    own_key: bool,
    root: bytes | None = None,
) -> list[Check]:
    """Model, program, key, setup, root and proof. `program` must be the manifest's (its digest)."""
    mine = public.manifest_hash.hex() == proved.manifest_hash
    digest = _circuit_digest(program, public.manifest)
    same = digest == public.manifest.circuit_digest
    found = [
        Check("model", mine, f"{public.manifest.name!r}, manifest 0x{public.manifest_hash.hex()}"),
        Check("program", same, f"of the manifest's circuit, 0x{digest}" if same else "another circuit's"),
    ]
    try:
        circuit = _circuit(counting(program, public.manifest, proved.records).encode())
        vk = read_whole(key / "vk.bin", VERIFYING_KEY_BYTES)
    except (OSError, TooLong, StatementError) as error:
        return [*found, Check("key", False, str(error))]
    named = hashlib.sha256(vk).hexdigest() == proved.key
    found.append(Check("key", named, f"0x{hashlib.sha256(vk).hexdigest()}"))
    if (key / "pk.bin").is_file():
        found.append(Check("key's circuit", _is_circuits(key, circuit, vk), "every point of the proving key"))
    else:
        found.append(Check("key's circuit", None, "its maker's word: no proving key here", required=False))
    told = "dev: made by the reader" if own_key else "dev: one party made the keys and could forge the count"
    allowed = own_key or development
    found.append(Check("setup", allowed, told if allowed else f"{told}; refused without --dev or --own-key"))
    told = f"0x{proved.root}: of records nobody shows; made before the model was seen only if you had it then"
    pinned = None if root is None else root.hex() == proved.root
    found.append(Check("test set's root", pinned, told, required=root is not None))
    root_, proof = bytes.fromhex(proved.root), bytes.fromhex(proved.proof)
    try:
        holds = proved.right <= proved.records and verify(
            vk, root_, commit(circuit.output_bounds, 1, [proved.right], PUBLIC_SALT), proof
        )
    except ProverError:
        holds = False  # under what is no key
    return [*found, Check("proof", holds, proved.words)]


def _circuit_digest(program: Program, manifest: Manifest) -> str:
    return circuit_of(program.encode(), manifest).digest.hex()


def _is_circuits(key: Path, circuit: Circuit, vk: bytes) -> bool:
    try:
        return check_key(key / "pk.bin", circuit)[0] == vk
    except ProverError:
        return False


__all__ = [
    "Accuracy",
    "AccuracyKey",
    "TestSet",
    "checks",
    "clopper_pearson",
    "counting",
    "is_accuracy",
    "key_for",
    "load",
    "name",
    "program_of",
    "prove_accuracy",
    "quantised",
    "root_of",
    "salt_at",
]
