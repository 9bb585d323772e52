"""The public artefacts that a client has at hand, found by the manifest hash that the chain names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from proofward.errors import NotFound, Refused
from proofward.protocol import Lane
from proofward.zkml import PublicArtifact, ZkmlError, load_public
from proofward.zkml.verifier_contract import expected_contract


class Artifacts:
    """Artefact folders, each with a `manifest.json` or a `public/` in it, or folders of such folders."""

    def __init__(self, paths: Iterable[Path] = (), cache: Path | None = None) -> None:
        self._paths = list(paths)
        self._cache = cache
        self._loaded: dict[bytes, tuple[PublicArtifact, Path]] = {}
        self._honest: set[tuple[bytes, bytes]] = set()

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

    def require_honest_contract(self, public: PublicArtifact, code_hash: bytes) -> None:
        """Rebuild the verifier from the verifying key and compare. Raises Refused when the published one is
        another."""
        key = (public.manifest_hash, code_hash)
        if key in self._honest:
            return
        expected = expected_contract(public, self._cache).code_hash
        if expected != code_hash:
            raise Refused(
                "the model's contract is not the verifier of its key: rebuilt it has code hash "
                f"0x{expected.hex()}, published is "
                f"0x{code_hash.hex()}; do not use this model",
                code="contract-mismatch",
            )
        self._honest.add(key)


def require_match(
    public: PublicArtifact,
    *,
    weights_digest: bytes,
    vk_hash: bytes,
    circuit_digest: bytes,
    lane: Lane,
    batch: int,
) -> None:
    """Raises Refused unless the artefact is the model that the chain describes."""
    manifest = public.manifest
    ours = (manifest.weights_digest, manifest.vk_hash, manifest.circuit_digest, manifest.lane, manifest.batch)
    theirs = (weights_digest.hex(), vk_hash.hex(), circuit_digest.hex(), lane.label, batch)
    if ours != theirs:
        raise Refused(
            f"the artefact {manifest.name!r} differs from the model on the chain in its digests, lane or "
            "batch"
        )
