"""The chain spec as a light client takes it: what is refused, and what the client is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proofward.consensus import Checkpoint
from proofward.consensus.keys import twox
from proofward.devnet.chains import SPEC
from proofward.light.errors import LightError
from proofward.light.spec import load, read_spec, with_checkpoint

GRANDPA = "0x" + (twox(b"Grandpa", 128) + twox(b"Authorities", 128)).hex()
NODE = "/ip4/127.0.0.1/tcp/30333/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Test",
        "id": "test",
        "chainType": "Local",
        "bootNodes": [NODE],
        "properties": {"tokenSymbol": "UNIT"},
        "relay_chain": "test",
        "para_id": 2000,
        "genesis": {"raw": {"top": {GRANDPA: "0x00"}, "childrenDefault": {}}},
        **changes,
    }


def written(folder: Path, value: Any) -> Path:
    path = folder / "spec.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_parachains_fields_are_left_out(tmp_path: Path) -> None:
    told = json.loads(read_spec(written(tmp_path, spec())).text)
    assert told == {key: value for key, value in spec().items() if key not in ("relay_chain", "para_id")}


def test_other_boot_nodes_take_the_place_of_the_specs(tmp_path: Path) -> None:
    path = written(tmp_path, spec(bootNodes=[]))
    assert json.loads(read_spec(path, boot_nodes=(NODE,)).text)["bootNodes"] == [NODE]


def test_a_checkpoint_is_written_and_read(tmp_path: Path) -> None:
    point = Checkpoint(7, b"h" * 32)
    read = read_spec(written(tmp_path, with_checkpoint(spec(), point)))
    assert read.checkpoint == point
    assert json.loads(read.text)["properties"]["tokenSymbol"] == "UNIT"


@pytest.mark.parametrize(
    ("fault", "value", "code"),
    [
        ("no GRANDPA in its genesis", spec(genesis={"raw": {"top": {"0x00": "0x00"}}}), "no-finality-proofs"),
        ("nobody to ask", spec(bootNodes=[]), "no-boot-nodes"),
        ("no boot nodes at all", {k: v for k, v in spec().items() if k != "bootNodes"}, "no-boot-nodes"),
        ("boot nodes without end", spec(bootNodes=[NODE] * 65), "bad-spec"),
        ("a boot node that is no text", spec(bootNodes=[7]), "bad-spec"),
        ("boot nodes that are a number", spec(bootNodes=7), "bad-spec"),
        ("boot nodes that are a text", spec(bootNodes=NODE), "bad-spec"),
        ("properties that are a list", spec(properties=[1]), "bad-spec"),
        ("no JSON", "{", "bad-spec"),
        ("JSON without end", "[" * 100_000, "bad-spec"),
        ("another value", [], "bad-spec"),
        ("not raw", spec(genesis={"runtimeGenesis": {}}), "bad-spec"),
        ("a checkpoint without a hash", spec(properties={"proofwardCheckpoint": {"number": 1}}), "bad-spec"),
        (
            "a checkpoint with half a hash",
            spec(properties={"proofwardCheckpoint": {"number": 1, "hash": "0x" + "00" * 16}}),
            "bad-spec",
        ),
        (
            "a checkpoint below genesis",
            spec(properties={"proofwardCheckpoint": {"number": -1, "hash": "0x" + "00" * 32}}),
            "bad-spec",
        ),
    ],
)
def test_a_spec_that_no_light_client_can_use_is_refused(
    tmp_path: Path, fault: str, value: Any, code: str
) -> None:
    with pytest.raises(LightError) as caught:
        read_spec(written(tmp_path, value))
    assert caught.value.code == code, fault


def test_a_missing_spec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LightError, match="No such file"):
        load(tmp_path / "spec.json")


def test_the_committed_spec_needs_boot_nodes_or_has_no_finality_proofs() -> None:
    with pytest.raises(LightError) as caught:
        read_spec(SPEC)
    assert caught.value.code in ("no-finality-proofs", "no-boot-nodes")
