"""A ceremony of three, what nobody may do to it, and what snarkjs makes of its files."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import proofward_prover as prover
import pytest

from tests.ceremony import shares, with_shares
from tests.prover.conftest import SALTS, program


@dataclass(frozen=True)
class World:
    circuit: prover.Circuit
    ptau: Path
    states: list[bytes]
    """Before any contribution, and after each of three."""


def contributed(folder: Path, state: bytes, name: str) -> bytes:
    (folder / "before").write_bytes(state)
    prover.Ceremony.read(folder / "before").contribute(name).write(folder / "after")
    return (folder / "after").read_bytes()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("ceremony")
    circuit = prover.Circuit(program(), 1)
    prover.make_ptau(folder / "phase1.ptau", circuit.domain.bit_length())
    prover.Ceremony.new(circuit, folder / "phase1.ptau").write(folder / "new")
    states = [(folder / "new").read_bytes()]
    for name in ("Ada", "Barbara", "Grace"):
        states.append(contributed(folder, states[-1], name))
    return World(circuit, folder / "phase1.ptau", states)


def refusal(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(prover.ProverError) as refused:
        call(*arguments)
    return refused.value.code


def opened(folder: Path, state: bytes) -> prover.Ceremony:
    (folder / "state").write_bytes(state)
    return prover.Ceremony.read(folder / "state")


def beacon_bytes(listed: tuple[str, bool, bytes]) -> int:
    """Of a beacon in a ceremony's file."""
    return 1 + len(listed[0]) + 1 + 64 + 32 + 1


def test_three_contributors_make_keys_that_work(world: World, tmp_path: Path) -> None:
    last = opened(tmp_path, world.states[-1])
    assert [name for name, _, _ in last.contributions] == ["Ada", "Barbara", "Grace"]
    last.check(world.circuit, world.ptau)
    closed = last.beacon("block 7", bytes(range(32)), 4)
    closed.check(world.circuit, world.ptau)
    verifying_key, digest = closed.finish(tmp_path / "pk.bin")
    key = prover.ProvingKey.load(tmp_path / "pk.bin", world.circuit, digest, verifying_key)
    made = prover.prove(key, world.circuit, [4, 9, 2], *SALTS)
    assert prover.verify(verifying_key, made.input_commitment, made.output_commitment, made.proof)
    listed = prover.check_transcript(closed.transcript, world.circuit, world.ptau, verifying_key)
    assert listed == closed.contributions
    named = (world.circuit.digest, hashlib.sha256(world.ptau.read_bytes()).digest(), listed)
    assert prover.read_transcript(closed.transcript, verifying_key) == named
    assert [beacon for _, beacon, _ in listed] == [False, False, False, True]


def test_a_ceremony_without_a_secret_makes_no_keys(world: World, tmp_path: Path) -> None:
    first = opened(tmp_path, world.states[0])
    first.check(world.circuit, world.ptau)
    assert refusal(first.finish, tmp_path / "pk.bin") == "bad-contribution"
    public = first.beacon("block 7", bytes(32), 2)
    assert refusal(public.finish, tmp_path / "pk.bin") == "bad-contribution"
    assert not (tmp_path / "pk.bin").exists()
    # A publisher's own program would write them all the same: everybody could forge proofs under them.
    for ceremony in (first, public):
        ceremony.write(tmp_path / "written")
        key = (tmp_path / "written").read_bytes()[76 + sum(map(beacon_bytes, ceremony.contributions)) + 16 :]
        call = (ceremony.transcript, world.circuit, world.ptau, key[:640])
        assert refusal(prover.check_transcript, *call) == "bad-contribution"
        assert refusal(prover.read_transcript, ceremony.transcript, key[:640]) == "bad-contribution"


def test_forged_dropped_and_reordered_contributions_are_refused(world: World, tmp_path: Path) -> None:
    last = world.states[-1]
    a, b, c = shares(last)[1]
    stranger = shares(contributed(tmp_path, world.states[0], "Mallory"))[1][0]
    renamed = c[:1] + b"Trace" + c[6:]
    faults = {
        "the first dropped": [b, c],
        "one in the middle dropped": [a, c],
        "the last dropped": [a, b],
        "two exchanged": [b, a, c],
        "one twice": [a, b, b, c],
        "another's in its place": [a, stranger, c],
        "another's at the end": [a, b, c, stranger],
        "a name changed": [a, b, renamed],
        "its delta changed": [a, b, c[:7] + a[5:69] + c[71:]],
        "its proof another's": [a, b, c[:71] + a[69:]],
        "nobody": [],
    }
    for fault, parts in faults.items():
        spoilt = opened(tmp_path, with_shares(last, parts))
        assert refusal(spoilt.check, world.circuit, world.ptau) == "bad-contribution", fault
        assert refusal(spoilt.contribute, "Eve") == "bad-contribution", fault
        finished = opened(tmp_path, last).finish(tmp_path / "pk.bin")[0]
        call = prover.check_transcript
        refused = refusal(call, spoilt.transcript, world.circuit, world.ptau, finished)
        assert refused in ("bad-contribution", "key-mismatch"), fault
        assert refusal(prover.read_transcript, spoilt.transcript, finished) == refused, fault


def test_beacons_that_take_hours_to_check_are_refused_at_once(world: World, tmp_path: Path) -> None:
    ceremony = opened(tmp_path, world.states[-1])
    assert refusal(ceremony.beacon, "slow", bytes(32), 25) == "over-limit"
    assert (
        refusal(ceremony.beacon("one", bytes(32), 1).beacon, "too much together", bytes(32), 24)
        == "over-limit"
    )
    quick = ceremony.beacon("quick", bytes(32), 1)
    quick.write(tmp_path / "beacon")
    written = (tmp_path / "beacon").read_bytes()
    at = written.index(b"\x05quick\x01") + 7 + 64 + 32
    assert written[at] == 1
    for iterations in (b"\x19", b"\x28", b"\xff"):
        slow = written[:at] + iterations + written[at + 1 :]
        assert refusal(opened, tmp_path, slow) == "malformed-ceremony"


def test_a_key_that_was_exchanged_is_refused(world: World, tmp_path: Path) -> None:
    """Points of the key in place of others, everywhere in it."""
    head, parts, rest = shares(world.states[-1])
    start = 16 + 640
    for at in range(start, len(rest) - 128, (len(rest) - start) // 24 // 64 * 64):
        other = rest[start + 128 : start + 192] if at < start + 128 else rest[start : start + 64]
        spoilt = head + (3).to_bytes(4, "little") + b"".join(parts) + rest[:at] + other + rest[at + 64 :]
        try:
            refused = refusal(opened(tmp_path, spoilt).check, world.circuit, world.ptau)
        except prover.ProverError as error:
            refused = error.code
        assert refused in ("malformed-key", "malformed-ceremony", "key-mismatch", "bad-contribution"), at


def test_another_phase_1_or_circuit_is_refused(world: World, tmp_path: Path) -> None:
    last = opened(tmp_path, world.states[-1])
    power = world.circuit.domain.bit_length()
    prover.make_ptau(tmp_path / "other.ptau", power)
    assert refusal(last.check, world.circuit, tmp_path / "other.ptau") == "key-mismatch"
    assert refusal(last.check, prover.Circuit(program(), 2), world.ptau) == "key-mismatch"
    prover.make_ptau(tmp_path / "small.ptau", power - 1)
    assert refusal(prover.Ceremony.new, world.circuit, tmp_path / "small.ptau") == "malformed-ptau"


def test_damaged_files_are_refused(world: World, tmp_path: Path) -> None:
    state, ptau = world.states[-1], world.ptau.read_bytes()
    for cut in (0, 3, 71, 100, 900, len(state) - 1):
        assert refusal(opened, tmp_path, state[:cut]) == "malformed-ceremony"
    assert refusal(opened, tmp_path, state + b"\0") == "malformed-ceremony"
    assert refusal(opened, tmp_path, state[:72] + b"\xff" * 4 + state[76:]) == "malformed-ceremony"
    for at, value in [(0, b"P"), (4, b"\2"), (8, b"\xff"), (16, b"\xff" * 8), (24, b"\1"), (60, b"\x40")]:
        (tmp_path / "bad.ptau").write_bytes(ptau[:at] + value + ptau[at + len(value) :])
        assert refusal(prover.Ceremony.new, world.circuit, tmp_path / "bad.ptau") == "malformed-ptau"
    exchanged = bytearray(ptau)
    at = 12 + 12 + 44 + 12
    exchanged[at + 64 : at + 128], exchanged[at + 128 : at + 192] = (
        ptau[at + 128 : at + 192],
        ptau[at + 64 : at + 128],
    )
    (tmp_path / "bad.ptau").write_bytes(bytes(exchanged))
    assert refusal(prover.Ceremony.new, world.circuit, tmp_path / "bad.ptau") == "malformed-ptau"


def test_snarkjs_reads_the_files_and_we_read_its(world: World, tmp_path: Path) -> None:
    (tmp_path / "circuit.r1cs").write_bytes(prover.r1cs(world.circuit))
    contributed = tmp_path / "contributed.ptau"
    request = {"ptau": world.ptau, "r1cs": tmp_path / "circuit.r1cs", "contributed": contributed}
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("ceremony.mjs"))],
        input=json.dumps({name: str(path) for name, path in request.items()}),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    said = json.loads(done.stdout)
    # The rows that repeat the public inputs are no constraints there.
    assert (said["constraints"], said["publics"]) == (world.circuit.constraints - 3, 2)
    ceremony = prover.Ceremony.new(world.circuit, contributed).contribute("Ada")
    ceremony.check(world.circuit, contributed)
    assert refusal(ceremony.check, world.circuit, world.ptau) == "key-mismatch"
