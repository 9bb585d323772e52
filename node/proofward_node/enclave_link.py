"""The node's end of the enclave socket, and the enclave process itself when the node starts it.

One connection serves one request, so that a long `work` never blocks a `status`.

A new process has new keys: `generation` counts the processes seen, and the registration follows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from proofward.chain.pallets.models import ModelRecord
from proofward.errors import ProofwardError
from proofward.logs import Logger
from proofward.processes import bound_to_parent, from_sources
from proofward.protocol.enclave import (
    HEADER_LENGTH,
    EnclaveError,
    FrameError,
    Request,
    content_length,
    parse_reply,
)
from proofward_node.config import NodeConfig

log = Logger("proofward_node.enclave")

HEALTH_SECONDS = 10.0
HEALTH_FAILURES = 3
"""How long a health check may take, and how many must fail in a row before the process is replaced."""
HEALTH_EVERY_SECONDS = 5.0
START_SECONDS = 60.0
STOP_SECONDS = 5.0
"""How long a new process has to answer its first `status`, and a stopped one to leave."""
CANNOT_START = 2
"""The exit code of an enclave that would fail the same way again."""
BACKOFF_MAX_SECONDS = 60.0
"""Restarts back off up to this."""


class EnclaveDown(ProofwardError):
    """The enclave does not answer: no socket, a cut connection, a frame out of bounds or a timeout."""

    code = "enclave-down"


class EnclaveImpossible(EnclaveDown):
    """The enclave says that it can never start as it is configured: no TEE, no models' folder."""

    code = "enclave-impossible"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An artefact the enclave serves: what its entry on the chain must say, or a proof of it would be judged
    by another key.
    """

    manifest_hash: bytes
    weights_digest: bytes
    vk_hash: bytes
    key_hash: bytes
    lane: str
    verifier_hash: bytes | None
    """Keccak-256 of the lane's verifier contract, as the enclave's version knows it; None when the lane has
    none."""

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> LoadedModel:
        """From the enclave's reply to `load_model`."""
        return cls(**{field.name: reply[field.name] for field in fields(cls)})

    def is_model(self, record: ModelRecord) -> bool:
        """Whether a record on the chain is of this artefact."""
        theirs = (record.manifest_hash, record.weights_digest, record.vk_hash, record.key_hash)
        ours = (self.manifest_hash, self.weights_digest, self.vk_hash, self.key_hash)
        return ours == theirs and self.lane == record.lane.label


@dataclass
class EnclaveLink:
    """An asyncio client of the enclave.

    Args:
        socket: path of the Unix socket.
        command: argv that starts the enclave, or None when it is started by somebody else.
        backoff_seconds: first pause before a restart; it doubles up to a minute while the process keeps
        failing.
    """

    socket: Path
    command: Sequence[str] | None = None
    backoff_seconds: float = 1.0
    generation: int = 0
    restarts: int = 0
    up: bool = False
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    _requests: int = field(default=0, repr=False)
    _busy: int = field(default=0, repr=False)

    # requests -------------------------------------------------------------------------------------

    async def call(self, method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """One request and its reply.

        Raises:
            EnclaveError: the enclave refused.
            EnclaveDown: no reply within `timeout_seconds`, or none that can be read.
        """
        self._requests += 1
        number = self._requests
        frame = Request(number, method, params).frame()
        self._busy += 1
        try:
            async with asyncio.timeout(timeout_seconds):
                reply = await self._exchange(frame)
        except TimeoutError as error:
            raise EnclaveDown(f"the enclave did not answer {method} within {timeout_seconds:g} s") from error
        except (OSError, FrameError, asyncio.IncompleteReadError) as error:
            raise EnclaveDown(
                f"the enclave's socket {self.socket} does not serve {method}: {error or type(error).__name__}"
            ) from error
        finally:
            self._busy -= 1
        return _result(reply, number, method)

    async def _exchange(self, frame: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        try:
            writer.write(frame)
            await writer.drain()
            return await reader.readexactly(content_length(await reader.readexactly(HEADER_LENGTH)))
        finally:
            writer.close()

    async def status(self) -> dict[str, Any]:
        """The enclave's `status`: provider, measurement, epoch, models, version."""
        return await self.call("status", {}, HEALTH_SECONDS)

    async def load_models(self, folders: Sequence[Path]) -> list[LoadedModel]:
        """Load artefacts by their folders; a refused one is logged and left out."""
        loaded = []
        for folder in folders:
            try:
                found = await self.call("load_model", {"path": str(folder)}, START_SECONDS)
            except EnclaveError as error:
                log.warning("model-refused", path=str(folder), code=error.code, message=error.message)
                continue
            loaded.append(LoadedModel.of(found))
            log.info("model-loaded", path=str(folder), manifest=found["manifest_hash"].hex())
        return loaded

    # the process ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect to the enclave, or start it and wait until it answers.

        Raises:
            EnclaveDown: it does not answer within a minute, or left before it did.
        """
        if await self._answers():
            log.info("enclave-connected", socket=str(self.socket), started_by="somebody else")
            return
        if self.command is None:
            raise EnclaveDown(
                f"no enclave answers on {self.socket}, and enclave.spawn is false; start it first"
            )
        await self._spawn(self.command)

    async def _spawn(self, command: Sequence[str]) -> None:
        await self._kill()  # one that never answered
        self.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *bound_to_parent(command), stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._answers():
                    if self._process.returncode == CANNOT_START:
                        raise EnclaveImpossible(
                            "the enclave cannot start as it is configured: its last line above says why "
                            "(enclave.provider, enclave.models, enclave.socket)"
                        )
                    if self._process.returncode is not None:
                        raise EnclaveDown(
                            f"the enclave left with code {self._process.returncode} before it answered; "
                            "see its log"
                        )
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            await self._kill()
            raise EnclaveDown(
                f"the enclave did not answer on {self.socket} within {START_SECONDS:g} s"
            ) from error
        log.info(
            "enclave-started", pid=self._process.pid, socket=str(self.socket), generation=self.generation
        )

    async def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            await self.status()
        except (EnclaveDown, EnclaveError):
            return False
        if not self.up:
            self.up = True
            self.generation += 1
        return True

    async def supervise(self, stop: asyncio.Event) -> None:
        """Watch the enclave until `stop`: check its health, replace it when it dies, backing off while it
        keeps dying.
        """
        pause, failures = self.backoff_seconds, 0
        while not stop.is_set():
            exited = await self._wait(stop, HEALTH_EVERY_SECONDS)
            if stop.is_set():
                return
            if not exited and await self._healthy():
                pause, failures = self.backoff_seconds, 0
                continue
            failures += 1
            if not exited and failures < HEALTH_FAILURES:
                continue
            self.up = False
            log.error("enclave-down", socket=str(self.socket), exited=exited, retry_seconds=pause)
            await self._kill()
            await _sleep(stop, pause)
            pause = min(pause * 2, BACKOFF_MAX_SECONDS)
            if stop.is_set():
                return
            try:
                await self.start()
                self.restarts += 1
                failures = 0
            except (EnclaveDown, OSError) as error:
                log.error("enclave-start-failed", message=str(error))

    async def _healthy(self) -> bool:
        if self._process is None:
            was_up, self.up = self.up, True
            if await self._answers():
                self.generation += not was_up
                return True
            self.up = False
            return False
        try:
            await self.status()
            return True
        except EnclaveError:
            return True
        except EnclaveDown:
            return self._busy > 0

    async def _wait(self, stop: asyncio.Event, seconds: float) -> bool:
        """Wait for `stop`, the process's end or `seconds`; true when the process has ended."""
        if self._process is None:
            await _sleep(stop, seconds)
            return False
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(self._process.wait())]
        done, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return waits[1] in done

    async def stop(self) -> None:
        """Stop the process if the node started it: SIGTERM, and SIGKILL when it does not leave."""
        self.up = False
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


def artefacts(directory: Path) -> list[Path]:
    """The artefact folders in `directory`: those with a `public/manifest.json`."""
    return sorted(path.parent.parent for path in directory.glob("*/public/manifest.json"))


def enclave_command(
    socket: Path,
    provider: str,
    models: Path,
    session_mebibytes: int | None = None,
    kept_keys: Path | None = None,
) -> list[str]:
    """The argv that starts the product's enclave process, of its measured sources and no byte code."""
    command = from_sources(
        "-m", "proofward_enclave", "--socket", socket, "--provider", provider, "--models", models
    )
    if session_mebibytes is not None:
        command += ["--session-mebibytes", str(session_mebibytes)]
    if kept_keys is not None:
        command += ["--keep-keys", str(kept_keys)]
    return command


@asynccontextmanager
async def enclave_of(config: NodeConfig) -> AsyncIterator[EnclaveLink]:
    """The enclave of a configuration, for a question: the one that runs, or one that is started for as long.
    Raises EnclaveDown.
    """
    command = enclave_command(config.socket, config.enclave.provider, config.enclave.models)
    link = EnclaveLink(config.socket, command if config.enclave.spawn else None)
    await link.start()
    try:
        yield link
    finally:
        await link.stop()


def _result(reply: bytes, number: int, method: str) -> dict[str, Any]:
    try:
        return parse_reply(reply, number)
    except EnclaveError as error:
        if error.code == "malformed-reply":
            raise EnclaveDown(f"the enclave's reply to {method} cannot be used: {error.message}") from error
        raise


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
