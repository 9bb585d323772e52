"""Chains on this machine, for development, the demo and the tests.

`Devnet` is the embedded one (devnet/: the runtime in Node.js' own WebAssembly engine, nothing to compile);
`OmniNode` runs the same chain spec under `polkadot-omni-node`, with real finality, where that binary is
there. Both end with the process that started them.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

from proofward import checkout
from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError, ChainUnreachable
from proofward.processes import bound_to_parent

SPEC: Final = checkout.part("chain/spec/proofward-dev.json")
LAUNCHER: Final = checkout.part("devnet/main.mjs")
START_TIMEOUT: Final = 120.0
"""Seconds until a chain must serve; two, usually."""
_STOP_TIMEOUT: Final = 10.0
_LEAST_NODE: Final = 20
_BLOCKS_AT_ONCE: Final = 20
"""Blocks that one request asks for: a busy machine must not run into the client's patience."""


class DevnetError(ChainError):
    """A chain that cannot be started, or that stopped by itself."""


class LocalChain(ABC):
    """A node process: `start`, then `url`, then `stop`; or a `with` block."""

    def __init__(self, spec: Path | None) -> None:
        self.spec = spec or SPEC
        self.url = ""
        self.genesis = b""
        self.data: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @abstractmethod
    def start(self) -> Self:
        """Start the chain and wait until it serves. Raises DevnetError."""

    def _require_spec(self) -> None:
        if not self.spec.is_file():
            raise DevnetError(f"the chain spec {self.spec} is missing: run `make chain`", code="spec-missing")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The chain's process. Raises DevnetError when it was not started."""
        if self._process is None:
            raise DevnetError("the chain was not started", code="devnet-not-started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def connect(self) -> SubstrateClient:
        """A client of this chain."""
        return SubstrateClient.connect(self.url)

    def wait(self) -> int:
        """Wait until the chain stops; gives its exit code."""
        if self._process is None:
            raise DevnetError("the chain was not started", code="devnet-not-started")
        return self._process.wait()

    def _spawn(self, command: Sequence[str | Path], *, stdout: int | IO[bytes]) -> subprocess.Popen[bytes]:
        self._log = tempfile.TemporaryFile(prefix="proofward-devnet-")  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,  # closes with us, whatever happens to us
            stdout=stdout if stdout == subprocess.PIPE else self._log,
            stderr=self._log,
            start_new_session=True,
        )
        return self._process

    def log_tail(self, size: int = 4000) -> str:
        """The end of what the process wrote as its log."""
        if self._log is None:
            return ""
        end = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, max(0, end - size)).decode(errors="replace")

    def failure(self) -> DevnetError:
        """What to raise about a chain that ended by itself: the end of its log says why."""
        return DevnetError(
            f"the chain stopped by itself: {_last_words(self.log_tail())}", code="devnet-stopped"
        )

    def stop(self) -> None:
        """Stop the chain, and wait until it is gone. Does nothing when it is."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT)
                break
        if self._log is not None:
            self._log.close()
            self._log = None


class Devnet(LocalChain):
    """The embedded chain."""

    def __init__(
        self,
        data: Path | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        block_time_ms: int = 1000,
        steady: bool = False,
        spec: Path | None = None,
        cors: Sequence[str] = (),
        verbose: bool = False,
    ) -> None:
        """`data` keeps the chain across restarts, without it the chain has a genesis of its own; port 0 takes
        a free one; a block is built when an extrinsic waits, or after `block_time_ms` without one, and if
        `steady` only then. Web pages of the origins in `cors` may ask, and no others.
        """
        super().__init__(spec)
        self.data = data
        self.port = port
        self.host = host
        self.block_time_ms = block_time_ms
        self.steady = steady
        self.cors = tuple(cors)
        self.verbose = verbose
        self.ready: dict[str, Any] = {}

    def start(self) -> Self:
        """Start, and wait for the first answer. Raises DevnetError."""
        if not LAUNCHER.is_file():
            raise DevnetError(
                "the embedded chain is not part of this installation: run this from a checkout, or give "
                "--chain a node's address",
                code="devnet-missing",
            )
        node = _node_binary()
        if not (LAUNCHER.parent / "node_modules" / "ws").is_dir():
            raise DevnetError(
                f"the embedded chain's packages are missing: `npm ci --ignore-scripts` in {LAUNCHER.parent}",
                code="npm-packages-missing",
            )
        self._require_spec()
        command: list[str | Path] = [node, LAUNCHER, "--spec", self.spec, "--follow-stdin"]
        command += ["--host", self.host, "--port", str(self.port), "--block-time", str(self.block_time_ms)]
        if self.data is not None:
            command += ["--data", self.data.resolve()]
        if self.steady:
            command.append("--steady")
        for origin in self.cors:
            command += ["--cors", origin]
        if self.verbose:
            command.append("--verbose")
        process = self._spawn(command, stdout=subprocess.PIPE)
        try:
            self.ready = self._read_ready(process)
        except BaseException:
            self.stop()
            raise
        self.url = str(self.ready["url"])
        self.genesis = bytes.fromhex(self.ready["genesis"][2:])
        return self

    def _read_ready(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        line = _first_line(process, START_TIMEOUT)
        if line is None:
            tail = self.log_tail()
            raise DevnetError(
                f"the embedded chain did not start: {tail or 'no message'}", code="devnet-failed"
            )
        message = json.loads(line)
        if message.get("event") != "ready":
            raise DevnetError(str(message.get("message")), code=str(message.get("code", "devnet-failed")))
        return dict(message)

    def new_blocks(self, count: int = 1) -> None:
        """Build at least `count` blocks at once."""
        with self.connect() as client:
            self._build_to(client, client.finalised_head().number + count)

    def skip_to(self, height: int) -> None:
        """Build blocks until the chain is `height` blocks old."""
        with self.connect() as client:
            self._build_to(client, height)

    @staticmethod
    def _build_to(client: SubstrateClient, height: int) -> None:
        while (missing := height - client.finalised_head().number) > 0:
            client.rpc("dev_newBlock", {"count": min(missing, _BLOCKS_AT_ONCE)})

    def travel(self, milliseconds: int) -> None:
        """Build a block with this time (since 1970); time goes on from there."""
        with self.connect() as client:
            client.rpc("dev_timeTravel", milliseconds)


class OmniNode(LocalChain):
    """`polkadot-omni-node` with the same chain spec: a block every `block_time_ms`, each finalised. As with
    `Devnet`, a chain that is not kept has a genesis of its own.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        port: int = 0,
        block_time_ms: int = 1000,
        spec: Path | None = None,
        binary: Path | None = None,
    ) -> None:
        super().__init__(spec)
        self.data = data
        self.port = port
        self.block_time_ms = block_time_ms
        self.binary = binary or find_binary("polkadot-omni-node")
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> Self:
        """Start, and wait for the first answer. Raises DevnetError."""
        if self.binary is None:
            raise DevnetError(
                "polkadot-omni-node is neither on PATH nor in build/bin: `make omni-node`",
                code="omni-node-missing",
            )
        self._require_spec()
        port = self.port or free_port()
        if _in_use(port):  # the node itself would take another one without a word
            raise DevnetError(
                f"something listens on port {port} already: give another --port", code="port-in-use"
            )
        self._scratch = tempfile.TemporaryDirectory(prefix="proofward-omni-")
        scratch = Path(self._scratch.name)
        spec = self.spec if self.data is not None else _distinct(self.spec, scratch / "spec.json")
        command: list[str | Path] = [
            self.binary,
            "--chain",
            spec,
            "--dev-block-time",
            str(self.block_time_ms),
        ]
        command += ["--base-path", self.data or scratch / "data", "--rpc-port", str(port)]
        command += ["--no-prometheus", "--no-telemetry", "--port", "0", "--rpc-max-request-size", "32"]
        command += ["--log", "warn"]  # at its default it writes some 60 MB a day
        process = self._spawn(bound_to_parent(command), stdout=subprocess.DEVNULL)
        self.url = f"ws://127.0.0.1:{port}"
        try:
            self.genesis = self._wait_serving(process)
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_serving(self, process: subprocess.Popen[bytes]) -> bytes:
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            with (
                contextlib.suppress(ChainUnreachable),
                SubstrateClient.connect(self.url, patience=1) as client,
            ):
                client.wait_block(1, timeout=30)
                return client.genesis
        raise DevnetError(
            f"polkadot-omni-node did not start: {_last_words(self.log_tail())}", code="omni-node-failed"
        )

    def stop(self) -> None:
        """Stop, and remove a database that was made for this run."""
        super().stop()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


def find_binary(name: str) -> Path | None:
    """A program on PATH or in build/bin/."""
    local = checkout.part("build/bin") / name
    if os.access(local, os.X_OK):
        return local
    found = shutil.which(name)
    return Path(found) if found else None


def _distinct(spec: Path, target: Path) -> Path:
    """A copy of a raw spec with a genesis of its own, as devnet/genesis.mjs makes it: what was done on
    another chain is not taken for done on this one. The spec itself where it is no raw one: the node says so.
    """
    try:
        value = json.loads(spec.read_bytes())
        value["genesis"]["raw"]["top"]["0x" + b":proofward:ephemeral".hex()] = "0x" + os.urandom(16).hex()
    except (ValueError, KeyError, TypeError):
        return spec
    target.write_text(json.dumps(value))
    return target


def free_port() -> int:
    """A TCP port of this machine that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_words(log: str) -> str:
    """A log's end as one line: our launcher's last message, or all of it without the node's backtrace."""
    with contextlib.suppress(ValueError, IndexError, TypeError, KeyError):
        return str(json.loads(log.splitlines()[-1])["message"])
    return " ".join(log.split("━", 1)[0].split()) or "no message"


def _in_use(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _node_binary() -> str:
    node = shutil.which("node")
    if node is None:
        raise DevnetError(
            "the embedded chain needs Node.js 20 or newer (apt-get install nodejs)", code="node-missing"
        )
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = version.strip().lstrip("v").split(".")[0]
    if not major.isdecimal() or int(major) < _LEAST_NODE:
        raise DevnetError(
            f"the embedded chain needs Node.js 20 or newer, not {version.strip()}", code="node-too-old"
        )
    return node


def _first_line(process: subprocess.Popen[bytes], timeout: float) -> bytes | None:
    """The first line of the process's output; None when it ends or `timeout` seconds pass without one."""
    assert process.stdout is not None
    deadline, line = time.monotonic() + timeout, b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            return None
        piece = os.read(process.stdout.fileno(), 65_536)
        if not piece:
            return None
        line += piece
    return line.splitlines()[0]
