"""The site and the index over HTTP: GET alone; a page may ask its own origin and one node."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from proofward.errors import NotFound, ProofwardError
from proofward_explorer.lists import BadQuestion, Lists, account_of, hash_of

_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_FILE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_NODE: Final = re.compile(
    r"wss?://(\[[0-9a-fA-F:]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?(/[A-Za-z0-9/_.-]{0,128})?"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}


class SiteMissing(ProofwardError):
    """The explorer's site was not built."""

    code = "site-missing"


def static_files() -> Path:
    """Where the built site is. Raises SiteMissing."""
    folder = Path(str(resources.files("proofward_explorer") / "static"))
    if not (folder / "index.html").is_file():
        raise SiteMissing(
            f"the explorer's site is not built ({folder} is not there): run `make explorer` in the checkout"
        )
    return folder


def node_origin(address: str) -> str:
    """`ws://host:port` of a node's address, as a page's policy names it. Raises BadQuestion."""
    if not _NODE.fullmatch(address):
        raise BadQuestion("a node's address is ws:// or wss://, a host, and perhaps a port and a path")
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def policy_of(node: str) -> str:
    """The content security policy of a page that asks this node. Raises BadQuestion."""
    return (
        f"default-src 'self'; connect-src 'self' {node_origin(node)}; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


class Site:
    """Handlers over one reading connection. `node` is the address that readers' browsers ask at first;
    `artefacts` are folders of public artefacts by manifest hash.
    """

    def __init__(
        self, database: sqlite3.Connection, *, node: str, static: Path, artefacts: Mapping[str, Path]
    ) -> None:
        self._lists, self._node, self._static, self._artefacts = Lists(database), node, static, artefacts
        node_origin(node)

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[_guarded], client_max_size=1024)
        lists = self._lists
        app.router.add_get("/", self._page)
        for name in ("index.html", "app.js", "style.css", "verify.html"):
            app.router.add_get(f"/{name}", self._page)
        answers: dict[str, Callable[[web.Request], Any]] = {
            "/api/config": lambda request: {"node": self._node, **lists.head()},
            "/api/overview": lambda request: lists.overview(),
            "/api/jobs": lambda request: lists.jobs(_asked(request)),
            "/api/jobs/{id}": lambda request: lists.job(hash_of(request.match_info["id"], "a job's id")),
            "/api/workers": lambda request: lists.records("worker"),
            "/api/workers/{id}": lambda request: lists.record("worker", account_of(request.match_info["id"])),
            "/api/models": lambda request: lists.records("model"),
            "/api/models/{id}": lambda request: lists.record(
                "model", hash_of(request.match_info["id"], "a model's id")
            ),
            "/api/sessions": lambda request: lists.sessions(),
            "/api/sessions/{id}": lambda request: lists.session(
                hash_of(request.match_info["id"], "a session's id")
            ),
            "/api/attestation": lambda request: lists.attestation(),
            "/api/market": lambda request: lists.market(),
            "/api/blocks/{number}": lambda request: lists.block(_block_number(request.match_info["number"])),
            "/api/search": lambda request: lists.search(_asked(request).get("q", "")),
        }
        for path, answer in answers.items():
            app.router.add_get(path, _json(answer))
        app.router.add_get("/favicon.ico", _no_icon)
        app.router.add_get("/api/artefacts/{hash}/{file}", self._artefact)
        return app

    async def _page(self, request: web.Request) -> web.StreamResponse:
        name = request.path.lstrip("/") or "index.html"
        node = _asked(request).get("node") or self._node
        data = (self._static / name).read_bytes()
        headers = {"Content-Security-Policy": policy_of(node)}
        if name == "verify.html":
            headers = {}  # it brings a stricter policy of its own
        return web.Response(
            body=data, content_type=_TYPES[Path(name).suffix], charset="utf-8", headers=headers
        )

    async def _artefact(self, request: web.Request) -> web.StreamResponse:
        digest, name = request.match_info["hash"], request.match_info["file"]
        folder = self._artefacts.get(digest) if _HASH.fullmatch(digest) else None
        if folder is None or not _FILE.fullmatch(name) or not (folder / name).is_file():
            raise NotFound("this explorer was not given that artefact")
        return web.Response(body=(folder / name).read_bytes(), content_type="application/octet-stream")


async def _no_icon(request: web.Request) -> web.StreamResponse:
    """Browsers ask without being told to; a refusal would stand among a page's errors."""
    return web.Response(status=204)


def _asked(request: web.Request) -> dict[str, str]:
    if len(request.query) != len(set(request.query)):
        raise BadQuestion("a parameter is given twice")
    return dict(request.query)


def _block_number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise BadQuestion("a block is named by its number")
    return int(text)


def _json(answer: Callable[[web.Request], Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response(answer(request))

    return handler


@web.middleware
async def _guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every answer has the headers; a refusal says what and what to do, as JSON."""
    try:
        response = await handler(request)
    except BadQuestion as error:
        response = _refusal(400, error.code, error.message)
    except NotFound as error:
        response = _refusal(404, error.code, error.message)
    except web.HTTPException as error:
        response = _refusal(error.status, "http", error.reason)
    except sqlite3.Error as error:
        response = _refusal(503, "index-busy", f"the index does not answer ({error}): try again")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    if request.path == "/verify.html":
        del response.headers["Content-Security-Policy"]
    return response


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
