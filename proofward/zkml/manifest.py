"""The artifact's manifest: what a model's public files are, bound by hash. Canonical JSON, strict on
reading.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from proofward.protocol.bounds import MAX_BATCH
from proofward.zkml.errors import ArtifactError
from proofward.zkml.quantiser import MAX_FEATURES, Quantiser, Strict

FORMAT: Literal["proofward/artifact/v2"] = "proofward/artifact/v2"
MAX_MANIFEST_BYTES = 1 << 20
MAX_CONTESTED_BYTES = 65_536
"""Bytes of the longest manifest that the chain reads in a contest."""
_FORMULA = re.compile(r"[=@]|[+-].*[(|!]")
"""What a spreadsheet runs when it opens a table of answers; `+ve` and `-1` are names."""
TRANSCRIPT = "public/ceremony.bin"
"""The file of an artefact whose keys come of a ceremony that says who contributed."""

Decision = Literal["sigmoid", "softmax", "argmax", "value", "multilabel"]
Task = Literal["binary", "multiclass", "multilabel", "regression", "multi-target"]
Setup = Literal["dev", "attested", "ceremony"]
LaneName = Literal["groth16", "ezkl"]
LANE_NAMES: tuple[LaneName, ...] = get_args(LaneName)
"""In order of preference: the first lane that takes a model gets it."""
LaneChoice = LaneName | Literal["auto"]
Method = Literal["predict", "predict_proba", "decision_function"]
"""Of whose answers a library has: the names are scikit-learn's."""

_FILE_NAME = re.compile(r"(public|private)/[a-z0-9][a-z0-9_.-]{0,63}")
_HEX32 = r"^[0-9a-f]{64}$"


class Feature(Strict):
    """One input as the publisher's own table names it: records are matched by `name`; `unit` is a UCUM code
    or what the table wrote; `values` are all that the model takes of a feature that had two in calibration.
    """

    name: str = Field(min_length=1, max_length=128)
    unit: str | None = Field(default=None, min_length=1, max_length=64)
    values: list[float] | None = Field(default=None, min_length=1, max_length=2)
    loinc: str | None = Field(default=None, pattern=r"^[0-9]{1,7}-[0-9]$")


class InputSpec(Strict):
    """`shape` is of one record, without the batch axis; the quantiser sees it flattened in C order.
    `features` name the flattened inputs in order; absent where neither calibration nor model names them.
    `missing` says that a missing value (NaN) is a value that the model takes.
    """

    shape: list[int] = Field(min_length=1, max_length=4)
    quantiser: Quantiser
    features: list[Feature] | None = Field(default=None, max_length=MAX_FEATURES)
    missing: bool = False

    @model_validator(mode="after")
    def _one_name_a_feature(self) -> InputSpec:
        if self.features is None:
            return self
        if len(self.features) != self.quantiser.features:
            raise ValueError("features must name each of the quantiser's inputs")
        if len({feature.name for feature in self.features}) != len(self.features):
            raise ValueError("two features have the same name")
        codes = [feature.loinc for feature in self.features if feature.loinc is not None]
        if len(set(codes)) != len(codes):
            raise ValueError("two features have the same LOINC code")
        return self


def unclear(words: Sequence[str]) -> str | None:
    """Why words cannot name classes or outputs: in an answer nobody could tell which is meant."""
    if len(set(words)) != len(words):
        return "two classes or outputs have the same name"
    if any(unicodedata.category(one) in ("Cc", "Zl", "Zp") for word in words for one in word):
        return "the name of a class or an output has a line's end or another control character"
    if any(map(_FORMULA.match, words)):
        return "a spreadsheet would take the name of a class or an output for a formula"
    return None


class OutputSpec(Strict):
    """A record's `length` output integers stand for integer / `scale`. `decision` says how to read them:
    sigmoid and softmax are proven at the logit, argmax over class scores, value is a regression (one number a
    target), multilabel has one logit a label, each decided for itself. `names` has one name an output.
    """

    length: int = Field(ge=1, le=1024)
    scale: float = Field(gt=0)
    decision: Decision
    task: Task | None = None
    labels: list[str] | None = None
    names: list[str] | None = None

    @model_validator(mode="after")
    def _one_name_an_output(self) -> OutputSpec:
        if self.names is not None and len(self.names) != self.length:
            raise ValueError("names must have one entry an output")
        one_of = self.decision in ("sigmoid", "softmax", "argmax")
        if self.labels is not None and one_of and len(self.labels) != max(2, self.length):
            raise ValueError("labels must have one entry a class")
        for words in (self.names or [], self.labels or []):
            if (reason := unclear(words)) is not None:
                raise ValueError(reason)
        return self


class Report(Strict):
    """The integers beside the float model, on records that chose nothing.

    `searched` and `chosen` other records served before, to search for the integers and to choose among those
    found (absent: trees need no search; too few records choose nothing). `refused` of the records given lie
    outside the calibrated range and are in no other figure. Intervals are of 95 %: Wilson's for shares, a
    bootstrap's for r2. `each` has (float, integers) of the first 64 targets (r2) or labels (accuracy), by
    output. `agreement` is the share of decisions equal to the float model's (of a regression: absent); false
    negatives and positives are flips of its decisions, counted for binary and multi-label models. Shifts are
    between the scores: of probabilities where the model has them, of its scores where it has none, and of a
    regression in standard deviations of its answers (`shift_of`).
    """

    searched: int | None = Field(default=None, ge=0)
    chosen: int | None = Field(default=None, ge=0)
    given: int = Field(ge=0)
    refused: int = Field(ge=0)
    held_out: bool
    float_interval: tuple[float, float]
    integer_interval: tuple[float, float]
    each: list[tuple[float, float]] | None = Field(default=None, min_length=2, max_length=64)
    agreement: float | None = None
    flips: int | None = None
    false_negatives: int | None = None
    false_positives: int | None = None
    largest_shift: float
    mean_shift: float
    shift_of: Literal["probability", "score", "spread"]
    warnings: list[str] = Field(default_factory=list, max_length=32)


class Accuracy(Strict):
    """Measured on `records` held-out records, on the circuit's own integers. Higher is better for each
    metric: accuracy (share correct), agreement (share of decisions equal to the float model's), r2.
    """

    metric: Literal["accuracy", "agreement", "r2"]
    records: int = Field(ge=0)
    float_: float = Field(alias="float")
    integer: float
    report: Report | None = None

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    @property
    def loss(self) -> float:
        """What the integers lose: the float model's figure less theirs."""
        return self.float_ - self.integer


class Compared(Strict):
    """That the answers of the library that trained the model were compared with ONNX Runtime's, which are the
    same, and with the circuit's, which are within the publisher's bounds.

    `records` were given, of which `refused` lie outside the calibrated range; `digest` is over records and
    answers (:meth:`proofward.zkml.expected.Expected.digest`). The circuit decides `flips` of the rest
    otherwise; the largest shift is of a probability, or of other numbers in their standard deviations.
    """

    records: int = Field(ge=1)
    refused: int = Field(ge=0)
    methods: list[Method] = Field(min_length=1, max_length=3)
    digest: str = Field(pattern=_HEX32)
    flips: int = Field(ge=0)
    largest_shift: float = Field(ge=0)


class Manifest(Strict):
    """See the field names; digests are lower-case hex of 32 bytes, `files` maps public/... and private/... to
    SHA-256.
    """

    format: Literal["proofward/artifact/v2"] = FORMAT
    name: str = Field(min_length=1, max_length=64)
    lane: LaneName
    setup: Setup
    weights_digest: str = Field(pattern=_HEX32)
    vk_hash: str = Field(pattern=_HEX32)
    circuit_digest: str = Field(pattern=_HEX32)
    input: InputSpec
    output: OutputSpec
    batch: int = Field(ge=1, le=MAX_BATCH)
    accuracy: Accuracy
    expected: Compared | None = None
    files: dict[str, str] = Field(max_length=32)
    lane_params: dict[str, Any] = Field(default_factory=dict)
    constraints: dict[str, Any] | None = None
    versions: dict[str, str] | None = None

    @field_validator("files")
    @classmethod
    def _safe_names(cls, files: dict[str, str]) -> dict[str, str]:
        for path, digest in files.items():
            if not _FILE_NAME.fullmatch(path) or not re.fullmatch(_HEX32, digest):
                raise ValueError(f"file entry {path!r} is not public/NAME or private/NAME with a SHA-256")
        if "public/vk.bin" not in files:
            raise ValueError("public/vk.bin is missing")
        return files

    def canonical(self) -> bytes:
        """The bytes of manifest.json: UTF-8, sorted keys, no spaces, no absent fields."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def digest(self) -> bytes:
        """manifest_hash: SHA-256 of canonical()."""
        return hashlib.sha256(self.canonical()).digest()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read manifest.json; refuses what is oversize, not canonical or inconsistent (ArtifactError)."""
        if len(data) > MAX_MANIFEST_BYTES:
            raise ArtifactError(f"manifest is {len(data)} bytes, the limit is {MAX_MANIFEST_BYTES}")
        if b'"format":"proofward/artifact/v1"' in data:
            raise ArtifactError(
                "the artefact is of format v1, whose manifest names no features, units or outputs; "
                "compile the model again"
            )
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ArtifactError(f"manifest is not valid at {where or 'top'}: {first['msg']}") from error
        if manifest.canonical() != data:
            raise ArtifactError("manifest is not canonical JSON; compile the model again")
        return manifest
