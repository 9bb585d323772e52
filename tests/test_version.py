"""One version: whatever names one names the same."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import proofward
from proofward_enclave import VERSION

ROOT = Path(__file__).parents[1]
#: Crates of others that we patch keep theirs; a crate of the chain's workspace takes its.
OTHERS = {"chain/tools/subxt_signer/Cargo.toml"}
#: What only runs tests has none that anybody sees.
UNSEEN = "tests/"


def named() -> Iterator[tuple[str, str]]:
    """(file, version) of every manifest in the repository that has one."""
    listed = ["git", "ls-files", "*pyproject.toml", "*Cargo.toml", "*package.json"]
    for path in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split():
        if path in OTHERS or path.startswith(UNSEEN):
            continue
        text = (ROOT / path).read_text()
        value = json.loads(text) if path.endswith(".json") else tomllib.loads(text)
        for part in (value, value.get("project", {}), value.get("workspace", {}), value.get("package", {})):
            one = part.get("version", part.get("package", {}).get("version"))
            if isinstance(one, str):
                yield path, one


def test_every_part_has_the_version_of_the_library() -> None:
    found = dict(named())
    assert {"pyproject.toml", "chain/Cargo.toml", "chain/node/Cargo.toml", "devnet/package.json"} <= set(
        found
    )
    found["the enclave"] = VERSION
    parts = ("-node", "-enclave", "-demo", "-explorer", "-gateway", "-federation", "-prover", "")
    found |= {f"installed proofward{name}": version(f"proofward{name}") for name in parts}
    assert set(found.values()) == {proofward.__version__}, found
