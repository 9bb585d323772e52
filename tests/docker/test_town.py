"""compose.yaml brought up: four validators, two workers, a first job, the explorer, Prometheus, a restart."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proofward.network.namespaces import refusal
from tests.docker.conftest import NEEDED, ROOT, Opened
from tests.docker.engine import Engine

FOLDER = ROOT / "docker"
VALIDATORS = ("alice", "bob", "charlie", "dave")
SECONDS = 900.0
"""Of each step at most: on two busy cores the first accounts and the model alone took five minutes."""
DEMO_SECONDS = 1800.0
"""Of the demo, which waits for block 260 of the town's chain: nine minutes from its first one."""


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    return json.loads(text) if text.startswith(("{", "[")) else text


def until(what: str, url: str, holds: Any) -> Any:
    """The first answer that holds. Raises AssertionError."""
    deadline, last = time.monotonic() + SECONDS, None
    while time.monotonic() < deadline:
        try:
            last = ask(url)
            if holds(last):
                return last
        except OSError as error:
            last = error
        time.sleep(0.5)
    raise AssertionError(f"{what}: {last}")


@pytest.fixture(scope="module")
def town(opened: Opened, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    reason = refusal()
    if reason is not None:
        pytest.fail(f"{NEEDED} is set, and {reason}")
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    images = {}
    for service in compose["services"].values():
        name = service["image"].partition(":-proofward-")[2].partition(":")[0]
        if name:
            images[service["image"]] = opened(name)
    with Engine(compose, images, tmp_path_factory.mktemp("town"), FOLDER) as engine:
        engine.up(*VALIDATORS, "rpc", "first-job", "explorer", seconds=SECONDS)
        yield engine


def test_a_first_job_is_accepted_and_verified(town: Engine) -> None:
    town.wait("first-job", SECONDS)
    said = town.containers["first-job"].said()
    assert "accepted" in said
    assert "REFUSED" not in said


@pytest.mark.parametrize("name", ["alice", "rpc", "enclave-a", "worker-a", "explorer"])
def test_a_service_has_no_rights(town: Engine, name: str) -> None:
    status = town.status(name)
    assert status["Uid"].split() == ["10001"] * 4
    assert status["NoNewPrivs"] == "1"
    assert {status[one] for one in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}


def test_workers_are_ready_and_scraped_under_the_names_of_the_file(town: Engine) -> None:
    scrape = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    for target in [one for job in scrape for static in job["static_configs"] for one in static["targets"]]:
        name, _, port = target.partition(":")
        metrics = until(name, f"http://{town.host(name)}:{port}/metrics", lambda text: "# TYPE" in text)
        assert (
            "proofward_registered 1.0" if name.startswith("worker") else "substrate_block_height"
        ) in metrics


def test_the_explorer_shows_the_job(town: Engine) -> None:
    town.wait("first-job", SECONDS)
    url = f"http://{town.host('explorer')}:8090/api/jobs"
    found = until("explorer", url, lambda told: "accepted" in json.dumps(told).lower())
    assert found


def test_prometheus_takes_the_file_and_finds_every_target(town: Engine, tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian: apt-get install prometheus)")
    shutil.copy(FOLDER / "prometheus.yml", tmp_path)
    shutil.copy(ROOT / "operations" / "prometheus" / "proofward.rules.yml", tmp_path)
    file = tmp_path / "prometheus.yml"
    text = file.read_text().replace("15s", "1s")
    for name in town.names:
        text = text.replace(f'"{name}:', f'"{town.host(name)}:')
    file.write_text(text)
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={tmp_path}/db",
            "--web.listen-address=127.0.0.1:39090",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        url = "http://127.0.0.1:39090/api/v1/targets?state=active"
        found = until("targets", url, lambda told: _healthy(told) == {"up"})
        assert len(found["data"]["activeTargets"]) == 7
        rules = ask("http://127.0.0.1:39090/api/v1/rules")
        assert rules["data"]["groups"]
    finally:
        process.terminate()
        process.wait(20)


def _healthy(told: Any) -> set[str]:
    return {one["health"] for one in told["data"]["activeTargets"]}


def test_a_stopped_service_ends_in_peace(town: Engine) -> None:
    town.wait("first-job", SECONDS)
    assert town.stop("worker-b") in (0, 143)
    assert "Traceback" not in town.containers["worker-b"].said()
    assert town.stop("enclave-b") in (0, 143)


def test_the_demo_passes_on_it(town: Engine) -> None:
    town.wait("first-job", SECONDS)
    town.up("demo")
    town.wait("demo", DEMO_SECONDS)
    assert "refused" in town.containers["demo"].said()
