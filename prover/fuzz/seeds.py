"""Write the fuzzers' seeds: one small valid file for each decoder. `python prover/fuzz/seeds.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import proofward_prover as prover

from proofward.zkml.groth16.program import program as ir

CORPUS = Path(__file__).parent / "corpus"
STATE_HEAD = 4 + 4 + 32 + 32 + 4


def programs() -> dict[str, bytes]:
    """A record of one bit, and one with every kind of node."""
    builder = ir.Builder()
    builder.add(ir.Input(numbers(-8, 0), numbers(7, 3)))
    builder.add(ir.linear([(3, {0: 5, 1: -2})], "sum"))
    builder.add(ir.ReluShift(2, numbers(2), "relu"))
    builder.add(ir.Thermometer(1, 3, "steps"))
    builder.add(ir.Mux(numbers(4), numbers(3), numbers(2), "tree"))
    builder.add(ir.Shift(1, numbers(2), "shift"))
    every = builder.finish(numbers(3, 7, 8))
    builder = ir.Builder()
    bit = builder.finish(builder.add(ir.Input(numbers(0), numbers(1))))
    return {"every_node": every.encode(), "one_bit": bit.encode()}


def numbers(*values: int) -> ir.IntArray:
    """As an array."""
    return np.array(values, dtype=np.int64)


def points(state: bytes, contributions: int) -> tuple[bytes, bytes, dict[str, bytes]]:
    """What a ceremony's file has before its sizes, its verifying key, and one point of each kind."""
    at = STATE_HEAD
    for _ in range(contributions):
        name = state[at]
        at += 1 + name + 1 + 64 + (64 + 64 + 128 if state[at + 1 + name] == 0 else 32 + 1)
    sizes = [int.from_bytes(state[at + 4 * i : at + 4 * i + 4], "little") for i in range(4)]
    key = state[at + 16 : at + 16 + 640]
    rest = state[at + 16 + 640 :]
    a, b, last, m = sizes
    lists, start = {}, 0
    for label, count, size in (
        ("own", 2, 64), ("a", a, 64), ("b", b, 64), ("l", last, 64), ("h", m, 64), ("b2", b, 128),
        ("powers", m - 1, 64), ("taus", 2, 128),
    ):  # fmt: skip
        lists[label] = rest[start : start + (count if label in ("own", "taus") else 1) * size]
        start += count * size
    return state[:at], key, lists


def main() -> None:
    """Seeds of all decoders."""
    seeds: dict[str, dict[str, bytes]] = {"program": programs()}
    circuit = prover.Circuit(seeds["program"]["one_bit"], 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        prover.make_ptau(path / "small", 1)
        seeds["phase1"] = {"two_powers": (path / "small").read_bytes()}
        prover.make_ptau(path / "ptau", circuit.domain.bit_length())
        ceremony = prover.Ceremony.new(circuit, path / "ptau").contribute("Ada").beacon("b", bytes(32), 1)
        ceremony.write(path / "state")
        head, verifying_key, lists = points((path / "state").read_bytes(), 2)
        small = head + b"\x01\0\0\0" * 3 + b"\x02\0\0\0" + verifying_key
        lists["h"] *= 2
        seeds["ceremony"] = {"one_point_each": small + b"".join(lists.values())}
        seeds["transcript"] = {"share_and_beacon": ceremony.transcript}
        seeds["verifying_key"] = {"of_one_bit": verifying_key}
        key, digest = ceremony.finish(path / "pk.bin")
        ready = prover.ProvingKey.load(path / "pk.bin", circuit, digest, key)
        seeds["proof"] = {"of_one_bit": prover.prove(ready, circuit, [1], bytes(32), bytes(32)).proof}
    # A proof, but said in another context than the fuzzer's.
    length = prover.vector_norm_prove([3], bytes(32), 10, [1, 0, 0, 0], b"seed")
    seeds["norm"] = {"of_another_context": prover.vector_commit([3], bytes(32)) + length}
    # A byte, a point, a cut, more bytes.
    changes = [[0, 1, 0, 0, 50, 0, 0], [1, 30, 0, 0, 40, 0, 0], [2, 0, 0, 0, 9, 9, 0], [3] + [1] * 6]
    seeds["key"] = {f"change_{kind}": bytes(change) for kind, change in enumerate(changes)}
    for target, files in seeds.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (CORPUS / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
