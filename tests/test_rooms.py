"""The house's walls: who may import whom, no circles, and who may touch cryptography."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Import name -> the folder that holds it.
PACKAGES = {
    "proofward": ".",
    "proofward_node": "node",
    "proofward_enclave": "enclave_runtime",
    "proofward_demo": "demo",
    "proofward_explorer": "explorer",
    "proofward_gateway": "gateway",
    "proofward_federation": "federation",
}
OURS = (*PACKAGES, "tests", "bench")

#: Each room with what it may import beside itself; the longest name that fits a module is its room.
ALLOWED: dict[str, tuple[str, ...]] = {
    "proofward.errors": (),
    "proofward.extras": ("proofward.errors",),
    "proofward.amounts": (),
    "proofward.terminal": (),
    "proofward.check": ("proofward.terminal",),
    "proofward.checkout": (),
    "proofward.processes": (),
    "proofward.logs": (),
    "proofward.database": ("proofward.errors",),
    "proofward.files": ("proofward.errors",),
    "proofward.protocol": ("proofward.errors",),
    "proofward.aci": ("proofward.errors", "proofward.protocol"),
    "proofward.zkml": (
        "proofward.errors",
        "proofward.files",
        "proofward.processes",
        "proofward.protocol",
        "proofward.check",
        "proofward.checkout",
    ),
    "proofward.zkml.ezkl": ("proofward.zkml", "proofward.protocol", "proofward.check", "proofward.checkout"),
    "proofward.zkml.groth16": (
        "proofward.zkml",
        "proofward.check",
        "proofward.checkout",
        "proofward.files",
        "proofward.processes",
    ),
    "proofward.zkml.groth16.program": ("proofward.zkml.errors",),
    "proofward.zkml.groth16.compiler": ("proofward.check", "proofward.zkml", "proofward.zkml.groth16"),
    "proofward.attestation": (
        "proofward.errors",
        "proofward.files",
        "proofward.aci",
        "proofward.protocol",
        "proofward.check",
    ),
    "proofward.consensus": (
        "proofward.amounts",
        "proofward.errors",
        "proofward.files",
        "proofward.protocol",
    ),
    "proofward.chain": (
        "proofward.errors",
        "proofward.database",
        "proofward.files",
        "proofward.logs",
        "proofward.protocol",
        "proofward.consensus",
    ),
    "proofward.chain.ethereum": ("proofward.chain", "proofward.logs", "proofward.protocol"),
    "proofward.tables": ("proofward.errors", "proofward.extras", "proofward.files"),
    "proofward.devnet": ("proofward.chain", "proofward.processes", "proofward.checkout"),
    "proofward.light": ("proofward.chain", "proofward.consensus", "proofward.extras", "proofward.processes"),
    "proofward.network": (
        "proofward.errors",
        "proofward.files",
        "proofward.checkout",
        "proofward.chain",
        "proofward.devnet",
        "proofward.light",
        "proofward.protocol",
    ),
    "proofward.evidence": (
        "proofward.errors",
        "proofward.files",
        "proofward.aci",
        "proofward.attestation",
        "proofward.consensus",
        "proofward.zkml",
        "proofward.protocol",
        "proofward.check",
    ),
    "proofward.statements": (
        "proofward.errors",
        "proofward.files",
        "proofward.check",
        "proofward.protocol",
        "proofward.zkml",
    ),
    "proofward.client": (
        "proofward.amounts",
        "proofward.errors",
        "proofward.files",
        "proofward.statements",
        "proofward.evidence",
        "proofward.consensus",
        "proofward.chain",
        "proofward.light",
        "proofward.attestation",
        "proofward.zkml",
        "proofward.protocol",
        "proofward.check",
        "proofward.terminal",
    ),
    "proofward.edge": (
        "proofward.errors",
        "proofward.check",
        "proofward.client",
        "proofward.chain",
        "proofward.evidence",
        "proofward.files",
        "proofward.zkml",
        "proofward.protocol",
        "proofward.tables",
    ),
    "proofward.publisher": (
        "proofward.extras",
        "proofward.errors",
        "proofward.files",
        "proofward.client",
        "proofward.chain",
        "proofward.zkml",
        "proofward.tables",
        "proofward.protocol",
        "proofward.check",
    ),
    "proofward": ("proofward.client", "proofward.evidence", "proofward.check", "proofward.errors"),
    "proofward.cli": ("proofward",),
    "proofward_enclave": (
        "proofward.files",
        "proofward.processes",
        "proofward.protocol",
        "proofward.zkml",
    ),
    "proofward_node": (
        "proofward.amounts",
        "proofward.database",
        "proofward.files",
        "proofward.errors",
        "proofward.logs",
        "proofward.protocol",
        "proofward.chain",
        "proofward.attestation",
        "proofward.processes",
        "proofward.terminal",
    ),
    "proofward_node.verbs": ("proofward_node", "proofward"),
    "proofward_node.operations": ("proofward_node", "proofward"),
    "proofward_explorer": (
        "proofward.errors",
        "proofward.logs",
        "proofward.database",
        "proofward.protocol",
        "proofward.chain",
        "proofward.light",
        "proofward.zkml",
    ),
    "proofward_explorer.verbs": ("proofward_explorer", "proofward"),
    # inside the enclave: what it imports is measured, tests/gateway/test_measured.py
    "proofward_gateway": (
        "proofward.amounts",
        "proofward.database",
        "proofward.errors",
        "proofward.files",
        "proofward.processes",
        "proofward.aci",
        "proofward.attestation",
        "proofward.check",
        "proofward.consensus",
        "proofward.protocol",
        "proofward_enclave",
    ),
    "proofward_gateway.proxy": ("proofward_gateway.channel", "proofward_gateway.measure", "proofward"),
    "proofward_gateway.anchoring": ("proofward_gateway.channel", "proofward_gateway.inclusion", "proofward"),
    # a process of its own under the gateway's
    "proofward_gateway.proved": ("proofward_gateway.process", "proofward_enclave.hardening", "proofward"),
    "proofward_gateway.verbs": ("proofward_gateway", "proofward"),
    # inside the aggregator's enclave as well, so as little as the gateway has
    "proofward_federation": (
        "proofward.errors",
        "proofward.files",
        "proofward.processes",
        "proofward.protocol",
        "proofward_enclave",
    ),
    # beside the enclave, not in it
    "proofward_federation.process": (
        "proofward_federation.errors",
        "proofward.processes",
        "proofward.protocol",
    ),
    "proofward_federation.policy": (
        "proofward_federation",
        "proofward.chain.keypair",
        "proofward.files",
        "proofward.protocol",
    ),
    "proofward_federation.folder": (
        "proofward_federation",
        "proofward.chain",
        "proofward.protocol",
        "proofward.tables",
    ),
    "proofward_federation.rehearsal": ("proofward_federation", "proofward.errors", "proofward.protocol"),
    "proofward_federation.network": ("proofward_federation", "proofward"),
    "proofward_federation.verbs": ("proofward_federation", "proofward"),
    # run in the federation's environment
    "proofward_demo.federated": (
        "proofward_demo",
        "proofward",
        "proofward_enclave.measure",
        "proofward_federation",
    ),
    "proofward_demo.rogues": ("proofward_demo", "proofward", "proofward_federation"),
    # its attacker signs quotes as the simulator does
    "proofward_demo": ("proofward", "proofward_enclave.providers", "proofward_enclave.measure"),
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


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name; a package stands for its `__init__`."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(name: str, path: Path) -> Iterator[str]:
    """Absolute names of everything a module imports, inside functions too."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def room_of(name: str) -> str:
    return max((room for room in ALLOWED if within(name, (room,))), key=len)


MODULES = modules()


def target(name: str) -> str | None:
    """The module of ours that an imported name lies in."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def found(rooms: tuple[str, ...], banned: set[str]) -> set[str]:
    return {
        f"{name} imports {one}"
        for name, path in MODULES.items()
        for one in imports(name, path)
        if within(name, rooms) and one.split(".")[0] in banned
    }


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    mine = {name: path for name, path in MODULES.items() if room_of(name) == room}
    assert mine, f"{room} is gone: change this test with the house"
    assert not {
        f"{name} imports {one}"
        for name, path in mine.items()
        for one in imports(name, path)
        if within(one, OURS) and not within(one, (room, *ALLOWED[room]))
    }


def test_no_import_runs_in_a_circle() -> None:
    """Between modules, so inside rooms too: a package that re-exports is not imported by its own modules."""
    graph = {
        name: {found for one in imports(name, path) if (found := target(one)) and found != name}
        for name, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


GROUND = frozenset(
    {"errors", "amounts", "check", "checkout", "processes", "files", "logs", "extras", "database", "terminal"}
)
LISTED = re.compile(r"\| `([^`]+)`[^|]*\| Python \|[^|]*\| ([^|]*) \|\n")


def test_the_page_has_every_room_with_what_it_imports() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    told = {place.replace("/", "."): below for place, below in LISTED.findall(page)}
    whole = {f"{folder}.{package}".removeprefix("..") for package, folder in PACKAGES.items()} - {"proofward"}
    ground = {f"proofward.{name}" for name in GROUND}
    inner = {room for room in ALLOWED if room.startswith("proofward.") and room.count(".") == 1}
    assert set(told) | ground == whole | inner
    for place in (inner | whole) - ground - {"demo.proofward_demo", "proofward.cli"}:
        room = place.partition(".")[2] if place in whole else place
        allowed = {one.partition(".")[2] for one in ALLOWED[room] if one.startswith("proofward.")}
        said = set(re.findall(r"[a-z]+", told[place].partition(";")[0])) - {"ground"}
        assert said == {name for name in allowed if "." not in name} - GROUND, place


def test_the_other_tool_knows_every_room() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in settings if one["type"] == "layers")
    named = {name.strip() for layer in layers for name in layer.split(":")}
    rooms = {room for room in ALLOWED if room.startswith("proofward.") and room.count(".") == 1}
    assert named == rooms | {package for package in PACKAGES if package != "proofward"}


def test_command_line_and_node_call_no_cryptographic_primitive() -> None:
    assert not found(("proofward_node", "proofward.cli"), PRIMITIVES)


def test_the_protocol_is_pure() -> None:
    assert not found(("proofward.protocol", "proofward.aci"), IMPURE)


def test_the_walls_are_seen(tmp_path: Path) -> None:
    """The test's own power: it sees each form of a forbidden import."""
    path = tmp_path / "a.py"
    path.write_text("def f():\n    import hashlib\n    from proofward import zkml\n    from ..x import y\n")
    assert list(imports("proofward_node.inner.a", path)) == [
        "hashlib",
        "proofward.zkml",
        "proofward_node.x.y",
    ]
    assert room_of("proofward_node.verbs") == "proofward_node.verbs"
    assert target("proofward.check.Check") == "proofward.check"
