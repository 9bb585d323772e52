"""Quotes from dstack's guest agent, over its Unix socket (dstack guest agent API, /GetQuote)."""

from __future__ import annotations

import json
from typing import Final

from dstack_sdk import DstackClient

from proofward.protocol.bounds import MAX_QUOTE
from proofward_enclave.providers.base import Evidence, NoSealingKey, ProviderError, derived

SEALING_PATH: Final = "proofward/kept-keys/v1"
_BOUND: Final = "local-sgx"
"""The one key provider whose keys are of a measurement: with it dstack demands that the app's id is the hash
of its compose file. A KMS gives an app its keys again after an upgrade, which its owner decides on; and
without a provider they end with the guest (dstack, kms/README.md, boot modes)."""


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

    def sealing_key(self) -> bytes:
        """Of dstack's key for this app, and of the guest's registers. Raises NoSealingKey."""
        try:
            about = self._client.info()
            said = json.loads(about.key_provider_info)
            provider = said.get("name") or said.get("type")
            tcb = about.tcb_info
            measured = (tcb.mrtd, tcb.rtmr0, tcb.rtmr1, tcb.rtmr2, tcb.rtmr3)
            registers = [bytes.fromhex(one) for one in measured]
            if provider == _BOUND:
                secret = bytes.fromhex(self._client.get_key(SEALING_PATH, "sealing").key)
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever its HTTP stack does
            raise NoSealingKey(f"dstack's guest agent gave no key ({type(error).__name__})") from None
        if provider != _BOUND:
            raise NoSealingKey(
                f"dstack's key provider here is {provider!r}, whose keys an upgraded app gets too, or which "
                f"has none that last: keys are kept with {_BOUND!r} only"
            )
        if len(secret) < 32 or {len(one) for one in registers} != {48}:
            raise NoSealingKey("dstack's guest agent gave a key or registers of another length")
        return derived(secret, *registers)
