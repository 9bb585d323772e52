"""Contracts on the chain: `ReviveApi`, the runtime API of pallet-revive 0.20, and its types.

Metadata version 14 does not describe runtime APIs, so their types are laid out here by hand, after
pallet-revive-types 0.2 (runtime_api/types).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError
from proofward.chain.metadata import Reader
from proofward.protocol.scale import compact

_API = "ReviveApi"
_NO_BALANCE_CHECK = bytes([0, 1, 0, 0])
"""SCALE of DryRunConfigV1 {timestamp_override: None, perform_balance_checks: Some(false), state_overrides:
None}.
"""


class ContractReverted(ChainError):
    """A contract reverted. `data` is what it gave for a reason, ABI-encoded."""

    code = "reverted"

    def __init__(self, data: bytes) -> None:
        super().__init__(f"the contract reverted (0x{data.hex()})")
        self.data = data


class ContractFailed(ChainError):
    """A call that could not be run: out of gas, no funds, a trap."""

    code = "contract-failed"


@dataclass(frozen=True, slots=True)
class Transaction:
    """An Ethereum call to try out. No `to`: a deployment. Amounts are in wei, 18 decimals."""

    data: bytes = b""
    to: bytes | None = None
    sender: bytes | None = None
    value: int = 0
    gas: int | None = None

    def encode(self) -> bytes:
        """SCALE of GenericTransactionV1."""
        none = b"\x00"
        return b"".join(
            (
                none,  # access_list
                none,  # authorization_list, an empty Vec
                none,  # blob_versioned_hashes, an empty Vec
                none,  # blobs, an empty Vec
                none,  # chain_id
                _option(self.sender),
                _option_u256(self.gas),
                none,  # gas_price
                _option(compact(len(self.data)) + self.data),
                none,  # data, the other name of the input
                none,  # max_fee_per_blob_gas
                none,  # max_fee_per_gas
                none,  # max_priority_fee_per_gas
                none,  # nonce
                _option(self.to),
                none,  # type
                _option_u256(self.value),
            )
        )


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a call would give, and the gas it would take."""

    data: bytes
    gas: int


def _option(value: bytes | None) -> bytes:
    return b"\x00" if value is None else b"\x01" + value


def _option_u256(value: int | None) -> bytes:
    return _option(None if value is None else value.to_bytes(32, "little"))


def _u256(reader: Reader) -> int:
    return int.from_bytes(reader.take(32), "little")


def _bytes(reader: Reader) -> bytes:
    return reader.take(reader.count())


def _hash(reader: Reader) -> bytes:
    return reader.take(32)


def _raise_error(reader: Reader) -> None:
    """EthTransactError."""
    if reader.u8() == 0:
        raise ContractReverted(_bytes(reader))
    raise ContractFailed(reader.text())


def dry_run(client: SubstrateClient, transaction: Transaction, at: bytes | None = None) -> DryRun:
    """Run a call on the state behind a block, changing nothing. Raises ContractReverted, ContractFailed."""
    params = transaction.encode() + _NO_BALANCE_CHECK
    reader = Reader(client.runtime_call(_API, "eth_transact_with_config", params, at=at))
    if reader.u8() != 0:
        _raise_error(reader)
    reader.compact(), reader.compact()  # weight_required
    reader.take(32)  # storage_deposit, max_storage_deposit
    gas = _u256(reader)
    return DryRun(_bytes(reader), gas)


def search_gas(client: SubstrateClient, transaction: Transaction, at: bytes | None = None) -> int:
    """The least gas with which a call succeeds, by the runtime's own binary search: a dozen dry runs."""
    params = transaction.encode() + _NO_BALANCE_CHECK
    reader = Reader(client.runtime_call(_API, "eth_estimate_gas", params, at=at))
    if reader.u8() != 0:
        _raise_error(reader)
    return _u256(reader)


def estimate_gas(client: SubstrateClient, transaction: Transaction, at: bytes | None = None) -> int:
    """Enough gas for a call; what is not used is paid back. Raises ContractReverted, ContractFailed."""
    needed = dry_run(client, transaction, at).gas
    enough = needed + needed // 4
    try:
        dry_run(client, _with_gas(transaction, enough), at)
    except ChainError:
        return search_gas(client, transaction, at)
    return enough


def _with_gas(transaction: Transaction, gas: int) -> Transaction:
    return Transaction(transaction.data, transaction.to, transaction.sender, transaction.value, gas)


def contract_code(client: SubstrateClient, address: bytes, at: bytes | None = None) -> bytes:
    """The runtime code at an address (20 bytes); empty when there is none."""
    return _bytes(Reader(client.runtime_call(_API, "code", address, at=at)))


def balance(client: SubstrateClient, address: bytes, at: bytes | None = None) -> int:
    """What an address can spend, in wei."""
    return _u256(Reader(client.runtime_call(_API, "balance", address, at=at)))


def chain_id(client: SubstrateClient) -> int:
    """What wallets know this chain by (EIP-155): one number for every development chain and one for every
    local one, whose keys are published; for every other chain a number of its genesis.

    Asked of the state: the constant in the metadata is right only after block 0.
    """
    kind = client.query("Consortium", "SettingsOf")["kind"]
    published = {"Development": 1, "Local": 2}
    if kind in published:
        return 0x5057 << 16 | published[kind]
    return 0x5057 << 32 | int.from_bytes(client.genesis[:4], "big")


def nonce(client: SubstrateClient, address: bytes, at: bytes | None = None) -> int:
    """The next nonce of an Ethereum address (20 bytes)."""
    return Reader(client.runtime_call(_API, "nonce", address, at=at)).u32()


def gas_price(client: SubstrateClient, at: bytes | None = None) -> int:
    """Wei per gas."""
    return _u256(Reader(client.runtime_call(_API, "gas_price", at=at)))


def storage_at(client: SubstrateClient, address: bytes, slot: int, at: bytes | None = None) -> bytes:
    """A contract's storage slot, 32 bytes; zeros when it is empty or nobody is there."""
    reader = Reader(client.runtime_call(_API, "get_storage", address + slot.to_bytes(32, "big"), at=at))
    if reader.u8() != 0 or reader.u8() == 0:
        return bytes(32)
    return _bytes(reader).rjust(32, b"\x00")


def used_gas(client: SubstrateClient, at: bytes) -> list[tuple[int, int]]:
    """Gas used and price paid by each Ethereum transaction of a block, in order."""
    reader = Reader(client.runtime_call(_API, "eth_receipt_data", at=at))
    return reader.many(lambda: (_u256(reader), _u256(reader)))


def eth_block(client: SubstrateClient, at: bytes) -> dict[str, Any]:
    """The Ethereum view of a block (BlockV1): integers as int, everything else as bytes or lists of bytes."""
    reader = Reader(client.runtime_call(_API, "eth_block", at=at))
    return {name: read(reader) for name, read in _BLOCK}


def _transactions(reader: Reader) -> list[bytes]:
    if reader.u8() != 0:
        raise ContractFailed("the chain gave whole transactions in a block, where their hashes are due")
    return reader.many(lambda: _hash(reader))


_BLOCK = (
    ("baseFeePerGas", _u256),
    ("blobGasUsed", _u256),
    ("difficulty", _u256),
    ("excessBlobGas", _u256),
    ("extraData", _bytes),
    ("gasLimit", _u256),
    ("gasUsed", _u256),
    ("hash", _hash),
    ("logsBloom", lambda reader: reader.take(256)),
    ("miner", lambda reader: reader.take(20)),
    ("mixHash", _hash),
    ("nonce", lambda reader: reader.take(8)),
    ("number", _u256),
    ("parentBeaconBlockRoot", lambda reader: reader.maybe(lambda: _hash(reader))),
    ("parentHash", _hash),
    ("receiptsRoot", _hash),
    ("requestsHash", lambda reader: reader.maybe(lambda: _hash(reader))),
    ("sha3Uncles", _hash),
    ("size", _u256),
    ("stateRoot", _hash),
    ("timestamp", _u256),
    ("totalDifficulty", lambda reader: reader.maybe(lambda: _u256(reader))),
    ("transactions", _transactions),
    ("transactionsRoot", _hash),
    ("uncles", lambda reader: reader.many(lambda: _hash(reader))),
    ("withdrawals", lambda reader: reader.many(lambda: reader.take(116))),
    ("withdrawalsRoot", _hash),
)
