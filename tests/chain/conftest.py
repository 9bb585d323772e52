"""One chain for all tests here: the embedded one, and the real node besides where its binary is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proofward.chain.client import SubstrateClient
from proofward.devnet.chains import LocalChain
from tests.nodes import KINDS


@pytest.fixture(scope="session", params=KINDS)
def chain(request: pytest.FixtureRequest) -> Iterator[LocalChain]:
    with request.param() as node:
        yield node


@pytest.fixture
def client(chain: LocalChain) -> Iterator[SubstrateClient]:
    with chain.connect() as one:
        yield one
