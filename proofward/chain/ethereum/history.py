"""Ethereum transactions in block history: where they are, what they did."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from proofward.chain.client import SubstrateClient
from proofward.chain.ethereum import revive
from proofward.chain.ethereum.index import EthIndex
from proofward.chain.runtime import Event
from proofward.protocol.hashes import keccak256

LOOK_BACK: Final = 256
"""Latest blocks searched for a transaction or a block that the index does not have."""
_KEPT: Final = 1_024


@dataclass(frozen=True, slots=True)
class EthTransaction:
    """An Ethereum transaction in a block. `status` is 1 when it succeeded; `gas` what it used, `price` in
    wei.
    """

    hash: bytes
    raw: bytes
    sender: bytes
    fields: dict[str, Any]
    index: int
    status: int
    gas: int
    price: int
    contract: bytes | None
    logs: tuple[Event, ...]
    first_log: int


@dataclass(frozen=True, slots=True)
class EthBlock:
    """A block and its Ethereum face. `hash` is the Ethereum one, `substrate` the chain's own."""

    number: int
    hash: bytes
    substrate: bytes
    header: dict[str, Any]
    transactions: tuple[EthTransaction, ...]


def decode_transaction(raw: bytes) -> tuple[bytes, dict[str, Any]]:
    """The sender (20 bytes) and the fields of a signed Ethereum transaction, by their JSON-RPC names.

    Raises ValueError when it is none.
    """
    try:
        sender = bytes.fromhex(Account.recover_transaction(raw)[2:])
        if raw[0] > 0x7F:
            price, gas = (1, 2)
            parts = rlp.decode(raw)
            fields: dict[str, Any] = {
                "type": 0,
                "nonce": int.from_bytes(parts[0], "big"),
                "gasPrice": int.from_bytes(parts[price], "big"),
                "gas": int.from_bytes(parts[gas], "big"),
                "to": parts[3] or None,
                "value": int.from_bytes(parts[4], "big"),
                "data": parts[5],
                "v": int.from_bytes(parts[6], "big"),
                "r": int.from_bytes(parts[7], "big"),
                "s": int.from_bytes(parts[8], "big"),
            }
        else:
            fields = dict(TypedTransaction.from_bytes(HexBytes(raw)).as_dict())
            fields["to"] = bytes(fields["to"]) or None
    except Exception as error:  # noqa: BLE001  the libraries raise whatever their parsers do
        raise ValueError(f"not a signed Ethereum transaction ({type(error).__name__})") from None
    fields["data"] = bytes(fields["data"])
    return sender, fields


class EthHistory:
    """Reads blocks as Ethereum sees them. Every block that was read stays in the index, the last thousand
    at hand. Safe to use from several threads.
    """

    def __init__(self, client: SubstrateClient, index: EthIndex) -> None:
        self._client = client
        self.index = index
        self._blocks: OrderedDict[int, EthBlock] = OrderedDict()
        self._lock = threading.Lock()

    def block(self, number: int) -> EthBlock:
        """A block by number. Raises ChainError when there is none."""
        with self._lock:
            if number in self._blocks:
                self._blocks.move_to_end(number)
                return self._blocks[number]
        block = self._read(number)
        self.index.add(
            number, block.hash, bloom(block.transactions), [one.hash for one in block.transactions]
        )
        with self._lock:
            self._blocks[number] = block
            while len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        return block

    def head(self) -> int:
        """The number of the last finalised block."""
        return self._client.finalised_head().number

    def hash_of(self, number: int) -> bytes:
        """A block's Ethereum hash, as the chain has it now."""
        return bytes(revive.eth_block(self._client, self._client.block_hash(number))["hash"])

    def follow(self, start: int, stop: threading.Event) -> Iterator[int]:
        """The numbers of finalised blocks from `start` on, until `stop` is set."""
        for head in self._client.follow(start, stop=stop):
            yield head.number

    def block_by_hash(self, name: bytes) -> EthBlock | None:
        """A block by its Ethereum hash: of the index, or of the latest blocks."""
        return self._search(lambda: self.index.block(name))

    def transaction(self, name: bytes) -> tuple[EthBlock, EthTransaction] | None:
        """A transaction by its hash: of the index, or of the latest blocks."""
        block = self._search(lambda: self.index.transaction(name))
        if block is None:
            return None
        return block, next(one for one in block.transactions if one.hash == name)

    def _search(self, known: Callable[[], int | None]) -> EthBlock | None:
        if (number := known()) is not None:
            return self.block(number)
        head = self._client.finalised_head().number
        for unread in reversed(self.index.missing(max(0, head - LOOK_BACK + 1), head)):
            self.block(unread)
            if (number := known()) is not None:
                return self.block(number)
        return None

    def _read(self, number: int) -> EthBlock:
        block = self._client.block(self._client.block_hash(number))
        header = revive.eth_block(self._client, block.hash)
        payloads = [
            (one.index, one.call.args["payload"])
            for one in block.extrinsics
            if one.call is not None and (one.call.pallet, one.call.name) == ("Revive", "eth_transact")
        ]
        events = self._client.events(block.hash) if payloads else []
        used = revive.used_gas(self._client, block.hash) if payloads else []
        transactions: list[EthTransaction] = []
        first_log = 0
        for index, (extrinsic, raw) in enumerate(payloads):
            own = [event for event in events if event.extrinsic == extrinsic]
            gas, price = used[index] if index < len(used) else (0, 0)
            one = _transaction(raw, index, own, gas, price, first_log)
            transactions.append(one)
            first_log += len(one.logs)
        return EthBlock(number, header["hash"], block.hash, header, tuple(transactions))


def _transaction(
    raw: bytes, index: int, events: list[Event], gas: int, price: int, first_log: int
) -> EthTransaction:
    sender, fields = decode_transaction(raw)
    names = {(event.pallet, event.name) for event in events}
    failed = ("Revive", "EthExtrinsicRevert") in names or ("System", "ExtrinsicFailed") in names
    contract = next(
        (
            event.fields["contract"]
            for event in events
            if (event.pallet, event.name) == ("Revive", "Instantiated") and event.fields["deployer"] == sender
        ),
        None,
    )
    logs = tuple(event for event in events if (event.pallet, event.name) == ("Revive", "ContractEmitted"))
    return EthTransaction(
        hash=keccak256(raw),
        raw=raw,
        sender=sender,
        fields=fields,
        index=index,
        status=0 if failed else 1,
        gas=gas,
        price=price,
        contract=contract if fields["to"] is None else None,
        logs=logs,
        first_log=first_log,
    )


def bits(value: bytes) -> int:
    """The bits of an address or a topic in a Bloom filter (Ethereum yellow paper, 4.3.1)."""
    digest = keccak256(value)
    return sum({1 << (int.from_bytes(digest[at : at + 2], "big") & 2047) for at in (0, 2, 4)})


def bloom(transactions: Iterable[EthTransaction]) -> int:
    """The Bloom filter over the addresses and topics of these transactions' logs, 2,048 bits."""
    found = 0
    for one in transactions:
        for event in one.logs:
            for value in (event.fields["contract"], *event.fields["topics"]):
                found |= bits(value)
    return found
