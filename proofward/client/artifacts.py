"""The public artefacts that a client has at hand, found by the manifest hash that the chain names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from proofward.chain import SubstrateClient
from proofward.chain.pallets import models
from proofward.chain.pallets.models import LaneContract, ModelRecord
from proofward.errors import NotFound, Refused
from proofward.protocol import Lane
from proofward.zkml import PublicArtifact, ZkmlError, load_public
from proofward.zkml.contracts import verifier_code


class Artifacts:
    """Artefact folders, each with a `manifest.json` or a `public/` in it, or folders of such folders."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._paths = list(paths)
        self._loaded: dict[bytes, tuple[PublicArtifact, Path]] = {}

    def add(self, path: Path) -> PublicArtifact:
        """Load one artefact. Raises ZkmlError when it is none."""
        public = load_public(path)
        self._loaded[public.manifest_hash] = (public, path)
        return public

    def find(self, manifest_hash: bytes) -> tuple[PublicArtifact, Path]:
        """The artefact with this manifest hash. Raises NotFound."""
        if manifest_hash not in self._loaded:
            for path in self._paths:
                for folder in [path, *(sorted(path.iterdir()) if path.is_dir() else [])]:
                    if (folder / "manifest.json").is_file() or (
                        folder / "public" / "manifest.json"
                    ).is_file():
                        try:
                            self.add(folder)
                        except ZkmlError:
                            continue  # not the one that is looked for, or it would load
        if manifest_hash not in self._loaded:
            raise NotFound(
                f"no artefact with manifest hash 0x{manifest_hash.hex()} is at hand; "
                "get the model's public artefact from its publisher and give its folder with --artifact"
            )
        return self._loaded[manifest_hash]


def require_contract(client: SubstrateClient, lane: Lane) -> LaneContract:
    """The lane's contract on this chain. Raises Refused when there is none, or when it is not the one that
    this version knows: its word proves nothing to us.
    """
    contract = models.verifier(client, lane)
    if contract is None:
        raise Refused(
            f"the {lane.label} lane is closed on this chain: governance allows no contract for it",
            code="lane-closed",
        )
    expected = verifier_code(lane.label).code_hash
    if contract.code_hash != expected:
        raise Refused(
            f"the chain judges proofs of the {lane.label} lane by code 0x{contract.code_hash.hex()}, this "
            f"version knows 0x{expected.hex()}; compare both with the releases before you trust either",
            code="contract-mismatch",
        )
    return contract


def require_match(public: PublicArtifact, record: ModelRecord) -> None:
    """Raises Refused unless the artefact is the model that the chain describes."""
    manifest = public.manifest
    ours = (manifest.weights_digest, manifest.vk_hash, manifest.circuit_digest, manifest.lane, manifest.batch)
    theirs = (
        record.weights_digest.hex(),
        record.vk_hash.hex(),
        record.circuit_digest.hex(),
        record.lane.label,
        record.batch,
    )
    if ours != theirs or public.key_hash != record.key_hash:
        raise Refused(
            f"the artefact {manifest.name!r} differs from the model on the chain in its digests, lane or "
            "batch"
        )
