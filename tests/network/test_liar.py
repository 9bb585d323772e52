"""A light client all of whose peers lie. The lies are told by peers between it and honest nodes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proofward.chain import SubstrateClient
from proofward.light.client import LightClient
from proofward.light.errors import LightError
from proofward.light.spec import read_spec
from proofward.light.transport import LightTransport
from proofward.network.state import Network
from tests.network.conftest import until

WARPED = 40
"""Blocks behind which a light client asks for GRANDPA's signatures, not for each block."""
LIAR = Path(__file__).parent / "liar" / "liar.mjs"


@pytest.fixture(autouse=True)
def _final(network: Network) -> None:
    if shutil.which("node") is None or not (LIAR.parent / "node_modules").is_dir():
        pytest.skip("the liar's packages are not installed: `make test-network`")
    until(network.folder, lambda now: now.finalised > WARPED, 180)


@contextmanager
def peers(network: Network, lie: str) -> Iterator[tuple[tuple[str, ...], Path]]:
    """The addresses of a peer before each node, all telling this lie, and a file of what they changed."""
    with SubstrateClient.connect(network.node("rpc").url) as client:
        genesis = client.block_hash(0).hex()
    honest = [node.addresses[0] for node in network.nodes]
    said = network.folder / f"liar-{lie}.log"
    with said.open("w+") as log:
        process = subprocess.Popen(
            ["node", str(LIAR), lie, genesis, *honest], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            yield tuple(process.stdout.readline().strip() for _ in honest), said
        finally:
            process.kill()
            log.write(process.stdout.read())


def test_who_passes_on_what_honest_nodes_say_is_believed(network: Network) -> None:
    """The control: it is the lies that are refused, not the peers."""
    with (
        peers(network, "nothing") as (addresses, _),
        LightClient.open(network.spec, boot_nodes=addresses) as light,
    ):
        assert light.reading.fresh
        assert list(light.iterate("Attestation", "Roots"))


@pytest.mark.parametrize(("lie", "about"), [("justification", "/sync/"), ("storage", "/light/2")])
def test_a_lie_of_all_peers_is_refused(network: Network, lie: str, about: str) -> None:
    """About a signature under the final header, or about the state under it."""
    with peers(network, lie) as (addresses, said):
        read = read_spec(network.spec, boot_nodes=addresses)
        with pytest.raises(LightError):
            LightClient(LightTransport(read, start_seconds=15), read)
    assert about in said.read_text()
