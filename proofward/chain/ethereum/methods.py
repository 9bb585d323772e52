"""Ethereum's JSON-RPC over a Substrate node: one answer for the web3 provider and for the endpoint.

Reads go through `ReviveApi`; a signed transaction travels as an unsigned `Revive.eth_transact` extrinsic.
Only finalised blocks are shown: `latest`, `safe` and `finalized` are the same, and `pending` counts the
nonces of what waits in the pool. Keys stay with the caller: there are no accounts here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError, ChainUnreachable, ExtrinsicInvalid
from proofward.chain.ethereum import params, pool, refusals, revive, shapes
from proofward.chain.ethereum.filters import Filters
from proofward.chain.ethereum.history import EthBlock, EthHistory, EthTransaction, decode_transaction
from proofward.chain.ethereum.index import EthIndex
from proofward.chain.ethereum.params import FAILED, NO_METHOD, REVERTED, BadParameter, BlockRef, EthError
from proofward.chain.ethereum.shapes import LogFilter, text
from proofward.chain.extrinsic import bare_extrinsic
from proofward.chain.values import Call
from proofward.protocol.hashes import keccak256

MOST_BLOCKS: Final = 2_048
"""Blocks that one eth_getLogs may read that the index does not have; those that it has are free."""
MOST_LOGS: Final = 10_000
MOST_HISTORY: Final = 1_024
_ERROR_STRING: Final = keccak256(b"Error(string)")[:4]

# Method -> its parameters' kinds (see params.read).
_METHODS: Final = {
    "eth_accounts": "",
    "eth_blockNumber": "",
    "eth_call": "object block? any? any?",
    "eth_chainId": "",
    "eth_estimateGas": "object block? any?",
    "eth_feeHistory": "quantity block any?",
    "eth_gasPrice": "",
    "eth_getBalance": "address block?",
    "eth_getBlockByHash": "word flag?",
    "eth_getBlockByNumber": "block flag?",
    "eth_getBlockReceipts": "block",
    "eth_getBlockTransactionCountByHash": "word",
    "eth_getBlockTransactionCountByNumber": "block",
    "eth_getCode": "address block?",
    "eth_getFilterChanges": "quantity",
    "eth_getFilterLogs": "quantity",
    "eth_getLogs": "object",
    "eth_getStorageAt": "address quantity block?",
    "eth_getTransactionByBlockHashAndIndex": "word quantity",
    "eth_getTransactionByBlockNumberAndIndex": "block quantity",
    "eth_getTransactionByHash": "word",
    "eth_getTransactionCount": "address block?",
    "eth_getTransactionReceipt": "word",
    "eth_getUncleByBlockHashAndIndex": "word quantity",
    "eth_getUncleByBlockNumberAndIndex": "block quantity",
    "eth_getUncleCountByBlockHash": "word",
    "eth_getUncleCountByBlockNumber": "block",
    "eth_maxPriorityFeePerGas": "",
    "eth_newBlockFilter": "",
    "eth_newFilter": "object",
    "eth_newPendingTransactionFilter": "",
    "eth_sendRawTransaction": "data",
    "eth_syncing": "",
    "eth_uninstallFilter": "quantity",
    "net_listening": "",
    "net_peerCount": "",
    "net_version": "",
    "web3_clientVersion": "",
    "web3_sha3": "data",
}

# Methods that other nodes have, and why not this one.
_REFUSED: Final = {
    "eth_createAccessList": "the runtime traces no storage accesses, and no transaction needs a list here",
    "eth_getProof": "the state is no Ethereum trie: a Substrate node proves storage by state_getReadProof",
    "eth_sendTransaction": "there are no keys here: sign it and use eth_sendRawTransaction",
    "eth_sign": "there are no keys here: sign where the key is",
    "eth_signTransaction": "there are no keys here: sign where the key is",
    "eth_signTypedData_v4": "there are no keys here: sign where the key is",
    "eth_blobBaseFee": "there are no blobs here",
}


class EthMethods:
    """All methods over one client. Safe to use from several threads."""

    def __init__(self, client: SubstrateClient, index: EthIndex | None = None) -> None:
        """`index` is kept by the caller when it has a file; by default one begins in memory."""
        self.client = client
        self.history = EthHistory(client, index or EthIndex(client.genesis))
        self.filters = Filters()
        self._chain_id: int | None = None
        self._lock = threading.Lock()

    def call(self, method: str, given: Any) -> Any:
        """The result of one request. Raises EthError, and ChainUnreachable."""
        kinds = _METHODS.get(method)
        if kinds is None:
            reason = _REFUSED.get(method)
            said = (
                f"{method} is not served: {reason}" if reason else f"the method {method} does not exist here"
            )
            raise EthError(NO_METHOD, said)
        handler: Callable[..., Any] = getattr(self, f"_{method}")
        try:
            return handler(*params.read(method, kinds, given))
        except revive.ContractReverted as error:
            raise EthError(REVERTED, _revert_message(error.data), text(error.data)) from None
        except (ChainUnreachable, EthError):
            raise
        except ChainError as error:
            raise EthError(FAILED, error.message) from None

    # ---- blocks ---------------------------------------------------------------------------

    def _head(self) -> int:
        return self.client.finalised_head().number

    def _height(self, block: BlockRef | None) -> int:
        """The number that a request names, a block's hash apart."""
        if isinstance(block, int):
            return block
        return 0 if block == "earliest" else self._head()

    def _block(self, block: BlockRef) -> EthBlock | None:
        """The block that a request names; None when there is none."""
        if isinstance(block, bytes):
            return self.history.block_by_hash(block)
        number = self._height(block)
        return None if number > self._head() else self.history.block(number)

    def _at(self, block: BlockRef | None) -> bytes:
        """The chain's own hash of the block that a request names."""
        if isinstance(block, bytes):
            found = self.history.block_by_hash(block)
            if found is None:
                raise EthError(FAILED, "header not found: no block of that hash is known here")
            return found.substrate
        if block is None or (isinstance(block, str) and block != "earliest"):
            return self.client.finalised_head().hash
        try:
            return self.client.block_hash(self._height(block))
        except ChainError as error:
            raise EthError(FAILED, f"header not found: {error.message}") from None

    def _eth_blockNumber(self) -> str:
        return hex(self._head())

    def _eth_getBlockByNumber(self, block: BlockRef, full: bool | None) -> dict[str, Any] | None:
        found = self._block(block)
        return None if found is None else shapes.block(found, bool(full))

    _eth_getBlockByHash = _eth_getBlockByNumber

    def _eth_getBlockReceipts(self, block: BlockRef) -> list[dict[str, Any]] | None:
        found = self._block(block)
        return None if found is None else [shapes.receipt(found, one) for one in found.transactions]

    def _eth_getBlockTransactionCountByNumber(self, block: BlockRef) -> str | None:
        found = self._block(block)
        return None if found is None else hex(len(found.transactions))

    _eth_getBlockTransactionCountByHash = _eth_getBlockTransactionCountByNumber

    def _eth_getTransactionByBlockNumberAndIndex(self, block: BlockRef, index: int) -> dict[str, Any] | None:
        found = self._block(block)
        if found is None or index >= len(found.transactions):
            return None
        return shapes.transaction(found, found.transactions[index])

    _eth_getTransactionByBlockHashAndIndex = _eth_getTransactionByBlockNumberAndIndex

    def _eth_getUncleCountByBlockNumber(self, block: BlockRef) -> str | None:
        return None if self._block(block) is None else "0x0"

    _eth_getUncleCountByBlockHash = _eth_getUncleCountByBlockNumber

    def _eth_getUncleByBlockNumberAndIndex(self, block: BlockRef, index: int) -> None:
        return None

    _eth_getUncleByBlockHashAndIndex = _eth_getUncleByBlockNumberAndIndex

    # ---- state ----------------------------------------------------------------------------

    def _eth_chainId(self) -> str:
        if self._chain_id is None:
            self._chain_id = revive.chain_id(self.client)
        return hex(self._chain_id)

    def _net_version(self) -> str:
        return str(int(self._eth_chainId(), 16))

    def _net_listening(self) -> bool:
        return True

    def _net_peerCount(self) -> str:
        return "0x0"

    def _web3_clientVersion(self) -> str:
        return f"proofward/{self.client.node}"

    def _web3_sha3(self, value: bytes) -> str:
        return text(keccak256(value))

    def _eth_syncing(self) -> bool:
        return False

    def _eth_accounts(self) -> list[str]:
        return []

    def _eth_gasPrice(self) -> str:
        return hex(revive.gas_price(self.client))

    def _eth_maxPriorityFeePerGas(self) -> str:
        return "0x0"

    def _eth_feeHistory(self, count: int, newest: BlockRef, percentiles: Any) -> dict[str, Any]:
        found = self._block(newest)
        if found is None:
            raise EthError(FAILED, "header not found: the chain has no such block yet")
        blocks = max(1, min(count, found.number + 1, MOST_HISTORY))
        read = [self.history.block(found.number - i).header for i in reversed(range(min(blocks, 64)))]
        # what lies further back than 64 blocks is told as the oldest of them: the price hardly moves
        fees = [hex(int(header.get("baseFeePerGas") or 0)) for header in read]
        used = [int(header["gasUsed"]) / max(1, int(header["gasLimit"])) for header in read]
        history: dict[str, Any] = {
            "oldestBlock": hex(found.number - blocks + 1),
            "baseFeePerGas": fees[:1] * (blocks - len(fees)) + fees + [hex(revive.gas_price(self.client))],
            "gasUsedRatio": [0.0] * (blocks - len(used)) + used,
        }
        if percentiles:
            if not isinstance(percentiles, list | tuple) or len(percentiles) > 100:
                raise BadParameter("percentiles is a list of up to 100 numbers")
            history["reward"] = [["0x0"] * len(percentiles) for _ in range(blocks)]
        return history

    def _eth_getBalance(self, owner: bytes, block: BlockRef | None) -> str:
        return hex(revive.balance(self.client, owner, self._at(block)))

    def _eth_getCode(self, owner: bytes, block: BlockRef | None) -> str:
        return text(revive.contract_code(self.client, owner, self._at(block)))

    def _eth_getStorageAt(self, owner: bytes, slot: int, block: BlockRef | None) -> str:
        return text(revive.storage_at(self.client, owner, slot, self._at(block)))

    def _eth_getTransactionCount(self, owner: bytes, block: BlockRef | None) -> str:
        if block == "pending":
            return hex(pool.next_nonce(self.client, owner))
        return hex(revive.nonce(self.client, owner, self._at(block)))

    # ---- calls and transactions -----------------------------------------------------------

    def _transaction(self, fields: dict[str, Any]) -> revive.Transaction:
        given = {name: params.data(fields[name]) for name in ("input", "data") if name in fields}
        if len(set(given.values())) == 2:
            raise BadParameter("input and data are two names of one thing, and differ")
        return revive.Transaction(
            data=next(iter(given.values()), b""),
            to=params.address(fields["to"]) if "to" in fields else None,
            sender=params.address(fields["from"]) if "from" in fields else None,
            value=params.quantity(fields.get("value", 0)),
            gas=params.quantity(fields["gas"]) if "gas" in fields else None,
        )

    def _eth_call(self, fields: dict[str, Any], block: BlockRef | None, state: Any, header: Any) -> str:
        if state or header:
            raise BadParameter("state and block overrides are not supported")
        return text(revive.dry_run(self.client, self._transaction(fields), self._at(block)).data)

    def _eth_estimateGas(self, fields: dict[str, Any], block: BlockRef | None, state: Any) -> str:
        if state:
            raise BadParameter("state overrides are not supported")
        fields.pop("gas", None)
        return hex(revive.estimate_gas(self.client, self._transaction(fields), self._at(block)))

    def _eth_sendRawTransaction(self, payload: bytes) -> str:
        try:
            sender, fields = decode_transaction(payload)
        except ValueError as error:
            raise BadParameter(str(error)) from None
        call = self.client.runtime.encode_call(Call("Revive", "eth_transact", {"payload": payload}))
        try:
            self.client.broadcast(bare_extrinsic(call))
        except ExtrinsicInvalid as error:
            if self.history.transaction(keccak256(payload)) is not None:
                raise EthError(FAILED, "already known: this very transaction is in a block") from None
            raise EthError(FAILED, refusals.explain(self.client, sender, fields, error)) from None
        return text(keccak256(payload))

    def _eth_getTransactionByHash(self, name: bytes) -> dict[str, Any] | None:
        for one in pool.waiting(self.client):
            if one.hash == name:
                return shapes.waiting(one.fields, one.hash, one.sender)
        found = self._find(name)
        return None if found is None else shapes.transaction(*found)

    def _eth_getTransactionReceipt(self, name: bytes) -> dict[str, Any] | None:
        found = self._find(name)
        return None if found is None else shapes.receipt(*found)

    def _find(self, name: bytes) -> tuple[EthBlock, EthTransaction] | None:
        return self.history.transaction(name)

    # ---- logs and filters -----------------------------------------------------------------

    def _eth_getLogs(self, fields: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = LogFilter.read(fields)
        if "blockHash" in fields:
            if "fromBlock" in fields or "toBlock" in fields:
                raise BadParameter("blockHash stands alone: no fromBlock, no toBlock")
            block = self.history.block_by_hash(params.word(fields["blockHash"]))
            if block is None:
                raise EthError(FAILED, "unknown block: no block of that hash is known here")
            return [log for log in shapes.logs(block) if wanted.takes(log)]
        head = self._head()
        first, last = (self._bound(fields.get(name)) for name in ("fromBlock", "toBlock"))
        if first > last:
            raise BadParameter(f"fromBlock {first} lies behind toBlock {last}")
        return self.logs(wanted, first, min(last, head))

    def _bound(self, given: Any) -> int:
        block = "latest" if given is None else params.block(given)
        if isinstance(block, bytes):
            raise BadParameter("fromBlock and toBlock are numbers or tags")
        return self._height(block)

    def logs(self, wanted: LogFilter, first: int, last: int) -> list[dict[str, Any]]:
        """The wanted logs of the blocks from first to last. Raises EthError when they are too many."""
        unread = max(0, last - first + 1) - self.history.index.count(first, last)
        if unread > MOST_BLOCKS:
            told = f"{unread} of these blocks are not indexed yet, and one call reads {MOST_BLOCKS}"
            raise EthError(FAILED, f"{told}: ask for fewer")
        if unread:
            for number in self.history.index.missing(first, last):
                self.history.block(number)
        found: list[dict[str, Any]] = []
        for number, bloom in self.history.index.with_logs(first, last):
            if wanted.may_be_in(bloom):
                found += [log for log in shapes.logs(self.history.block(number)) if wanted.takes(log)]
            if len(found) > MOST_LOGS:
                raise EthError(FAILED, f"more than {MOST_LOGS} logs: ask for fewer blocks at a time")
        return found

    def _since(self, read: Callable[[int, int], list[Any]]) -> Callable[[], list[Any]]:
        """What `read` gives of the blocks that came since the last time."""
        lock, seen = threading.Lock(), itertools.count(self._head() + 1)
        state = {"next": next(seen)}

        def poll() -> list[Any]:
            with lock:
                head = self._head()
                found = read(state["next"], head) if head >= state["next"] else []
                state["next"] = max(state["next"], head + 1)
                return found

        return poll

    def _eth_newFilter(self, fields: dict[str, Any]) -> str:
        wanted = LogFilter.read(fields)
        if "blockHash" in fields:
            raise BadParameter("a filter that is polled has no blockHash")
        until = fields.get("toBlock")
        last = self._bound(until) if until is not None and until not in params.TAGS else None

        def read(first: int, head: int) -> list[Any]:
            return self.logs(wanted, first, head if last is None else min(head, last))

        return self.filters.add(
            self._since(read), lambda: self._eth_getLogs({"fromBlock": "latest", **fields})
        )

    def _eth_newBlockFilter(self) -> str:
        return self.filters.add(
            self._since(
                lambda first, head: [text(self.history.block(n).hash) for n in range(first, head + 1)]
            )
        )

    def _eth_newPendingTransactionFilter(self) -> str:
        seen = {one.hash for one in pool.waiting(self.client)}

        def poll() -> list[str]:
            now = [one.hash for one in pool.waiting(self.client)]
            fresh = [text(name) for name in now if name not in seen]
            seen.clear()
            seen.update(now)
            return fresh

        return self.filters.add(poll)

    def _eth_getFilterChanges(self, name: int) -> list[Any]:
        return self.filters.changes(name)

    def _eth_getFilterLogs(self, name: int) -> list[Any]:
        return self.filters.everything(name)

    def _eth_uninstallFilter(self, name: int) -> bool:
        return self.filters.remove(name)


def _revert_message(data: bytes) -> str:
    """In geth's words: with the text of Solidity's `Error(string)`, when that is what it is."""
    if data[:4] == _ERROR_STRING:
        try:
            return f"execution reverted: {decode(['string'], data[4:])[0]}"
        except DecodingError:
            pass
    return "execution reverted"
