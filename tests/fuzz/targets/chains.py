"""What nodes, authorities and the givers of specs say of a chain."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from proofward.chain.answers import read
from proofward.chain.pallets.drand import read_pulse
from proofward.consensus import BadProof, StorageProof, check_justification, decode_header, final_state
from proofward.consensus.authorities import Authorities, genesis_authorities
from proofward.consensus.checkpoint import Checkpoint, spec_checkpoint
from proofward.consensus.keys import value_key
from proofward.consensus.registered import WORKER
from proofward.errors import ProofwardError, Refused
from proofward.evidence.inclusion import JOB, MODEL
from proofward.light.errors import LightError
from proofward.light.spec import load, read_spec, with_checkpoint
from proofward.network import state
from proofward.network.errors import NetworkError
from proofward.network.spec import read_members
from proofward.protocol import ProtocolError, blake2_256
from tests.fuzz.edits import document
from tests.fuzz.targets.scratch import file_of, scratch

GRANDPA: dict[str, Any] = json.loads((Path(__file__).parents[2] / "samples" / "grandpa.json").read_text())
HEADER = decode_header(bytes.fromhex(GRANDPA["header"]))
VOTERS = tuple((bytes.fromhex(key), weight) for key, weight in GRANDPA["voters"])
POINT = Checkpoint(1, HEADER.hash, Authorities(VOTERS, 3))
ADDRESS = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
LISTED = (
    bytes([4 * len(VOTERS)]) + b"".join(key + weight.to_bytes(8, "little") for key, weight in VOTERS)
).hex()

NOW = value_key("Timestamp", "Now")
PROOF = {name: GRANDPA[name] for name in ("header", "justification", "nodes")} | {"changes": []}
PULSE = {"round": 7, "signature": "ab" * 48}
SPEC = with_checkpoint(
    {
        "name": "a chain",
        "id": "a-chain",
        "chainType": "Live",
        "bootNodes": ["/ip4/127.0.0.1/tcp/30333/ws/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"],
        "properties": {"tokenDecimals": 12},
        "genesis": {
            "raw": {
                "top": {
                    f"0x{value_key('Grandpa', 'Authorities').hex()}": f"0x{LISTED}",
                    "0x3a636f6465": "0x00",
                }
            }
        },
    },
    POINT,
)
MEMBERS = {
    "name": "Four",
    "id": "four",
    "members": [
        {
            "legal_name": f"Hospital {number}",
            **dict.fromkeys(("account", "aura", "grandpa"), ADDRESS[:-1] + letter),
            "endpoint": "https://a.example",
            "boot_node": SPEC["bootNodes"][0],
            "balance": 10**15,
        }
        for number, letter in enumerate("YZab")
    ],
    "balances": [[ADDRESS, 10**15]],
    "settings": {"slot_milliseconds": 2000},
}
NODE = {
    "name": "alice", "validator": True, "host": "127.0.0.1", "p2p": 1, "ws": 2, "rpc": 3, "prometheus": 4,
    "peer": "12D3", "pid": 7, "began": 9,
}  # fmt: skip
NETWORK = {
    "format": state.FORMAT, "binary": "/bin/node", "subnet": None, "parted": [["alice"]], "nodes": [NODE],
}  # fmt: skip
ANSWERED = {
    "parentHash": f"0x{'ab' * 32}",
    "number": "0x1",
    "stateRoot": f"0x{'ab' * 32}",
    "extrinsicsRoot": f"0x{'ab' * 32}",
    "digest": {"logs": ["0x0661757261"]},
}
ANSWERS: dict[str, Any] = {
    "chain_getHeader": ANSWERED,
    "chain_getBlock": {"block": {"header": ANSWERED, "extrinsics": ["0x00"]}},
    "state_getReadProof": {"proof": ["0x00"]},
    "state_queryStorageAt": [{"changes": [["0x00", None]]}],
    "state_getRuntimeVersion": {"specVersion": 1, "transactionVersion": 1},
    "rpc_methods": {"methods": []},
    "system_accountNextIndex": 7,
    "state_getStorage": "0x00",
}


def chain(data: bytes) -> None:
    """By the first byte: blocks and proofs in their bytes, proofs and pulses in JSON, specs, answers."""
    kind, data = data[:1], data[1:]
    match kind:
        case b"h" | b"j" | b"n" | b"w":
            _blocks(kind, data)
        case b"f":
            with contextlib.suppress(BadProof):
                header, proof = final_state(_parsed(data, PROOF), Authorities(VOTERS))
                assert header == HEADER
                proof.value(NOW)
        case b"p":
            with contextlib.suppress(Refused):
                read = read_pulse(document(data, PULSE))
                assert len(read.randomness) == 32
        case b"a":
            _answers(data)
        case b"m":
            with contextlib.suppress(NetworkError):
                assert read_members(file_of(document(data, MEMBERS), "members.json")).members
        case b"t":
            with contextlib.suppress(NetworkError):
                file_of(document(data, NETWORK), "network.json")
                read_network = state.load(scratch())
                assert all(node.url and node.addresses for node in read_network.nodes)
        case _:
            _spec(document(data, SPEC))


def _blocks(kind: bytes, data: bytes) -> None:
    with contextlib.suppress(BadProof):
        match kind:
            case b"h":
                assert decode_header(data).hash == blake2_256(data)
            case b"j":
                check_justification(data, HEADER, VOTERS, 0)
            case b"n":
                nodes = data.split(b"node")
                StorageProof(blake2_256(nodes[0]), nodes).value(NOW)
            case _:
                for record in (WORKER, JOB, MODEL):
                    with contextlib.suppress(ProtocolError):
                        assert record.encode(record.decode(data)) == data


def _answers(data: bytes) -> None:
    methods = sorted(ANSWERS)
    method = methods[data[0] % len(methods)] if data else methods[0]
    answer = _parsed(data[1:], {"result": ANSWERS[method]}).get("result")
    for name in ANSWERS:
        with contextlib.suppress(ValueError):
            read(name, [], answer)


def _parsed(data: bytes, value: dict[str, Any]) -> dict[str, Any]:
    """A changed object as `json` reads it; what it does not read is refused before."""
    try:
        found = json.loads(document(data, value))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _spec(data: bytes) -> None:
    path = file_of(data, "spec.json")
    with contextlib.suppress(BadProof):
        found = genesis_authorities(path)
        assert found is None or found.voters
    with contextlib.suppress(BadProof):
        point = spec_checkpoint(path)
        assert point is None or Checkpoint(**vars_of(point)) == point
    with contextlib.suppress(LightError):
        assert json.loads(read_spec(path).text)["bootNodes"]
    with contextlib.suppress(ProofwardError):
        assert json.dumps(with_checkpoint(load(path), POINT))


def vars_of(point: Checkpoint) -> dict[str, Any]:
    """A checkpoint's fields."""
    return {name: getattr(point, name) for name in Checkpoint.__slots__}
