"""What a chain takes before it believes that an epoch's keys are an enclave's."""

from __future__ import annotations

from typing import Any

from proofward.protocol import sign_possession, worker_report_data
from proofward_enclave.epochs import Epoch
from proofward_enclave.providers import QuoteProvider
from proofward_enclave.providers.base import quote_over


def registration(epoch: Epoch, provider: QuoteProvider, block_hash: bytes) -> dict[str, Any]:
    """The epoch's public keys, a quote that binds them to its account, its number and a block, and the
    receipt key's signature over the same. Blocking. Raises ProviderError.
    """
    binding = worker_report_data(
        genesis=epoch.genesis,
        account=epoch.account,
        hpke_key=epoch.hpke.public,
        receipt_key=epoch.receipt.public,
        epoch=epoch.number,
        block_hash=block_hash,
    )
    evidence = quote_over(provider, binding)
    return {
        "hpke_key": epoch.hpke.public,
        "receipt_key": epoch.receipt.public,
        "possession": sign_possession(binding, epoch.receipt),
        "quote": evidence.quote,
        "collateral": evidence.collateral,
    }
