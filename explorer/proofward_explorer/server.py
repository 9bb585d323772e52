"""The site and the index over HTTP: GET alone; a page may ask its own origin and one node."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from proofward.errors import NotFound, ProofwardError
from proofward_explorer.lists import BadQuestion, Lists, account_of, hash_of

_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_CHUNK: Final = r"chunk-[A-Z0-9]{8}\.js"
_FILE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_NODE: Final = re.compile(
    r"wss?://(\[[0-9a-fA-F:]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?(/[A-Za-z0-9/_.-]{0,128})?"
)
_PEER: Final = re.compile(
    r"/(?:(?:ip4|dns|dns4|dns6)/([A-Za-z0-9.-]{1,253})|ip6/([0-9a-fA-F:.]{2,45}))"
    r"/tcp/([0-9]{1,5})/(ws|wss|tls/ws)/p2p/[A-Za-z0-9]{40,64}"
)
MAX_PEERS: Final = 16
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class LightSource:
    """What a light client in a tab begins with: a raw chain spec, and peers that a browser reaches."""

    spec: bytes
    boot: tuple[str, ...]


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


def peer_origin(address: str) -> str | None:
    """`ws://host:port` of a peer's address, if a browser can reach it: `/…/ws/p2p/…` or `/…/wss/…`."""
    found = _PEER.fullmatch(address)
    if found is None:
        return None
    host, ip6, port, transport = found.groups()
    return f"{'ws' if transport == 'ws' else 'wss'}://{host or f'[{ip6}]'}:{port}"


def peers_policy(addresses: Sequence[str]) -> str:
    """The content security policy of the light client's worker: WebAssembly, and these peers. Raises
    BadQuestion.
    """
    origins = {peer_origin(one) for one in addresses}
    if None in origins or len(addresses) > MAX_PEERS:
        raise BadQuestion(
            f"a light client's first peers are up to {MAX_PEERS} addresses that a browser can reach: "
            "/ip4/ADDRESS/tcp/PORT/ws/p2p/ID, or /dns/HOST/tcp/PORT/wss/p2p/ID"
        )
    peers = " ".join(sorted(one for one in origins if one)) or "'none'"
    return f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src {peers}"


def policy_of(node: str) -> str:
    """The content security policy of a page that asks this node. Raises BadQuestion."""
    return (
        f"default-src 'self'; connect-src 'self' {node_origin(node)}; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


class Site:
    """Handlers over one reading connection. `node` is the address that readers' browsers ask at first;
    `artifacts` are folders of public artefacts by manifest hash; with `light` a tab reads by proofs at first.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        *,
        node: str,
        static: Path,
        artifacts: Mapping[str, Path],
        light: LightSource | None = None,
    ) -> None:
        self._lists, self._node, self._static, self._artifacts = Lists(database), node, static, artifacts
        self._light = light
        node_origin(node)

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[_guarded], client_max_size=1024)
        lists = self._lists
        app.router.add_get("/", self._page)
        for name in ("index.html", "app.js", "style.css", "verify.html"):
            app.router.add_get(f"/{name}", self._page)
        app.router.add_get(f"/{{name:{_CHUNK}}}", self._chunk)
        answers: dict[str, Callable[[web.Request], Any]] = {
            "/api/config": lambda request: {
                "node": self._node,
                "light": self._light and {"boot": self._light.boot},
                **lists.head(),
            },
            "/api/overview": lambda request: lists.overview(),
            "/api/jobs": lambda request: lists.jobs(_asked(request)),
            "/api/jobs/{id}": lambda request: lists.job(hash_of(request.match_info["id"], "a job's id")),
            "/api/workers": lambda request: lists.records("worker"),
            "/api/workers/{id}": lambda request: lists.record("worker", account_of(request.match_info["id"])),
            "/api/models": lambda request: lists.records("model"),
            "/api/models/{id}": lambda request: lists.record(
                "model", hash_of(request.match_info["id"], "a model's id")
            ),
            "/api/sessions": lambda request: lists.sessions(_asked(request)),
            "/api/sessions/{id}": lambda request: lists.session(
                hash_of(request.match_info["id"], "a session's id"), _asked(request)
            ),
            "/api/studies": lambda request: lists.studies(),
            "/api/studies/{id}": lambda request: lists.study(
                hash_of(request.match_info["id"], "a study's id")
            ),
            "/api/attestation": lambda request: lists.attestation(),
            "/api/consortium": lambda request: lists.consortium(),
            "/api/market": lambda request: lists.market(),
            "/api/blocks/{number}": lambda request: lists.block(_block_number(request.match_info["number"])),
            "/api/search": lambda request: lists.search(_asked(request).get("q", "")),
        }
        for path, answer in answers.items():
            app.router.add_get(path, _json(lists, answer))
        app.router.add_get("/favicon.ico", _no_icon)
        app.router.add_get("/light.js", self._worker)
        app.router.add_get("/api/spec", self._spec)
        app.router.add_get("/api/artefacts/{hash}/{file}", self._artifact)
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

    async def _chunk(self, request: web.Request) -> web.StreamResponse:
        """A part of the site's script; its name has the hash of what is in it."""
        if not (self._static / request.match_info["name"]).is_file():
            raise NotFound("there is no such file")
        return await self._page(request)

    async def _worker(self, request: web.Request) -> web.StreamResponse:
        """The light client: three megabytes with a policy of its own, so that the page itself needs neither
        WebAssembly nor its peers.
        """
        asked = _asked(request).get("boot")
        boot = asked.split(",") if asked else self._light.boot if self._light else ()
        response = web.Response(
            body=(self._static / "light.js").read_bytes(),
            content_type="text/javascript",
            charset="utf-8",
            headers={"Content-Security-Policy": peers_policy(boot)},
        )
        response.enable_compression()
        return response

    async def _spec(self, request: web.Request) -> web.StreamResponse:
        if self._light is None:
            raise NotFound("this explorer was not given the chain's spec (`proofward explorer --spec FILE`)")
        response = web.Response(body=self._light.spec, content_type="application/json")
        response.enable_compression()
        return response

    async def _artifact(self, request: web.Request) -> web.StreamResponse:
        digest, name = request.match_info["hash"], request.match_info["file"]
        folder = self._artifacts.get(digest) if _HASH.fullmatch(digest) else None
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


def _json(
    lists: Lists, answer: Callable[[web.Request], Any]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An answer, and in a header the block that it is of: readers compare it with the chain at that block."""

    async def handler(request: web.Request) -> web.StreamResponse:
        with lists.snapshot() as block:
            value = answer(request)
        return web.json_response(value, headers={"Proofward-Block": str(block)})

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
