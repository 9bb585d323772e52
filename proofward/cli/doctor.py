"""What this machine has of what Proofward needs, one line a check, and what to do about what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from proofward import checkout
from proofward.chain import ChainError, SubstrateClient
from proofward.chain.finality import STALL_BLOCKS
from proofward.devnet.chains import SPEC, find_binary
from proofward.extras import EXTRAS
from proofward.protocol import sha256
from proofward.zkml import available_lanes

PURPOSES = {
    "console": "to watch a worker in the terminal: worker console",
    "ezkl": "for the ezkl lane",
    "fhir": "to read FHIR Observations and Bundles as tables",
    "parquet": "to read tables from Parquet files and to write a session's answers as one",
    "light": "to read a chain by proofs, without a server: verify --light",
    "publish": "to compile, publish and audit models",
    "web3": "to speak Ethereum's JSON-RPC to the chain",
}
SPEC_HASHES = SPEC.with_suffix(".sha256")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `needed` says whether Proofward does without."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    needed: bool = True


def examine(chain: str | None = None) -> list[Finding]:
    """Every check; with `chain` (a ws:// address) also whether it is there and is ours."""
    findings = [
        _python(),
        _packages(),
        *map(_extra, sorted(set(EXTRAS.values()))),
        *_lanes(),
        *(_checkout() if checkout.here() else ()),
        _tee(),
        _binary("polkadot-omni-node", "the real node, instead of the embedded chain"),
        _binary("eth-rpc", "the standard Ethereum proxy, for wallets"),
    ]
    return [*findings, *(_chain(chain) if chain else [])]


def _python() -> Finding:
    version = platform.python_version()
    good = sys.version_info[:2] == (3, 11)
    return Finding("python", good, f"{version} at {sys.executable}", "use Python 3.11" if not good else "")


def _packages() -> Finding:
    wanted = [
        re.split(r"[^\w.-]", text)[0]
        for text in importlib.metadata.requires("proofward") or ()
        if "extra ==" not in text
    ]
    missing = [name for name in wanted if not _installed(name)]
    if missing:
        return Finding("packages", False, f"missing: {', '.join(missing)}", "install proofward again")
    return Finding(
        "packages", True, f"proofward {importlib.metadata.version('proofward')} with what it needs"
    )


def _extra(extra: str) -> Finding:
    missing = [name for name, of in EXTRAS.items() if of == extra and find_spec(name) is None]
    detail = f"missing: {', '.join(missing)}" if missing else PURPOSES[extra]
    fix = f"pip install 'proofward[{extra}]', {PURPOSES[extra]}" if missing else ""
    return Finding(f"extra {extra}", not missing, detail, fix, needed=False)


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _checkout() -> list[Finding]:
    """What only a checkout runs: the embedded chain, the builds from source."""
    return [
        _node(),
        _npm("devnet", "the embedded chain"),
        _npm("contracts", "the Solidity compiler"),
        _cargo(),
        _spec(),
    ]


def _node() -> Finding:
    version = _version("node")
    good = version is not None and int(version.lstrip("v").split(".")[0]) >= 20
    return Finding("node", good, version or "not found", "" if good else "install Node.js 20 or later")


def _npm(folder: str, what: str) -> Finding:
    modules = checkout.part(folder) / "node_modules"
    good = modules.is_dir()
    detail = f"packages of {folder}/ ({what})"
    return Finding(
        f"npm {folder}", good, detail, "" if good else f"run `npm ci --ignore-scripts` in {folder}/"
    )


def _cargo() -> Finding:
    version = _version("cargo")
    fix = (
        ""
        if version
        else "install rustup to build the Groth16 prover; without it every job takes the ezkl lane"
    )
    return Finding("cargo", version is not None, version or "not found", fix, needed=False)


def _binary(name: str, purpose: str) -> Finding:
    path = find_binary(name)
    version = _version(str(path)) if path else None
    fix = "" if version else f"{purpose}: `make {name.removeprefix('polkadot-')}`"
    return Finding(name, version is not None, version or "not found", fix, needed=False)


def _lanes() -> list[Finding]:
    lanes = available_lanes()
    fixes = {"groth16": "pip install proofward-prover", "ezkl": "pip install 'proofward[ezkl]'"}
    return [
        Finding(
            f"lane {name}",
            name in lanes,
            "loads" if name in lanes else "does not load",
            "" if name in lanes else fix,
            needed=False,
        )
        for name, fix in fixes.items()
    ]


def _spec() -> Finding:
    if not SPEC.is_file() or not SPEC_HASHES.is_file():
        return Finding("chain spec", False, "chain/spec is not there", "run from a checkout, or `make chain`")
    found = sha256(SPEC.read_bytes()).hex()
    good = found in SPEC_HASHES.read_text(encoding="utf-8")
    detail = f"sha256 {found}"
    return Finding(
        "chain spec",
        good,
        detail,
        "" if good else "it differs from the committed hash: `git checkout chain/spec`",
    )


def _tee() -> Finding:
    for path, name in (("/var/run/dstack.sock", "dstack"), ("/sys/kernel/config/tsm/report", "tsm")):
        if Path(path).exists():
            return Finding("tee", True, f"{name} ({path})", needed=False)
    return Finding(
        "tee",
        False,
        "no trust domain here",
        "only the simulator can be used: level `simulated`",
        needed=False,
    )


def _chain(url: str) -> list[Finding]:
    try:
        with SubstrateClient.connect(url, patience=3.0) as client:
            head = client.finalised_head()
            lag = max(0, client.best_number() - head.number)
            ours = {"Attestation", "Workers", "Models", "Jobs"} <= set(client.runtime.metadata.pallets)
            detail = (
                f"{client.chain_name} ({client.chain_type}), genesis 0x{client.genesis.hex()}, {client.node}"
            )
            return [
                Finding("chain", True, f"{detail}, finalised block {head.number}"),
                Finding(
                    "chain finality",
                    lag <= STALL_BLOCKS,
                    f"{lag} blocks behind the newest",
                    "" if lag <= STALL_BLOCKS else "too few validators agree: docs/network.md",
                ),
                Finding(
                    "chain runtime",
                    ours,
                    f"spec version {client.runtime.spec_version}",
                    "" if ours else "it is no Proofward chain",
                ),
            ]
    except ChainError as error:
        return [Finding("chain", False, error.message)]


def _version(program: str) -> str | None:
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().splitlines()[0]
