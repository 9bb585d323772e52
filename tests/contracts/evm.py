"""A local EVM (pyrevm) with one contract and typed calls to its verify()."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import eth_abi
import pyrevm
from eth_utils import function_signature_to_4byte_selector

from proofward.zkml.contracts import (
    verifier_code,
    verify_calldata,
    verify_many_calldata,
    well_formed_calldata,
)

CALLER = "0x" + "11" * 20
SELECTOR = function_signature_to_4byte_selector("verify(bytes32,bytes32,bytes)")
GAS = 10_000_000


@dataclass(frozen=True)
class Answer:
    """reverted, or the bytes that came back; gas used by execution and calldata."""

    reverted: bool
    data: bytes
    gas: int

    @property
    def accepted(self) -> bool:
        return not self.reverted and self.data == (1).to_bytes(32, "big")

    @property
    def refused(self) -> bool:
        """A clean false: no revert."""
        return not self.reverted and self.data == bytes(32)


class Deployed:
    """One contract on a fresh chain."""

    def __init__(self, bytecode: bytes) -> None:
        self.evm = pyrevm.EVM(gas_limit=2**40)
        self.evm.set_balance(CALLER, 10**24)
        self.address = self.evm.deploy(CALLER, bytecode, gas=30_000_000)

    @property
    def code(self) -> bytes:
        """The runtime code, without the 33 zero bytes that revm pads it with."""
        found = self.evm.basic(self.address).code
        assert found is not None
        return found.removesuffix(bytes(33))

    def call(self, calldata: bytes, gas: int = GAS) -> Answer:
        snapshot = self.evm.snapshot()
        try:
            data = self.evm.message_call(CALLER, self.address, calldata=calldata, gas=gas)
            assert self.evm.result is not None
            return Answer(False, bytes(data), self.evm.result.gas_used)
        except RuntimeError:
            return Answer(True, b"", self.evm.result.gas_used if self.evm.result else 0)
        finally:
            self.evm.revert(snapshot)

    def verify(
        self, input_commitment: bytes, output_commitment: bytes, proof: bytes, gas: int = GAS
    ) -> Answer:
        arguments = eth_abi.encode(
            ["bytes32", "bytes32", "bytes"], [input_commitment, output_commitment, proof]
        )
        return self.call(SELECTOR + arguments, gas)


class LaneVerifier(Deployed):
    """A lane's verifier: the key is an argument."""

    def __init__(self, bytecode: bytes | None = None) -> None:
        super().__init__(bytecode or verifier_code("groth16").init_code)

    def well_formed(self, key: bytes) -> Answer:
        return self.call(well_formed_calldata(key))

    def verify_under(self, key: bytes, case: tuple[bytes, bytes, bytes], gas: int = GAS) -> Answer:
        return self.call(verify_calldata(key, *case), gas)

    def verify_many(self, key: bytes, cases: Sequence[tuple[bytes, bytes, bytes]], gas: int = GAS) -> Answer:
        inputs, outputs, proofs = zip(*cases, strict=True)
        return self.call(verify_many_calldata(key, inputs, outputs, proofs), gas)
