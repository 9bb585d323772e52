"""The public halves of the artefacts, served over HTTP: a client that has only the chain's record finds the
model's files here, by the manifest's hash. Nothing private is ever opened.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from proofward.protocol import manifest_hash

MAX_BYTES = 64 << 20
"""Longest file served, as clients take it."""
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


class PublicArtefacts:
    """`GET /artefacts/<manifest hash>/<file>`, from the `public` folders of artefacts."""

    def __init__(self) -> None:
        self._folders: dict[str, Path] = {}

    def show(self, folders: Iterable[Path]) -> None:
        """Serve these artefact folders from now on, and no others; one that cannot be read is left out."""
        found: dict[str, Path] = {}
        for folder in folders:
            manifest = _read(folder / "public" / "manifest.json")
            if manifest is not None:
                found[manifest_hash(manifest).hex()] = folder / "public"
        self._folders = found

    def add_to(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_get("/artefacts/{manifest}/{name}", self._serve)

    async def _serve(self, request: web.Request) -> web.Response:
        folder = self._folders.get(request.match_info["manifest"])
        name = request.match_info["name"]
        if folder is None or not _NAME.fullmatch(name):
            raise web.HTTPNotFound(text="no such artefact")
        data = await asyncio.to_thread(_read, folder / name)
        if data is None:
            raise web.HTTPNotFound(text="no such file")
        return web.Response(body=data, content_type="application/octet-stream")


def _read(path: Path) -> bytes | None:
    """A regular file's bytes; links lead out of the folder, so none is followed."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None
