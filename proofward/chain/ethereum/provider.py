"""A provider for web3.py over a Substrate node: contracts work as on any Ethereum chain.

    from web3 import Web3
    w3 = Web3(SubstrateProvider(SubstrateClient.connect("ws://127.0.0.1:9944")))

Reads go through `ReviveApi`; a signed transaction travels as an unsigned `Revive.eth_transact` extrinsic.
Only finalised blocks are shown: `latest`, `safe`, `finalized` and `pending` are the same. Keys stay with
the caller: there are no accounts here (web3's SignAndSendRawMiddlewareBuilder signs locally).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, cast

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError, ChainUnreachable, ExtrinsicInvalid
from proofward.chain.ethereum import revive
from proofward.chain.ethereum.history import EthBlock, EthHistory, EthTransaction, decode_transaction
from proofward.chain.extrinsic import bare_extrinsic
from proofward.chain.runtime import Event
from proofward.chain.values import Call
from proofward.protocol.hashes import keccak256

MOST_BLOCKS: Final = 2048
"""Blocks that one eth_getLogs may span."""
_TAGS: Final = ("latest", "safe", "finalized", "pending")
_ERROR_STRING: Final = keccak256(b"Error(string)")[:4]
_REVERTED: Final = 3
_INVALID: Final = -32602
_FAILED: Final = -32000
_NO_METHOD: Final = -32601


class EthError(ChainError):
    """An Ethereum JSON-RPC error: its number in `rpc_code`, what a contract said in `data` (0x)."""

    code = "eth-error"

    def __init__(self, rpc_code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code
        self.data = data


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _maybe(value: bytes | None) -> str | None:
    return None if value is None else _hex(value)


def _unhex(value: Any, length: int | None = None) -> bytes:
    try:
        data = value if isinstance(value, bytes) else bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError:
        raise EthError(_INVALID, f"{value!r} is not hexadecimal") from None
    if length is not None and len(data) != length:
        raise EthError(_INVALID, f"{length} bytes are due, not {len(data)}")
    return data


def _number(value: Any) -> int:
    try:
        return value if isinstance(value, int) else int(str(value), 16)
    except ValueError:
        raise EthError(_INVALID, f"{value!r} is no number") from None


class SubstrateProvider(BaseProvider):
    """The provider. Share one client between it and the rest of a program."""

    def __init__(self, client: SubstrateClient) -> None:
        super().__init__()
        self._client = client
        self._history = EthHistory(client)
        self._chain_id: int | None = None
        self._sent: dict[bytes, tuple[bytes, int]] = {}  # hash -> sender, nonce: on their way
        self._lock = threading.Lock()
        self._methods: dict[str, Callable[..., Any]] = {
            name: getattr(self, f"_{name}")
            for name in (
                "eth_accounts", "eth_blockNumber", "eth_call", "eth_chainId", "eth_estimateGas",
                "eth_feeHistory", "eth_gasPrice", "eth_getBalance", "eth_getBlockByHash",
                "eth_getBlockByNumber", "eth_getBlockTransactionCountByNumber", "eth_getCode", "eth_getLogs",
                "eth_getStorageAt", "eth_getTransactionByHash", "eth_getTransactionCount",
                "eth_getTransactionReceipt", "eth_maxPriorityFeePerGas", "eth_sendRawTransaction",
                "eth_syncing", "net_version", "web3_clientVersion",
            )
        }  # fmt: skip

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One request. Everything the chain refuses comes back as a JSON-RPC error, which web3.py raises."""
        try:
            handler = self._methods.get(method)
            if handler is None:
                raise EthError(_NO_METHOD, f"the method {method} does not exist here")
            return cast(RPCResponse, {"jsonrpc": "2.0", "id": 1, "result": handler(*params)})
        except EthError as error:
            body: dict[str, Any] = {"code": error.rpc_code, "message": error.message}
            if error.data is not None:
                body["data"] = error.data
            return cast(RPCResponse, {"jsonrpc": "2.0", "id": 1, "error": body})
        except TypeError as error:
            return _failure(_INVALID, f"the parameters of {method} do not fit: {error}")
        except ChainUnreachable:
            raise
        except ChainError as error:
            return _failure(_FAILED, error.message)

    def is_connected(self, show_traceback: bool = False) -> bool:
        try:
            self._client.finalised_head()
        except ChainError:
            if show_traceback:
                raise
            return False
        return True

    # ---- blocks ---------------------------------------------------------------------------

    def _at(self, block: Any) -> bytes:
        """The chain's own hash of the block that a request names."""
        if block is None or block in _TAGS:
            return self._client.finalised_head().hash
        if isinstance(block, dict):
            block = block.get("blockHash") or block.get("blockNumber")
        if isinstance(block, bytes) or (isinstance(block, str) and len(block) == 66):
            found = self._history.block_by_hash(_unhex(block, 32))
            if found is None:
                raise EthError(_FAILED, "there is no block of that hash among the latest")
            return found.substrate
        return self._client.block_hash(self._height(block))

    def _height(self, block: Any) -> int:
        if block is None or block in _TAGS:
            return self._client.finalised_head().number
        return 0 if block == "earliest" else _number(block)

    def _eth_blockNumber(self) -> str:
        return hex(self._client.finalised_head().number)

    def _eth_getBlockByNumber(self, block: Any, full: bool = False) -> dict[str, Any] | None:
        number = self._height(block)
        if number > self._client.finalised_head().number:
            return None
        return _block_json(self._history.block(number), full)

    def _eth_getBlockByHash(self, name: Any, full: bool = False) -> dict[str, Any] | None:
        block = self._history.block_by_hash(_unhex(name, 32))
        return None if block is None else _block_json(block, full)

    def _eth_getBlockTransactionCountByNumber(self, block: Any) -> str:
        return hex(len(self._history.block(self._height(block)).transactions))

    # ---- state ----------------------------------------------------------------------------

    def _eth_chainId(self) -> str:
        if self._chain_id is None:
            self._chain_id = int(self._client.constant("Revive", "ChainId"))
        return hex(self._chain_id)

    def _net_version(self) -> str:
        return str(int(self._eth_chainId(), 16))

    def _web3_clientVersion(self) -> str:
        return f"proofward/{self._client.node}"

    def _eth_syncing(self) -> bool:
        return False

    def _eth_accounts(self) -> list[str]:
        return []

    def _eth_gasPrice(self) -> str:
        return hex(revive.gas_price(self._client))

    def _eth_maxPriorityFeePerGas(self) -> str:
        return "0x0"

    def _eth_feeHistory(self, count: Any, newest: Any, percentiles: Any = None) -> dict[str, Any]:
        last = self._height(newest)
        blocks = max(1, min(_number(count), last + 1, MOST_BLOCKS))
        price = hex(revive.gas_price(self._client))
        history: dict[str, Any] = {
            "oldestBlock": hex(last - blocks + 1),
            "baseFeePerGas": [price] * (blocks + 1),
            "gasUsedRatio": [0.0] * blocks,
        }
        if percentiles:
            history["reward"] = [["0x0"] * len(percentiles) for _ in range(blocks)]
        return history

    def _eth_getBalance(self, address: Any, block: Any = None) -> str:
        return hex(revive.balance(self._client, _unhex(address, 20), self._at(block)))

    def _eth_getCode(self, address: Any, block: Any = None) -> str:
        return _hex(revive.contract_code(self._client, _unhex(address, 20), self._at(block)))

    def _eth_getStorageAt(self, address: Any, slot: Any, block: Any = None) -> str:
        return _hex(revive.storage_at(self._client, _unhex(address, 20), _number(slot), self._at(block)))

    def _eth_getTransactionCount(self, address: Any, block: Any = None) -> str:
        owner = _unhex(address, 20)
        count = revive.nonce(self._client, owner, self._at(block))
        if block == "pending":
            with self._lock:
                waiting = [nonce for sender, nonce in self._sent.values() if sender == owner]
            while count in waiting:
                count += 1
        return hex(count)

    # ---- calls and transactions -----------------------------------------------------------

    def _transaction(self, fields: dict[str, Any]) -> revive.Transaction:
        data = fields.get("input") or fields.get("data") or b""
        gas = fields.get("gas")
        return revive.Transaction(
            data=_unhex(data),
            to=_unhex(fields["to"], 20) if fields.get("to") else None,
            sender=_unhex(fields["from"], 20) if fields.get("from") else None,
            value=_number(fields.get("value", 0)),
            gas=None if gas is None else _number(gas),
        )

    def _eth_call(self, fields: dict[str, Any], block: Any = None, overrides: Any = None) -> str:
        if overrides:
            raise EthError(_INVALID, "state overrides are not supported")
        return _hex(self._try(revive.dry_run, fields, block).data)

    def _eth_estimateGas(self, fields: dict[str, Any], block: Any = None) -> str:
        return hex(self._try(revive.estimate_gas, {**fields, "gas": None}, block))

    def _try(self, action: Callable[..., Any], fields: dict[str, Any], block: Any) -> Any:
        try:
            return action(self._client, self._transaction(fields), self._at(block))
        except revive.ContractReverted as error:
            raise EthError(_REVERTED, _revert_message(error.data), _hex(error.data)) from None
        except revive.ContractFailed as error:
            raise EthError(_FAILED, error.message) from None

    def _eth_sendRawTransaction(self, raw: Any) -> str:
        payload = _unhex(raw)
        try:
            sender, fields = decode_transaction(payload)
        except ValueError as error:
            raise EthError(_INVALID, str(error)) from None
        call = self._client.runtime.encode_call(Call("Revive", "eth_transact", {"payload": payload}))
        try:
            self._client.broadcast(bare_extrinsic(call))
        except ExtrinsicInvalid as error:
            raise EthError(_FAILED, error.message) from None
        name = keccak256(payload)
        with self._lock:
            self._sent[name] = (sender, int(fields["nonce"]))
        return _hex(name)

    def _find(self, name: Any) -> tuple[EthBlock, EthTransaction] | None:
        wanted = _unhex(name, 32)
        found = self._history.transaction(wanted)
        if found is not None:
            with self._lock:
                self._sent.pop(wanted, None)
        return found

    def _eth_getTransactionByHash(self, name: Any) -> dict[str, Any] | None:
        found = self._find(name)
        return None if found is None else _transaction_json(*found)

    def _eth_getTransactionReceipt(self, name: Any) -> dict[str, Any] | None:
        found = self._find(name)
        return None if found is None else _receipt_json(*found)

    def _eth_getLogs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        if (name := wanted.get("blockHash")) is not None:
            block = self._history.block_by_hash(_unhex(name, 32))
            return [log for log in (_logs_json(block) if block else []) if _matches(log, wanted)]
        head = self._client.finalised_head().number
        first, last = self._height(wanted.get("fromBlock")), min(self._height(wanted.get("toBlock")), head)
        if last - first >= MOST_BLOCKS:
            raise EthError(_INVALID, f"eth_getLogs spans at most {MOST_BLOCKS} blocks: ask in pieces")
        found = []
        for number in range(first, last + 1):
            found += [log for log in _logs_json(self._history.block(number)) if _matches(log, wanted)]
        return found


def _revert_message(data: bytes) -> str:
    """In geth's words: with the text of Solidity's `Error(string)`, when that is what it is."""
    if data[:4] == _ERROR_STRING:
        try:
            return f"execution reverted: {decode(['string'], data[4:])[0]}"
        except DecodingError:
            pass
    return "execution reverted"


def _failure(code: int, message: str) -> RPCResponse:
    return cast(RPCResponse, {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}})


def _place(block: EthBlock, transaction: EthTransaction) -> dict[str, Any]:
    return {
        "blockHash": _hex(block.hash),
        "blockNumber": hex(block.number),
        "transactionIndex": hex(transaction.index),
    }


def _block_json(block: EthBlock, full: bool) -> dict[str, Any]:
    fields = {
        name: hex(value)
        if isinstance(value, int)
        else _maybe(value)
        if not isinstance(value, list)
        else value
        for name, value in block.header.items()
        if value is not None
    }
    # the first block of a chain has no Ethereum face: its number is the chain's
    fields["number"] = hex(block.number)
    fields["uncles"], fields["withdrawals"] = [], []
    fields["transactions"] = [
        _transaction_json(block, one) if full else _hex(one.hash) for one in block.transactions
    ]
    return fields


def _transaction_json(block: EthBlock, transaction: EthTransaction) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in transaction.fields.items():
        if name == "data":
            fields["input"] = _hex(value)
        elif name == "to":
            fields["to"] = _maybe(value)
        elif isinstance(value, int):
            fields[name] = hex(value)
    if "yParity" not in fields and transaction.fields["type"]:
        fields["yParity"] = fields["v"]
    return {
        "gasPrice": hex(transaction.price),
        **fields,
        **_place(block, transaction),
        "hash": _hex(transaction.hash),
        "from": _hex(transaction.sender),
        **({"accessList": []} if transaction.fields["type"] else {}),
    }


def _logs_json(block: EthBlock) -> list[dict[str, Any]]:
    return [log for one in block.transactions for log in _transaction_logs(block, one)]


def _transaction_logs(block: EthBlock, transaction: EthTransaction) -> list[dict[str, Any]]:
    def one(index: int, event: Event) -> dict[str, Any]:
        return {
            "address": _hex(event.fields["contract"]),
            "topics": [_hex(topic) for topic in event.fields["topics"]],
            "data": _hex(event.fields["data"]),
            "logIndex": hex(transaction.first_log + index),
            "transactionHash": _hex(transaction.hash),
            "removed": False,
            **_place(block, transaction),
        }

    return [one(index, event) for index, event in enumerate(transaction.logs)]


def _receipt_json(block: EthBlock, transaction: EthTransaction) -> dict[str, Any]:
    before = sum(one.gas for one in block.transactions if one.index <= transaction.index)
    return {
        **_place(block, transaction),
        "transactionHash": _hex(transaction.hash),
        "from": _hex(transaction.sender),
        "to": _maybe(transaction.fields["to"]),
        "contractAddress": _maybe(transaction.contract),
        "status": hex(transaction.status),
        "gasUsed": hex(transaction.gas),
        "cumulativeGasUsed": hex(before),
        "effectiveGasPrice": hex(transaction.price),
        "logs": _transaction_logs(block, transaction),
        "logsBloom": _hex(_bloom(transaction)),
        "type": hex(transaction.fields["type"]),
    }


def _bloom(transaction: EthTransaction) -> bytes:
    """The Bloom filter over addresses and topics (Ethereum yellow paper, 4.3.1)."""
    bits = 0
    for event in transaction.logs:
        for value in (event.fields["contract"], *event.fields["topics"]):
            digest = keccak256(value)
            for at in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits.to_bytes(256, "big")


def _matches(log: dict[str, Any], wanted: dict[str, Any]) -> bool:
    addresses = wanted.get("address")
    if addresses:
        some = addresses if isinstance(addresses, list | tuple) else [addresses]
        if log["address"].lower() not in {str(one).lower() for one in some}:
            return False
    topics = wanted.get("topics") or []
    if len(topics) > len(log["topics"]):
        return False
    for topic, have in zip(topics, log["topics"], strict=False):
        some = topic if isinstance(topic, list | tuple) else [topic]
        if topic is not None and have not in {_hex(_unhex(one)) for one in some}:
            return False
    return True
