"""The chain spec as a light client takes it: which chain, whom to ask, and a checkpoint.

The reader gets the spec from somebody he trusts; everything else is proved against it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proofward.consensus import BadProof
from proofward.consensus.keys import twox
from proofward.consensus.spec import raw_spec
from proofward.light.errors import LightError

MAX_BOOT_NODES: Final = 64
CHECKPOINT: Final = "proofwardCheckpoint"
"""Key among the spec's properties: nodes and smoldot pass over it."""
_GRANDPA: Final = "0x" + twox(b"Grandpa", 128).hex()
#: What polkadot-omni-node reads of a spec and a light client takes for a parachain's.
_PARACHAIN: Final = ("relay_chain", "para_id", "relayChain", "paraId")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A finalised block that the spec's giver vouches for; another chain than its own is refused."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class LightSpec:
    """A raw chain spec. `text` is what the light client is given."""

    name: str
    type: str
    text: str
    checkpoint: Checkpoint | None


def read_spec(path: Path, *, boot_nodes: tuple[str, ...] = ()) -> LightSpec:
    """Read a raw spec, with other boot nodes when they are given. Raises LightError: it cannot be read, names
    no boot node, or is of a chain without GRANDPA.
    """
    spec = load(path)
    top = spec["genesis"]["raw"]["top"]
    if not any(key.startswith(_GRANDPA) for key in top):
        raise LightError(
            f"the chain of {path} has no GRANDPA, so nobody can prove to a light client what is final (the "
            "embedded development chain has one author and no finality votes); leave out --light",
            code="no-finality-proofs",
        )
    nodes = list(boot_nodes) or spec.get("bootNodes") or []
    if not nodes:
        raise LightError(
            f"{path} names no boot nodes, so the light client knows nobody to ask; give a spec with "
            "`bootNodes`, or --boot-node",
            code="no-boot-nodes",
        )
    if len(nodes) > MAX_BOOT_NODES or not all(isinstance(node, str) for node in nodes):
        raise LightError(
            f"the boot nodes of {path} are not up to {MAX_BOOT_NODES} addresses", code="bad-spec"
        )
    told = {key: value for key, value in spec.items() if key not in _PARACHAIN} | {"bootNodes": nodes}
    checkpoint = _checkpoint(path, (spec.get("properties") or {}).get(CHECKPOINT))
    return LightSpec(str(spec.get("name")), str(spec.get("chainType", "Live")), json.dumps(told), checkpoint)


def load(path: Path) -> dict[str, Any]:
    """A raw spec's JSON. Raises LightError."""
    try:
        return raw_spec(path)
    except BadProof as error:
        raise LightError(error.message, code="bad-spec") from error


def with_checkpoint(spec: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    """The spec with this checkpoint in place of an earlier one."""
    value = {"number": checkpoint.number, "hash": "0x" + checkpoint.hash.hex()}
    return spec | {"properties": {**(spec.get("properties") or {}), CHECKPOINT: value}}


def _checkpoint(path: Path, value: Any) -> Checkpoint | None:
    if value is None:
        return None
    try:
        number, name = value["number"], value["hash"]
        if type(number) is not int or not 0 <= number < 2**32 or len(name) != 66:
            raise ValueError
        return Checkpoint(number, bytes.fromhex(name.removeprefix("0x")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LightError(
            f"the checkpoint in {path} is not a block's number and hash: write it with `proofward network "
            "checkpoint`",
            code="bad-spec",
        ) from None
