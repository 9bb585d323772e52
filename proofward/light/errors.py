"""Why a light client cannot read a chain."""

from __future__ import annotations

from proofward.chain import ChainError


class LightError(ChainError):
    """The light client cannot read this chain, or what its peers show is not the chain that was asked for."""

    code = "light-client"
