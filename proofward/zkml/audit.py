"""What an auditor with the ONNX file recomputes of a published manifest, field by field.

Every field is compared with what its lane recomputes, or told as somebody's word; a field that is neither is
`not checked`, so that a new one never passes unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from proofward.check import Check, said
from proofward.zkml.artifact import PublicArtifact
from proofward.zkml.lanes import KEYS, LIBRARY, Auditor, Remade, lane
from proofward.zkml.manifest import FORMAT, Accuracy, Manifest

_PUBLISHER = "the publisher's own word"
_RESTS_ON = {
    "dev": "the publisher alone, who made the keys and could forge proofs",
    "attested": "the enclave that made the keys: its root and measurement, as `proofward verify` shows them",
}
_PARTS = ("input", "output", "accuracy", "lane_params", "constraints", "files")
"""Parts whose own fields are compared, not the whole."""


def audit_fields(
    onnx: bytes,
    public: PublicArtifact,
    auditor: Auditor | None = None,
    names: Sequence[str] | None = None,
) -> list[Check]:
    """Recompute what can be recomputed from the ONNX file and the published quantisation, and compare.

    `names` are the model's own of its features, where it has any. Raises LaneUnavailable.
    """
    manifest, auditor = public.manifest, auditor or Auditor()
    weights = hashlib.sha256(onnx).hexdigest()
    checks = [
        Check("weights_digest", weights == manifest.weights_digest, f"SHA-256 of the ONNX file {weights}")
    ]
    if not checks[0].ok:
        return checks
    remade = lane(manifest.lane).remake(onnx, manifest, public.files, auditor)
    remade.fields |= {
        "format": FORMAT,
        "lane": manifest.lane,
        "batch": manifest.batch,
        "vk_hash": hashlib.sha256(public.vk).hexdigest(),
        "files.private/model.onnx": weights,
        **{f"files.{name}": hashlib.sha256(data).hexdigest() for name, data in public.files.items()},
    }
    remade.told |= {
        "name": _PUBLISHER,
        "versions": _PUBLISHER,
        "input.features": f"{_PUBLISHER}: names and units" if names is None else f"{_PUBLISHER}: units",
        "expected": _told_of_library(manifest),
        "lane_params.lane_reason": _PUBLISHER,
        "files.private/pk.bin": "checked by every enclave that loads it",
        **{f"accuracy.{name}": f"{_PUBLISHER}, on records of its own" for name in _aliases()},
    }
    known = any(check.name == KEYS for check in remade.checks)
    origin = [] if known else [_origin(manifest)]
    checks += [] if names is None else [_feature_names(manifest, names)]
    return [
        *checks,
        *_compared(manifest, remade),
        *_library(manifest, auditor, remade),
        *remade.checks,
        *origin,
    ]


def _told_of_library(manifest: Manifest) -> str:
    found = manifest.expected
    if found is None:
        return _PUBLISHER
    return (
        f"{_PUBLISHER}: the training library's predictions of {found.records} records were compared, SHA-256 "
        f"{found.digest}; --expected compares them again"
    )


def _library(manifest: Manifest, auditor: Auditor, remade: Remade) -> list[Check]:
    """What nobody compared with the library that trained the model, and the lane did not."""
    if any(check.name == LIBRARY for check in remade.checks):
        return []
    if auditor.expected is not None:
        return [Check(LIBRARY, None, f"the {manifest.lane} lane's audit does not compare its predictions")]
    if manifest.expected is None:
        told = "not checked: the publisher compared nothing with the training library's own predictions"
        return [said(LIBRARY, told)]
    return []


def _feature_names(manifest: Manifest, names: Sequence[str]) -> Check:
    """The published names in order against the model's own: clients' columns follow them."""
    published = [feature.name for feature in manifest.input.features or ()]
    same = published == list(names)
    own = f"the ONNX file's own {_short(list(names))}"
    return Check("feature names", same, own if same else f"published {_short(published)}, {own}")


def _compared(manifest: Manifest, remade: Remade) -> list[Check]:
    """One check a field that differs, is told or is unknown; the fields that agree share one."""
    found = _leaves(manifest)
    checks, same = [], []
    for name in sorted((found.keys() | remade.fields.keys()) - {"weights_digest", "setup"}):
        known = name in remade.fields
        if known and remade.fields[name] != found.get(name):
            told = f"published {_short(found.get(name))}, recomputed {_short(remade.fields[name])}"
            checks.append(Check(name, False, told))
        elif name in remade.told:
            checks.append(said(name, f"{_short(found.get(name))}: {remade.told[name]}"))
        elif known:
            same.append(name)
        else:
            checks.append(Check(name, None, f"{_short(found[name])}: this version cannot recompute it"))
    return [Check("recomputed fields", True, ", ".join(same)), *checks]


def _leaves(manifest: Manifest) -> dict[str, Any]:
    """Fields by dotted name, absent ones left out."""
    leaves: dict[str, Any] = {}
    for name, value in manifest.model_dump(mode="json", by_alias=True, exclude_none=True).items():
        if name in _PARTS and isinstance(value, Mapping):
            leaves |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            leaves[name] = value
    return leaves


def _aliases() -> list[str]:
    return [info.alias or name for name, info in Accuracy.model_fields.items()]


def _origin(manifest: Manifest) -> Check:
    rests = _RESTS_ON.get(manifest.setup)
    if rests is None:
        return Check(KEYS, None, f"{manifest.setup}: no transcript was checked")
    return Check(KEYS, None, f"{manifest.setup}: NOT VERIFIABLE, rests on {rests}")


def rests_on(setup: str) -> str | None:
    """On whom keys rest that nobody can check; None for a ceremony's."""
    return _RESTS_ON.get(setup)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
