"""Makes the raw chain spec from a runtime's wasm, or checks that the committed one is what the source gives.

Standard library only, so that the check needs no virtual environment. Numbers of genesis go through Python
because JavaScript would round balances above 2**53.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent
SPEC_FOLDER = TOOLS.parent / "spec"
NAME = "proofward-dev"
# sp-maybe-compressed-blob: what marks a zstd-compressed runtime.
ZSTD_PREFIX = bytes([82, 188, 83, 118, 70, 219, 142, 5])
CODE_KEY = "0x3a636f6465"
# polkadot-omni-node reads both from the spec; the chain is nobody's parachain.
RELAY_CHAIN, PARA_ID = "proofward-dev", 2000


def node(*arguments: str) -> str:
    """Run one of our Node programs and return what it prints."""
    return subprocess.run(["node", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def merged(base: Any, patch: Any) -> Any:
    """RFC 7386 merge of JSON values: objects merge by key, anything else is replaced."""
    if not (isinstance(base, dict) and isinstance(patch, dict)):
        return patch
    return {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}


def compressed(wasm: bytes) -> bytes:
    """The runtime as it goes on the chain."""
    command = ["zstd", "--ultra", "-22", "--single-thread", "--no-check", "--stdout"]
    return ZSTD_PREFIX + subprocess.run(command, input=wasm, check=True, stdout=subprocess.PIPE).stdout


def genesis_storage(wasm: Path) -> dict[str, str]:
    """Every key of the `development` preset's genesis, hexadecimal, without the code."""
    tool = str(TOOLS / "genesis_state.mjs")
    default = json.loads(node(tool, str(wasm), "preset"))
    preset = json.loads(node(tool, str(wasm), "preset", "development"))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump(merged(default, preset), config)
        config.flush()
        storage: dict[str, str] = json.loads(node(tool, str(wasm), "build", config.name))
    return storage


def make(wasm: Path, metadata_hash: str) -> tuple[str, str]:
    """Return the spec's text and the text of its hash file."""
    node(str(TOOLS / "check_wasm.mjs"), str(wasm))
    code = compressed(wasm.read_bytes())
    top = {**genesis_storage(wasm), CODE_KEY: "0x" + code.hex()}
    spec: dict[str, object] = {
        "name": "Proofward Development",
        "id": NAME,
        "chainType": "Development",
        "bootNodes": [],
        "telemetryEndpoints": None,
        "protocolId": None,
        "properties": {"ss58Format": 42, "tokenDecimals": 12, "tokenSymbol": "UNIT"},
        "relay_chain": RELAY_CHAIN,
        "para_id": PARA_ID,
        "codeSubstitutes": {},
        "genesis": {"raw": {"top": dict(sorted(top.items())), "childrenDefault": {}}},
    }
    text = json.dumps(spec, indent=1) + "\n"
    compiler = subprocess.run(["/usr/bin/rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True)
    hashes = {
        "wasm_sha256": hashlib.sha256(wasm.read_bytes()).hexdigest(),
        "runtime_sha256": hashlib.sha256(code).hexdigest(),
        "spec_sha256": hashlib.sha256(text.encode()).hexdigest(),
        # Not of a file: what wallets that show what they sign compare (RFC 78).
        "metadata_hash": metadata_hash,
        "compiler": compiler.stdout.strip(),
    }
    return text, "".join(f"{value}  {name}\n" for name, value in hashes.items())


def difference(committed: str, made: str) -> str:
    """Say which lines of the hash file differ, and what that may mean."""
    old, new = (
        {name: value for value, name in (line.split("  ", 1) for line in text.splitlines())}
        for text in (committed, made)
    )
    lines = [
        f"  {name}: committed {old.get(name)}, built {value}"
        for name, value in new.items()
        if old.get(name) != value
    ]
    if old.get("compiler") != new.get("compiler"):
        lines.append(
            "  the compilers differ: Debian moved it; rebuild without --check and commit the new spec"
        )
    return "\n".join(lines)


def main() -> int:
    """Write the spec, or compare with --check. Exit code 1 when it differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wasm", type=Path, help="the runtime, not compressed")
    parser.add_argument("metadata_hash", help="the hash of its metadata, hexadecimal")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the committed spec differs"
    )
    arguments = parser.parse_args()
    text, hashes = make(arguments.wasm, arguments.metadata_hash)
    spec_path, hash_path = SPEC_FOLDER / f"{NAME}.json", SPEC_FOLDER / f"{NAME}.sha256"
    if arguments.check:
        if spec_path.read_text() != text or hash_path.read_text() != hashes:
            print("make_spec: the committed chain spec is not what this source gives:", file=sys.stderr)
            print(difference(hash_path.read_text(), hashes), file=sys.stderr)
            return 1
        print(f"make_spec: {spec_path.name} is what this source gives")
        return 0
    SPEC_FOLDER.mkdir(exist_ok=True)
    spec_path.write_text(text)
    hash_path.write_text(hashes)
    print(hashes, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
