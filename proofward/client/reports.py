"""Showing the chain what a worker signed against itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from proofward.chain import SubstrateClient, accounts
from proofward.chain.pallets import workers
from proofward.errors import Refused
from proofward.evidence.bundle import load_bundle
from proofward.evidence.two_results import TwoResults


@dataclass(frozen=True, slots=True)
class Reported:
    """What came of it: `slashed` in the smallest unit, of whose stake, for which job, in which block."""

    worker: bytes
    job: bytes
    slashed: int
    block: int


def report_two_results(url: str, signer: str, first: Path, second: Path) -> Reported:
    """Hand in two bundles of one job. What is no evidence is refused here, before it costs a fee.

    Raises BundleError, Refused(no-evidence, other-chain), DispatchError, ChainError, AccountError.
    """
    found = TwoResults.of(load_bundle(first), load_bundle(second))
    keypair = accounts.keypair_of(signer)
    with SubstrateClient.connect(url) as client:
        if client.genesis != found.first.genesis:
            raise Refused(
                f"the bundles are of the chain 0x{found.first.genesis.hex()}, and {url} is another: give "
                "--chain",
                code="other-chain",
            )
        if workers.holder(client, found.receipt_key) != found.first.worker:
            raise Refused(
                "no stake on this chain answers for the receipt key any more: the evidence comes too late",
                code="no-evidence",
            )
        call = workers.report_equivocation(
            found.receipt_key, found.first, found.first_signature, found.second, found.second_signature
        )
        receipt = client.submit(call, keypair)
    event = receipt.find("Workers", "Equivocated")
    return Reported(
        found.first.worker,
        found.first.job,
        0 if event is None else int(event.fields["slashed"]),
        receipt.block,
    )
