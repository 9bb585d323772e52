"""Blocks, transactions, receipts and logs in the shapes of Ethereum's JSON-RPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proofward.chain.ethereum import params
from proofward.chain.ethereum.history import EthBlock, EthTransaction, bits, bloom
from proofward.chain.ethereum.params import BadParameter
from proofward.chain.runtime import Event


def text(value: bytes) -> str:
    """0x-hexadecimal."""
    return "0x" + value.hex()


def maybe(value: bytes | None) -> str | None:
    """0x-hexadecimal, or null."""
    return None if value is None else text(value)


def block(one: EthBlock, full: bool) -> dict[str, Any]:
    """A block, with whole transactions or their hashes."""
    fields = header(one)
    fields["uncles"], fields["withdrawals"] = [], []
    fields["transactions"] = [
        transaction(one, each) if full else text(each.hash) for each in one.transactions
    ]
    return fields


def header(one: EthBlock) -> dict[str, Any]:
    """A block without its transactions: what `newHeads` gives."""
    fields = {
        name: hex(value) if isinstance(value, int) else text(value)
        for name, value in one.header.items()
        if isinstance(value, int | bytes)
    }
    # the first block of a chain has no Ethereum face: its number is the chain's
    fields["number"] = hex(one.number)
    return fields


def transaction(one: EthBlock, each: EthTransaction) -> dict[str, Any]:
    """A transaction of a block."""
    return {**_signed(each.fields, each.hash, each.sender, each.price), **_place(one, each)}


def waiting(fields: dict[str, Any], name: bytes, sender: bytes) -> dict[str, Any]:
    """A transaction that is in no block yet."""
    price = int(fields.get("gasPrice") or fields.get("maxFeePerGas") or 0)
    return {
        **_signed(fields, name, sender, price),
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
    }


def _signed(signed: dict[str, Any], name: bytes, sender: bytes, price: int) -> dict[str, Any]:
    fields: dict[str, Any] = {name: hex(value) for name, value in signed.items() if isinstance(value, int)}
    if signed["type"]:
        fields.setdefault("yParity", fields["v"])
        fields["accessList"] = [
            {
                "address": text(bytes(entry["address"])),
                "storageKeys": [text(_key(k)) for k in entry["storageKeys"]],
            }
            for entry in signed.get("accessList", ())
        ]
    return {
        "gasPrice": hex(price),
        **fields,
        "input": text(signed["data"]),
        "to": maybe(signed["to"]),
        "hash": text(name),
        "from": text(sender),
    }


def _key(value: Any) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else params.data(value)


def _place(one: EthBlock, each: EthTransaction) -> dict[str, Any]:
    return {
        "blockHash": text(one.hash),
        "blockNumber": hex(one.number),
        "transactionIndex": hex(each.index),
    }


def logs(one: EthBlock) -> list[dict[str, Any]]:
    """All logs of a block, in order."""
    return [log for each in one.transactions for log in _logs(one, each)]


def _logs(one: EthBlock, each: EthTransaction) -> list[dict[str, Any]]:
    def log(index: int, event: Event) -> dict[str, Any]:
        return {
            "address": text(event.fields["contract"]),
            "topics": [text(topic) for topic in event.fields["topics"]],
            "data": text(event.fields["data"]),
            "logIndex": hex(each.first_log + index),
            "transactionHash": text(each.hash),
            "removed": False,
            **_place(one, each),
        }

    return [log(index, event) for index, event in enumerate(each.logs)]


def receipt(one: EthBlock, each: EthTransaction) -> dict[str, Any]:
    """The receipt of a transaction of a block."""
    total = sum(other.gas for other in one.transactions if other.index <= each.index)
    return {
        **_place(one, each),
        "transactionHash": text(each.hash),
        "from": text(each.sender),
        "to": maybe(each.fields["to"]),
        "contractAddress": maybe(each.contract),
        "status": hex(each.status),
        "gasUsed": hex(each.gas),
        "cumulativeGasUsed": hex(total),
        "effectiveGasPrice": hex(each.price),
        "logs": _logs(one, each),
        "logsBloom": text(bloom((each,)).to_bytes(256, "big")),
        "type": hex(each.fields["type"]),
    }


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs are wanted: of any of these addresses, with one of these topics at each position. None
    stands for anything.
    """

    addresses: frozenset[bytes] | None
    topics: tuple[frozenset[bytes] | None, ...]

    @classmethod
    def read(cls, fields: dict[str, Any]) -> LogFilter:
        """From the object that eth_getLogs takes. Raises BadParameter."""
        topics = fields.get("topics") or []
        if not isinstance(topics, list | tuple) or len(topics) > 4:
            raise BadParameter("topics is a list of up to four")
        addresses = params.some(fields.get("address"), params.address)
        each = [params.some(one, params.word) for one in topics]
        return cls(
            None if addresses is None else frozenset(addresses),
            tuple(None if one is None else frozenset(one) for one in each),
        )

    def takes(self, log: dict[str, Any]) -> bool:
        """Whether a log (as shown by `log`) has an address and the topics of this filter."""
        if self.addresses is not None and bytes.fromhex(log["address"][2:]) not in self.addresses:
            return False
        have = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        if len(self.topics) > len(have):
            return False
        return all(want is None or topic in want for want, topic in zip(self.topics, have, strict=False))

    def may_be_in(self, found: int) -> bool:
        """Whether a block with this bloom filter can hold such a log."""
        places = [self.addresses, *self.topics]
        return all(want is None or any(not (~found & bits(one)) for one in want) for want in places)
