"""What an engine does of a compose file, done with this machine's own programs where no engine runs.

For each service its image's files, read-only, as its root (unshare(1), chroot(1)); its user, no capability to
be had again; its volumes, tmpfs and /proc; a network namespace on one bridge, and the services' names by
DNS, or no network at all. What it knows of a compose file is `KNOWN`; anything else is refused.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from docker.image import Image
from proofward.network.namespaces import new_subnet
from tests.docker.names import Names

KNOWN = {
    "image", "command", "entrypoint", "volumes", "network_mode", "depends_on", "read_only", "cap_drop",
    "security_opt", "tmpfs", "stop_grace_period", "restart", "healthcheck", "ports", "profiles",
}  # fmt: skip
START = """
set -eu
mount --make-rprivate /
mount --bind {root} {root}
{mounts}
mount -t proc proc {root}/proc
mount -t tmpfs -o mode=755 tmpfs {root}/dev
for one in null zero full random urandom; do
    touch {root}/dev/$one; mount --bind /dev/$one {root}/dev/$one
done
mount -o remount,bind,ro {root}
exec setpriv --no-new-privs chroot --userspec={user} {root} {words}
"""


@dataclass
class Container:
    """A service that was started."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    host: str
    stopped: bool = False
    """Whether we ended it: it is not missed then."""

    def said(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")


@dataclass
class Engine:
    """The services of one compose file; `images` and their unpacked files go by the names in it."""

    compose: Mapping[str, Any]
    images: Mapping[str, tuple[Image, Path]]
    folder: Path
    base: Path
    """What relative paths in the file are relative to."""
    tag: str = field(default_factory=lambda: f"pwd{secrets.token_hex(2)}")
    containers: dict[str, Container] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.subnet = new_subnet()
        self.names = sorted(self.compose["services"])
        _run("ip", "link", "add", self.tag, "type", "bridge")
        _run("ip", "addr", "add", f"{self.subnet}.1/24", "dev", self.tag)
        _run("ip", "link", "set", self.tag, "up")
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")
        (self.folder / "resolv.conf").write_text(f"nameserver {self.subnet}.1\n")
        self.server = Names(f"{self.subnet}.1", {name: self.host(name) for name in self.names})
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.containers.values():
            self.stop(one.name)
        self.server.__exit__(None, None, None)
        for index, name in enumerate(self.names):
            subprocess.run(["ip", "netns", "del", f"{self.tag}-{name}"], check=False, capture_output=True)
            subprocess.run(["ip", "link", "del", f"{self.tag}o{index}"], check=False, capture_output=True)
        _run("ip", "link", "del", self.tag)

    def host(self, name: str) -> str:
        """The service's address."""
        return f"{self.subnet}.{self.names.index(name) + 2}"

    def up(self, *names: str, seconds: float = 300.0) -> None:
        """Start services in this order, each after what it depends on. Raises AssertionError."""
        for name in names:
            if name in self.containers:
                continue
            service = self.compose["services"][name]
            wanted = service.get("depends_on", [])
            self.up(*wanted, seconds=seconds)
            for other in wanted:
                if isinstance(wanted, Mapping):
                    assert wanted[other] == {"condition": "service_completed_successfully"}
                    self.wait(other, seconds)
            self.start(name, service)

    def start(self, name: str, service: Mapping[str, Any]) -> None:
        """Start one service. Raises AssertionError for what this engine does not know."""
        assert set(service) <= KNOWN, set(service) - KNOWN
        image, root = self.images[service["image"]]
        config = image.config
        words = [
            *service.get("entrypoint", config["Entrypoint"]),
            *service.get("command", config.get("Cmd", [])),
        ]
        mounts = [f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp"]
        for entry in service.get("volumes", []):
            source, _, rest = entry.partition(":")
            target, _, mode = rest.partition(":")
            mounts += self._mount(self._volume(source, root / target[1:]), root / target[1:], mode)
        for file in ("hosts", "resolv.conf"):
            mounts += self._mount(self.folder / file, root / "etc" / file, "ro")
        script = START.format(
            root=root, mounts="\n".join(mounts), user=config["User"], words=" ".join(map(shlex.quote, words))
        )
        command = [
            "unshare",
            "--mount",
            "--pid",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
            "bash",
            "-c",
            script,
        ]
        if service.get("network_mode") == "none":
            command = ["unshare", "--net", *command]
        else:
            command = ["ip", "netns", "exec", self._namespace(name), *command]
        told = dict(one.split("=", 1) for one in config.get("Env", []))
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            environment = {**told, "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        self.containers[name] = Container(name, process, log, self.host(name))

    def wait(self, name: str, seconds: float) -> None:
        """Wait for a service to end in peace. Raises AssertionError, with what it or a dead one said."""
        one, deadline = self.containers[name], time.monotonic() + seconds
        while one.process.poll() is None and time.monotonic() < deadline:
            for other in self.containers.values():
                dead = None if other.stopped else other.process.poll()
                restarts = "restart" in self.compose["services"][other.name]
                assert dead is None or not restarts, f"{other.name} ({dead}): {other.said()[-3000:]}"
            time.sleep(0.1)
        assert one.process.poll() == 0, f"{name}: {one.said()[-3000:]}"

    def stop(self, name: str) -> int:
        """SIGTERM to its first process; the code that it ends with."""
        one = self.containers[name]
        one.stopped = True
        inner = _first(one.process.pid)
        if one.process.poll() is None and inner is not None:
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(inner, signal.SIGTERM)
        try:
            return one.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(one.process.pid, signal.SIGKILL)
            return one.process.wait(10)

    def status(self, name: str) -> dict[str, str]:
        """/proc/PID/status of its first process."""
        inner = _first(self.containers[name].process.pid)
        assert inner is not None, self.containers[name].said()
        lines = Path(f"/proc/{inner}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def _volume(self, source: str, inside: Path) -> Path:
        if source.startswith(("./", "../")):
            return (self.base / source).resolve()
        path = self.folder / "volumes" / source
        if not path.exists():
            path.mkdir(parents=True)
            like = inside.stat()
            os.chown(path, like.st_uid, like.st_gid)
            path.chmod(like.st_mode)
        return path

    def _mount(self, source: Path, target: Path, mode: str) -> list[str]:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.mkdir() if source.is_dir() else target.touch()
        more = [f"mount -o remount,bind,ro {target}"] if mode == "ro" else []
        return [f"mount --bind {source} {target}", *more]

    def _namespace(self, name: str) -> str:
        space, index = f"{self.tag}-{name}", self.names.index(name)
        outer, inner = f"{self.tag}o{index}", f"{self.tag}i{index}"
        _run("ip", "netns", "add", space)
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        _run("ip", "link", "set", outer, "master", self.tag, "up")
        _run("ip", "link", "set", inner, "netns", space)
        _run("ip", "-n", space, "addr", "add", f"{self.host(name)}/24", "dev", inner)
        _run("ip", "-n", space, "link", "set", inner, "up")
        _run("ip", "-n", space, "link", "set", "lo", "up")
        return space


def unpacked(image: Image, folder: Path) -> Path:
    """The image's files under a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    image.unpack(folder)
    return folder


def _first(pid: int) -> int | None:
    """The process that `unshare --fork` started: the first one in its namespace. None when it is gone."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in Path("/proc").glob("[0-9]*"):
            if _field(int(path.name), "PPid") == str(pid):
                return int(path.name)
        if _field(pid, "State") in (None, "Z (zombie)"):
            return None
        time.sleep(0.02)
    return None


def _field(pid: int, name: str) -> str | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), None)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
