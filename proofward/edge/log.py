"""What a device writes: a public log, a JSON object a line, and beside it the secrets that open it.

The log begins with the run. A window's line has its commitments, a proof's line what proves them; a post's
line says which windows' root stands on the chain, and in which block. Answers, inputs and salts are in
`<log>.secret` (mode 0600) alone. A window that the model does not take leaves a line that says no more.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from proofward.edge.errors import EdgeError
from proofward.files import sibling
from proofward.protocol.sessions import Tree, leaf, sample, sampled

FORMAT: Literal["proofward/edge/v1"] = "proofward/edge/v1"
MAX_LINE = 4096
MAX_LINES = 1 << 20
_POST = b"proofward/edge/v1"
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Run(_Line):
    """Whose run it is, of which model; `sample` millionths of the windows of a post are proved."""

    kind: Literal["run"] = "run"
    format: Literal["proofward/edge/v1"] = FORMAT
    level: Literal["device"] = "device"
    run: Hash
    manifest_hash: Hash
    sample: int = Field(ge=1, le=1_000_000)
    account: Hash | None = None
    genesis: Hash | None = None


class Window(_Line):
    """A window's commitments, hex."""

    kind: Literal["window"] = "window"
    number: int = Field(ge=0, lt=2**32)
    input: Hash
    output: Hash


class Proved(_Line):
    """A window's proof, hex."""

    kind: Literal["proof"] = "proof"
    number: int = Field(ge=0, lt=2**32)
    proof: str = Field(pattern=r"^([0-9a-f]{2}){1,8192}$")


class Left(_Line):
    """A window behind window `number` - 1 that is outside the model's range: it has no answer."""

    kind: Literal["left"] = "left"
    number: int = Field(ge=0, lt=2**32)


class Post(_Line):
    """The root over windows `first` to `first + count - 1`, in a block of the chain."""

    kind: Literal["post"] = "post"
    number: int = Field(ge=0, lt=2**32)
    first: int = Field(ge=0, lt=2**32)
    count: int = Field(ge=1, le=1 << 16)
    root: Hash
    block: int = Field(ge=0, lt=2**32)


_LINE: TypeAdapter[Any] = TypeAdapter(
    Annotated[Run | Window | Proved | Left | Post, Field(discriminator="kind")]
)


def leaf_of(run: bytes, window: Window) -> bytes:
    """A window in its post's tree, as a page in a session's."""
    return leaf(run, window.number, bytes.fromhex(window.input), bytes.fromhex(window.output))


def root_of(run: bytes, windows: Sequence[Window]) -> bytes:
    """The root over a post's windows."""
    return Tree([leaf_of(run, one) for one in windows]).root


def remark(run: Run, post: Post) -> bytes:
    """What stands on the chain: domain, run, manifest, number, first, count (u32 LE), root."""
    numbers = b"".join(n.to_bytes(4, "little") for n in (post.number, post.first, post.count))
    return _POST + bytes.fromhex(run.run + run.manifest_hash) + numbers + bytes.fromhex(post.root)


def chosen(run: Run, post: Post, beacon: bytes) -> list[int]:
    """The windows of a post that must be proved: all, or those that `beacon` picks, the hash of the block
    after the one that the root is in.
    """
    if run.sample == 1_000_000:
        return list(range(post.first, post.first + post.count))
    count = sampled(post.count, run.sample, post.count)
    picked = sample(beacon, bytes.fromhex(run.run), post.number, post.count, count)
    return sorted(post.first + one for one in picked)


class Writer:
    """Appends lines; what is written is on the disk before it is posted."""

    def __init__(self, path: Path) -> None:
        self._secret = sibling(path, ".secret")
        self._files: list[IO[str]] = []
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            for one, mode in ((path, 0o644), (self._secret, 0o600)):
                self._files.append(os.fdopen(os.open(one, flags, mode), "w", encoding="ascii"))
        except OSError as error:
            self.close()
            raise EdgeError(f"cannot begin the log {path}: {error.strerror}; name a new one") from error

    def line(self, line: BaseModel) -> None:
        """Write a public line; from any thread."""
        with self._lock:
            self._files[0].write(line.model_dump_json(exclude_none=True) + "\n")
            self._files[0].flush()

    def secret(self, **fields: object) -> None:
        """Write what opens a window."""
        self._files[1].write(json.dumps(fields) + "\n")
        self._files[1].flush()

    def sync(self) -> None:
        """Have all of it on the disk."""
        for file in self._files:
            os.fsync(file.fileno())

    def close(self) -> None:
        """Close both files."""
        for file in self._files:
            file.close()


@dataclass(frozen=True)
class Log:
    """A whole log, its lines by kind."""

    run: Run
    windows: tuple[Window, ...]
    proofs: dict[int, bytes]
    posts: tuple[Post, ...]
    left: int = 0


def load(path: Path) -> Log:
    """Read a log; a last line that was cut off is left out. Raises EdgeError."""
    windows: list[Window] = []
    proofs: dict[int, bytes] = {}
    posts: list[Post] = []
    run: Run | None = None
    left = 0
    try:
        with path.open("r", encoding="ascii") as file:
            for number, line in enumerate(iter(lambda: file.readline(4 * MAX_LINE + 257), ""), 1):
                if number > MAX_LINES or len(line) > 4 * MAX_LINE + 256:
                    raise EdgeError(f"{path} is larger than a log can be")
                if not line.endswith("\n"):
                    break
                match found := _LINE.validate_json(line):
                    case Run() if run is None and number == 1:
                        run = found
                    case Window() if found.number == len(windows):
                        windows.append(found)
                    case Proved() if found.number not in proofs:
                        proofs[found.number] = bytes.fromhex(found.proof)
                    case Left() if found.number == len(windows):
                        left += 1
                    case Post() if found.number == len(posts):
                        posts.append(found)
                    case _:
                        raise EdgeError(f"{path}, line {number}: this line cannot stand here")
    except OSError as error:
        raise EdgeError(f"cannot read {path}: {error.strerror}", code="not-found") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise EdgeError(f"{path} is no log of a device ({FORMAT})") from error
    if run is None:
        raise EdgeError(f"{path} is no log of a device ({FORMAT})")
    return Log(run, tuple(windows), proofs, tuple(posts), left)
