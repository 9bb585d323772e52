"""The artifact's manifest: what a model's public files are, bound by hash. Canonical JSON, strict on
reading."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from proofward.zkml.errors import ArtifactError
from proofward.zkml.quantiser import Quantiser

FORMAT: Literal["proofward/artifact/v1"] = "proofward/artifact/v1"
MAX_MANIFEST_BYTES = 1 << 20
MAX_BATCH = 32

Decision = Literal["sigmoid", "softmax", "argmax", "value"]
Setup = Literal["dev", "attested", "ceremony"]
LaneName = Literal["ezkl", "groth16"]

_FILE_NAME = re.compile(r"^(public|private)/[a-z0-9][a-z0-9_.-]{0,63}$")
_HEX32 = r"^[0-9a-f]{64}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputSpec(_Strict):
    """`shape` is of one record, without the batch axis; the quantiser sees it flattened in C order."""

    shape: list[int] = Field(min_length=1, max_length=4)
    quantiser: Quantiser


class OutputSpec(_Strict):
    """A record's `length` output integers stand for integer / `scale`. `decision` says how to read them:
    sigmoid and softmax are proven at the logit, argmax over class scores, value is a regression."""

    length: int = Field(ge=1, le=1024)
    scale: float = Field(gt=0)
    decision: Decision
    labels: list[str] | None = None


class Accuracy(_Strict):
    """Measured on `records` held-out records, on the circuit's own integers. Higher is better for each
    metric: accuracy (share correct), agreement (share of decisions equal to the float model's), r2."""

    metric: Literal["accuracy", "agreement", "r2"]
    records: int = Field(ge=0)
    float_: float = Field(alias="float")
    integer: float

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @property
    def loss(self) -> float:
        return self.float_ - self.integer


class Manifest(_Strict):
    """See the field names; digests are lower-case hex of 32 bytes, `files` maps public/... and private/... to
    SHA-256."""

    format: Literal["proofward/artifact/v1"] = FORMAT
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
    files: dict[str, str] = Field(max_length=32)
    lane_params: dict[str, Any] = Field(default_factory=dict)
    constraints: dict[str, Any] | None = None
    versions: dict[str, str] | None = None

    @field_validator("files")
    @classmethod
    def _safe_names(cls, files: dict[str, str]) -> dict[str, str]:
        for path, digest in files.items():
            if not _FILE_NAME.match(path) or not re.match(_HEX32, digest):
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
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ArtifactError(f"manifest is not valid at {where or 'top'}: {first['msg']}") from error
        if manifest.canonical() != data:
            raise ArtifactError("manifest is not canonical JSON; compile the model again")
        return manifest
