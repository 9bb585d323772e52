"""Read an image out of an OCI archive: its files, its digest, a list of what is in it.

Usage: image.py measure|files|sbom ARCHIVE [--json]

`measure` prints the digest that names the image, the digest over all files, and their number and bytes;
`files` prints a line a file (mode, owner, bytes, SHA-256, path); `sbom` prints a CycloneDX 1.6 document. The
archive is what `buildah push oci-archive:` or `docker buildx build --output type=oci` writes
(OCI image-spec 1.1, image layout and layer).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import Parser
from pathlib import Path, PurePosixPath
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class File:
    """A file, folder or link of an image, without its time."""

    path: str
    kind: str
    """`file`, `folder`, `link` or `device`."""
    mode: int
    owner: tuple[int, int]
    content: bytes = field(repr=False)
    """A file's bytes, a link's target, a device's numbers."""

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    def line(self) -> str:
        """As `files` prints it."""
        owner = f"{self.owner[0]}:{self.owner[1]}"
        return f"{self.kind:6} {self.mode:04o} {owner:11} {len(self.content):9} {self.digest} {self.path}"


@dataclass(frozen=True, slots=True)
class Image:
    """What an engine would start."""

    digest: str
    """`sha256:…` of the manifest: what a registry names it by."""
    config: dict[str, Any]
    """`User`, `Entrypoint`, `Cmd`, `Env` and the others of the image-spec's `config`."""
    files: dict[str, File] = field(repr=False)

    def measurement(self) -> str:
        """SHA-256 over the lines of all files, sorted by path, and the configuration."""
        state = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for path in sorted(self.files):
            state.update(self.files[path].line().encode() + b"\n")
        return state.hexdigest()

    def unpack(self, folder: Path) -> None:
        """Write all but devices under an empty folder, with their owners (which takes root)."""
        for path in sorted(path for path, one in self.files.items() if one.kind != "device"):
            one, target = self.files[path], folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if one.kind == "folder":
                target.mkdir(exist_ok=True)
            elif one.kind == "link":
                target.symlink_to(one.content.decode())
            else:
                target.write_bytes(one.content)
            os.chown(target, *one.owner, follow_symlinks=False)
            if one.kind != "link":
                target.chmod(one.mode)


def read(path: Path) -> Image:
    """The one image of an archive. Raises OSError, ValueError when it is none."""
    with tarfile.open(path) as archive:

        def blob(digest: str) -> bytes:
            kind, _, value = digest.partition(":")
            file = archive.extractfile(f"blobs/{kind}/{value}")
            content = file.read() if file else b""
            if kind != "sha256" or hashlib.sha256(content).hexdigest() != value:
                raise ValueError(f"{path}: the blob {digest} is not what its name says")
            return content

        index = archive.extractfile("index.json")
        manifests = json.loads(index.read() if index else b"{}").get("manifests", [])
        if len(manifests) != 1:
            raise ValueError(f"{path} holds {len(manifests)} images: one is wanted")
        digest = manifests[0]["digest"]
        manifest = json.loads(blob(digest))
        files: dict[str, File] = {}
        for layer in manifest["layers"]:
            _apply(files, blob(layer["digest"]))
        return Image(digest, json.loads(blob(manifest["config"]["digest"])).get("config", {}), files)


def _apply(files: dict[str, File], content: bytes) -> None:
    """Lay one layer over the files (image-spec, layer: whiteouts)."""
    with tarfile.open(fileobj=io.BytesIO(content)) as layer:
        for member in layer:
            path = PurePosixPath(member.name.lstrip("./") or ".")
            if path.name == OPAQUE:
                _remove(files, str(path.parent), itself=False)
            elif path.name.startswith(WHITEOUT):
                _remove(files, str(path.with_name(path.name.removeprefix(WHITEOUT))), itself=True)
            elif str(path) != ".":
                files[str(path)] = _file(layer, member, str(path), files)


def _file(layer: tarfile.TarFile, member: tarfile.TarInfo, path: str, files: dict[str, File]) -> File:
    owner = (member.uid, member.gid)
    if member.isdir():
        return File(path, "folder", member.mode & 0o7777, owner, b"")
    if member.issym():
        return File(path, "link", 0o777, owner, member.linkname.encode())
    if member.islnk():
        return File(path, "file", member.mode & 0o7777, owner, files[member.linkname.lstrip("./")].content)
    if member.isdev():
        return File(
            path, "device", member.mode & 0o7777, owner, f"{member.devmajor}:{member.devminor}".encode()
        )
    if not member.isreg():
        raise ValueError(f"{path} is neither file, folder, link nor device")
    content = layer.extractfile(member)
    return File(path, "file", member.mode & 0o7777, owner, content.read() if content else b"")


def _remove(files: dict[str, File], path: str, *, itself: bool) -> None:
    for one in [one for one in files if one.startswith(path + "/") or (itself and one == path)]:
        del files[one]


def sbom(image: Image, name: str, epoch: int) -> dict[str, Any]:
    """A CycloneDX 1.6 document: Python distributions, shared libraries and programs, each with its hash.

    Debian's packages are named where the image has dpkg's list; else a library is named by its file.
    """
    components = [*_distributions(image), *_debian(image), *_elf(image)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, image.measurement())}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": name,
                "version": image.digest,
                "properties": [{"name": "proofward:files", "value": image.measurement()}],
            },
        },
        "components": sorted(components, key=lambda one: str(one["bom-ref"])),
    }


def _distributions(image: Image) -> list[dict[str, Any]]:
    found = []
    for path, file in image.files.items():
        if not path.endswith(".dist-info/METADATA"):
            continue
        metadata = Parser().parsestr(file.content.decode("utf-8", "replace").partition("\n\n")[0])
        name, version = re.sub(r"[-_.]+", "-", metadata["Name"]).lower(), metadata["Version"]
        records = image.files[str(PurePosixPath(path).with_name("RECORD"))]
        found.append(
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{name}@{version}",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name}@{version}",
                # RECORD holds the SHA-256 of every file of the distribution
                "hashes": [{"alg": "SHA-256", "content": records.digest}],
            }
        )
    return found


def _debian(image: Image) -> list[dict[str, Any]]:
    status = image.files.get("var/lib/dpkg/status")
    if status is None:
        return []
    found = []
    for block in status.content.decode().strip().split("\n\n"):
        package = Parser().parsestr(block)
        reference = f"pkg:deb/debian/{package['Package']}@{package['Version']}"
        found.append(
            {
                "type": "library",
                "bom-ref": reference,
                "name": package["Package"],
                "version": package["Version"],
                "purl": reference,
            }
        )
    return found


def _elf(image: Image) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "bom-ref": f"file:/{path}",
            "name": f"/{path}",
            "hashes": [{"alg": "SHA-256", "content": file.digest}],
        }
        for path, file in image.files.items()
        if file.kind == "file" and file.content.startswith(b"\x7fELF") and "dist-packages" not in path
    ]


def main(verb: str, path: str, *options: str) -> int:
    """The command."""
    image = read(Path(path))
    if verb == "files":
        print("\n".join(image.files[one].line() for one in sorted(image.files)))
    elif verb == "sbom":
        epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
        print(json.dumps(sbom(image, Path(path).stem, epoch), indent=1))
    elif verb == "measure":
        regular = [one for one in image.files.values() if one.kind == "file"]
        told = {
            "digest": image.digest,
            "files_digest": image.measurement(),
            "files": len(regular),
            "bytes": sum(len(one.content) for one in regular),
            "user": image.config.get("User", ""),
            "entrypoint": image.config.get("Entrypoint", []),
        }
        print(json.dumps(told) if "--json" in options else "\n".join(f"{k:13} {v}" for k, v in told.items()))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
