"""A gateway and its upstream on four real validators: both known by the final state, the receipt under a root
there, and all of it read offline by the spec alone.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from typer.testing import CliRunner

from proofward.chain import SubstrateClient, accounts, dev_keypair
from proofward.chain.pallets import attestation, balances
from proofward.cli import app
from proofward.client.targets import Pins
from proofward.evidence.anchored import ANCHORED
from proofward.evidence.answer import BONDED, ON_CHAIN
from proofward.evidence.answer_file import load
from proofward.evidence.verdict import Outcome
from proofward.network.state import Network
from proofward_gateway.anchoring import bond, registered
from proofward_gateway.anchoring.run import Anchored, keep
from proofward_gateway.channel import Origin
from proofward_gateway.config import Bond, ChainUpstream
from proofward_gateway.measure import simulated_measurement
from tests.gateway.test_proxy import post
from tests.gateway.world import ask, config, desk, echo, gateway, upstream

INNER, OUTER = "//Alice//inner", "//Alice//outer"
FUNDS = 10**15


async def test_a_gateway_its_upstream_and_its_receipts_are_on_a_real_chain(
    network: Network, tmp_path: Path
) -> None:
    with SubstrateClient.connect(network.node("rpc").url) as chain:
        await asyncio.to_thread(_prepare, chain)
        known = ChainUpstream(accounts.address(INNER), tmp_path / "inner.json")
        own = Bond(chain.genesis, accounts.address(OUTER), network.spec, tmp_path / "outer.json")

        def register(who: str, at: Origin, out: Path) -> None:
            bond.register(str(at), chain, dev_keypair(who))
            registered.keep(chain, accounts.address(who), out, lambda _block: None)

        async with (
            echo() as behind,
            gateway(
                config(
                    tmp_path / "inner",
                    upstream(behind.origin, "inside"),
                    bond=Bond(chain.genesis, known.account),
                )
            ) as inner,
            gateway(
                config(
                    tmp_path / "outer",
                    upstream(inner, "aci", measurements=frozenset(), registered=known),
                    bond=own,
                )
            ) as outer,
        ):
            await asyncio.to_thread(register, INNER, inner, known.proof)
            assert own.proof is not None
            await asyncio.to_thread(register, OUTER, outer, own.proof)
            pins = {"spec": network.spec, "genesis": f"0x{chain.genesis.hex()}", "require_stake": True}
            async with desk(outer, tmp_path, **pins) as user:
                assert (await post(user, "/v1/chat/completions", ask("hello", stream=True)))[0] == 200
                (file,) = user.answers()
            roots: list[Anchored] = []
            signer = dev_keypair(OUTER)
            await asyncio.to_thread(
                keep, tmp_path / "outer" / "state", chain, signer, roots.append, once=True
            )
            find = ["gateway", "anchored", str(file), "--keep", "--spec", str(network.spec), "--json"]
            found = await asyncio.to_thread(CliRunner().invoke, app, find)
            assert json.loads(found.stdout)["kept"], found.stdout
    policy = Pins(
        development=True,
        genesis=f"0x{chain.genesis.hex()}",
        measurements=[f"0x{simulated_measurement().hex()}"],
        spec=network.spec,
    ).policy()
    verdict = load(file).verdict(policy)
    assert verdict.outcome is Outcome.ACCEPTED, str(verdict)
    told = {one.name: one for one in verdict}
    assert [told[name].ok for name in (ON_CHAIN, BONDED, ANCHORED)] == [True] * 3, str(verdict)
    assert f"block {roots[0].block} " in told[ANCHORED].detail


def _prepare(chain: SubstrateClient) -> None:
    rich = dev_keypair("//Alice")
    allow = attestation.allow_measurement(simulated_measurement(), "gateway")
    chain.submit(attestation.sudo(allow), rich).raise_for_error()
    for account in (INNER, OUTER):
        chain.submit(balances.transfer(accounts.address(account), FUNDS), rich).raise_for_error()
