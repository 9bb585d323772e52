"""Jobs on four real validators: finality stands and comes back, no job is lost or done twice, and each is
verified by proofs alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from proofward.chain import SubstrateClient
from proofward.chain.pallets import jobs, workers
from proofward.chain.pallets.jobs import Accepted
from proofward.client import targets
from proofward.consensus import genesis_authorities, spec_checkpoint
from proofward.consensus.registered import read
from proofward.network import control
from proofward.network.state import Network, load
from proofward_gateway.anchoring.registered import prove
from tests.network.campaign import Stream, wait_for
from tests.network.conftest import until


@pytest.fixture
def stream(network: Network, tmp_path: Path) -> Iterator[Stream]:
    with ExitStack() as stack:
        running = Stream(network, tmp_path, stack)
        running.start()
        yield running


def test_finality_stands_amid_jobs_and_none_is_lost_or_done_twice(stream: Stream) -> None:
    network = load(stream.network.folder)
    with SubstrateClient.connect(network.node("rpc").url) as chain:
        wait_for(lambda: len(accepted(chain)) >= 2, "two accepted jobs")
        control.kill(network, "charlie")
        control.kill(network, "dave")
        wait_for(
            lambda: all(worker.events("finality-stalled") for worker in stream.workers),
            "both workers to say that finality stands",
        )
        stood = [len(worker.events("claimed")) for worker in stream.workers]
        for _ in control.looks(network, 10):  # blocks go on meanwhile
            assert [len(worker.events("claimed")) for worker in stream.workers] == stood
        control.start(control.start(network, "charlie"), "dave")
        until(network.folder, lambda now: now.best - now.finalised <= 4)
        wait_for(
            lambda: all(worker.events("finality-resumed") for worker in stream.workers),
            "both workers to go on",
        )
        done = len(accepted(chain))
        wait_for(lambda: len(accepted(chain)) > done, "another accepted job")
        ended = stream.settle()
        assert (ended["lost"], ended["accepted_twice"], ended["rejected"]) == (0, 0, 0), ended
        assert ended["submitted"] >= 4
        last = accepted(chain)[-1]
        _is_proved_to_a_gateway(chain, network)
    verdict = targets.verify(
        "0x" + last.hex(),
        targets.Pins(development=True),
        chain="ws://127.0.0.1:1",  # nobody: no server is asked
        artifact=stream.folder / "models" / "mlp" / "public",
        light=network.spec,
    )
    assert verdict.accepted, str(verdict)
    (reading,) = [check for check in verdict if check.name == "reading"]
    assert reading.ok
    assert "no server is believed" in reading.detail


def _is_proved_to_a_gateway(chain: SubstrateClient, network: Network) -> None:
    """A registration out of the final state, as a gateway reads an upstream's inside its enclave."""
    account, record = workers.all(chain)[0]
    block, proof = prove(chain, account)
    authorities = genesis_authorities(network.spec)
    assert authorities is not None
    found = read(proof, account, authorities, spec_checkpoint(network.spec))
    assert (found.block, found.genesis, found.stake) == (block, chain.genesis, record.stake)
    assert (found.receipt_key, found.measurement) == (record.receipt_key, record.measurement)
    assert found.expires_at == record.expires_at // 1000


def accepted(chain: SubstrateClient) -> list[bytes]:
    records = ((key, jobs.get(chain, key)) for key, _ in chain.iterate("Jobs", "Jobs"))
    return [key for key, record in records if record is not None and isinstance(record.status, Accepted)]
