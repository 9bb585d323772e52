"""The chain: client, typed pallets, outbox, local chains, web3 provider.

`SubstrateClient` is the core; `proofward.chain.pallets` has records and calls; `Outbox` makes extrinsics
happen once; `proofward.devnet` starts chains on this machine; `proofward.chain.ethereum.provider` lets
web3.py speak to the contracts.
"""

from proofward.chain.accounts import account, dev_keypair, keypair_of, load_keypair, ss58
from proofward.chain.aio import AsyncSubstrateClient
from proofward.chain.client import Block, FoundCall, Inclusion, SubstrateClient
from proofward.chain.errors import (
    ChainError,
    ChainTimeout,
    ChainUnreachable,
    DispatchError,
    ExtrinsicInvalid,
    FinalityStalled,
    MetadataError,
    RpcError,
)
from proofward.chain.extrinsic import Extrinsic, SignedExtrinsic
from proofward.chain.finality import Finality, FinalityWatch
from proofward.chain.heads import Head
from proofward.chain.outbox import Outbox
from proofward.chain.runtime import Event
from proofward.chain.values import Call

__all__ = [
    "AsyncSubstrateClient",
    "Block",
    "Call",
    "ChainError",
    "ChainTimeout",
    "ChainUnreachable",
    "DispatchError",
    "Event",
    "Extrinsic",
    "ExtrinsicInvalid",
    "Finality",
    "FinalityStalled",
    "FinalityWatch",
    "FoundCall",
    "Head",
    "Inclusion",
    "MetadataError",
    "Outbox",
    "RpcError",
    "SignedExtrinsic",
    "SubstrateClient",
    "account",
    "dev_keypair",
    "keypair_of",
    "load_keypair",
    "ss58",
]
