"""The artefacts that this enclave serves, by manifest hash."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from proofward.protocol.enclave import EnclaveError
from proofward.zkml import Artifact, ZkmlError, load_artifact

MAX_MODELS: Final = 64


class ModelStore:
    """Loads artefacts from one directory and no other place; safe to use from several threads."""

    def __init__(self, directory: Path, load: Callable[[Path], Artifact] = load_artifact) -> None:
        self.directory = directory.resolve()
        self._load = load
        self._loaded: dict[bytes, Artifact] = {}
        self._quarantined: set[bytes] = set()
        self._lock = threading.Lock()

    def hashes(self) -> list[bytes]:
        """Manifest hashes of what is loaded."""
        return sorted(self._loaded)

    def load(self, path: str) -> Artifact:
        """Load an artefact, every hash checked, and warm its prover; loading it again is no error.

        Raises EnclaveError: bad-path (outside the models' directory), too-many-models, model-quarantined, or
        the artefact's own code.
        """
        folder = self.inside(path)
        with self._lock:
            try:
                artifact = self._load(folder)
                key = artifact.public.manifest_hash
                self._check(key)
                if key in self._loaded:
                    return self._loaded[key]
                if len(self._loaded) >= MAX_MODELS:
                    raise EnclaveError(
                        f"{MAX_MODELS} models are loaded: restart to drop some", code="too-many-models"
                    )
                artifact.warm()
            except ZkmlError as error:
                raise EnclaveError(error.message, code=error.code) from None
            except OSError as error:
                raise EnclaveError(
                    f"{folder.name} cannot be read: {error.strerror}", code="bad-artifact"
                ) from None
            self._loaded[key] = artifact
            return artifact

    def inside(self, path: str) -> Path:
        """A path within the models' directory. Raises EnclaveError(bad-path)."""
        try:
            found = (self.directory / path).resolve()
        except (OSError, ValueError):
            found = Path("/")
        if not found.is_relative_to(self.directory):
            raise EnclaveError("files are read from the directory given by --models only", code="bad-path")
        return found

    def quarantine(self, manifest_hash: bytes) -> None:
        """Serve a model no more while this process lives: a proof of it failed.

        Which inputs fail would be the host's to learn, one bit a job; so there is one failure at most.
        """
        with self._lock:
            self._quarantined.add(manifest_hash)
            artifact = self._loaded.pop(manifest_hash, None)
        if artifact is not None:
            artifact.close()

    def _check(self, manifest_hash: bytes) -> None:
        if manifest_hash in self._quarantined:
            raise EnclaveError(
                f"a proof of the model with manifest {manifest_hash.hex()} failed; compile it again, or "
                "restart the enclave",
                code="model-quarantined",
            )

    def get(self, manifest_hash: bytes) -> Artifact:
        """Raises EnclaveError: unknown-model, model-quarantined."""
        self._check(manifest_hash)
        artifact = self._loaded.get(manifest_hash)
        if artifact is None:
            raise EnclaveError(
                f"no artefact with manifest {manifest_hash.hex()} is loaded", code="unknown-model"
            )
        return artifact

    def close(self) -> None:
        """Stop every prover."""
        for artifact in self._loaded.values():
            artifact.close()
