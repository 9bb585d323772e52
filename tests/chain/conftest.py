"""One chain for all tests here: the embedded one, and the real node besides where its binary is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proofward.chain.client import SubstrateClient
from proofward.chain.devnet import Devnet, LocalChain, OmniNode, find_binary

NODES = ["devnet", *(["omni-node"] if find_binary("polkadot-omni-node") else [])]


@pytest.fixture(scope="session", params=NODES)
def chain(request: pytest.FixtureRequest) -> Iterator[LocalChain]:
    with Devnet() if request.param == "devnet" else OmniNode() as node:
        yield node


@pytest.fixture
def client(chain: LocalChain) -> Iterator[SubstrateClient]:
    with chain.connect() as one:
        yield one
