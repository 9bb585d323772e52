"""Proving keys that somebody else made, or changes while they are in use."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import proofward_prover as prover
import pytest

from tests.prover.bn254 import Q, off_subgroup
from tests.prover.conftest import SALTS, World, program

HEADER = 4 + 4 + 32 + 640
OLD_FORMAT = b"PWPK" + (1).to_bytes(4, "little")


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, bytes]:
    """A key's file, and its SHA-256."""
    path = tmp_path / "key.pk"
    return path, prover.setup(prover.Circuit(program(), 1), path)[1]


def refusal(call: Callable[..., object], *arguments: object) -> prover.ProverError:
    with pytest.raises(prover.ProverError) as refused:
        call(*arguments)
    return refused.value


def test_a_changed_key_is_not_the_pinned_one(key: tuple[Path, bytes], single: World) -> None:
    path, digest = key
    good = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    for at in range(8, len(good), len(good) // 40):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert refusal(prover.ProvingKey.load, path, single.circuit, digest).code == "key-mismatch"


def test_a_key_of_another_size_is_refused_before_it_is_read(key: tuple[Path, bytes], single: World) -> None:
    path, _ = key
    good = path.read_bytes()
    for data in (b"", good[:100], good[:-64], good + b"\0"):
        path.write_bytes(data)
        assert refusal(prover.ProvingKey.load, path, single.circuit).code == "malformed-key"
    with path.open("wb") as file:
        file.write(good[:HEADER])
        file.truncate(1 << 40)
    assert refusal(prover.ProvingKey.load, path, single.circuit).code == "malformed-key"
    assert refusal(prover.ProvingKey.load, path.parent, single.circuit).code == "io"


def test_an_old_key_names_the_remedy(key: tuple[Path, bytes], single: World) -> None:
    path, _ = key
    path.write_bytes(OLD_FORMAT + path.read_bytes()[8:])
    refused = refusal(prover.ProvingKey.load, path, single.circuit)
    assert refused.code == "malformed-key"
    assert "compile the model again" in str(refused)


def test_b_toctou_a_loaded_key_is_out_of_its_folders_reach(key: tuple[Path, bytes], single: World) -> None:
    path, digest = key
    loaded = prover.ProvingKey.load(path, single.circuit, digest)
    with path.open("r+b") as file:
        file.seek(HEADER)
        file.write(bytes(path.stat().st_size - HEADER))
    made = prover.prove(loaded, single.circuit, single.values, *SALTS)
    assert prover.verify(loaded.verifying_key, made.input_commitment, made.output_commitment, made.proof)


def test_b_publisher_a_key_with_one_point_exchanged_is_refused(
    key: tuple[Path, bytes], single: World
) -> None:
    """One valid point in place of another: such a key's proofs fail for chosen inputs only."""
    path, _ = key
    good = path.read_bytes()
    for at in [HEADER, HEADER + 64, *random.Random(7).sample(range(HEADER + 128, len(good) - 64, 64), 16)]:
        other = HEADER if at != HEADER else HEADER + 64
        path.write_bytes(good[:at] + good[other : other + 64] + good[at + 64 :])
        for load in (prover.ProvingKey.load, prover.check_key):
            assert refusal(load, path, single.circuit).code == "malformed-key"


def test_a_point_off_the_subgroup_is_refused(key: tuple[Path, bytes], single: World) -> None:
    path, _ = key
    good = path.read_bytes()
    twisted = off_subgroup()
    x1, x0, y1, y0 = (int.from_bytes(twisted[i : i + 32], "big") for i in range(0, 128, 32))
    point = b"".join((n * (1 << 256) % Q).to_bytes(32, "little") for n in (x0, x1, y0, y1))
    powers = len(good) - 256 - 64 * (single.circuit.domain - 1)
    path.write_bytes(good[: powers - 128] + point + good[powers:])
    refused = refusal(prover.ProvingKey.load, path, single.circuit)
    assert refused.code == "malformed-key"
    assert "subgroup" in str(refused)
    path.write_bytes(good[:-128] + point)
    assert refusal(prover.ProvingKey.load, path, single.circuit).code == "malformed-key"


def test_a_key_of_another_verifying_key_is_refused(key: tuple[Path, bytes], single: World) -> None:
    path, digest = key
    verifying_key, hashed = prover.check_key(path, single.circuit)
    assert hashed == digest
    prover.ProvingKey.load(path, single.circuit, digest, verifying_key)
    refused = refusal(prover.ProvingKey.load, path, single.circuit, digest, single.verifying_key)
    assert refused.code == "key-mismatch"


def u32(n: int) -> bytes:
    return n.to_bytes(4, "little")


def i64(n: int) -> bytes:
    return n.to_bytes(8, "little", signed=True)


def node(tag: int, payload: bytes) -> bytes:
    return bytes([tag, 0]) + payload


def inputs(high: int) -> bytes:
    return node(0, u32(8192) + (i64(0) + i64(high)) * 8192)


def test_a_program_that_would_take_a_gigabyte_is_refused_at_once() -> None:
    dense = i64(0) + u32(8192) + b"".join(u32(wire) + i64(1) for wire in range(8192))
    sums = node(1, u32(256) + dense * 256)
    relus = node(3, b"\0" + u32(256) + b"".join(u32(8192 + wire) for wire in range(256)))
    output = node(6, u32(8192) + b"".join(u32(wire) for wire in range(8192)))
    signed = node(0, u32(8192) + (i64(-1) + i64(0)) * 8192)
    one, hashes = node(0, u32(1) + i64(0) + i64(2**59)), node(6, u32(8192) + u32(0) * 8192)
    for nodes, batch in [
        ([inputs(2**59), output], 32),
        ([inputs(2**59), output], 1),
        ([signed, sums, relus, output], 32),
        ([one, hashes], 32),
    ]:
        data = b"PWIR\1\0" + u32(len(nodes)) + b"".join(nodes)
        assert refusal(prover.Circuit, data, batch).code == "over-limit"
