"""The demo's workers: real `proofward worker run` processes, each with an enclave process beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from proofward.chain.signer import SCHEME
from proofward.processes import from_sources
from proofward_demo.chaos import FrozenEnclave

_CONFIG = """\
[chain]
url = "{url}"

[worker]
{key}
data_dir = "{data}"
endpoint = "{endpoint}"
publishers = ["{publisher}"]
expected_seconds = 2
margin_blocks = 3

[enclave]
provider = "simulator"
models = "{models}"
socket = "{socket}"
spawn = {spawn}

[http]
port = {port}
{more}
"""


@dataclass
class Worker:
    """A worker of the demo. `folder` holds its configuration, journal and logs; `sockets` is a short path;
    `account_uri` is `//Name` or `unix:` and the socket of a signer.
    `port` is that of its HTTP server, and `more` further sections of the configuration.
    """

    name: str
    account_uri: str
    folder: Path
    sockets: Path
    url: str
    models: Path
    publisher: str
    endpoint: str = "demo"
    port: int = 0
    more: str = ""
    frozen: FrozenEnclave | None = None
    _processes: tuple[subprocess.Popen[bytes], ...] = ()

    @property
    def log_path(self) -> Path:
        """The node's log: JSON lines."""
        return self.folder / "node.log"

    def start(self, *, freeze_work: bool = False) -> None:
        """Start the node, which starts its enclave; with `freeze_work` it is started here, behind a proxy."""
        self.folder.mkdir(parents=True, mode=0o700)
        socket = self.sockets / f"{self.name}.sock"
        enclave: list[subprocess.Popen[bytes]] = []
        if freeze_work:
            inner = self.sockets / f"{self.name}-enclave.sock"
            command = from_sources("-m", "proofward_enclave", "--socket", inner, "--models", self.models)
            command += ["--provider", "simulator"]
            enclave.append(self._spawn(command, "enclave.log"))
            self.frozen = FrozenEnclave(socket, inner)
        config = self.folder / "worker.toml"
        text = _CONFIG.format(
            url=self.url,
            key=self._key,
            data=self.folder / "data",
            models=self.models,
            socket=socket,
            publisher=self.publisher,
            spawn=str(not freeze_work).lower(),
            endpoint=self.endpoint,
            port=self.port,
            more=self.more,
        )
        config.write_text(text)
        command = [sys.executable, "-m", "proofward.cli", "worker", "run", "--config", str(config)]
        self._processes = (*enclave, self._spawn(command, "node.log"))

    def pause(self) -> None:
        """SIGSTOP the node."""
        self._processes[-1].send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT the node."""
        self._processes[-1].send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL node and enclave: no clean-up, no hand-back."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self.frozen is not None:
            self.frozen.close()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what is left after 15 s."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        self.kill()

    @property
    def node_pid(self) -> int:
        """The node's process; its enclave is another."""
        return self._processes[-1].pid

    @property
    def running(self) -> bool:
        """Whether every process of this worker lives."""
        return bool(self._processes) and all(process.poll() is None for process in self._processes)

    def events(self, name: str, job: bytes | None = None) -> list[dict[str, Any]]:
        """Log events by name, of one job if given."""
        if not self.log_path.exists():
            return []
        found = []
        for line in self.log_path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if entry.get("event") == name and job in (None, _job(entry)):
                    found.append(entry)
        return found

    def log_tail(self, lines: int = 12) -> str:
        """The end of the node's log."""
        return "\n".join(self.log_path.read_text().splitlines()[-lines:]) if self.log_path.exists() else ""

    @property
    def _key(self) -> str:
        """The configuration's line that says where the account's key is."""
        if self.account_uri.startswith(SCHEME):
            return f'signer_socket = "{self.account_uri.removeprefix(SCHEME)}"'
        return f'dev_account = "{self.account_uri}"'

    def _spawn(self, command: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        sink: IO[bytes]
        with open(self.folder / log, "wb") as sink:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )


def _job(entry: dict[str, Any]) -> bytes | None:
    text = entry.get("job")
    if not isinstance(text, str):
        return None
    with contextlib.suppress(ValueError):
        return bytes.fromhex(text.removeprefix("0x"))
    return None
