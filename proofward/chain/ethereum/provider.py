"""A provider for web3.py over a Substrate node: contracts work as on any Ethereum chain.

    from web3 import Web3
    w3 = Web3(SubstrateProvider(SubstrateClient.connect("ws://127.0.0.1:9944")))

What it answers, `proofward.chain.ethereum.methods` says. Keys stay with the caller: there are no accounts
here (web3's SignAndSendRawMiddlewareBuilder signs locally).
"""

from __future__ import annotations

from typing import Any, cast

from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError
from proofward.chain.ethereum.methods import EthMethods
from proofward.chain.ethereum.params import EthError


class SubstrateProvider(BaseProvider):
    """The provider. Share one client between it and the rest of a program."""

    def __init__(self, client: SubstrateClient) -> None:
        super().__init__()
        self._client = client
        self._methods = EthMethods(client)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One request. Everything the chain refuses comes back as a JSON-RPC error, which web3.py raises."""
        try:
            result = self._methods.call(method, params)
        except EthError as error:
            return cast(RPCResponse, {"jsonrpc": "2.0", "id": 1, "error": error.body})
        return cast(RPCResponse, {"jsonrpc": "2.0", "id": 1, "result": result})

    def is_connected(self, show_traceback: bool = False) -> bool:
        """Whether the chain answers now."""
        try:
            self._client.finalised_head()
        except ChainError:
            if show_traceback:
                raise
            return False
        return True
