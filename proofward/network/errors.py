"""What keeps a network of nodes from being started, stopped or parted."""

from __future__ import annotations

from proofward.errors import ProofwardError


class NetworkError(ProofwardError):
    """The network on this machine cannot do what was asked."""

    code = "network-failed"
