"""The explorer as a reader meets it: a real chain with real jobs, the index, and Chromium."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from proofward.amounts import UNIT
from proofward.chain import Call, Outbox, SubstrateClient, accounts
from proofward.chain.pallets import balances, federation, models, sessions
from proofward.chain.pallets.federation import Plan
from proofward.chain.pallets.models import Terms
from proofward.client import Client, targets
from proofward.devnet.chains import Devnet
from proofward.protocol import Level
from proofward.protocol.federation import study_id
from proofward.protocol.sessions import session_id
from proofward.publisher.publish import publish
from proofward_demo.attacker import EPOCH, Attacker
from proofward_demo.run import AGE_BLOCKS, FIRST_WORKER, HOSPITAL, PUBLISHER, SUDO
from proofward_explorer.run import artifact_folders
from proofward_explorer.store import open_reader
from tests.evidence import RECORD, Evidence
from tests.explorer.browser import Browser, require_browser
from tests.explorer.serve import Served, free_port, indexed
from tests.explorer.test_transcript import hold

ROOT = Path(__file__).parents[2]
SECONDS = 600


@dataclass(frozen=True)
class Network:
    """A chain on which the demonstration ran, its index, and where the site of it is."""

    chain: str
    genesis: bytes
    index: Path
    models: Path
    site: str
    forged: str
    contested: str
    """A job whose client showed on the chain that its result does not open."""
    study: str
    sessions: tuple[str, str]
    """One that runs, and one that left the chain's state."""
    liar: str
    """The site of an index of this chain with figures that it made up."""


EVIL = "<img src=x onerror=alert(1)>"
ENDPOINT = "<img/src=x/onerror=alert(1)>"


def _forge(index: Path, path: Path) -> None:
    """An index that lies, and brings markup and addresses that run."""
    shutil.copy(index, path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE chain SET genesis = zeroblob(32), name = ?", (EVIL,))
        database.execute("UPDATE jobs SET worker = randomblob(32), level = 'hardware', setup = ?", (EVIL,))
        database.execute("UPDATE events SET name = ?, fields = ?", (EVIL, json.dumps({EVIL: EVIL})))
        for kind, name, fields in database.execute("SELECT kind, id, fields FROM records").fetchall():
            evil = {**json.loads(fields), "endpoint": "javascript:alert(1)", "name": EVIL, "level": EVIL,
                    "publisher": "javascript:alert(1)", "evidence_hash": EVIL,
                    "published_at": EVIL}  # fmt: skip
            database.execute("UPDATE records SET fields = ? WHERE kind = ? AND id = ?",
                             (json.dumps(evil), kind, name))  # fmt: skip


#: What the lying index says instead, by page; the chain's own word takes its place.
LIES = {
    "workers": "UPDATE records SET fields = json_set(fields, '$.stake', 99, '$.endpoint', :evil) "
               "WHERE kind = 'worker'",
    "models": "UPDATE records SET fields = json_set(fields, '$.name', :evil, '$.terms.price', 99) "
              "WHERE kind = 'model'",
    "sessions": "UPDATE records SET fields = json_set(fields, '$.records', 99) WHERE kind = 'session'",
    "jobs": "UPDATE jobs SET worker = randomblob(32) WHERE status = 'accepted'",
    "attestation": "UPDATE records SET fields = json_set(fields, '$.policy.grace_seconds', 99) "
                   "WHERE kind = 'attestation'",
    "market": "UPDATE events SET fields = json_set(fields, '$.slashed', 99) WHERE name = 'Undelivered'",
    "blocks/5": "UPDATE blocks SET time = 99 WHERE number = 5",
}  # fmt: skip
OMITTED = (
    "DELETE FROM records WHERE kind = 'model' AND id = (SELECT min(id) FROM records WHERE kind = 'model')"
)


def _lie(index: Path, path: Path) -> None:
    shutil.copy(index, path)
    with sqlite3.connect(path) as database:
        for lie in (*LIES.values(), OMITTED):
            database.execute(lie, {"evil": EVIL} if ":evil" in lie else {})


def _sessions(chain: SubstrateClient, devnet: Devnet, worker: Attacker, model: bytes) -> tuple[str, str]:
    """One that runs, and one that its client closed and that was settled."""
    publisher, hospital = accounts.dev_keypair(PUBLISHER), accounts.dev_keypair(HOSPITAL)
    chain.submit(sessions.allow(model, 1), publisher)
    chain.submit(sessions.offer(model, sessions.Terms(1, UNIT, 2, 1_000_000, 5)), worker.keypair)
    names = []
    for nonce in (bytes(32), bytes(31) + b"\1"):
        call = sessions.open_session(
            worker=worker.account, model=model, nonce=nonce, voucher_key=bytes(32), epoch=EPOCH, max_price=1,
            escrow=UNIT, sample=1_000_000, window=5, end=chain.finalised_head().number + 100,
            min_level=Level.SIMULATED, allow_dev_setup=True,
        )  # fmt: skip
        chain.submit(call, hospital)
        names.append(session_id(bytes(hospital.public_key), nonce))
    chain.submit(sessions.close(names[1]), hospital)
    devnet.skip_to(chain.finalised_head().number + int(chain.constant(sessions.PALLET, "Grace")) + 2)
    chain.submit(sessions.settle(names[1]), hospital)
    assert sessions.get(chain, names[1]) is None
    return "0x" + names[0].hex(), "0x" + names[1].hex()


def _contested(
    chain: SubstrateClient, devnet: Devnet, evidence: Evidence, folder: Path
) -> tuple[str, tuple[str, str]]:
    """A job done by a worker that seals another output than it proves, and contested by its client; and
    sessions with that worker.
    """
    publisher, hospital = accounts.dev_keypair(PUBLISHER), accounts.dev_keypair(HOSPITAL)
    worker = Attacker(chain, accounts.dev_keypair("//Mallory"))
    chain.submit(balances.transfer(worker.account, 5_000 * UNIT), hospital)
    outbox = Outbox(folder / "publisher.sqlite", chain)
    try:
        terms = Terms(UNIT, 0, UNIT // 10, 60)
        model = publish(chain, outbox, publisher, evidence.artifact.public, terms=terms).model
    finally:
        outbox.close()
    chain.submit(worker.registration(), worker.keypair)
    worker.serve(model)
    opened = _sessions(chain, devnet, worker, model)
    with Client(chain.url, HOSPITAL, development=True, state=folder / "state") as client:
        job = client.submit(model, RECORD, artifact=evidence.artifact.path, recipients=[worker.account])
        worker.claim(job.id)
        solution = worker.solve(job.id, evidence.artifact)
        worker.complete(worker.with_outputs(solution, solution.outputs + 1))
        assert client.contest(job, artifact=evidence.artifact.path).slashed > 0
    return str(job), opened


def _study(chain: SubstrateClient) -> str:
    """A study that was announced, and has no round yet."""
    researcher, nonce = accounts.dev_keypair(PUBLISHER), bytes(32)
    host = bytes(accounts.keypair_of(FIRST_WORKER).public_key)
    end = chain.finalised_head().number + 500
    plan = Plan(bytes(32), 3, 1_000, UNIT, 10**9, 2, 4, 1, 5, end)
    chain.submit(federation.create(nonce, host, plan), researcher)
    return "0x" + study_id(bytes(researcher.public_key), nonce).hex()


@pytest.fixture(scope="module")
def network(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    require_browser()
    folder = tmp_path_factory.mktemp("network")
    ports = free_port(), free_port(), free_port()
    origins = [f"http://127.0.0.1:{port}" for port in ports]
    with Devnet(cors=origins) as devnet:
        devnet.skip_to(AGE_BLOCKS)
        command = [sys.executable, "-m", "proofward.cli", "demo", "--chain", devnet.url]
        done = subprocess.run(
            [*command, "--out", str(folder / "demo.json")], capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        index = folder / "index.sqlite"
        with devnet.connect() as client:
            # a member says where it is met, in what words it likes
            moved = Call("Consortium", "set_endpoint", {"endpoint": ENDPOINT.encode()})
            client.submit(moved, accounts.dev_keypair(SUDO))
            contested, opened = _contested(client, devnet, evidence, tmp_path_factory.mktemp("contest"))
            study = _study(client)
            indexed(client, index)
        lying = folder / "forged.sqlite", folder / "liar.sqlite"
        _forge(index, lying[0])
        _lie(index, lying[1])
        folders = [path for path in (folder / "models").iterdir() if path.is_dir()]
        artifacts = artifact_folders([*folders, evidence.artifact.path / "public"])
        served = [
            Served(path, devnet.url, port, artifacts)
            for path, port in zip(
                (index, folder / "forged.sqlite", folder / "liar.sqlite"), ports, strict=True
            )
        ]
        site, forged, liar = origins
        yield Network(
            devnet.url, devnet.genesis, index, folder / "models", site, forged, contested, study, opened, liar
        )
        for one in served:
            one.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


def jobs(network: Network, status: str) -> list[str]:
    with open_reader(network.index) as database:
        rows = database.execute("SELECT id FROM jobs WHERE status = ? ORDER BY number", (status,)).fetchall()
    return ["0x" + row[0].hex() for row in rows]


def test_an_accepted_job_is_verified_again_in_the_tab(browser: Browser, network: Network) -> None:
    """From a cold page to every check of `proofward verify`, in its words."""
    job = jobs(network, "accepted")[0]
    with Client(network.chain, development=True) as client:
        artifact = _artifact(network, client, job)
    expected = targets.verify(job, targets.Pins(development=True), chain=network.chain, artifact=artifact)
    assert expected.accepted
    browser.do("open", url=f"{network.site}/#/jobs/{job}")
    browser.do("wait", selector="[data-verdict]")
    assert browser.do("evaluate", script="document.querySelector('[data-verdict]').dataset.verdict") == (
        "refused (simulated, setup: dev)"
    )
    browser.do("check", selector="#development", on=True)
    browser.do("wait", selector='[data-verdict^="accepted"]')
    rows = [row for row in browser.do("checks") if row[0] not in ("finality", "record", "payment")]
    lines = [(c.name, c.word) for c in expected]
    assert [(name, word) for name, word, _ in rows] == lines
    told = {name: detail for name, word, detail in rows if word == "ok"}
    for one in expected:
        if one.ok and one.name not in ("measurement allowed",):
            assert told[one.name] == one.detail, one.name
    pictured(browser)
    nodes = {
        name: word for name, word, _ in browser.do("checks") if name in ("finality", "record", "payment")
    }
    assert nodes == {"finality": "ok", "record": "ok", "payment": "ok"}
    events = browser.do(
        "evaluate", script="[...document.querySelectorAll('[data-event]')].map(e => e.dataset.event)"
    )
    assert events[0] == "Submitted"
    assert events[-1] == "Accepted"
    seen = browser.do("seen")
    assert seen["errors"] == []
    asked = [re.sub(r"/chunk-[A-Z0-9]{8}\.js$", "", url) for url in seen["requests"]]
    origins = {url.split("/#")[0].split("/api")[0].rstrip("/") for url in asked}
    allowed = {network.site, network.chain, *(f"{network.site}/{name}" for name in ("app.js", "style.css"))}
    assert {one for one in origins if "favicon" not in one} <= allowed


def pictured(browser: Browser) -> None:
    """The README's picture has this page's verdict, its count, and rows of it in their order."""
    picture = (ROOT / "docs" / "job-page.svg").read_text()
    verdict, _, count = browser.do("texts", selector="[data-verdict] p")
    assert f">{verdict}<" in picture
    assert count.rpartition(", in ")[0] in picture
    badges = r'text-anchor="middle"[^>]*>([^<]+)</text><text[^>]*font-weight="600">([^<]+)</text>'
    drawn = [(name, word) for word, name in re.findall(badges, picture)]
    rows = iter([(name, word) for name, word, _ in browser.do("checks")])
    assert len(drawn) > 8
    assert all(one in rows for one in drawn), drawn


def _artifact(network: Network, client: Client, job: str) -> Path:
    model = client.model(client.show(job).record.model)
    return artifact_folders(sorted(network.models.iterdir()))[model.manifest_hash.hex()]


def test_a_client_opens_its_own_answer_in_the_page(browser: Browser, network: Network) -> None:
    """With the file of its secrets, which goes nowhere: nothing is asked of anybody meanwhile."""
    kept = {path.stem: path for path in network.models.parent.rglob("*.json") if len(path.stem) == 64}
    job = next(one for one in jobs(network, "accepted") if one[2:] in kept)
    browser.do("open", url=f"{network.site}/#/jobs/{job}")
    browser.do("wait", selector="[data-verdict]")
    browser.do("wait", selector=SETTLED)
    before = browser.do("seen")["requests"]
    browser.do("evaluate", script="document.querySelector('#secrets').closest('details').open = true")
    browser.do("upload", selector="#secrets", path=str(kept[job[2:]]))
    browser.do("wait", selector="#answer td")
    assert browser.do("texts", selector="#answer td")[1] in ("0", "1")
    other = next(path for stem, path in kept.items() if stem != job[2:])
    browser.do("upload", selector="#secrets", path=str(other))
    browser.do("wait", selector="#answer .error")
    assert "another job" in browser.do("text", selector="#answer")
    assert browser.do("seen")["requests"] == before


def test_a_page_is_verified_cold_in_time(browser: Browser, network: Network) -> None:
    """From navigation to the verdict, in a browser context without a cache; printed."""
    job = jobs(network, "accepted")[0]
    browser.do("open", url=f"{network.site}/#/jobs/{job}")
    browser.do("wait", selector="[data-verdict]")
    costs = browser.do("costs")
    print(
        f"job page, cold: {browser.marked()}; {costs['task']} ms of the processor on its thread, "
        f"{costs['questions']} questions to the node, asked {costs['rounds']} times after an answer"
    )
    # What does not hang on an answer is asked at once: one question after another they would be 17 and more.
    assert costs["rounds"] <= 11


def test_a_job_whose_client_won_a_contest_is_refused_by_that_line_alone(
    browser: Browser, network: Network, evidence: Evidence
) -> None:
    """Proof, receipt and quote of it are good: only the chain's record of the contest tells."""
    artifact = evidence.artifact.path
    expected = targets.verify(
        network.contested, targets.Pins(development=True), chain=network.chain, artifact=artifact
    )
    browser.do("open", url=f"{network.site}/#/jobs/{network.contested}")
    browser.do("wait", selector="[data-verdict]")
    browser.do("check", selector="#development", on=True)
    browser.do("wait", selector="[data-verdict]")
    assert browser.do("evaluate", script="document.querySelector('[data-verdict]').dataset.verdict") == (
        "refused (simulated, setup: dev)"
    )
    refused = {name: detail for name, word, detail in browser.do("checks") if word == "REFUSED"}
    assert refused == {one.name: one.detail for one in expected if one.ok is False}
    assert set(refused) == {"delivery"}
    assert "does not open" in refused["delivery"]
    assert browser.do("seen")["errors"] == []


def test_a_job_without_a_result_says_so(browser: Browser, network: Network) -> None:
    browser.do("open", url=f"{network.site}/#/jobs/{jobs(network, 'refunded')[0]}")
    browser.do("wait", selector="[data-error]")
    assert "no result to verify" in browser.do("text", selector="[data-error]")
    browser.do("wait", selector='[data-event="Refunded"]')


PAGES = (
    "",
    "jobs",
    "sessions",
    "workers",
    "models",
    "setups",
    "attestation",
    "market",
    "members",
    "studies",
    "blocks/5",
)


def records(network: Network) -> list[str]:
    with open_reader(network.index) as database:
        found = database.execute("SELECT kind, id FROM records WHERE kind IN ('worker', 'model')").fetchall()
    pages = [f"{row[0]}s/0x{row[1].hex()}" for row in found]
    return pages + [one.replace("models/", "setups/") for one in pages if one.startswith("models/")]


#: In a table that is wider than the screen too: whose word a row is needs no scrolling.
WORDS_IN_SIGHT = """[...document.querySelectorAll('td.word [data-by]')].every((one) => {
  const { left, right } = one.getBoundingClientRect()
  return left >= 0 && right <= document.documentElement.clientWidth
})"""


@pytest.mark.parametrize(("width", "dark"), [(360, True), (1280, False)])
def test_every_page_can_be_used_by_everybody(
    browser: Browser, network: Network, width: int, dark: bool, tmp_path: Path
) -> None:
    """axe finds nothing serious, nothing is wider than the screen, each page has a heading."""
    browser.do("open", url=f"{network.site}/", width=width, dark=dark)
    opened = [f"sessions/{one}" for one in network.sessions]
    pages = [*PAGES, *records(network), *opened, f"jobs/{jobs(network, 'accepted')[0]}"]
    for page in pages:
        browser.do("go", hash=f"#/{page}")
        selector = "[data-verdict]" if page.startswith("jobs/") else "h1"
        browser.do("wait", selector=f"main {selector}")
        assert browser.do("axe") == [], page
        assert browser.do("evaluate", script="document.documentElement.scrollWidth") <= width, page
        assert browser.do("evaluate", script=WORDS_IN_SIGHT), page
        assert browser.do("texts", selector="main .error") == [], page
        browser.do("screenshot", path=str(tmp_path / f"{page.replace('/', '-')[:40] or 'overview'}.png"))
    assert browser.do("seen")["errors"] == []


def test_a_job_is_verified_by_keyboard_alone(browser: Browser, network: Network) -> None:
    """The first stop skips the navigation and stays on the page; the space bar admits what is simulated."""
    job = jobs(network, "accepted")[0]
    browser.do("open", url=f"{network.site}/#/jobs/{job}")
    browser.do("wait", selector="[data-verdict]")
    browser.do("press", key="Tab")
    assert browser.do("evaluate", script="document.activeElement.className") == "skip"
    browser.do("press", key="Enter")
    assert browser.do("evaluate", script="[document.activeElement.id, location.hash]") == [
        "main",
        f"#/jobs/{job}",
    ]
    for _ in range(40):
        browser.do("press", key="Tab")
        if browser.do("evaluate", script="document.activeElement.id") == "development":
            break
    browser.do("press", key="Space")
    browser.do("wait", selector='[data-verdict^="accepted"]')
    assert browser.do("texts", selector=".error") == []


def test_a_workers_card_says_what_is_proven_and_by_what(browser: Browser, network: Network) -> None:
    """A simulated worker has nothing that hardware proves."""
    worker = next(one for one in records(network) if one.startswith("workers/"))
    browser.do("open", url=f"{network.site}/#/{worker}")
    browser.do("wait", selector="[data-ground]")
    grounds = browser.do(
        "evaluate", script="[...document.querySelectorAll('[data-ground]')].map(e => e.dataset.ground)"
    )
    assert set(grounds) == {"verifier-derived", "asserted", "unknown"}
    assert len(grounds) == 9


def test_search_finds_by_id_account_block_and_name(browser: Browser, network: Network) -> None:
    job = jobs(network, "accepted")[0]
    for wanted, ends in (
        (job, f"#/jobs/{job}"),
        ("5", "#/blocks/5"),
        (EVIL, None),
    ):
        browser.do("open", url=f"{network.site}/")
        browser.do("wait", selector='[name="q"]')
        browser.do("fill", selector='[name="q"]', value=wanted)
        browser.do("press", key="Enter")
        if ends is not None:
            browser.do("wait", selector=f'main h1:has-text("{"Job" if "jobs" in ends else "Block"}")')
            assert browser.do("evaluate", script="location.hash") == ends
        else:
            browser.do("wait", selector='main h1:has-text("Search")')
            assert EVIL in browser.do("text", selector="main")


def test_an_index_that_lies_changes_no_verdict(browser: Browser, network: Network) -> None:
    """Its word is shown as its word; the evidence comes from the node, and another chain is told."""
    job = jobs(network, "accepted")[0]
    browser.do("open", url=f"{network.forged}/#/jobs/{job}")
    browser.do("wait", selector="[data-verdict]")
    browser.do("check", selector="#development", on=True)
    browser.do("wait", selector='[data-verdict^="accepted"]')
    assert "of another chain than the explorer's index" in browser.do("text", selector="#verification")
    model = next(one for one in records(network) if one.startswith("models/")).removeprefix("models/")
    browser.do("open", url=f"{network.forged}/#/setups/{model}")
    browser.do("wait", selector='#setup [role="alert"][data-chain="other"]')
    browser.do("open", url=f"{network.forged}/#/studies/{network.study}")
    browser.do("wait", selector='#study [role="alert"][data-chain="other"]')
    browser.do("open", url=f"{network.site}/#/studies/{network.study}")
    browser.do("wait", selector="#study [data-read]")
    assert browser.do("texts", selector='#study [role="alert"]') == []


SETTLED = '[data-again]:not([data-again="reading"])'


def _again(browser: Browser, page: str) -> str:
    """How a page's reading again from the chain went."""
    browser.do("go", hash="#/search?q=nobody")
    browser.do("wait", selector='main h1:has-text("Search")')
    browser.do("go", hash=f"#/{page}")
    browser.do("wait", selector=SETTLED)
    return str(browser.do("evaluate", script="document.querySelector('[data-again]').dataset.again"))


def test_every_page_is_read_again_from_the_chain(browser: Browser, network: Network) -> None:
    """Figure by figure, by the node's word; sums over blocks and what left the state stay the index's."""
    browser.do("open", url=f"{network.site}/")
    opened = [f"sessions/{one}" for one in network.sessions]
    told = [f"jobs/{jobs(network, 'accepted')[0]}", f"jobs/{jobs(network, 'refunded')[0]}"]
    for page in [*PAGES, *opened, *told, *(one for one in records(network) if "setups/" not in one)]:
        assert _again(browser, page) == "same", (page, browser.do("text", selector=".again"))
        assert network.chain in browser.do("text", selector=".again"), page
        marks = set(browser.do("texts", selector="[data-by]"))
        assert marks <= {"index", "node", "index: left the state"}, page
        assert "node" in marks, page
        assert browser.do("axe") == [], page
    for session, state in zip(opened, ("runs", "ended"), strict=True):
        _again(browser, session)
        assert f"state{state} node" in browser.do("text", selector="main dl")
    assert browser.do("seen")["errors"] == []


def test_what_an_index_makes_up_or_leaves_out_is_told_and_the_chains_word_shown(
    browser: Browser, network: Network
) -> None:
    browser.do("open", url=f"{network.liar}/", width=360)
    for page in LIES:
        assert _again(browser, page) == "differs", page
        if page != "models" or len(browser.do("texts", selector="main tbody tr")) > 0:
            assert "differs" in browser.do("texts", selector="[data-by]"), page
        assert browser.do("evaluate", script="document.documentElement.scrollWidth") <= 360, page
        assert browser.do("evaluate", script="document.querySelectorAll('main img').length") == 0, page
    assert _again(browser, "models") == "differs"
    assert "records that the index leaves out: 1" in browser.do("text", selector=".again")
    for session in network.sessions:
        assert _again(browser, f"sessions/{session}") == "differs"
        assert "records committed0 (the index has 99) differs" in browser.do("text", selector="main dl")
    worker = next(one for one in records(network) if one.startswith("workers/"))
    assert _again(browser, worker) == "differs"
    assert EVIL in browser.do("text", selector="main")
    seen = browser.do("seen")
    assert (seen["dialogs"], seen["errors"]) == (0, [])
    browser.do("open", url=f"{network.forged}/")
    for page in ("workers", f"sessions/{network.sessions[0]}", "blocks/5"):
        assert _again(browser, page) == "other", page


def test_an_index_that_is_some_blocks_behind_is_no_liar(browser: Browser, network: Network) -> None:
    """It is held against the chain as it was at the index's block, and a reader is told how old that is."""
    with open_reader(network.index) as database, SubstrateClient.connect(network.chain) as chain:
        (name,) = database.execute("SELECT id FROM records WHERE kind = 'model' AND gone = 0").fetchone()
        (at,) = database.execute("SELECT max(number) FROM blocks").fetchone()
        dearer = models.set_price(bytes(name), 77 * UNIT)
        chain.submit(dearer, accounts.dev_keypair(PUBLISHER)).raise_for_error()
    browser.do("open", url=f"{network.site}/")
    assert _again(browser, "models") == "same"
    told = browser.do("text", selector=".again")
    assert f"at block {at}, where the index is, " in told
    assert "before the newest" in told
    assert "77 UNIT" not in browser.do("text", selector="main")


def test_what_the_index_brings_is_text(browser: Browser, network: Network) -> None:
    """Markup and addresses in names, endpoints, events: nothing runs, nothing leads anywhere."""
    browser.do("open", url=f"{network.forged}/")
    opened = [f"sessions/{one}" for one in network.sessions]
    for page in [*PAGES, *records(network), *opened, f"studies/{network.study}"]:
        browser.do("go", hash=f"#/{page}")
        browser.do("wait", selector="main h1")
        bad = "document.querySelectorAll('main img, main script, main iframe, [href^=\"javascript\"]').length"
        assert browser.do("evaluate", script=bad) == 0, page
    for hash_ in (
        f"#/{EVIL}",
        "#/jobs/javascript:alert(1)",
        "#/constructor/x",
        "#/jobs?status=" + EVIL,
        "#//",
    ):
        browser.do("go", hash=hash_)
        browser.do("wait", selector="main h1")
    seen = browser.do("seen")
    assert seen["dialogs"] == 0
    assert not [one for one in seen["errors"] if "400" not in one and "404" not in one], seen["errors"]


def test_members_and_finality_are_read_from_the_chain(browser: Browser, network: Network) -> None:
    """By the node's word, which the page says; what a member wrote is text."""
    browser.do("open", url=f"{network.site}/#/members")
    browser.do("wait", selector="[data-read]")
    assert browser.do("evaluate", script="document.querySelector('[data-read]').dataset.read") == "said"
    shown = browser.do("text", selector="#consortium")
    assert shown.count(ENDPOINT) == 1
    assert f"the word of the node at {network.chain}, without proof" in shown
    assert browser.do("evaluate", script="document.querySelectorAll('main img').length") == 0
    assert "Consortium.Moved" in browser.do("text", selector="main")
    assert browser.do("axe") == []
    assert browser.do("seen")["errors"] == []


def test_a_setups_transcript_is_checked_in_the_page(
    browser: Browser, network: Network, tmp_path: Path
) -> None:
    """Contributors one by one, of a transcript from the reader's disk; a name is text."""
    model = next(one for one in records(network) if one.startswith("models/")).removeprefix("models/")
    held = hold(tmp_path)
    files = {"ceremony.bin": held.transcript, "vk.bin": held.vk}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    browser.do("open", url=f"{network.site}/#/setups/{model}")
    browser.do("wait", selector="[data-transcript]")
    assert "have no transcript" in browser.do("text", selector="[data-transcript]")
    browser.do("upload", selector="#transcript", path=[str(tmp_path / name) for name in files])
    browser.do("wait", selector='[data-transcript="refused"]')
    words = {name: word for name, word, _ in browser.do("checks")}
    # it holds by itself, and is of another circuit and key than the chain's record
    assert {words[f"contribution {number}"] for number in range(1, 5)} == {"ok"}
    assert (words["circuit"], words["key"], words["transcript"]) == ("REFUSED", "REFUSED", "not checked")
    assert EVIL in browser.do("text", selector="#setup")
    assert browser.do("evaluate", script="document.querySelectorAll('main img').length") == 0
    assert browser.do("axe") == []
    assert browser.do("seen")["dialogs"] == 0


def test_outbreaks_are_told_with_their_noise(browser: Browser, network: Network, tmp_path: Path) -> None:
    """Of a series from the reader's disk: the alarm, and the noise beside it; a cell's name is text."""
    series = [10.0, 11, 9, 10, 12, 10, 9, 10, 11, 60, 10]
    rows = "\n".join(f"{one},{one if one < 50 else 10}" for one in series)
    (tmp_path / "counts.csv").write_text(f"{EVIL},south\n{rows}\n")
    browser.do("open", url=f"{network.site}/#/studies")
    browser.do("wait", selector="#series")
    browser.do("fill", selector="#deviation", value="4.05")
    browser.do("upload", selector="#series", path=str(tmp_path / "counts.csv"))
    browser.do("wait", selector="#counts table")
    shown = browser.do("text", selector="#counts")
    assert "noise of a deviation of 4.05 (by you)" in shown
    assert f"{EVIL}9" in shown  # the alarm of week 9, in the cell's row
    assert "southnothing" in shown
    assert browser.do("evaluate", script="document.querySelectorAll('main img').length") == 0
    assert browser.do("axe") == []
    (tmp_path / "counts.csv").write_text("a,b\n1,x\n")
    browser.do("upload", selector="#series", path=str(tmp_path / "counts.csv"))
    browser.do("wait", selector="#counts [data-error]")
    seen = browser.do("seen")
    assert (seen["dialogs"], seen["errors"]) == (0, [])


def test_a_node_that_the_page_may_not_ask_is_told(browser: Browser, network: Network) -> None:
    """The policy of the page names one node; another one, or none, is an error and no verdict."""
    job = jobs(network, "accepted")[0]
    browser.do("open", url=f"{network.site}/?node=ws://127.0.0.1:9/#/jobs/{job}")
    browser.do("wait", selector="[data-error]")
    assert "cannot be reached" in browser.do("text", selector="[data-error]")
