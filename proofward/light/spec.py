"""The chain spec as a light client takes it: which chain, whom to ask, and a checkpoint.

The reader gets the spec from somebody he trusts; everything else is proved against it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proofward.consensus import BadProof, Checkpoint, checkpoint_of
from proofward.consensus.checkpoint import PROPERTY
from proofward.consensus.keys import twox
from proofward.consensus.spec import raw_spec
from proofward.light.errors import LightError

MAX_BOOT_NODES: Final = 64
_GRANDPA: Final = "0x" + twox(b"Grandpa", 128).hex()
_PARACHAIN: Final = ("relay_chain", "para_id", "relayChain", "paraId")
"""What polkadot-omni-node reads of a spec and a light client takes for a parachain's."""


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
    nodes = [*boot_nodes] or spec.get("bootNodes") or []
    if not nodes:
        raise LightError(
            f"{path} names no boot nodes, so the light client knows nobody to ask; give a spec with "
            "`bootNodes`, or --boot-node",
            code="no-boot-nodes",
        )
    if not isinstance(nodes, list) or len(nodes) > MAX_BOOT_NODES or not all(map(_is_text, nodes)):
        raise LightError(
            f"the boot nodes of {path} are not up to {MAX_BOOT_NODES} addresses", code="bad-spec"
        )
    told = {key: value for key, value in spec.items() if key not in _PARACHAIN} | {"bootNodes": nodes}
    try:
        checkpoint = checkpoint_of(spec, path)
    except BadProof as error:
        raise LightError(error.message, code="bad-spec") from error
    return LightSpec(str(spec.get("name")), str(spec.get("chainType", "Live")), json.dumps(told), checkpoint)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def load(path: Path) -> dict[str, Any]:
    """A raw spec's JSON. Raises LightError."""
    try:
        return raw_spec(path)
    except BadProof as error:
        raise LightError(error.message, code="bad-spec") from error


def with_checkpoint(spec: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    """The spec with this checkpoint in place of an earlier one."""
    return spec | {"properties": {**(spec.get("properties") or {}), PROPERTY: checkpoint.value()}}
