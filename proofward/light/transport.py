"""JSON-RPC to a light client, in the place of a node's: the reads of `SubstrateClient` go through unchanged.

No server is trusted: smoldot asks peers for proofs, checks them, and asks others when one lies. It follows
the finalised chain from the moment it starts.
"""

from __future__ import annotations

import collections
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from proofward.chain import RpcError
from proofward.light.errors import LightError
from proofward.light.spec import LightSpec
from proofward.processes import bound_to_parent

START_SECONDS: Final = 60.0
"""How long peers may take to prove a first finalised block."""
CALL_SECONDS: Final = 40.0
"""How long one answer may take; peers that give none are passed over meanwhile."""
ATTEMPTS: Final = 4
"""Times that a question is put: a peer may have pruned the state, and another has it."""
RESTARTS: Final = 8
_REFUSED: Final = "refused: "
_NO_SUCH_QUESTION: Final = (-32601, -32602)
"""JSON-RPC's words for a method or parameters that there are not."""
_PANIC: Final = "panicked at"
_PAUSE: Final = 0.3
_KEPT_LINES: Final = 20


class _Broken(Exception):
    """The process ended, or a thread of it."""


class LightTransport:
    """One chain by one light client. Safe to use from several threads; one question at a time.

    Raises LightError when smoldot refuses the spec or no peer proves a finalised block in `START_SECONDS`.
    """

    def __init__(self, spec: LightSpec, *, start_seconds: float = START_SECONDS) -> None:
        self.url = f"the light client of {spec.name}"
        self.calls = 0
        self.restarts = 0
        self._spec, self._start_seconds = spec, start_seconds
        self._lock = threading.RLock()
        self._process: _Process | None = None
        self._closed = False
        with self._lock:
            self._open(time.monotonic() + start_seconds)

    def close(self) -> None:
        """End the light client."""
        self._closed = True
        if self._process is not None:
            self._process.close()

    @property
    def finalised(self) -> str:
        """Hash of the newest finalised block that was proved, 0x and hexadecimal."""
        with self._lock:
            process = self._live()
            process.take(0.0)
            if process.stopped and not process.follow(time.monotonic() + self._start_seconds):
                raise LightError(f"no peer of {self._spec.name} shows its finalised blocks any more")
            return process.finalised or ""

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of one call. Raises LightError when nobody proves an answer (`unproved`), RpcError for a
        question that smoldot does not know.
        """
        if method == "chain_getFinalizedHead":
            return self.finalised
        failure: Exception | None = None
        for attempt in range(ATTEMPTS):
            try:
                with self._lock:
                    answer = self._live().ask(method, list(params))
            except _Broken as error:
                failure = error
                continue
            self.calls += 1
            refusal = answer.get("error")
            if refusal is None:
                return answer.get("result")
            failure = RpcError(
                method, int(refusal.get("code", 0)), str(refusal.get("message", "")), refusal.get("data")
            )
            if attempt < ATTEMPTS - 1:
                time.sleep(_PAUSE)
        if isinstance(failure, RpcError) and failure.rpc_code in _NO_SUCH_QUESTION:
            raise failure
        reason = failure.rpc_message if isinstance(failure, RpcError) else failure
        raise LightError(
            f"no peer of {self._spec.name} proved an answer to {method}: {reason}; try again later, or name "
            "other boot nodes",
            code="unproved",
        ) from failure

    def _live(self) -> _Process:
        if self._closed:
            raise LightError("this light client was closed")
        if self._process is None or self._process.broken:
            self._open(time.monotonic() + self._start_seconds)
        assert self._process is not None
        return self._process

    def _open(self, deadline: float) -> None:
        """A process that has proved a finalised block."""
        while True:
            if self._process is not None:
                self._process.close()
                self.restarts += 1
            self._process = process = _Process(self._spec)
            try:
                if process.follow(deadline):
                    return
            except _Broken as error:
                if process.refused is not None:
                    self.close()
                    raise LightError(
                        f"the light client refuses the chain spec: {process.refused}", code="bad-spec"
                    ) from error
                if self.restarts < RESTARTS and time.monotonic() < deadline:
                    continue
            process.close()
            raise LightError(
                f"no peer proved a finalised block of {self._spec.name} in {self._start_seconds:g} s: the "
                "boot nodes are away, are of a chain with another genesis, or do not finalise",
                code="no-finality-proof",
            )


class _Process:
    """smoldot, followed."""

    def __init__(self, spec: LightSpec) -> None:
        command = bound_to_parent([sys.executable, "-m", "proofward.light.smoldot"])
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._said: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._number = 0
        self.broken = False
        self.finalised: str | None = None
        self.stopped = True
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()
        self._write(spec.text)

    @property
    def refused(self) -> str | None:
        """Why smoldot does not take the spec, if so."""
        told = (line.removeprefix(_REFUSED) for line in list(self._said) if line.startswith(_REFUSED))
        return next(told, None)

    def close(self) -> None:
        """End it."""
        self.broken = True
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.strip())
            if _PANIC in line:
                self._lines.put(None)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            self.broken = True
            raise _Broken("the light client ended") from error

    def follow(self, deadline: float) -> bool:
        """Follow the finalised chain until a block behind genesis is proved; False when none is in time."""
        genesis = self.ask("chain_getBlockHash", [0])["result"]
        while self.stopped or self.finalised in (None, genesis):
            if time.monotonic() > deadline:
                return False
            if self.stopped:  # also when warp sync went ahead: it is followed anew from there
                self.stopped = False
                self.ask("chainHead_v1_follow", [False])
            self.take(0.1)
        return True

    def ask(self, method: str, params: list[Any]) -> dict[str, Any]:
        """One answer. Raises _Broken."""
        self._number += 1
        number, deadline = self._number, time.monotonic() + CALL_SECONDS
        self._write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        while time.monotonic() < deadline:
            for message in self.take(0.1):
                if message.get("id") == number:
                    return message
        self.broken = True
        raise _Broken(f"no answer in {CALL_SECONDS:g} s")

    def take(self, seconds: float) -> list[dict[str, Any]]:
        """Answers that are there, or come within so long; what is told of the chain is noted. Raises
        _Broken.
        """
        found: list[dict[str, Any]] = []
        try:
            message = self._lines.get(timeout=seconds) if seconds else self._lines.get_nowait()
            while True:
                if message is None:
                    self.broken = True
                    raise _Broken(" ".join(self._said)[-300:] or "the light client ended")
                if message.get("method") == "chainHead_v1_followEvent":
                    self._note(message["params"]["result"])
                else:
                    found.append(message)
                message = self._lines.get_nowait()
        except queue.Empty:
            return found

    def _note(self, event: dict[str, Any]) -> None:
        if event["event"] in ("initialized", "finalized"):
            self.finalised = event["finalizedBlockHashes"][-1]
        self.stopped |= event["event"] == "stop"
