"""Getting a model's public artefact from whoever serves it: nothing of it is believed but by its hashes.

A server answers `GET <base>/artefacts/<manifest hash>/<file>`, as a worker does; any web server with the
artefact's `public` folder there does as well. The chain's record says which manifest it must be, and the
manifest which bytes each file has.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proofward.chain import SubstrateClient
from proofward.chain.pallets import workers
from proofward.chain.pallets.models import ModelRecord
from proofward.client.artifacts import require_match
from proofward.client.client import Client
from proofward.client.web import FetchError, get
from proofward.client.workers import SAMPLE
from proofward.errors import NotFound, ProofwardError, Refused
from proofward.zkml.artifact import MAX_PUBLIC_BYTES, fresh_directory, load_public
from proofward.zkml.manifest import MAX_MANIFEST_BYTES, Manifest

_SOURCES: Final = 8


@dataclass(frozen=True, slots=True)
class Fetched:
    """The artefact of a model: in `folder`, got from `source`."""

    model: bytes
    manifest_hash: bytes
    folder: Path
    source: str


def fetch(
    url: str,
    which: str,
    out: Path | None,
    sources: Sequence[str],
    progress: Callable[[str], None] = lambda line: None,
) -> Fetched:
    """Fetch the artefact of a model (id or name) of the chain at `url` into `out` (default:
    `NAME.proofward`), from the first of `sources` that has it; without any, from workers that serve the
    model.

    Raises NotFound (nobody has it), Refused (`out` is there, or a source is no http address), ZkmlError,
    ChainError.
    """
    with Client(url) as client:
        record = client.model(which)
        bases = list(sources) or _endpoints(client.chain, record)
    folder = out if out is not None else Path(f"{_file_name(record)}.proofward")
    if folder.exists():
        raise Refused(f"{folder} exists already; give another folder with --out, or remove it first")
    if not bases:
        raise NotFound(
            f"no worker that serves model 0x{record.id.hex()} registered an http address; get the artefact "
            "from its publisher, or give an address with --from"
        )
    for base in bases[:_SOURCES]:
        try:
            files = _download(base, record.manifest_hash, progress)
        except FetchError as error:
            progress(f"{base}: {error.message}")
            continue
        _write(folder, files, record)
        return Fetched(record.id, record.manifest_hash, folder, base)
    raise NotFound(
        f"none of {len(bases[:_SOURCES])} addresses has the artefact of model 0x{record.id.hex()}; ask its "
        "publisher, or give an address with --from"
    )


def _endpoints(chain: SubstrateClient, record: ModelRecord) -> list[str]:
    """The http addresses that serving workers registered."""
    serving = workers.many(chain, list(workers.servers(chain, record.id, SAMPLE)))
    found = (worker.endpoint for worker in serving.values() if worker.working)
    return list(dict.fromkeys(one for one in found if one.startswith(("http://", "https://"))))


def _file_name(record: ModelRecord) -> str:
    """The model's name as a folder's, or its id where the publisher chose one that could leave the folder."""
    safe = (
        record.name
        and not record.name.startswith(".")
        and all(letter.isalnum() or letter in "-_." for letter in record.name)
    )
    return record.name if safe else record.id.hex()[:16]


def _download(base: str, manifest_hash: bytes, progress: Callable[[str], None]) -> dict[str, bytes]:
    """Every public file by its name, each with the hash that the manifest gives, at most 64 MiB in all."""
    root = f"{_checked(base)}/artefacts/{manifest_hash.hex()}"
    manifest = get(f"{root}/manifest.json", MAX_MANIFEST_BYTES)
    if hashlib.sha256(manifest).digest() != manifest_hash:
        raise FetchError("its manifest is another one")
    try:
        wanted = Manifest.parse(manifest).files
    except ProofwardError as error:
        raise FetchError(f"its manifest cannot be read: {error.message}") from error
    files, room = {"manifest.json": manifest}, MAX_PUBLIC_BYTES
    for name, digest in wanted.items():
        if not name.startswith("public/"):
            continue
        short = name.removeprefix("public/")
        progress(f"fetching {short} from {base}")
        data = get(f"{root}/{urllib.parse.quote(short)}", room)
        if hashlib.sha256(data).hexdigest() != digest:
            raise FetchError(f"{short} does not have the hash that the manifest gives")
        files[short], room = data, room - len(data)
    return files


def _checked(base: str) -> str:
    parts = urllib.parse.urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise FetchError("is no http:// or https:// address")
    return base.rstrip("/")


def _write(folder: Path, files: dict[str, bytes], record: ModelRecord) -> None:
    """Write it whole or not at all, once it is the model that the chain describes."""
    with fresh_directory(folder) as staging:
        (staging / "private").rmdir()
        for name, data in files.items():
            (staging / "public" / name).write_bytes(data)
        require_match(load_public(staging), record)
