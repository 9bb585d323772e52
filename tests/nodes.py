"""The chains that tests run on: the embedded one, and the real node besides where its binary is."""

from __future__ import annotations

from proofward.devnet.chains import Devnet, OmniNode, find_binary

KINDS: list[type[Devnet | OmniNode]] = [Devnet, *([OmniNode] if find_binary("polkadot-omni-node") else [])]
