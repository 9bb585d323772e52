"""Quotes from dstack's guest agent, over its Unix socket (dstack guest agent API, /GetQuote)."""

from __future__ import annotations

from dstack_sdk import DstackClient

from proofward.protocol.bounds import MAX_QUOTE
from proofward_enclave.providers.base import Evidence, ProviderError


class DstackProvider:
    """A real TDX guest under dstack. Whether its root is Intel's is for the chain to say."""

    name = "dstack"
    simulated = False

    def __init__(self, endpoint: str | None = None) -> None:
        """`endpoint`: the agent's socket; None for dstack's default, /var/run/dstack.sock.

        Raises ProviderError when there is none.
        """
        try:
            self._client = DstackClient(endpoint)
        except (OSError, ValueError) as error:
            raise ProviderError(
                f"there is no dstack guest agent here ({error}): run inside a dstack guest"
            ) from None

    def quote(self, report_data: bytes) -> Evidence:
        """A quote over the raw 64 bytes. Raises ProviderError."""
        try:
            quote = bytes.fromhex(self._client.get_quote(report_data).quote)
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever its HTTP stack does
            raise ProviderError(
                f"dstack's guest agent gave no quote ({type(error).__name__}): is the socket mounted?"
            ) from None
        if not 0 < len(quote) <= MAX_QUOTE:
            raise ProviderError(f"dstack's guest agent gave a quote of {len(quote)} bytes")
        return Evidence(quote)
