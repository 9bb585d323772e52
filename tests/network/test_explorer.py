"""The explorer on four real validators: a tab verifies a job by proofs, and believes no server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from proofward.chain import SubstrateClient
from proofward.client import targets
from proofward.consensus import Checkpoint
from proofward.light.spec import load as load_spec
from proofward.light.spec import with_checkpoint
from proofward.network.state import Network, load
from proofward_explorer.run import artifact_folders, light_source
from tests.explorer.browser import Browser, require_browser
from tests.explorer.serve import Following, Served, free_port, indexed
from tests.network.campaign import Stream, wait_for
from tests.network.test_jobs import accepted

NOWHERE = "ws://127.0.0.1:1"


@dataclass(frozen=True)
class Site:
    """A site whose readers are given the chain's spec, and no node that answers."""

    url: str
    spec: Path
    job: str
    artefact: Path


@pytest.fixture(scope="module")
def site(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require_browser()
    network, out = load(folder), tmp_path_factory.mktemp("explorer")
    with ExitStack() as stack:
        stream = Stream(network, out, stack)
        stream.start()
        with SubstrateClient.connect(network.node("rpc").url) as chain:
            wait_for(lambda: bool(accepted(chain)), "an accepted job")
            stream.stop.set()
            job = "0x" + accepted(chain)[0].hex()
            index = indexed(chain, out / "index.sqlite")
        following = Following(network.node("rpc").url, index)
        stack.callback(following.close)
        artefact = out / "models" / "mlp" / "public"
        port = free_port()
        light = light_source(network.spec)
        served = Served(index, NOWHERE, port, artifact_folders([artefact]), light)
        stack.callback(served.close)
        yield Site(f"http://127.0.0.1:{port}", network.spec, job, artefact)


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


def shown(browser: Browser, site: Site) -> dict[str, tuple[str, str]]:
    """The job's page, with what is simulated admitted: what each check says."""
    browser.do("open", url=f"{site.url}/#/jobs/{site.job}")
    browser.do("wait", selector="[data-verdict]", ms=90_000)
    browser.do("check", selector="#development", on=True)
    browser.do("wait", selector='[data-verdict]:not([data-verdict^="refused"])', ms=60_000)
    return {name: (word, detail) for name, word, detail in browser.do("checks")}


def test_a_job_is_verified_by_proofs_with_no_server_believed(
    browser: Browser, site: Site, network: Network
) -> None:
    """As `proofward verify --light` has it; the page asks its own origin and validators' p2p ports."""
    found = shown(browser, site)
    print(f"job page by a light client, cold: {browser.marked()}")
    dev = targets.Pins(development=True)
    expected = targets.verify(site.job, dev, chain=NOWHERE, artifact=site.artefact, light=site.spec)
    assert expected.accepted
    told = {check.name: check.word for check in expected}
    records = {"finality": "ok", "record": "ok", "payment": "ok"}
    # Read by proofs, the state holds what the bundle says: the library proves that by --spec alone.
    assert {name: word for name, (word, _) in found.items()} == told | {"inclusion": "ok"} | records
    assert browser.do("evaluate", script="document.querySelector('[data-verdict]').dataset.verdict") == (
        "accepted (simulated, setup: dev)"
    )
    assert "no server is believed" in found["reading"][1]
    for name in ("finality", "inclusion"):
        assert "proved under finalised block" in found[name][1]
    seen = browser.do("seen")
    assert seen["errors"] == []
    peers = {f"ws://{node.host}:{node.ws}" for node in network.nodes}
    asked = {"/".join(url.split("/")[:3]) for url in seen["requests"]}
    assert asked - {site.url} <= peers
    assert asked & peers


def test_a_head_that_is_old_by_this_machines_clock_is_not_accepted(browser: Browser, site: Site) -> None:
    """Peers may hold back newer blocks: `reading` stays open, and the verdict incomplete."""
    browser.do("open", url=f"{site.url}/#/")
    browser.do("clock", ms=10 * 60_000)
    browser.do("go", hash=f"#/jobs/{site.job}")
    browser.do("wait", selector="[data-verdict]", ms=90_000)
    browser.do("check", selector="#development", on=True)
    browser.do("wait", selector='[data-verdict^="incomplete"]', ms=90_000)
    (word, detail) = next((word, detail) for name, word, detail in browser.do("checks") if name == "reading")
    assert word == "not checked"
    assert "hold back newer blocks" in detail


def test_the_readers_own_spec_decides_which_fork_it_is(browser: Browser, site: Site, tmp_path: Path) -> None:
    """Its checkpoint is of another fork: nothing of what peers prove is shown as a verdict."""
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(with_checkpoint(load_spec(site.spec), Checkpoint(2, bytes(31) + b"\1"))))
    browser.do("open", url=f"{site.url}/#/")
    browser.do("upload", selector="#spec", path=str(path))
    browser.do("go", hash=f"#/jobs/{site.job}")
    browser.do("wait", selector="[data-error]", ms=90_000)
    assert "another fork" in browser.do("text", selector="[data-error]")
    path.write_text(json.dumps({"name": "no chain", "genesis": {"raw": {"top": {}}}}))
    browser.do("upload", selector="#spec", path=str(path))
    browser.do("wait", selector='[data-error]:has-text("no GRANDPA")')


def test_members_and_finality_are_read_by_proofs(browser: Browser, site: Site) -> None:
    browser.do("open", url=f"{site.url}/#/members")
    browser.do("wait", selector="[data-read]", ms=90_000)
    assert browser.do("evaluate", script="document.querySelector('[data-read]').dataset.read") == "proved"
    shown = browser.do("text", selector="#consortium")
    assert shown.count("validates") == 4
    assert "4, weight 4" in shown
    assert "proved under finalised block" in shown
    assert browser.do("axe") == []
    assert browser.do("seen")["errors"] == []


def test_what_the_index_says_is_read_again_by_proofs(browser: Browser, site: Site) -> None:
    """The job's own record, its events, and the worker's registration: no figure is a server's word."""
    browser.do("open", url=f"{site.url}/#/workers")
    for page in ("workers", f"jobs/{site.job}"):
        browser.do("go", hash=f"#/{page}")
        browser.do("wait", selector='[data-again="same"]', ms=120_000)
        assert "proved under finalised block" in browser.do("text", selector=".again")
        assert "proved" in browser.do("texts", selector="[data-by]"), page
        assert "node" not in browser.do("texts", selector="[data-by]"), page
    assert browser.do("seen")["errors"] == []
