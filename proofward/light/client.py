"""`SubstrateClient` over a light client: the same reads, each proved, and nothing sent.

What a node is believed and a light client has to prove: that a block of some height is on the finalised
chain. `System.BlockHash` of a proved state has the hashes of the last blocks, so any height is reached by
leaps from the finalised head; behind what peers have pruned it takes an archive node among them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, Self

from proofward.chain.client import SubstrateClient
from proofward.chain.heads import Head
from proofward.chain.runtime import Runtime
from proofward.consensus import Checkpoint
from proofward.extras import explained
from proofward.light.errors import LightError
from proofward.light.spec import LightSpec, read_spec
from proofward.light.transport import LightTransport

FRESH_SECONDS: Final = 60.0
"""Age of the finalised head, by this machine's clock, up to which peers are not suspected of holding back
newer blocks."""
SETTLE_SECONDS: Final = 15.0
"""How long a start waits for a head that is so fresh."""
MAX_LEAPS: Final = 20_000
_ALL: Final = 2**32 - 1
_UNPROVABLE: Final = ("author_", "system_accountNextIndex", "payment_", "dev_")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the chain was read: the finalised head that reads began at, and its age in seconds."""

    genesis: bytes
    head: Head
    age: float
    checkpoint: Checkpoint | None

    @property
    def fresh(self) -> bool:
        """Whether peers show the chain as it is now, as far as this machine's clock tells."""
        return abs(self.age) <= FRESH_SECONDS

    def __str__(self) -> str:
        anchor = "" if self.checkpoint is None else f", through its checkpoint {self.checkpoint.number}"
        return (
            f"by proofs from genesis 0x{self.genesis.hex()}{anchor} to finalised block {self.head.number}, "
            f"{self.age:.0f} s old"
        )


class LightClient(SubstrateClient):
    """One chain, read by proofs from one finalised head on. Use it as a context manager, or `close` it."""

    def __init__(self, transport: LightTransport, spec: LightSpec) -> None:
        self._spec = spec
        self._hashes: dict[int, bytes] = {}
        super().__init__(transport)  # type: ignore[arg-type]
        self._pinned = self._settled()
        self._hashes[self._pinned.number] = self._pinned.hash
        self._check_checkpoint()

    @classmethod
    def open(cls, spec: Path, *, boot_nodes: tuple[str, ...] = ()) -> Self:
        """Start a light client of a spec's chain. Raises LightError, MissingExtra."""
        with explained():
            import smoldot_light  # noqa: F401 - its process needs it
        read = read_spec(spec, boot_nodes=boot_nodes)
        transport = LightTransport(read)
        try:
            return cls(transport, read)
        except BaseException:
            transport.close()
            raise

    @property
    def reading(self) -> Reading:
        """What the reads rest on."""
        age = time.time() - self.timestamp(self._pinned.hash) / 1000
        return Reading(self.genesis, self._pinned, age, self._spec.checkpoint)

    @property
    def witness(self) -> str:
        """Whose word a read is: nobody's."""
        return f"proved under finalised block {self._pinned.number}"

    @property
    def chain_name(self) -> str:
        """The chain's name in the spec."""
        return self._spec.name

    @property
    def chain_type(self) -> str:
        """The chain's type in the spec."""
        return self._spec.type

    def rpc(self, method: str, *params: Any) -> Any:
        """As a node's. Raises LightError for what cannot be proved."""
        if method.startswith(_UNPROVABLE):
            raise LightError(f"a light client reads and sends nothing, so {method} needs a node: --chain URL")
        if method == "state_getKeysPaged":
            return self._keys(*params)
        return super().rpc(method, *params)

    def _keys(self, prefix: str, count: int, start: str, block: str) -> list[bytes]:
        """Keys in order, as a node gives them: smoldot proves all of a prefix and pages them unsorted, so
        that pages of its own would miss some.
        """
        names: list[bytes] = super().rpc("state_getKeysPaged", prefix, _ALL, None, block)
        behind = bytes.fromhex(start[2:])
        return [name for name in sorted(names) if name > behind][:count]

    def finalised_head(self) -> Head:
        """The finalised head that all reads are of, so that they agree with each other."""
        return self._pinned

    def best_number(self) -> int:
        """As the finalised head: what is not final is nothing here."""
        return self._pinned.number

    def subscribe(self) -> NoReturn:
        """A light client here is for reading once."""
        raise LightError("a light client is not followed here: use a node, --chain URL")

    def _load_runtime(self) -> Runtime:
        with self._lock:
            if self._runtime is None:
                head = "0x" + self._head_hash().hex()
                versions = self.rpc("state_getRuntimeVersion", head)
                self._runtime = Runtime(self.rpc("state_getMetadata", head), *versions)
            return self._runtime

    def _head_hash(self) -> bytes:
        pinned: Head | None = getattr(self, "_pinned", None)
        return pinned.hash if pinned else bytes(self.rpc("chain_getFinalizedHead"))

    def _settled(self) -> Head:
        """The newest finalised head, once it is fresh or no more can be waited."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            name = self.rpc("chain_getFinalizedHead")
            age = time.time() - int(self.query("Timestamp", "Now", at=name)) / 1000
            if abs(age) <= FRESH_SECONDS or time.monotonic() > until:
                return Head(self.header(name).number, name)
            time.sleep(0.2)

    def _check_checkpoint(self) -> None:
        point = self._spec.checkpoint
        if point is None:
            return
        if point.number > self._pinned.number:
            raise LightError(
                f"peers prove blocks up to {self._pinned.number} only, the spec's checkpoint is block "
                f"{point.number}: they hold back what is newer, or are of another fork",
                code="behind-checkpoint",
            )
        if (found := self.block_hash(point.number)) != point.hash:
            raise LightError(
                f"block {point.number} of the chain that peers show is 0x{found.hex()}, and the spec's "
                f"checkpoint says 0x{point.hash.hex()}: it is another fork",
                code="other-fork",
            )

    def block_hash(self, number: int) -> bytes:
        """The hash of a finalised block, proved from the head on. Raises LightError when the chain has not
        got so far, or peers have pruned what leads there.
        """
        if number == 0:
            return bytes(self.rpc("chain_getBlockHash", 0))
        if number in self._hashes:
            return self._hashes[number]
        if number > self._pinned.number:
            raise LightError(f"block {number} is not finalised: the chain is at {self._pinned.number}")
        reach = int(self.runtime.constant("System", "BlockHashCount"))
        at = min(one for one in self._hashes if one > number)
        for _ in range(MAX_LEAPS):
            step = max(number, at - reach + 1)
            try:
                found = self.query("System", "BlockHash", step, at=self._hashes[at])
            except LightError as error:
                if error.code != "unproved":
                    raise
                raise LightError(
                    f"peers have pruned the state of block {at}, which leads to block {number}: it takes an "
                    "archive node among the boot nodes",
                    code="pruned",
                ) from error
            if not isinstance(found, bytes) or found == bytes(32):
                raise LightError(f"the state of block {at} has no hash of block {step}")
            self._hashes[step] = found
            if step == number:
                return found
            at = step
        raise LightError(f"block {number} is too far behind the head; give a spec with a newer checkpoint")
