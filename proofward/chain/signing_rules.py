"""What a signer lets through: a list of calls, no call hidden in another, a bound on the tip, one chain and
a short life.

A signer that signed bytes would sign whatever whoever took the worker's machine wants. So it reads what it is
to sign by the chain's own metadata, all of it, and signs only what it read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from proofward.chain.errors import ChainError, MetadataError
from proofward.chain.metadata import Reader
from proofward.chain.runtime import Runtime
from proofward.chain.values import Call

MOST_PERIOD: Final = 256
"""Blocks that an extrinsic may live: what is not used soon cannot be kept for later."""
MOST_PAYLOAD: Final = 1 << 20
"""Bytes of what is signed."""
_MOST_DEPTH: Final = 8


class SigningRefused(ChainError):
    """The signer does not sign this. `code` is `signing-refused`."""

    code = "signing-refused"


@dataclass(frozen=True, slots=True)
class Signed:
    """What a payload says, as far as it is judged. `calls`: the outer one first, then what is in it."""

    calls: tuple[str, ...]
    nonce: int
    tip: int


@dataclass(frozen=True, slots=True)
class Rules:
    """`allowed`: calls as `jobs.claim`; one that carries others must be named besides those. `most_tip`: in
    the smallest unit. `genesis`: of the only chain.
    """

    allowed: frozenset[str]
    genesis: bytes
    most_tip: int = 0

    def check(self, payload: bytes, runtime: Runtime) -> Signed:
        """Read the payload of a signature: call, extensions, what they sign besides.

        Raises SigningRefused, which names the rule.
        """
        if len(payload) > MOST_PAYLOAD:
            raise SigningRefused(f"a payload has {MOST_PAYLOAD:,} bytes at most, not {len(payload):,}")
        try:
            return self._check(payload, runtime)
        except (MetadataError, RecursionError) as error:
            raise SigningRefused(f"the payload cannot be read by the chain's metadata: {error}") from None

    def _check(self, payload: bytes, runtime: Runtime) -> Signed:
        reader = Reader(payload)
        call = runtime.read_call(reader)
        length = len(payload) - reader.left()
        if runtime.encode_call(call) != payload[:length]:
            raise SigningRefused("the call is not in its one encoding")
        calls = tuple(name_of(one) for one in nested(call))
        for name in calls:
            if name not in self.allowed:
                inside = "" if name == calls[0] else f", which {calls[0]} carries,"
                raise SigningRefused(f"{name}{inside} is not on the list of calls that this signer signs")
        nonce, tip, era = self._extensions(reader, runtime)
        self._lifetime(era)
        if tip > self.most_tip:
            raise SigningRefused(f"the tip is {tip}, and at most {self.most_tip} is let through")
        if reader.left():
            raise SigningRefused(f"{reader.left()} bytes are left over behind the payload")
        return Signed(calls, nonce, tip)

    def _extensions(self, reader: Reader, runtime: Runtime) -> tuple[int, int, bytes]:
        """First what goes into the extrinsic, then what is signed besides."""
        nonce, tip, era = 0, 0, b""
        for extension in runtime.metadata.extensions:
            match extension.name:
                case "CheckMortality" | "CheckEra":
                    era = reader.take(1)
                    era += b"" if era == b"\0" else reader.take(1)
                case "CheckNonce":
                    nonce = reader.compact()
                case "ChargeTransactionPayment":
                    tip = reader.compact()
                case "CheckMetadataHash":
                    self._same(reader.take(1), b"\0", "the mode of CheckMetadataHash")
                case name if not runtime.values.is_empty(extension.extra):
                    raise SigningRefused(f"the chain wants {name} in every extrinsic, which nobody can judge")
        for extension in runtime.metadata.extensions:
            match extension.name:
                case "CheckMortality" | "CheckEra":
                    reader.take(32)
                case "CheckSpecVersion":
                    expected = runtime.spec_version.to_bytes(4, "little")
                    self._same(reader.take(4), expected, "the runtime's version")
                case "CheckTxVersion":
                    expected = runtime.transaction_version.to_bytes(4, "little")
                    self._same(reader.take(4), expected, "the extrinsics' version")
                case "CheckGenesis":
                    self._same(reader.take(32), self.genesis, "the genesis")
                case "CheckMetadataHash":
                    self._same(reader.take(1), b"\0", "the metadata's hash")
                case name if not runtime.values.is_empty(extension.additional):
                    raise SigningRefused(f"the chain signs {name} besides, which nobody can judge")
        return nonce, tip, era

    @staticmethod
    def _same(found: bytes, expected: bytes, what: str) -> None:
        if found != expected:
            raise SigningRefused(f"{what} is 0x{found.hex()}, not 0x{expected.hex()}")

    @staticmethod
    def _lifetime(era: bytes) -> None:
        if era == b"\0":
            raise SigningRefused("an extrinsic without an end is not signed")
        period = 2 << (int.from_bytes(era, "little") & 15)
        if period > MOST_PERIOD:
            raise SigningRefused(f"an extrinsic lives {MOST_PERIOD} blocks at most, not {period}")


def rules(allowed: Iterable[str], genesis: bytes, most_tip: int, runtime: Runtime) -> Rules:
    """Rules for calls of this runtime. Raises SigningRefused for a name that is none of its calls."""
    known = {f"{pallet}.{call}".lower() for pallet, call in runtime.calls()}
    names = frozenset(name.strip().lower() for name in allowed if name.strip())
    if unknown := sorted(names - known):
        raise SigningRefused(f"the chain has no call {', '.join(unknown)}: write pallet.call, as jobs.claim")
    if not names:
        raise SigningRefused("a signer that signs no call is no use: name some, as jobs.claim")
    return Rules(names, genesis, most_tip)


def name_of(call: Call) -> str:
    """A call as rules name it."""
    return f"{call.pallet}.{call.name}".lower()


def nested(value: Any, depth: int = 0) -> Iterator[Call]:
    """A call and all that it carries. Raises SigningRefused for one that carries too deep."""
    if isinstance(value, Call):
        if depth > _MOST_DEPTH:
            raise SigningRefused(f"calls are carried {_MOST_DEPTH} deep at most")
        yield value
        value, depth = value.args, depth + 1
    if isinstance(value, dict):
        for one in value.values():
            yield from nested(one, depth)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from nested(one, depth)
