"""One version: whatever names one names the same."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import proofward
from proofward_enclave import VERSION

ROOT = Path(__file__).parents[1]


def toml(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path).read_text())


def test_every_part_has_the_version_of_the_library() -> None:
    found = {path: toml(path)["project"]["version"] for path in (
        "pyproject.toml", "node/pyproject.toml", "enclave_runtime/pyproject.toml", "demo/pyproject.toml",
        "explorer/pyproject.toml", "gateway/pyproject.toml", "federation/pyproject.toml",
        "prover/pyproject.toml",
    )}  # fmt: skip
    found["prover/Cargo.toml"] = toml("prover/Cargo.toml")["package"]["version"]
    found["chain/Cargo.toml"] = toml("chain/Cargo.toml")["workspace"]["package"]["version"]
    for path in ("contracts/package.json", "devnet/package.json", "explorer/package.json"):
        if (ROOT / path).is_file():
            found[path] = json.loads((ROOT / path).read_text())["version"]
    found["the enclave"] = VERSION
    for name in ("proofward", "proofward-node", "proofward-enclave", "proofward-demo", "proofward-prover"):
        found[f"installed {name}"] = version(name)
    assert set(found.values()) == {proofward.__version__}, found
