"""A job's evidence in one file, for somebody who was not there and has no chain at hand.

JSON, bytes as hex. Nothing in it is believed: `proofward.evidence.verify` recomputes all of it. What a bundle
cannot show by itself is that the chain holds it; pin the genesis hash, or verify against a chain.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from proofward.errors import ProofwardError
from proofward.files import TooLong, read_whole, write_whole

MAX_BUNDLE_BYTES = 96 << 20

T = TypeVar("T", bound=BaseModel)
_DIGITS = re.compile(r"[0-9a-fA-F]*")


class BundleError(ProofwardError):
    """A bundle that cannot be read or written."""

    code = "bad-bundle"


def _unhex(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # `fromhex` takes white space, which the site's reader does not
    if len(value) % 2 or not _DIGITS.fullmatch(value):
        raise ValueError("is not hexadecimal")
    return bytes.fromhex(value)


_FROM_HEX, _TO_HEX = BeforeValidator(_unhex), PlainSerializer(bytes.hex, return_type=str)
Hash = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(min_length=32, max_length=32)]
Address = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(min_length=20, max_length=20)]
Signature = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(min_length=64, max_length=64)]
SetupBytes = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=2)]
HpkeKey = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=1_216)]
Short = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=16_384)]
"""A proof or a quote."""
Long = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=65_536)]
"""A sealed output or collateral."""
Code = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=1 << 20)]
FileBytes = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=64 << 20)]
Header = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=1 << 18)]
Justification = Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=1 << 20)]
LevelName = Annotated[str, Field(pattern="^(simulated|hardware)$")]
LaneName = Annotated[str, Field(pattern="^(ezkl|groth16)$")]
BlockNumber = Annotated[int, Field(ge=0, lt=2**32)]
UnixSeconds = Annotated[int, Field(ge=0, lt=2**53 - 1)]
"""Within JavaScript's safe integers, which the site's reader has."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ChainPart(_Part):
    """Which chain; `type` is what its node says of itself (`Development`, `Live`)."""

    genesis: Hash
    name: str = Field(max_length=128)
    type: str = Field(max_length=32)


class JobPart(_Part):
    """The job as submitted."""

    id: Hash
    client: Hash
    model: Hash
    input_commitment: Hash
    min_level: LevelName
    allow_dev_setup: bool
    deadline: BlockNumber
    submitted_at: BlockNumber


class ResultPart(_Part):
    """The accepted `complete` extrinsic. `setup` is SCALE; `block` the one that includes it."""

    worker: Hash
    level: LevelName
    setup: SetupBytes
    output_commitment: Hash
    proof: Short
    sealed_output: Long
    receipt_block: BlockNumber
    receipt_signature: Signature
    block: BlockNumber


class ModelPart(_Part):
    """The model's record, the public half of its artefact (`files`: manifest.json and public/...), and the
    address and runtime code of its lane's contract at the verdict.
    """

    publisher: Hash
    name: str = Field(max_length=64)
    lane: LaneName
    weights_digest: Hash
    manifest_hash: Hash
    vk_hash: Hash
    circuit_digest: Hash
    key_hash: Hash
    verifier: Address
    contract_code: Code
    files: dict[str, FileBytes] = Field(max_length=33)


class QuotePart(_Part):
    """A quote, the collateral that the chain held for it (SCALE), and the chain's time when it was verified
    (Unix seconds).
    """

    quote: Short
    collateral: Long
    time: UnixSeconds


class SetupPart(QuotePart):
    """The quote of an attested setup. `block_hash` is of the block that dates it."""

    block_hash: Hash


class WorkerPart(_Part):
    """The worker's registration: what the quote must bind. `block_hash` is of the block that the quote
    names.
    """

    level: LevelName
    measurement: Hash
    hpke_key: HpkeKey
    receipt_key: Hash
    epoch: BlockNumber
    quote_hash: Hash
    block_hash: Hash
    attestation: QuotePart


class ChangePart(_Part):
    """A block that changed the authorities: its header (SCALE) and the old ones' justification of it."""

    header: Header
    justification: Justification


class InclusionPart(_Part):
    """A final block's header (SCALE) with GRANDPA's justification, the changes of authorities before it since
    the chain's beginning, and nodes of its state's trie.
    """

    header: Header
    justification: Justification
    changes: list[ChangePart] = Field(max_length=256)
    nodes: list[Annotated[bytes, _FROM_HEX, _TO_HEX, Field(max_length=1 << 20)]] = Field(max_length=512)


class Bundle(_Part):
    """The whole file."""

    format: Literal["proofward/bundle/v1"] = "proofward/bundle/v1"
    chain: ChainPart
    job: JobPart
    result: ResultPart
    model: ModelPart
    worker: WorkerPart
    setup_evidence: SetupPart | None = None
    """The quote of an attested setup."""
    inclusion: InclusionPart | None = None
    """The chain's own proof; None from a chain without GRANDPA."""


def load_bundle(path: Path) -> Bundle:
    """Read a bundle, bounded and strict. Raises BundleError."""
    return load_as(Bundle, path)


def bundle_of(value: object) -> Bundle:
    """A bundle out of JSON that was read. Raises ValueError."""
    return Bundle.model_validate_json(json.dumps(value))


def load_as(
    kind: type[T],
    path: Path,
    *,
    called: str = "bundle",
    most: int = MAX_BUNDLE_BYTES,
    error: type[ProofwardError] = BundleError,
) -> T:
    """Read evidence of this kind, of at most `most` bytes and strict. Raises `error`."""
    try:
        return kind.model_validate_json(read_whole(path, most))
    except OSError as unread:
        raise error(f"cannot read {called} {path}: {unread.strerror}") from unread
    except TooLong:
        raise error(f"{called} {path} is larger than {most} bytes") from None
    except ValidationError as unlike:
        first = unlike.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top"
        raise error(f"{called} {path} is not valid at {where}: {first['msg']}") from None


def save_bundle(bundle: BaseModel, path: Path) -> None:
    """Write a bundle of any kind whole or not at all. Raises BundleError."""
    try:
        write_whole(path, bundle.model_dump_json(indent=1).encode(), mode=0o666)
    except OSError as error:
        raise BundleError(f"cannot write bundle {path}: {error.strerror}") from error
