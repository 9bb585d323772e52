"""Specs of chains with several validators, made of the committed runtime by its own GenesisBuilder."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proofward import checkout
from proofward.files import TooLong, read_whole
from proofward.network.errors import NetworkError

CODE: Final = "0x3a636f6465"
MAX_BYTES: Final = 1 << 20
MAX_MEMBERS: Final = 32
PROPERTIES: Final = {"ss58Format": 42, "tokenDecimals": 12, "tokenSymbol": "UNIT"}
_TOOL_SECONDS: Final = 120

Text = Annotated[str, Field(min_length=1, max_length=128)]
BootNode = Annotated[str, Field(pattern=r"^/(ip4|ip6|dns|dns4|dns6)/\S{1,256}/p2p/\S{40,64}$")]
Amount = Annotated[int, Field(ge=0, lt=2**100)]
"""Plancks, 10^-12 UNIT."""
Setting = Literal["slot_milliseconds", "session_blocks", "notice_blocks", "least_validators"]
Address = Annotated[str, Field(pattern=r"^[1-9A-HJ-NP-Za-km-z]{46,50}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MemberFile(_Part):
    """One hospital: its account and session keys as SS58 addresses, and where its node is reached."""

    legal_name: Text
    account: Address
    aura: Address
    grandpa: Address
    endpoint: Text
    boot_node: BootNode | None = None
    balance: Amount = 0


class MembersFile(_Part):
    """What `proofward network spec` reads."""

    name: Text
    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    members: Annotated[tuple[MemberFile, ...], Field(min_length=4, max_length=MAX_MEMBERS)]
    balances: Annotated[tuple[tuple[Address, Amount], ...], Field(max_length=4096)] = ()
    settings: dict[Setting, int] = {}


def read_members(path: Path) -> MembersFile:
    """Read and check the members' file. Raises NetworkError."""
    try:
        members = MembersFile.model_validate_json(read_whole(path, MAX_BYTES))
    except OSError as error:
        raise NetworkError(f"cannot read {path}: {error.strerror}", code="bad-members") from error
    except TooLong as error:
        raise NetworkError(f"cannot read {path}: {error}", code="bad-members") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top"
        raise NetworkError(f"{path} is not valid at {where}: {first['msg']}", code="bad-members") from None
    for field in ("legal_name", "account", "aura", "grandpa"):
        values = [getattr(member, field) for member in members.members]
        if len(set(values)) < len(values):
            raise NetworkError(f"{path} has two members of one {field}", code="bad-members")
    return members


def consortium(members: MembersFile) -> dict[str, Any]:
    """The raw spec of a consortium. Raises NetworkError, with the runtime's reason where it refuses."""

    def filled(preset: dict[str, Any]) -> dict[str, Any]:
        funded = [(one.account, one.balance) for one in members.members if one.balance]
        patch = {
            "consortium": {
                "settings": dict(members.settings),
                "members": [
                    {
                        "account": one.account,
                        "legal_name": "0x" + hashlib.sha256(one.legal_name.encode()).hexdigest(),
                        "endpoint": one.endpoint,
                    }
                    for one in members.members
                ],
            },
            "session": {
                "keys": [
                    [one.account, one.account, {"aura": one.aura, "grandpa": one.grandpa}]
                    for one in members.members
                ]
            },
            "balances": {"balances": [*preset["balances"]["balances"], *funded, *members.balances]},
        }
        return dict(_merged(preset, patch))

    top = _genesis("consortium", filled)
    nodes = [one.boot_node for one in members.members if one.boot_node is not None]
    return _spec(members.name, members.id, "Live", top, nodes)


def local() -> dict[str, Any]:
    """The raw spec of four validators with published keys: a development chain. Raises NetworkError."""
    return _spec("Proofward Local", "proofward-local", "Development", _genesis("local", lambda one: one), [])


def _spec(name: str, id: str, kind: str, top: dict[str, str], nodes: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "id": id,
        "chainType": kind,
        "bootNodes": nodes,
        "telemetryEndpoints": None,
        "protocolId": None,
        "properties": PROPERTIES,
        "codeSubstitutes": {},
        "genesis": {"raw": {"top": dict(sorted(top.items())), "childrenDefault": {}}},
    }


def _genesis(preset: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, str]:
    """Genesis storage of a preset, changed, with the committed runtime."""
    committed, tool = (
        checkout.part("chain/spec/proofward-dev.json"),
        checkout.part("chain/tools/genesis_state.mjs"),
    )
    if not committed.is_file() or not tool.is_file():
        raise NetworkError(
            "a spec is made of the runtime and the tools of a checkout, and this is an installed package: "
            "clone the repository, or give a raw spec with --spec",
            code="needs-checkout",
        )
    if not checkout.part("devnet/node_modules").is_dir():
        raise NetworkError(
            "the runtime's GenesisBuilder is run with Node.js: install it, and `npm ci --ignore-scripts` in "
            "devnet/, or give a raw spec with --spec",
            code="needs-node",
        )
    code = json.loads(committed.read_bytes())["genesis"]["raw"]["top"][CODE]
    with tempfile.TemporaryDirectory(prefix="proofward-spec-") as scratch:
        wasm, config = Path(scratch) / "runtime.wasm", Path(scratch) / "genesis.json"
        wasm.write_bytes(bytes.fromhex(code[2:]))
        default = json.loads(_tool(tool, wasm, "preset"))
        named = json.loads(_tool(tool, wasm, "preset", preset))
        config.write_text(json.dumps(change(_merged(default, named))))
        top: dict[str, str] = json.loads(_tool(tool, wasm, "build", str(config)))
    return {**top, CODE: code}


def _tool(tool: Path, wasm: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["node", str(tool), str(wasm), *words],
            capture_output=True,
            text=True,
            timeout=_TOOL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkError(f"Node.js does not run: {error}", code="needs-node") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "Error: " in line]
        reason = lines[0].partition("Error: ")[2] if lines else done.stderr.strip()[-300:]
        raise NetworkError(f"no spec is made: {reason}", code="genesis-refused")
    return done.stdout


def _merged(base: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not (isinstance(base, dict) and isinstance(patch, dict)):
        return patch
    return {**base, **{key: _merged(base.get(key), value) for key, value in patch.items()}}
