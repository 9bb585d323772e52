"""The enclave as a process: starts, answers, logs JSON without secrets, stops on SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.enclave.world import Host, Refused, begin


@dataclass
class Process:
    """A started enclave that is ready, or could not start; `events` is its log so far."""

    running: subprocess.Popen[str]
    path: Path
    events: list[dict[str, Any]]

    def finish(self) -> list[dict[str, Any]]:
        """Wait for the end; the whole log."""
        _, rest = self.running.communicate(timeout=120)
        return self.events + [json.loads(line) for line in rest.splitlines()]


@contextmanager
def process(tmp_path: Path, *more: str) -> Iterator[Process]:
    path = tmp_path / "e.sock"
    (tmp_path / "models").mkdir(exist_ok=True)
    arguments = ["--socket", str(path), "--provider", "simulator", "--models", str(tmp_path / "models")]
    arguments += more
    running = subprocess.Popen(
        [sys.executable, "-m", "proofward_enclave", *arguments], stderr=subprocess.PIPE, text=True
    )
    try:
        events = []
        assert running.stderr is not None
        for line in running.stderr:
            events.append(json.loads(line))
            if events[-1]["event"] in ("ready", "cannot-start"):
                break
        yield Process(running, path, events)
    finally:
        running.kill()
        running.communicate()


def test_a_process_serves_and_stops_on_sigterm(tmp_path: Path) -> None:
    with process(tmp_path) as started:
        assert started.path.stat().st_mode & 0o077 == 0
        host = Host(started.path)
        keys = begin(host)
        assert host.call("status")["epoch"] == 1
        with pytest.raises(Refused, match="unknown-method"):
            host.call("reveal")
        limits = Path(f"/proc/{started.running.pid}/limits").read_text().splitlines()
        core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
        started.running.send_signal(signal.SIGTERM)
        events = started.finish()
    assert started.running.returncode == 0
    assert not started.path.exists()
    assert [event["event"] for event in events][:2] == ["hardening", "ready"]
    assert events[0]["no_core"] is True
    assert events[-1]["event"] == "stopped"
    assert keys["receipt_key"].hex() not in json.dumps(events)


def test_a_second_process_leaves_the_first_its_socket(tmp_path: Path) -> None:
    with process(tmp_path) as first:
        with process(tmp_path) as second:
            assert second.finish()[-1]["code"] == "socket-in-use"
        assert second.running.returncode == 2
        assert Host(first.path).call("status")["provider"] == "simulator"


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    with process(tmp_path):
        pass
    assert (tmp_path / "e.sock").is_socket()
    with process(tmp_path) as started:
        assert Host(started.path).call("status")["epoch"] is None


def test_a_file_in_the_socket_s_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "e.sock").write_text("precious")
    with process(tmp_path) as started:
        assert started.finish()[-1]["code"] == "socket-in-use"
    assert (started.running.returncode, started.path.read_text()) == (2, "precious")
