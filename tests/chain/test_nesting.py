"""How deep calls may be inside calls: what anybody wraps must leave layers of storage to what is inside."""

from __future__ import annotations

import pytest

from proofward.chain import Call, dev_keypair
from proofward.chain.client import SubstrateClient
from proofward.chain.errors import DispatchError

DAVE = dev_keypair("//Dave")


def _inside(layers: int, call: Call) -> Call:
    for _ in range(layers):
        call = Call("Utility", "as_derivative", {"index": 0, "call": call})
    return call


@pytest.mark.parametrize(
    ("call", "layers"),
    [
        (Call("Models", "measure", {"model": bytes(32)}), 32),
        (
            Call(
                "Council",
                "close",
                {
                    "proposal_hash": bytes(32),
                    "index": 0,
                    "proposal_weight_bound": {"ref_time": 0, "proof_size": 0},
                    "length_bound": 0,
                },
            ),
            4,
        ),
    ],
    ids=["measure", "close"],
)
def test_a_call_that_is_too_deep_is_not_made(client: SubstrateClient, call: Call, layers: int) -> None:
    def refusal(layers: int) -> str:
        with pytest.raises(DispatchError) as refused:
            client.submit_unfinal(_inside(layers, call), DAVE)
        return refused.value.name

    assert refusal(layers) == "CallFiltered"
    assert refusal(layers - 1) in ("UnknownModel", "ProposalMissing")
