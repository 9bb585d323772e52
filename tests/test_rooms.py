"""The house's walls: who may import whom, and who may touch cryptography."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("proofward", "enclave_runtime", "node", "tests")

LIBRARY = ("proofward.protocol", "proofward.chain", "proofward.attestation")
ALLOWED = {
    "proofward/protocol": ("proofward.protocol",),
    "proofward/zkml": ("proofward.protocol", "proofward.zkml"),
    "proofward/chain": ("proofward.protocol", "proofward.chain"),
    "proofward/attestation": ("proofward.protocol", "proofward.attestation"),
    "enclave_runtime": ("enclave_runtime", "proofward.protocol", "proofward.zkml"),
    "node": ("node", *LIBRARY),
    "proofward/client": (
        *LIBRARY,
        "proofward.zkml",
        "proofward.client",
        "proofward.bundle",
        "proofward.verification",
    ),
    "proofward/cli": ("proofward", "node"),
    # its attacker signs quotes as the simulator does
    "proofward/demo": ("proofward", "node", "enclave_runtime.providers", "enclave_runtime.measure"),
}
PRIMITIVES = {
    "Crypto",
    "Cryptodome",
    "bip39",
    "cryptography",
    "dcap_qvl",
    "ecdsa",
    "ed25519_zebra",
    "eth_keys",
    "hashlib",
    "hmac",
    "nacl",
    "sr25519",
    "ssl",
}
IMPURE = {
    "os",
    "pathlib",
    "socket",
    "time",
    "datetime",
    "asyncio",
    "requests",
    "httpx",
    "aiohttp",
    "subprocess",
    "tempfile",
}


def modules(room: str) -> list[Path]:
    path = ROOT / room
    return sorted(path.rglob("*.py")) if path.is_dir() else []


def imports(path: Path) -> Iterator[str]:
    """Absolute names of everything a file imports, inside functions too."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = modules(room)
    assert files, f"{room} is gone: change this test with the house"
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imports(path)
        if within(name, OURS) and not within(name, ALLOWED[room])
    }
    assert not found


def test_the_library_imports_neither_command_line_nor_demo() -> None:
    found = {
        f"{path.name} imports {name}"
        for path in (ROOT / "proofward").glob("*.py")
        for name in imports(path)
        if within(name, ("proofward.cli", "proofward.demo", "enclave_runtime", "node", "tests"))
    }
    assert not found


@pytest.mark.parametrize("room", ["node", "proofward/cli"])
def test_cli_and_node_call_no_cryptographic_primitive(room: str) -> None:
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(room)
        for name in imports(path)
        if name.split(".")[0] in PRIMITIVES
    }
    assert not found


def test_the_protocol_is_pure() -> None:
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("proofward/protocol")
        for name in imports(path)
        if name.split(".")[0] in IMPURE
    }
    assert not found


def test_the_walls_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own power: it sees each form of a forbidden import."""
    monkeypatch.setattr("tests.test_rooms.ROOT", tmp_path)
    room = tmp_path / "node" / "inner"
    room.mkdir(parents=True)
    (room / "a.py").write_text(
        "def f():\n    import hashlib\n    from proofward import zkml\n    from ..x import y\n"
    )
    assert list(imports(room / "a.py")) == ["hashlib", "proofward.zkml", "node.x.y"]
