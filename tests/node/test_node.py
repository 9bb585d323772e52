"""The daemon as a whole, over a table-made chain and enclave: it works, it stops in time, and it says how
it is.
"""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from proofward.chain.pallets.jobs import Accepted, Queued
from proofward.database import blame_disk
from proofward_node.chain_port import Attested, ChainPort
from proofward_node.config import ConfigError, load
from proofward_node.daemon import Daemon, run
from proofward_node.diary import Diary
from proofward_node.enclave_link import EnclaveImpossible, EnclaveLink, LoadedModel, enclave_command
from proofward_node.journal import Journal, State, peek
from proofward_node.metrics import HttpServer, Metrics
from proofward_node.ports import Head
from proofward_node.reasons import Code, Reason
from proofward_node.status import health
from tests.node.world import ACCOUNT, GENESIS, LOADED, WORKER, FakeChain, FakeEnclave, World, claimed, job

CONFIG = """
[chain]
block_seconds = 0.02
retry_seconds = 0.02
[worker]
dev_account = "//Alice"
data_dir = "data"
publishers = ["0x7070707070707070707070707070707070707070707070707070707070707070"]
shutdown_seconds = 1
expected_seconds = 0.02
[enclave]
provider = "simulator"
models = "models"
restart_backoff_seconds = 0.02
[http]
port = 0
"""


class Chain(FakeChain):
    """FakeChain with the rest of ChainPort."""

    async def reconcile(self) -> None:  # type: ignore[override]
        super().reconcile()

    async def sweep(self) -> None: ...

    calls = 0

    async def ask(self, action: Any) -> Any:
        """Of sessions it has none."""

    async def attested(self, quote: bytes | None = None) -> Attested | None:
        return None

    async def news(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def fetch_collateral(self, quote: bytes, url: str | None) -> bytes:
        return b""


@dataclass
class Enclave(FakeEnclave):
    """FakeEnclave with the rest of EnclaveLink; with `hang` its work never ends."""

    hang: bool = False
    working: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: int = 0
    stopped: bool = False

    async def start(self) -> None: ...

    async def supervise(self, stop: asyncio.Event) -> None:
        await stop.wait()

    async def stop(self) -> None:
        self.stopped = True

    async def status(self) -> dict[str, Any]:
        return {"models": [LOADED.manifest_hash]}

    async def load_models(self, folders: list[Path]) -> list[LoadedModel]:
        return [LOADED]

    async def call(self, method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        if method == "status":
            return {"epoch": WORKER.epoch, "models": [LOADED.manifest_hash]}
        if method == "work":
            self.working.set()
            if self.hang:
                await asyncio.Event().wait()
        return await super().call(method, params, timeout_seconds)


def _daemon(folder: Path, world: World, enclave: Enclave) -> Daemon:
    (folder / "worker.toml").write_text(CONFIG)
    (folder / "models" / "mlp" / "public").mkdir(parents=True)
    (folder / "models" / "mlp" / "public" / "manifest.json").touch()
    config = load(folder / "worker.toml")
    journal = Journal(config.journal, GENESIS + ACCOUNT)
    journal.set_meta("receipt_key", WORKER.receipt_key)
    journal.set_meta("epoch_started_ms", b"0")
    return Daemon(config, cast(ChainPort, Chain(world)), journal, cast(EnclaveLink, enclave), Metrics())


async def _until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_jobs_are_done_while_it_runs_and_the_metrics_say_so(tmp_path: Path) -> None:
    world, stop = World(), asyncio.Event()
    enclave = Enclave(world)
    records = [world.add(job(number)) for number in range(3)]
    node = _daemon(tmp_path, world, enclave)
    running = asyncio.create_task(node.run(stop))
    await _until(lambda: all(isinstance(world.jobs[record.id].status, Accepted) for record in records))
    stop.set()
    await running
    assert enclave.stopped
    assert node.metrics.registry.get_sample_value("proofward_jobs_total", {"outcome": "accepted"}) == 3
    assert node.metrics.health() == {"chain": True, "finality": True, "enclave": True, "registered": True}


async def test_sigterm_lets_the_job_finish(tmp_path: Path) -> None:
    world, stop = World(), asyncio.Event()
    enclave = Enclave(world)
    record = world.add(job())
    running = asyncio.create_task(_daemon(tmp_path, world, enclave).run(stop))
    await asyncio.wait_for(enclave.working.wait(), 20)
    stop.set()
    await running
    assert isinstance(world.jobs[record.id].status, Accepted)


async def test_sigterm_hands_back_what_does_not_finish_in_time(tmp_path: Path) -> None:
    world, stop = World(), asyncio.Event()
    enclave = Enclave(world, hang=True)
    record = world.add(job())
    running = asyncio.create_task(_daemon(tmp_path, world, enclave).run(stop))
    await asyncio.wait_for(enclave.working.wait(), 20)
    stop.set()
    await asyncio.wait_for(running, 20)
    assert [call.name for call in world.applied] == ["serve", "claim", "release"]
    assert isinstance(world.jobs[record.id].status, Queued)
    (entry,) = peek(tmp_path / "data" / "journal.sqlite")
    assert entry.outcome == "handed-back"


async def test_a_long_job_does_not_look_like_a_fault(tmp_path: Path) -> None:
    """127 of 196 probes said 503 while a backlog was worked off."""
    world, stop = World(), asyncio.Event()
    enclave = Enclave(world, hang=True)
    world.add(job())
    node = _daemon(tmp_path, world, enclave)
    node.watch_seconds = 0.01
    running = asyncio.create_task(node.run(stop))
    await asyncio.wait_for(enclave.working.wait(), 20)
    seen = world.block
    await _until(
        lambda: (node.metrics.registry.get_sample_value("proofward_finalised_block") or 0) > seen + 5
    )
    assert node.metrics.health() == {"chain": True, "finality": True, "enclave": True, "registered": True}
    assert node.metrics.registry.get_sample_value("proofward_claims_held") == 1
    stop.set()
    await asyncio.wait_for(running, 20)


@pytest.mark.parametrize("fault", ["a file", "no right"])
def test_a_data_folder_that_cannot_be_used_is_a_line_and_exit_code_2(
    tmp_path: Path, fault: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.toml").write_text(CONFIG)
    if fault == "a file":
        (tmp_path / "data").write_text("")
    else:
        monkeypatch.setattr("proofward_node.daemon.os.access", lambda path, mode: False)
    assert run(tmp_path / "worker.toml") == 2
    said = "".join(capfd.readouterr())
    assert "worker.data_dir" in said
    assert "Traceback" not in said


def test_a_models_folder_that_is_not_there_is_a_line_and_exit_code_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "worker.toml").write_text(CONFIG)
    assert run(tmp_path / "worker.toml") == 2
    said = "".join(capfd.readouterr())
    assert "enclave.models" in said
    assert "Traceback" not in said


async def test_an_enclave_that_can_never_start_stops_the_worker_with_the_reason(tmp_path: Path) -> None:
    world, stop = World(), asyncio.Event()
    enclave = Enclave(world, up=False)
    record = world.add(job(status=claimed(ACCOUNT, 9, 70)))

    async def never() -> None:
        raise EnclaveImpossible("the enclave cannot start as it is configured")

    enclave.start = never  # type: ignore[method-assign]
    node = _daemon(tmp_path, world, enclave)
    for state in (State.INSPECTED, State.CLAIMING, State.CLAIMED):
        node.journal.see(record.id, record.model)
        node.journal.advance(record.id, state)
    with pytest.raises(ConfigError, match="cannot start as it is configured"):
        await asyncio.wait_for(node.run(stop), 20)
    assert isinstance(world.jobs[record.id].status, Queued), "what it held was handed back first"


async def test_the_real_enclave_says_that_it_can_never_start_without_a_tee(tmp_path: Path) -> None:
    link = EnclaveLink(tmp_path / "e.sock", enclave_command(tmp_path / "e.sock", "tsm", tmp_path))
    with pytest.raises(EnclaveImpossible):
        await link.start()


def test_status_without_a_port_is_read_from_lock_diary_and_journal(tmp_path: Path) -> None:
    (tmp_path / "worker.toml").write_text(CONFIG.replace("port = 0", "enabled = false"))
    config = load(tmp_path / "worker.toml")
    assert asyncio.run(health(config))["status"] == "not running"
    journal = Journal(config.journal, GENESIS + ACCOUNT)
    book = Diary(config.diary)
    book.state(Reason(Code.NO_MODELS), Head(7, b"h" * 32, 7000))
    found = asyncio.run(health(config))
    assert (found["status"], found["at"], found["block"]) == ("running", "no model is served", 7)
    journal.close()
    book.close()
    assert asyncio.run(health(config))["status"] == "not running"


@pytest.mark.parametrize(
    ("fault", "code"), [("a full disk", 75), ("full at its start", 75), ("no database", 2)]
)
def test_a_disk_that_fails_is_a_line_and_an_exit_code_that_says_whether_it_may_pass(
    tmp_path: Path, fault: str, code: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.toml").write_text(CONFIG)
    (tmp_path / "models").mkdir()

    async def fails(*_: Any) -> int:
        if fault == "full at its start":
            blame_disk(OSError(errno.ENOSPC, "No space left on device"), tmp_path)
        if fault == "no database":
            (tmp_path / "journal").write_bytes(b"no database" * 100)
            sqlite3.connect(tmp_path / "journal").execute("SELECT * FROM sqlite_schema")
        full = sqlite3.connect(":memory:")
        full.execute("PRAGMA max_page_count = 1")
        full.execute("CREATE TABLE jobs (id BLOB)")
        return 0

    monkeypatch.setattr("proofward_node.daemon._connect", fails)
    assert run(tmp_path / "worker.toml") == code
    said = "".join(capfd.readouterr())
    assert "free space" in said
    assert "Traceback" not in said


async def test_a_silent_chain_is_asked_again(tmp_path: Path) -> None:
    world, stop = World(down=True), asyncio.Event()
    record = world.add(job())
    node = _daemon(tmp_path, world, Enclave(world))
    running = asyncio.create_task(node.run(stop))
    await _until(lambda: (node.metrics.registry.get_sample_value("proofward_chain_errors_total") or 0) > 2)
    assert not node.metrics.health()["chain"]
    world.down = False
    await _until(lambda: isinstance(world.jobs[record.id].status, Accepted))
    stop.set()
    await running


async def test_while_finality_stalls_nothing_is_claimed_and_the_worker_says_so(tmp_path: Path) -> None:
    world, stop = World(lag=13), asyncio.Event()
    record = world.add(job())
    node = _daemon(tmp_path, world, Enclave(world))
    running = asyncio.create_task(node.run(stop))
    await _until(lambda: node.metrics.registry.get_sample_value("proofward_finality_stalled") == 1)
    assert node.metrics.registry.get_sample_value("proofward_finality_lag_blocks") == 13
    (reason,) = [one for one in node.metrics.reasons() if "finality is stalled" in one]
    assert "13 blocks behind" in reason
    began = world.block
    await _until(lambda: world.block > began + 10)  # finalised heads that a claim could follow
    assert isinstance(world.jobs[record.id].status, Queued)
    world.lag = 3
    await _until(lambda: isinstance(world.jobs[record.id].status, Accepted))
    assert node.metrics.health()["finality"]
    assert [call.name for call in world.applied].count("claim") == 1
    stop.set()
    await running


async def test_a_stall_amid_a_job_claims_nothing_more_and_hands_in_what_is_held(tmp_path: Path) -> None:
    """The first job is held when finality stops: its result goes out, the second one waits."""
    world, stop = World(), asyncio.Event()
    enclave = Enclave(world)
    first = world.add(job(1))
    node = _daemon(tmp_path, world, enclave)
    node.jobs.policy = replace(node.jobs.policy, max_claims=1)
    running = asyncio.create_task(node.run(stop))
    await asyncio.wait_for(enclave.working.wait(), 20)
    second = world.add(job(2))
    world.lag = 100
    await _until(lambda: node.jobs.stalled)
    await _until(lambda: isinstance(world.jobs[first.id].status, Accepted))
    began = world.block
    await _until(lambda: world.block > began + 10)
    assert isinstance(world.jobs[second.id].status, Queued)
    world.lag = 0
    await _until(lambda: isinstance(world.jobs[second.id].status, Accepted))
    stop.set()
    await running


@pytest.mark.parametrize("task", ["supervisor", "watch"])
async def test_a_task_of_the_whole_life_that_fails_is_started_again(tmp_path: Path, task: str) -> None:
    """Without the one no enclave was started any more, without the other /healthz stayed as it was."""
    world, stop, again = World(), asyncio.Event(), asyncio.Event()
    enclave = Enclave(world)
    node = _daemon(tmp_path, world, enclave)
    faults: list[Exception] = [OSError(24, "Too many open files"), KeyError("tcb")]

    async def fails(stop: asyncio.Event) -> None:
        if faults:
            raise faults.pop()
        again.set()
        await stop.wait()

    if task == "supervisor":
        enclave.supervise = fails  # type: ignore[method-assign]
    else:
        node._watch = fails  # type: ignore[method-assign]
    running = asyncio.create_task(node.run(stop))
    await asyncio.wait_for(again.wait(), 20)
    stop.set()
    await asyncio.wait_for(running, 20)
    assert enclave.stopped


async def _silent(port: int, said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    return reader, writer


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nHost: a"])
async def test_a_connection_that_says_no_whole_request_is_ended(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proofward_node.metrics.IDLE_SECONDS", 0.05)
    server = HttpServer(Metrics(), "127.0.0.1", 0)
    reader, writer = await _silent(await server.start(), said)
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    await server.stop()


async def test_attack_idle_connections_to_the_workers_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of them left the worker no descriptor for its enclave and its chain."""
    monkeypatch.setattr("proofward_node.metrics.CONNECTIONS", 8)
    server = HttpServer(Metrics(), "127.0.0.1", 0)
    port = await server.start()
    attack = [await _silent(port, b"GET /livez HTTP/1.1\r\n") for _ in range(100)]
    ended = [asyncio.ensure_future(reader.read()) for reader, _ in attack]
    while sum(one.done() for one in ended) < len(attack) - 8:
        await asyncio.wait([one for one in ended if not one.done()], return_when=asyncio.FIRST_COMPLETED)
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.get("/livez") as reply,
    ):
        assert reply.status == 200
    for _, writer in attack:
        writer.close()
    await server.stop()


async def test_metrics_and_health_over_http() -> None:
    metrics = Metrics()
    server = HttpServer(metrics, "127.0.0.1", 0)
    port = await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/healthz") as reply:
                assert reply.status == 503
                assert (await reply.json())["status"] == "degraded"
            metrics.saw_head(7)
            metrics.enclave_up.set(1)
            metrics.registered.set(1)
            async with session.get("/healthz") as reply:
                assert reply.status == 503
                (reason,) = (await reply.json())["reasons"]
                assert "no model is served" in reason
            metrics.models.set(1)
            async with session.get("/healthz") as reply:
                assert reply.status == 200
                assert (await reply.json())["reasons"] == []
            async with session.get("/livez") as reply:
                assert reply.status == 200
            async with session.get("/metrics") as reply:
                assert "proofward_finalised_block 7.0" in await reply.text()
            asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
            async with session.get("/metrics", headers=asked) as reply:
                assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
                assert (await reply.text()).endswith("# EOF\n")
    finally:
        await server.stop()


def test_a_chain_that_stands_still_is_unhealthy() -> None:
    now = [0.0]
    metrics = Metrics(clock=lambda: now[0])
    metrics.saw_head(7)
    now[0] = 59.0
    assert metrics.health()["chain"]
    now[0] = 61.0
    metrics.saw_head(7)
    assert not metrics.health()["chain"]


@pytest.mark.parametrize("outcome", ["refused:wrong-binding", "failed:prover-failed"])
def test_an_outcomes_detail_makes_no_label(outcome: str) -> None:
    metrics = Metrics()
    metrics.outcome(outcome)
    assert metrics.registry.get_sample_value("proofward_jobs_total", {"outcome": outcome.split(":")[0]}) == 1
