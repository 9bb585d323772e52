"""A worker's word on its pace, and what a client makes of it before it opens a session."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from proofward.client.session_pace import look_at_pace
from proofward.client.web import FetchError, get
from proofward.errors import Refused

MODEL = b"m" * 32
GOOD = {"records_a_second": 9.0, "most_records_a_second": 2700.0, "window_for_most": 118, "measured": True}


@contextmanager
def worker(said: bytes, status: int = 200) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.path == f"/sessions/pace?model={MODEL.hex()}&sample=10000&window=10"
            self.send_response(status if good else 400)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def told(said: object, wanted: float | None, status: int = 200) -> list[str]:
    found: list[str] = []
    with worker(json.dumps(said).encode() if not isinstance(said, bytes) else said, status) as endpoint:
        look_at_pace(endpoint, MODEL, 10_000, 10, wanted, found.append)
    return found


def test_a_window_too_short_for_the_pace_that_is_wanted_is_refused_with_both_figures() -> None:
    with pytest.raises(Refused) as refused:
        told(GOOD, 500.0)
    assert refused.value.code == "window-too-short"
    for figure in ("500", "9 records", "10 blocks", "--window 118", "2,700"):
        assert figure in refused.value.message
    assert told(GOOD, 8.0) == told(GOOD, None)
    assert "the window is short" in told(GOOD, None)[0]
    assert told(GOOD | {"records_a_second": 2600.0}, 500.0) == []


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (GOOD | {"measured": False}, 200),
        (GOOD, 404),
        (b"no json", 200),
        (b"[]", 200),
        ({}, 200),
        (GOOD | {"most_records_a_second": None}, 200),
        (b"9" * 5000, 200),
        (GOOD | {"records_a_second": math.nan}, 200),
        (GOOD | {"most_records_a_second": math.inf}, 200),
        (GOOD | {"window_for_most": math.inf}, 200),
        (GOOD | {"records_a_second": 10**400}, 200),
        (GOOD | {"records_a_second": True}, 200),
        (GOOD | {"measured": 1}, 200),
    ],
)
def test_a_pace_that_nobody_tells_is_said_not_to_be_checked(said: object, status: int) -> None:
    (found,) = told(said, 500.0, status)
    assert "not checked" in found


@pytest.mark.parametrize("address", ["file:///etc/hostname#/x", "ftp://h/x", "data:,x", "/etc/hostname"])
def test_a_worker_s_endpoint_opens_nothing_on_the_client_s_machine(address: str) -> None:
    with pytest.raises(FetchError, match="no http"):
        get(address, 1_000)


@pytest.mark.parametrize("dripped", ["headers", "body"])
def test_a_server_that_drips_holds_its_client_no_longer_than_one_that_is_silent(dripped: str) -> None:
    """Attack: a byte before each timeout kept whoever opened a session, or fetched a model, for days."""
    over, left = threading.Event(), threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.0 200 OK\r\n" + b"\r\n" * (dripped == "body"))
            try:
                while not over.wait(0.05):
                    self.wfile.write(b"X-A: b\r\n")
            except OSError:
                left.set()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began, threads = time.monotonic(), threading.active_count()
        try:
            with pytest.raises(FetchError, match=r"takes longer than 0\.4 s"):
                get(f"http://127.0.0.1:{server.server_port}/", 4096, 0.2, whole=0.4)
            assert time.monotonic() - began < 2
            assert left.wait(10), "the client's socket is still open"
            assert threading.active_count() <= threads
        finally:
            over.set()
            server.shutdown()
