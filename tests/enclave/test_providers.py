"""dstack and tsm against a socket and a directory that behave as documented and serve signed quotes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest

from proofward.attestation import parse_quote
from proofward_enclave.measure import code_digest
from proofward_enclave.providers import make_provider
from proofward_enclave.providers.base import ProviderError, quote_over
from proofward_enclave.providers.dev_platform import DevPlatform, TdIdentity
from proofward_enclave.providers.dstack import DstackProvider
from proofward_enclave.providers.simulator import SimulatorProvider
from proofward_enclave.providers.tsm import TsmProvider
from tests.vectors.make import value

REPORT_DATA = value("report data", 64)
PLATFORM = DevPlatform()
Sign = Callable[[bytes], bytes]


def sign(report_data: bytes) -> bytes:
    """A quote by a simulated platform, as a real guest would get it from its own."""
    return PLATFORM.quote(report_data, TdIdentity(mrtd=code_digest()))


@contextmanager
def guest_agent(
    path: Path,
    reply: Callable[[bytes], tuple[int, dict[str, Any]]],
    others: Mapping[str, dict[str, Any]] | None = None,
) -> Iterator[str]:
    """dstack's guest agent: POST /GetQuote {"report_data": hex} on a Unix socket; `others` by their paths."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/GetQuote":
                status, body = reply(bytes.fromhex(request["report_data"]))
            else:
                known = (others or {}).get(self.path)
                status, body = (404, {}) if known is None else (200, known)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

        def address_string(self) -> str:
            return "agent"

    server = UnixStreamServer(str(path), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield str(path)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def agent_reply(quote: str) -> dict[str, Any]:
    return {"quote": quote, "event_log": "[]", "report_data": "", "vm_config": ""}


def test_dstack_gives_the_agent_s_quote(tmp_path: Path) -> None:
    with guest_agent(tmp_path / "d.sock", lambda data: (200, agent_reply(sign(data).hex()))) as endpoint:
        evidence = quote_over(DstackProvider(endpoint), REPORT_DATA)
    assert parse_quote(evidence.quote).report_data == REPORT_DATA
    assert evidence.collateral is None


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error": "no TDX here"}),
        (200, {}),
        (200, agent_reply("no hex")),
        (200, agent_reply("")),
        (200, agent_reply("00" * 20_000)),
        (200, agent_reply(sign(bytes(64)).hex())),
    ],
    ids=["error", "empty reply", "no hex", "empty quote", "oversize quote", "another report_data"],
)
def test_dstack_refuses_what_is_no_quote(tmp_path: Path, answer: tuple[int, dict[str, Any]]) -> None:
    with guest_agent(tmp_path / "d.sock", lambda _: answer) as endpoint:
        provider = DstackProvider(endpoint)
        with pytest.raises(ProviderError, match="quote-unavailable"):
            quote_over(provider, REPORT_DATA)


def test_dstack_needs_an_agent(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="no dstack guest agent"):
        DstackProvider(str(tmp_path / "missing.sock"))


class FakeReports(type(Path())):  # type: ignore[misc]
    """configfs's report directory: attributes appear with the entry, and reading outblob makes the quote."""

    provider = "tdx_guest"
    moves = False

    def mkdir(self, *args: Any, **options: Any) -> None:
        super().mkdir(*args, **options)
        Path(self / "generation").write_text("0\n")
        Path(self / "provider").write_text(f"{self.provider}\n")

    def read_bytes(self) -> bytes:
        if self.name == "outblob":
            if self.moves:
                Path(self.parent / "generation").write_text("2\n")
            return sign(Path(self.parent / "inblob").read_bytes())
        content: bytes = super().read_bytes()
        return content

    def rmdir(self) -> None:
        for attribute in self.iterdir():  # configfs removes them with the entry
            attribute.unlink()
        super().rmdir()


def test_tsm_gives_the_kernel_s_quote_and_leaves_nothing(tmp_path: Path) -> None:
    evidence = quote_over(TsmProvider(FakeReports(tmp_path)), REPORT_DATA)
    assert parse_quote(evidence.quote).report_data == REPORT_DATA
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [({"provider": "sev_guest"}, "not from a TDX guest"), ({"moves": True}, "options changed")],
    ids=["another TEE", "somebody shares the entry"],
)
def test_tsm_refuses_a_doubtful_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], message: str
) -> None:
    for name, setting in change.items():
        monkeypatch.setattr(FakeReports, name, setting)
    with pytest.raises(ProviderError, match=message):
        TsmProvider(FakeReports(tmp_path)).quote(REPORT_DATA)
    assert not list(tmp_path.iterdir())


def test_tsm_needs_configfs(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="mount configfs"):
        TsmProvider(tmp_path / "missing")


def test_tsm_says_when_the_kernel_refuses(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="the kernel gave no quote"):
        TsmProvider(tmp_path).quote(REPORT_DATA)


def test_the_simulator_measures_its_own_code() -> None:
    quote = parse_quote(SimulatorProvider(version=5).quote(REPORT_DATA).quote)
    assert (quote.version, quote.mrtd) == (5, code_digest())


def test_an_unknown_provider_is_refused() -> None:
    from proofward.protocol.enclave import EnclaveError

    with pytest.raises(EnclaveError, match="unknown-provider"):
        make_provider("sgx")
