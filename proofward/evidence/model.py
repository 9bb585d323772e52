"""The model of a bundle: its public artefact, and whether it is the one that the job's model id names."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from proofward.check import Check, said
from proofward.evidence.bundle import ModelPart
from proofward.evidence.policy import Policy
from proofward.protocol import Lane, model_id
from proofward.zkml import LaneUnavailable, PublicArtifact, ZkmlError, load_public
from proofward.zkml.contracts import check_code
from proofward.zkml.manifest import Compared

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
"""As a manifest names files; any other name could leave the folder, or be none to the file system."""


def model_checks(model: ModelPart, claimed: bytes) -> tuple[PublicArtifact | None, list[Check]]:
    """The public artefact out of the bundle, None when it is not the one that the model's id names."""
    found = model_id(
        publisher=model.publisher,
        weights_digest=model.weights_digest,
        manifest_hash=model.manifest_hash,
        lane=Lane.from_label(model.lane),
        vk_hash=model.vk_hash,
        key_hash=model.key_hash,
    )
    if found != claimed:
        return None, [
            Check("model", False, f"its record gives id 0x{found.hex()}, the job names 0x{claimed.hex()}")
        ]
    try:
        public = _unpack(model.files)
        _require_named(public, model.files)
    except ZkmlError as error:
        return None, [Check("model", False, error.message)]
    manifest = public.manifest
    facts: dict[str, tuple[object, object]] = {
        "manifest": (public.manifest_hash.hex(), model.manifest_hash.hex()),
        "weights digest": (manifest.weights_digest, model.weights_digest.hex()),
        "verifying key": (manifest.vk_hash, model.vk_hash.hex()),
        "key of the contract": (public.key_hash.hex(), model.key_hash.hex()),
        "circuit digest": (manifest.circuit_digest, model.circuit_digest.hex()),
        "lane": (manifest.lane, model.lane),
        "name": (manifest.name, model.name),
    }
    for name, (ours, theirs) in facts.items():
        if ours != theirs:
            return None, [Check("model", False, f"the artefact's {name} is {ours}, the record's {theirs}")]
    return public, [
        Check("model", True, f"0x{claimed.hex()}, weights {model.weights_digest.hex()}"),
        said("model name", f"{model.name!r}: the publisher's own word, as are labels and accuracy"),
        said("library", _library(manifest.expected)),
    ]


def _library(compared: Compared | None) -> str:
    if compared is None:
        return "not checked: nobody compared the model with the library that trained it"
    return (
        f"compared with the training library's answers to {compared.records} records, SHA-256 "
        f"{compared.digest}: the publisher's own word"
    )


def contract_checks(model: ModelPart, policy: Policy) -> list[Check]:
    """Whether the code of the contract that gave the verdict is the lane's, as this version knows it; its
    address is the proved state's to say.
    """
    address = said("contract address", f"0x{model.verifier.hex()}: {policy.witness}")
    try:
        found = check_code(model.lane, model.contract_code)
    except ZkmlError as error:
        return [Check("contract", None, error.message), address]
    return [Check("contract", found.ok, found.detail), address]


def proof_check(
    public: PublicArtifact | None, input_commitment: bytes, output_commitment: bytes, proof: bytes
) -> Check:
    """Whether the proof leads from one commitment to the other under the model's key."""
    if public is None:
        return _no_artefact("proof")
    try:
        good = public.verify(input_commitment, output_commitment, proof)
    except LaneUnavailable as error:
        return Check("proof", None, error.message)
    except ZkmlError as error:
        return Check("proof", False, error.message)
    told = f"{len(proof)} bytes, {public.manifest.lane}, for input commitment {input_commitment.hex()}"
    return Check("proof", good, told if good else f"it does not verify: {told}")


def _no_artefact(name: str) -> Check:
    return Check(name, None, "the model's artefact is not the one that the model's id names")


def _unpack(files: dict[str, bytes]) -> PublicArtifact:
    with TemporaryDirectory(prefix="proofward-bundle-") as folder:
        for name, data in files.items():
            plain = name.removeprefix("public/")
            if not _PLAIN.fullmatch(plain):
                raise ZkmlError(
                    f"the bundle names a file {name!r}, which is not public/NAME", code="bad-artifact"
                )
            (Path(folder) / plain).write_bytes(data)
        return load_public(Path(folder))


def _require_named(public: PublicArtifact, files: dict[str, bytes]) -> None:
    """A verdict speaks of the files that the manifest names, so a bundle brings no others."""
    named = {"public/manifest.json", *public.files}
    if other := sorted(files.keys() - named):
        raise ZkmlError(
            f"the bundle brings a file {other[0]!r}, which the manifest does not name", code="bad-artifact"
        )
