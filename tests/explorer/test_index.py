"""The index on a real chain: what it holds, that it survives being killed, and what it refuses."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from proofward.amounts import UNIT
from proofward.chain import Outbox, SubstrateClient, accounts
from proofward.chain.pallets.models import Terms
from proofward.devnet.chains import Devnet
from proofward.errors import ProofwardError
from proofward.publisher.publish import publish
from proofward_explorer.indexer import Indexer
from proofward_explorer.lists import BadQuestion, Lists
from proofward_explorer.run import light_source
from proofward_explorer.server import Site, peers_policy, policy_of
from proofward_explorer.store import IndexUnusable, open_index, open_reader
from tests.evidence import Evidence


@pytest.fixture(scope="module")
def chain() -> Iterator[Devnet]:
    with Devnet() as devnet:
        yield devnet


@pytest.fixture
def rpc(chain: Devnet) -> Iterator[SubstrateClient]:
    with chain.connect() as client:
        yield client


def index(rpc: SubstrateClient, path: Path, until: int, **options: Any) -> None:
    indexer = Indexer(rpc, path, **options)
    try:
        if (indexer.cursor or -1) < until:
            indexer.run(lambda number: indexer.stop() if number >= until else None)
    finally:
        indexer.close()


def contents(path: Path, until: int) -> dict[str, list[Any]]:
    with open_reader(path) as database:
        database.row_factory = None
        return {
            table: database.execute(
                f"SELECT * FROM {table} WHERE {column} <= ? ORDER BY 1, 2", (until,)
            ).fetchall()
            for table, column in (
                ("blocks", "number"), ("extrinsics", "block"), ("events", "block"), ("records", "block"),
            )
        }  # fmt: skip


def _publish(rpc: SubstrateClient, evidence: Evidence, publisher: str) -> bytes:
    outbox = Outbox(evidence.cache / f"explorer-{publisher[2:]}-{rpc.genesis.hex()[:8]}.sqlite", rpc)
    try:
        terms = Terms(UNIT, 0, UNIT // 10, 60)
        key = accounts.dev_keypair(publisher)
        return publish(rpc, outbox, key, evidence.artifact.public, terms=terms).model
    finally:
        outbox.close()


def test_the_index_holds_what_the_chain_did(rpc: SubstrateClient, evidence: Evidence, tmp_path: Path) -> None:
    model = _publish(rpc, evidence, "//Bob")
    head = rpc.finalised_head().number
    path = tmp_path / "a.sqlite"
    index(rpc, path, head)
    with open_reader(path) as database:
        lists = Lists(database)
        assert lists.head()["genesis"] == "0x" + rpc.genesis.hex()
        found = lists.record("model", model)
        assert found["model"]["name"] == "tiny"
        assert [one["name"] for one in found["events"]] == ["Published"]
        assert lists.search(model.hex()) == [{"kind": "model", "id": "0x" + model.hex()}]
        assert lists.search("tiny") == [{"kind": "model", "id": "0x" + model.hex()}]
        block = lists.block(found["model"]["published_at"])
        assert "Models.publish" in [one["call"] for one in block["extrinsics"]]
        assert lists.search(block["block"]["hash"])[0]["kind"] == "block"
        assert {one["level"] for one in lists.attestation()["roots"]} == {"simulated", "hardware"}
        assert lists.overview()["records"]["model"] >= 1
    again = tmp_path / "b.sqlite"
    index(rpc, again, head)
    assert contents(again, head) == contents(path, head)


KILLED = """
import sys
from pathlib import Path
from proofward.chain import SubstrateClient
from proofward.errors import ProofwardError
from proofward_explorer.indexer import Indexer
indexer = Indexer(SubstrateClient.connect(sys.argv[1]), Path(sys.argv[2]))
indexer.run(lambda number: print(number, flush=True))
"""


def test_an_indexer_that_is_killed_goes_on_where_it_was(
    rpc: SubstrateClient, evidence: Evidence, tmp_path: Path
) -> None:
    _publish(rpc, evidence, "//Charlie")
    head, path = rpc.finalised_head().number, tmp_path / "killed.sqlite"
    command = [sys.executable, "-c", KILLED, rpc.url, str(path)]
    for lines in (1, 1, 2):  # each time in the middle of some block
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    index(rpc, path, head)
    whole = tmp_path / "whole.sqlite"
    index(rpc, whole, head)
    assert contents(path, head) == contents(whole, head)


def test_another_chain_is_refused_and_a_rewound_one_indexed_anew(
    rpc: SubstrateClient, tmp_path: Path
) -> None:
    path, head = tmp_path / "a.sqlite", rpc.finalised_head().number
    index(rpc, path, head)
    whole = contents(path, head)
    with sqlite3.connect(path) as database:
        database.execute(
            "UPDATE blocks SET hash = zeroblob(32) WHERE number = (SELECT max(number) FROM blocks)"
        )
        database.execute("UPDATE records SET fields = '{}'")
    index(rpc, path, head)
    assert contents(path, head) == whole
    with sqlite3.connect(path) as database:
        database.execute("UPDATE chain SET genesis = zeroblob(32)")
    with pytest.raises(IndexUnusable, match=r"genesis 0x0000.*--rebuild"):
        Indexer(rpc, path)
    index(rpc, path, head, rebuild=True)
    assert contents(path, head) == whole


def test_a_file_that_is_no_index_or_a_later_releases_is_refused(rpc: SubstrateClient, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"no database" * 100)
    with pytest.raises(IndexUnusable, match="--rebuild"):
        open_index(other)
    later = tmp_path / "later.sqlite"
    open_index(later).close()
    with sqlite3.connect(later) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(IndexUnusable, match="99"):
        open_index(later)


JOBS = 100_000


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of a hundred thousand jobs."""
    path = tmp_path_factory.mktemp("index") / "crowded.sqlite"
    database = open_index(path)
    database.execute("BEGIN")
    database.execute("INSERT INTO chain VALUES (zeroblob(32), 'crowded', 'Development')")
    database.executemany(
        "INSERT INTO blocks VALUES (?, ?, ?, 3)",
        ((n, n.to_bytes(32, "big"), n * 2_000) for n in range(JOBS // 4 + 10)),
    )
    database.executemany(
        "INSERT INTO jobs (id, client, model, status, worker, level, setup, price, paid, royalty, "
        "proof_bytes, submitted_at, ended_at, deadline, attempts, min_level, day, seconds) "
        "VALUES (?, ?, ?, ?, ?, ?, 'dev', ?, '1', '0', 256, ?, ?, ?, 1, 'simulated', ?, 2.5)",
        (
            (
                n.to_bytes(32, "little"), bytes([n % 50]) * 32, bytes([n % 7]) * 32,
                ("accepted", "accepted", "accepted", "refunded", "queued")[n % 5], bytes([n % 13]) * 32,
                ("simulated", "hardware")[n % 2], str(10**19 + n), n // 4, n // 4 + 2, n // 4 + 100,
                n // 5_000,
            )
            for n in range(JOBS)
        ),
    )  # fmt: skip
    database.executemany(
        "INSERT INTO events VALUES (?, ?, 1, 'Jobs', ?, ?, ?, '{}')",
        (
            (n // 4 + (name == "Accepted"), 2 * (n % 4) + (name == "Accepted"), name,
             n.to_bytes(32, "little"), bytes([n % 13]) * 32)
            for n in range(JOBS)
            for name in ("Submitted", "Accepted")
        ),
    )  # fmt: skip
    _sessions(database)
    database.execute("COMMIT")
    database.execute("ANALYZE")
    database.close()
    return path


#: Sessions of which each has two windows, but for one that has eighty: five events each.
SESSIONS, LONG = 300, 80


def _sessions(database: sqlite3.Connection) -> None:
    place = 100
    for n in range(SESSIONS):
        name, windows = n.to_bytes(32, "big"), LONG if n == 7 else 2
        told = {"worker": "0x" + "00" * 32, "model": "0x" + "00" * 32, "opened_at": n // 3, "escrow": 10**15,
                "records": 160 * windows, "pages": 10 * windows, "paid": 0}  # fmt: skip
        database.execute(
            "INSERT INTO records VALUES ('session', ?, 9000, ?, ?)", (name, n % 2, json.dumps(told))
        )
        for window in range(windows):
            for kind, fields in (
                ("Checkpointed", {}), ("Drawn", {}), ("Forced", {}), ("Proved", {"pages": [1, 2, 3]}),
                ("Finished", {"records": 160}),
            ):  # fmt: skip
                place += 1
                database.execute(
                    "INSERT INTO events VALUES (?, ?, 1, 'InferenceSessions', ?, ?, zeroblob(32), ?)",
                    (9_000 + window, place, kind, name, json.dumps(fields)),
                )


def test_every_session_and_event_is_counted_and_reached(crowded: Path) -> None:
    """Of three hundred sessions, and of one with four hundred events."""
    with open_reader(crowded) as database:
        lists = Lists(database)
        seen, asked = list[dict[str, Any]](), dict[str, str]()
        while True:
            page = lists.sessions({"limit": "70", **asked})
            seen += page["sessions"]
            if page["next"] is None:
                break
            asked = {"before": page["next"]}
        windows = 2 * (SESSIONS - 1) + LONG
        assert [one["id"] for one in seen] == [
            f"0x{n.to_bytes(32, 'big').hex()}" for n in reversed(range(SESSIONS))
        ]
        assert sum(one["proved"] for one in seen) == 3 * windows
        totals = {"count": SESSIONS, "records": 160 * windows, "pages": 10 * windows, "proved": 3 * windows}
        assert page["totals"] == lists.overview()["sessions"] == totals
        name = (7).to_bytes(32, "big")
        events, before = list[dict[str, Any]](), dict[str, str]()
        while True:
            one = lists.session(name, before)
            assert (one["session"]["proved"], one["session"]["paid"]) == (3 * LONG, 160 * LONG)
            events = [*one["events"], *events]
            if one["next"] is None:
                break
            before = {"before": one["next"]}
        places = [(event["block"], event["place"]) for event in events]
        assert places == sorted(set(places))
        assert len(places) == 5 * LONG
        for question in ({"before": "9"}, {"before": "x"}, {"before": "1.2.3"}, {"after": "1"}):
            with pytest.raises(BadQuestion):
                lists.sessions(question)
            with pytest.raises(BadQuestion):
                lists.session(name, question)


def test_lists_of_a_hundred_thousand_jobs(crowded: Path) -> None:
    """Every list is bounded and complete; the time of each is printed (`make explorer-test`)."""
    with open_reader(crowded) as database:
        lists = Lists(database)
        worker, model = (bytes([3]) * 32).hex(), (bytes([2]) * 32).hex()
        asked: dict[str, dict[str, str]] = {
            "all": {},
            "status": {"status": "refunded"},
            "level": {"level": "hardware"},
            "client": {"client": worker},
            "worker": {"worker": worker},
            "model, status": {"model": model, "status": "accepted"},
            "rare": {"client": worker, "model": model, "worker": worker, "status": "queued"},
            "deep": {"before": "1000", "limit": "200"},
        }
        for name, question in asked.items():
            started = time.perf_counter()
            found = lists.jobs(question)
            print(f"jobs by {name}: {1000 * (time.perf_counter() - started):.1f} ms")
            assert len(found["jobs"]) <= 200
            for one in found["jobs"]:
                assert all(one[key] == ("0x" + value if len(value) == 64 else value)
                           for key, value in question.items() if key in one)  # fmt: skip
        seen: list[str] = []
        before: dict[str, str] = {}
        while True:
            page = lists.jobs({"client": worker, "limit": "200", **before})
            seen += [one["id"] for one in page["jobs"]]
            if page["next"] is None:
                break
            before = {"before": str(page["next"])}
        assert len(seen) == len(set(seen)) == JOBS // 50
        job = (77).to_bytes(32, "little")
        questions: dict[str, Callable[[], Any]] = {
            "overview": lists.overview,
            "market": lists.market,
            "job": lambda: lists.job(job),
            "search": lambda: lists.search(job.hex()),
            "block": lambda: lists.block(77),
            "sessions": lambda: lists.sessions({}),
            "session": lambda: lists.session((7).to_bytes(32, "big"), {}),
        }
        for name, ask in questions.items():
            started = time.perf_counter()
            ask()
            print(f"{name}: {1000 * (time.perf_counter() - started):.1f} ms")
        held = sum(10**19 + n for n in range(4, JOBS, 5)) + (SESSIONS // 2) * 10**15
        assert lists.overview()["escrow"] == str(held)


HOSTILE = (
    "'", "' OR 1=1 --", "'; DROP TABLE jobs; --", '"', "%", "*", "\x00", "../../etc/passwd", "<script>",
    "0x" + "00" * 31, "0x" + "00" * 33, "-1", "1e9", "9" * 30, "１", "a" * 5000, "javascript:alert(1)",
)  # fmt: skip


async def test_each_answer_says_of_which_block_it_is(crowded: Path, tmp_path: Path) -> None:
    """Of one state of the file, whatever is written meanwhile: a reader compares it with the chain there."""
    database = open_reader(crowded)
    newest = int(database.execute("SELECT max(number) FROM blocks").fetchone()[0])
    site = Site(database, node="ws://127.0.0.1:9944", static=tmp_path, artifacts={})
    async with TestClient(TestServer(site.app())) as client:
        for path in ("jobs", "workers", "overview", "config", "market", "jobs"):
            answer = await client.get(f"/api/{path}")
            assert answer.headers["Proofward-Block"] == str(newest), path
        assert (await client.get("/api/jobs?status=x")).status == 400
        assert (await client.get("/api/jobs")).status == 200


async def test_the_server_takes_no_question_for_anything_else(crowded: Path, tmp_path: Path) -> None:
    """Injection through every parameter: a refusal or an empty answer, and the index unchanged."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    before = crowded.read_bytes()
    site = Site(open_reader(crowded), node="ws://127.0.0.1:9944", static=tmp_path, artifacts={})
    async with TestClient(TestServer(site.app())) as client:
        for text in HOSTILE:
            for path, name in (
                *(
                    ("/api/jobs", name)
                    for name in ("status", "level", "model", "worker", "client", "before", "limit")
                ),
                ("/api/jobs", text[:100]),
                ("/api/search", "q"),
                ("/", "node"),
            ):
                answer = await client.get(path, params={name: text})
                body = await answer.text()
                assert answer.status in (200, 400), (path, name, text)
                if answer.status == 200 and path == "/api/search":
                    assert body == "[]", text
                elif answer.status == 200:
                    assert path == "/api/jobs", (path, name, text)
                    assert (await answer.json())["jobs"] == [], (name, text)
            for path in ("jobs", "workers", "models", "blocks", "artefacts/x"):
                answer = await client.get(f"/api/{path}/{text.replace('/', '%2F')}")
                assert answer.status in (400, 404), (path, text)
        for method in ("POST", "PUT", "DELETE"):
            assert (await client.request(method, "/api/jobs")).status == 405
        (tmp_path / "chunk-ABCDEF23.js").write_text("1")
        (tmp_path / "other.js").write_text("1")
        assert (await client.get("/chunk-ABCDEF23.js")).content_type == "text/javascript"
        for path in ("chunk-ABCDEF24.js", "other.js", "chunk-..%2Fother.js", "../pyproject.toml"):
            assert (await client.get(f"/{path}")).status == 404, path
        assert (await client.get("/api/jobs?status=queued&status=claimed")).status == 400
        page = await client.get("/")
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; connect-src 'self' ws://127.0.0.1:9944;")
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert crowded.read_bytes() == before


@pytest.mark.parametrize(
    "address",
    [
        "http://a",
        "ws://a; script-src *",
        "ws://a b",
        "ws://",
        "ws://a/#x",
        "ws://u:p@a",
        "wss://a?x",
        "ws://a\n",
        "",
    ],
)
def test_a_nodes_address_widens_no_policy(address: str) -> None:
    with pytest.raises(BadQuestion):
        policy_of(address)


PEER = "12D3KooWA3UpiXfHSzyoCKKXPJXAPZSXx37WSMsmXP5tWzQByZov"


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        (f"/ip4/10.0.0.2/tcp/30334/ws/p2p/{PEER}", "ws://10.0.0.2:30334"),
        (f"/ip6/::1/tcp/1/ws/p2p/{PEER}", "ws://[::1]:1"),
        (f"/dns/chain.example/tcp/443/wss/p2p/{PEER}", "wss://chain.example:443"),
        (f"/dns4/chain.example/tcp/443/tls/ws/p2p/{PEER}", "wss://chain.example:443"),
    ],
)
def test_a_light_clients_policy_names_its_peers_alone(address: str, origin: str) -> None:
    """The worker's own: it runs WebAssembly and asks them, and nobody else, not even its own origin."""
    assert peers_policy([address, address]) == (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src {origin}"
    )


@pytest.mark.parametrize(
    "address",
    [
        f"/ip4/10.0.0.2/tcp/30333/p2p/{PEER}",
        f"/ip4/10.0.0.2/tcp/1/ws/p2p/{PEER}; script-src *",
        f"/dns/a b/tcp/1/ws/p2p/{PEER}",
        f"/dns/a'/tcp/1/ws/p2p/{PEER}",
        f"/dns/*/tcp/1/ws/p2p/{PEER}",
        f"/ip4/10.0.0.2/tcp/1/ws/p2p/{PEER}\n",
        "/ip4/10.0.0.2/tcp/1/ws",
        "ws://10.0.0.2:1",
        "",
    ],
)
def test_a_peers_address_widens_no_policy(address: str) -> None:
    with pytest.raises(BadQuestion):
        peers_policy([address])


def test_a_spec_that_gives_a_tab_nothing_to_begin_with_is_refused(tmp_path: Path) -> None:
    """Each refusal says which option to change."""
    path = tmp_path / "spec.json"
    top = {"0x5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d": "0x00"}

    def refused(**changes: object) -> str:
        spec = {"name": "n", "genesis": {"raw": {"top": top}}, "bootNodes": [], **changes}
        path.write_text(json.dumps(spec))
        with pytest.raises(ProofwardError) as caught:
            light_source(path)
        return caught.value.message

    assert "leave out --spec" in refused(genesis={"raw": {"top": {}}})
    assert "--boot-node" in refused()
    assert "/ws/p2p/ID" in refused(bootNodes=[f"/ip4/10.0.0.2/tcp/30333/p2p/{PEER}"])
    boot = f"/ip4/10.0.0.2/tcp/30334/ws/p2p/{PEER}"
    path.write_text(
        json.dumps(
            {"name": "n", "genesis": {"raw": {"top": top}}, "bootNodes": ["/ip4/10.0.0.2/tcp/1/p2p/x", boot]}
        )
    )
    assert light_source(path).boot == (boot,)


def test_more_peers_than_a_page_asks_are_refused() -> None:
    with pytest.raises(BadQuestion):
        peers_policy([f"/ip4/10.0.0.2/tcp/{port}/ws/p2p/{PEER}" for port in range(1, 18)])
    assert peers_policy([]).endswith("connect-src 'none'")


def test_a_reader_cannot_write(crowded: Path) -> None:
    with open_reader(crowded) as database, pytest.raises(sqlite3.OperationalError):
        database.execute("DELETE FROM jobs")
