"""Opening one record of a batch's commitment, without the other records: where the commitment is a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proofward_prover import ProverError
from proofward_prover import check_record as _check
from proofward_prover import open_record as _open

from proofward.zkml.errors import ArtifactError, InputRangeError
from proofward.zkml.groth16.params import form, input_bounds, output_bounds
from proofward.zkml.manifest import Manifest
from proofward.zkml.quantiser import Integers

Side = Literal["input", "output"]


@dataclass(frozen=True)
class OpenedRecord:
    """Record `index` of a commitment: its integers, its own salt, and its Merkle path."""

    index: int
    values: tuple[int, ...]
    salt: bytes
    path: tuple[bytes, ...]


def open_record(manifest: Manifest, side: Side, values: Integers, salt: bytes, index: int) -> OpenedRecord:
    """Open record `index` of the commitment to `values` int64 `[batch, n]` under `salt`.

    Raises InputRangeError for an index outside the batch or values outside their bounds, ArtifactError where
    the model commits to its records in one.
    """
    _require_tree(manifest)
    if not 0 <= index < manifest.batch or len(values) != manifest.batch:
        raise InputRangeError(f"record {index} of a batch of {manifest.batch} does not exist")
    record_salt, path = _open(
        _bounds(manifest, side), manifest.batch, values.reshape(-1).tolist(), salt, index
    )
    return OpenedRecord(index, tuple(int(v) for v in values[index]), record_salt, tuple(path))


def check_record(manifest: Manifest, side: Side, opened: OpenedRecord, commitment: bytes) -> bool:
    """Whether `opened` is that record of `commitment`; False for anything malformed. Raises ArtifactError
    where the model commits to its records in one.
    """
    _require_tree(manifest)
    try:
        return _check(
            _bounds(manifest, side),
            manifest.batch,
            opened.index,
            list(opened.values),
            opened.salt,
            list(opened.path),
            commitment,
        )
    except (ProverError, ValueError, OverflowError):
        return False


def _require_tree(manifest: Manifest) -> None:
    if form(manifest) != "tree":
        raise ArtifactError(
            f"{manifest.name} commits to its {manifest.batch} records in one, and none opens without the "
            "others; show all of them, or publish the model without --no-record-openings"
        )


def _bounds(manifest: Manifest, side: Side) -> list[tuple[int, int]]:
    return input_bounds(manifest) if side == "input" else output_bounds(manifest)
