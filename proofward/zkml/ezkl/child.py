"""The process in which ezkl runs: `python -m proofward.zkml.ezkl.child`, one JSON request and reply per line.

ezkl can crash its interpreter, prints as it likes and reads its inputs from files. Here a crash ends one
attempt, prints go to stderr, and inputs, witnesses and proofs live in anonymous memory (memfd), never on a
disk.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# BN254's scalar field: the order of G1 (EIP-197).
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617

PR_SET_PDEATHSIG = 1


def _felt(value: int) -> str:
    return (value % R).to_bytes(32, "little").hex()


def _integer(felt: str) -> int:
    value = int.from_bytes(bytes.fromhex(felt), "little")
    return value - R if value > R // 2 else value


@contextmanager
def _memory(name: str, content: bytes = b"") -> Iterator[str]:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content) if content else None
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _inputs(tensors: list[list[int]]) -> bytes:
    return json.dumps({"input_data": [[_felt(value) for value in tensor] for tensor in tensors]}).encode()


def settings(ezkl: Any, model: str, output: str, run_args: dict[str, Any]) -> dict[str, Any]:
    """gen_settings; returns the settings."""
    arguments = ezkl.PyRunArgs()
    for name, value in run_args.items():
        setattr(arguments, name, tuple(value) if isinstance(value, list) else value)
    ezkl.gen_settings(model, output, py_run_args=arguments)
    return _normal(output)


def calibrate(ezkl: Any, model: str, output: str, records: list[list[list[float]]]) -> dict[str, Any]:
    """calibrate_settings("resources") over records, each a list of input tensors."""
    tensors = [[value for record in records for value in record[i]] for i in range(len(records[0]))]
    with _memory("calibration", json.dumps({"input_data": tensors}).encode()) as data:
        ezkl.calibrate_settings(data, model, output, "resources")
    return _normal(output)


def _normal(path: str) -> dict[str, Any]:
    """Settings without the time stamp, and with its sets in order, so that equal circuits give equal
    files.
    """
    found: dict[str, Any] = json.loads(Path(path).read_text())
    found["timestamp"] = 0
    for name in ("required_lookups", "required_range_checks"):
        found[name] = sorted(found[name], key=json.dumps)
    Path(path).write_text(json.dumps(found, sort_keys=True, separators=(",", ":")))
    return found


def compile(ezkl: Any, model: str, compiled: str, settings: str) -> None:
    """Build the circuit."""
    ezkl.compile_circuit(model, compiled, settings)


def srs(ezkl: Any, path: str, logrows: int) -> None:
    """Write a test SRS of 2^logrows powers, whose secret anyone knows."""
    ezkl.gen_srs(path, logrows)


def setup(ezkl: Any, compiled: str, vk: str, pk: str, srs: str) -> float:
    """Write both keys; seconds."""
    started = time.perf_counter()
    ezkl.setup(compiled, vk, pk, srs)
    return time.perf_counter() - started


def infer(ezkl: Any, compiled: str, records: list[list[list[int]]]) -> list[list[int]]:
    """The circuit's own outputs for each record, as integers."""
    outputs = []
    for record in records:
        with _memory("input", _inputs(record)) as data, _memory("witness") as witness:
            found = ezkl.gen_witness(data, compiled, witness, None, None)
        outputs.append([_integer(felt) for felt in found["outputs"][0]])
    return outputs


def prove(
    ezkl: Any, compiled: str, settings: str, vk: str, pk: str, srs: str, tensors: list[list[int]]
) -> dict[str, Any]:
    """Witness, proof, and verification of that proof."""
    with _memory("input", _inputs(tensors)) as data, _memory("witness") as witness, _memory("proof") as proof:
        t0, cpu = time.perf_counter(), time.process_time()
        found = ezkl.gen_witness(data, compiled, witness, vk, srs)
        t1 = time.perf_counter()
        ezkl.prove(witness, compiled, pk, proof, srs)
        t2, cpu = time.perf_counter(), time.process_time() - cpu
        valid = bool(ezkl.verify(proof, settings, vk, srs, False))
        t3 = time.perf_counter()
        body = json.loads(Path(proof).read_bytes())["hex_proof"].removeprefix("0x")
    return {
        "valid": valid,
        "proof": body,
        "outputs": [_integer(felt) for felt in found["outputs"][0]],
        "cpu": cpu,
        "seconds": {"infer": t1 - t0, "prove": t2 - t1, "verify_local": t3 - t2},
    }


def verify(ezkl: Any, settings: str, vk: str, srs: str, proof: str) -> bool:
    """Whether the proof (hex) is valid; malformed bytes are an invalid proof."""
    document: dict[str, Any] = {
        "protocol": None,
        "instances": [[]],
        "proof": list(bytes.fromhex(proof)),
        "hex_proof": "0x" + proof,
        "split": None,
        "pretty_public_inputs": None,
        "timestamp": None,
        "version": None,
    }
    with _memory("proof", json.dumps(document).encode()) as path:
        try:
            return bool(ezkl.verify(path, settings, vk, srs, False))
        except RuntimeError:
            return False


def commit(ezkl: Any, settings: str, vk: str, srs: str, messages: list[list[int]]) -> list[list[str]]:
    """KZG commitments (x, y in big-endian hex) to each message, as the circuit makes them."""
    points = []
    for message in messages:
        found = ezkl.kzg_commit([_felt(value) for value in message], vk, settings, srs)
        if len(found) != 1:
            raise ValueError("the message does not fit one column")
        points.append([bytes.fromhex(axis)[::-1].hex() for axis in (found[0].x, found[0].y)])
    return points


def solidity(ezkl: Any, settings: str, vk: str, srs: str, output: str) -> str:
    """The generated verifier. ezkl writes the source, then fails for want of a compiler, which is not wanted
    here.
    """

    async def generate() -> None:
        await ezkl.create_evm_verifier(vk, settings, output, output + ".abi", srs, False)

    try:
        asyncio.run(generate())
    except RuntimeError:
        if not Path(output).is_file():
            raise
    return Path(output).read_text()


OPERATIONS: dict[str, Callable[..., Any]] = {
    operation.__name__: operation
    for operation in (settings, calibrate, compile, srs, setup, infer, prove, verify, commit, solidity)
}

SECRET = {"infer", "prove", "commit"}


def main() -> None:
    """Serve one request a line until standard input ends, under the limit of memory (bytes)."""
    memory_limit, parent = int(sys.argv[1]), int(sys.argv[2])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    import ezkl

    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"result": OPERATIONS[request["op"]](ezkl, **request["args"])}
        except Exception as error:  # noqa: BLE001 - whatever ezkl raises is the parent's to report
            # ezkl's messages quote values of the witness, and an error ends up in somebody's log.
            told = type(error).__name__ if request["op"] in SECRET else f"{type(error).__name__}: {error}"
            reply = {"error": told[:2000]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
