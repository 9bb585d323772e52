"""The view as a page at the worker's own port: read-only, without scripts, asking nobody else for anything.

`GET /` and `GET /status.json`. Everything shown is escaped, whatever a client, a publisher or a chain's node
wrote. Who asks under a foreign name (a web page that has its name resolve to this machine) is refused.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any

from aiohttp import web

from proofward.protocol import sha256
from proofward_node.view import View

STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 70rem; margin: 1rem auto; padding: 0 1rem; }
h1 { font-size: 1.2rem; overflow-wrap: anywhere; } h2 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } td { overflow-wrap: anywhere; min-width: 3.5rem; }
.hash { white-space: normal; word-break: break-all; min-width: 6rem; font-weight: 400; }
code { font-size: .85em; }
"""
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(sha256(STYLE.encode())).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
REFRESH_SECONDS = 5
Row = tuple[str, ...]
"""A line of the view: what it is of, and its values."""


class Page:
    """The two routes; nothing is shown before there is a view."""

    def __init__(self, host: str) -> None:
        """`host` is the configured name to listen on: who asks under it is answered."""
        self._host = host
        self.view: View | None = None

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/", self._page)
        app.router.add_get("/status.json", self._status)

    async def _page(self, request: web.Request) -> web.Response:
        found = await self._look(request)
        return web.Response(text=html(found), content_type="text/html", charset="utf-8", headers=HEADERS)

    async def _status(self, request: web.Request) -> web.Response:
        found = await self._look(request)
        text = json.dumps(found, sort_keys=True)
        return web.Response(text=text, content_type="application/json", headers=HEADERS)

    async def _look(self, request: web.Request) -> dict[str, Any]:
        if not own_name(request.headers.get("Host", ""), self._host):
            raise web.HTTPForbidden(text="ask by this machine's address", headers=HEADERS)
        if self.view is None:
            raise web.HTTPServiceUnavailable(text="the worker has not connected yet", headers=HEADERS)
        return await self.view.look()


def own_name(host: str, configured: str) -> bool:
    """Whether a Host header names this machine by an address, as localhost, or as it is configured: no name
    that somebody else's DNS could give it.
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() in ("localhost", configured.lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def html(view: dict[str, Any]) -> str:
    """The page; every value escaped."""
    parts = [
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">',
        f"<title>Proofward worker</title><style>{STYLE}</style></head><body>",
        f"<h1>Worker <code>{_text(view['account'])}</code></h1>",
    ]  # fmt: skip
    for title, rows in sections(view):
        parts += [f"<h2>{_text(title)}</h2>", "<table>"]
        for row in rows:
            first, *rest = row
            parts.append(
                f'<tr><th scope="row"{_kind(first)}>{_text(first)}</th>'
                + "".join(f"<td{_kind(one)}>{_text(one)}</td>" for one in rest)
                + "</tr>"
            )
        parts += ["</table>"] if rows else ["</table><p>none</p>"]
    parts.append("<p>Read-only. <code>proofward worker why</code> says more.</p></body></html>")
    return "\n".join(parts)


def sections(view: dict[str, Any]) -> Iterable[tuple[str, list[Row]]]:
    """The view as titles and rows of text: what page and console show alike."""
    daemon, head, registration = view["daemon"], view.get("head"), view.get("registration")
    state: list[Row] = [
        ("daemon", _plain(daemon.get("status"))),
        *(("", reason) for reason in daemon.get("reasons", ())),
    ]
    state.append(("chain", view["chain"]))
    if view["hold"] is not None:
        state.append(("held", view["hold"]))
    if head is not None:
        state.append(("finalised", f"{head['number']} {head['hash']}, {head['lag']} behind the newest"))
    days = view["tcb_days_left"]
    state.append(("TCB", "no end is known, or not judged yet" if days is None else f"{days} days left"))
    yield "State", state
    if registration is not None:
        yield (
            "Registration",
            [
                ("level, epoch", f"{registration['level']}, {registration['epoch']}"),
                ("ends in", _span(registration["ends_in_seconds"])),
                ("measurement", registration["measurement"]),
                ("may work", "yes" if registration["working"] else "no: retired or banned"),
                ("endpoint", registration["endpoint"] or "none"),
                ("tally", ", ".join(f"{count} {name}" for name, count in registration["tally"].items())),
            ],
        )
    elif head is not None:
        yield "Registration", [("", "this account is not registered")]
    if (money := view.get("money")) is not None:
        yield "Money, UNIT", [
            ("free", money["free"]), ("stake", money["stake"]), ("bonds of claims", money["bonds"]),
            ("earned by the outcomes below", money["earned_by_last_outcomes"]),
        ]  # fmt: skip
    if head is not None:
        yield "Models served", [(model, f"{price} UNIT or more") for model, price in view["serves"].items()]
    yield (
        "Claims",
        [
            (
                one["job"],
                one["state"],
                "" if one["blocks_left"] is None else f"{one['blocks_left']} blocks left",
            )
            for one in view["claims"]
        ],
    )
    yield (
        "Last outcomes",
        [
            (
                _clock(one["at"]),
                one["job"],
                _plain(one["outcome"]),
                "" if one["price"] is None else f"{one['price']} UNIT",
            )
            for one in view["outcomes"]
        ],
    )
    yield (
        "Log",
        [
            (_clock(one["at"]), one["of"], f"{one['code']}: {one['text']}", f"block {one['block']}")
            for one in view["log"]
        ],
    )


def _kind(text: str) -> str:
    return ' class="hash"' if text.startswith("0x") else ""


def _text(value: object) -> str:
    return escape(str(value), quote=True)


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _span(seconds: int) -> str:
    if seconds <= 0:
        return "ended"
    days, rest = divmod(seconds, 86_400)
    return f"{days} d {rest // 3600} h" if days else f"{rest // 3600} h {rest % 3600 // 60} min"


def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%m-%d %H:%M:%SZ")
