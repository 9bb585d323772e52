"""Which workers and models a client takes, and which it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proofward.chain import SubstrateClient
from proofward.client import NotFound, Refused
from proofward.client.artifacts import Artifacts, require_match
from proofward.client.client import Client
from proofward.client.workers import choose
from proofward.protocol import DEV_SETUP, Lane, Level, Setup, SetupKind, sha256
from proofward.zkml.hiding import NotHiding
from tests.evidence import Evidence

NOW = 1_000_000_000
GOOD = sha256(b"measurement")


def _worker(**changes: Any) -> dict[str, Any]:
    return {
        "level": "Simulated",
        "root": bytes(32),
        "measurement": GOOD,
        "hpke_key": bytes(32),
        "receipt_key": bytes(32),
        "epoch": 1,
        "previous": None,
        "endpoint": b"",
        "quote_hash": bytes(32),
        "registered_at": 1,
        "expires_at": NOW + 3_600_000,
        "stake": 0,
        "open_claims": 0,
        **changes,
    }


class Tables:
    """The reads that choosing needs."""

    def __init__(self, **workers: dict[str, Any]) -> None:
        self._workers = {sha256(name.encode()): record for name, record in workers.items()}

    def timestamp(self, at: bytes | None = None) -> int:
        return NOW

    def iterate(
        self, pallet: str, item: str, *keys: Any, at: bytes | None = None
    ) -> Iterator[tuple[bytes, Any]]:
        yield from (self._workers if item == "Workers" else {GOOD: b"label"}).items()


def _choose(
    tables: Tables, level: Level = Level.SIMULATED, count: int = 3, wanted: list[bytes] | None = None
) -> list[bytes]:
    return [record.account for record in choose(cast(SubstrateClient, tables), level, count, wanted)]


def test_by_level_then_load_then_time_left() -> None:
    tables = Tables(
        busy=_worker(open_claims=1),
        idle=_worker(),
        hardware=_worker(level="Hardware", open_claims=5),
        longer=_worker(expires_at=NOW + 7_200_000),
    )
    assert _choose(tables) == [sha256(name) for name in (b"hardware", b"longer", b"idle")]
    assert _choose(tables, Level.HARDWARE) == [sha256(b"hardware")]


@pytest.mark.parametrize(
    ("fault", "record", "level", "says"),
    [
        ("simulated-for-hardware", _worker(), Level.HARDWARE, "demands hardware"),
        ("expired", _worker(expires_at=NOW - 1), Level.SIMULATED, "expired"),
        ("about-to-expire", _worker(expires_at=NOW + 1_000), Level.SIMULATED, "expired"),
        ("measurement-withdrawn", _worker(measurement=bytes(32)), Level.SIMULATED, "allow-list"),
    ],
)
def test_a_worker_that_cannot_take_the_job(
    fault: str, record: dict[str, Any], level: Level, says: str
) -> None:
    tables = Tables(one=record)
    with pytest.raises(Refused, match=says) as caught:
        _choose(tables, level)
    assert caught.value.code == "no-worker", fault
    with pytest.raises(Refused, match=says):
        _choose(tables, level, wanted=[sha256(b"one")])


def test_an_unknown_worker_and_too_many() -> None:
    with pytest.raises(NotFound):
        _choose(Tables(), wanted=[sha256(b"nobody")])
    for count in (0, 9):
        with pytest.raises(Refused):
            _choose(Tables(one=_worker()), count=count)


@pytest.mark.parametrize(
    ("setup", "level", "dev", "good"),
    [
        (DEV_SETUP, Level.SIMULATED, True, True),
        (DEV_SETUP, Level.SIMULATED, False, False),
        (Setup(SetupKind.CEREMONY), Level.HARDWARE, False, True),
        (Setup(SetupKind.ATTESTED, Level.HARDWARE), Level.HARDWARE, False, True),
        (Setup(SetupKind.ATTESTED, Level.SIMULATED), Level.HARDWARE, False, False),
        (Setup(SetupKind.ATTESTED, Level.SIMULATED), Level.SIMULATED, False, True),
    ],
)
def test_setups(setup: Setup, level: Level, dev: bool, good: bool) -> None:
    if good:
        Client._require_setup(setup, level, dev)
    else:
        with pytest.raises(Refused) as caught:
            Client._require_setup(setup, level, dev)
        assert caught.value.code == "dev-setup"


def test_sealed_jobs_refuse_a_lane_that_is_not_hiding(tmp_path: Path) -> None:
    """Attack a_ezkl: refused by the chain's record, before anything is committed to or sealed."""
    client = object.__new__(Client)
    client._keypair, client.development, client.artifacts = object(), True, Artifacts()
    record = SimpleNamespace(id=bytes(32), lane=Lane.EZKL)
    client.model = lambda which: cast(Any, record)  # type: ignore[method-assign]
    with pytest.raises(NotHiding):
        client.submit(bytes(32), [[1.0]])


def test_a_contract_that_is_not_the_verifier_of_the_key_is_refused(evidence: Evidence) -> None:
    artifacts = Artifacts([evidence.artifact.path.parent], evidence.cache)
    public, _ = artifacts.find(evidence.artifact.public.manifest_hash)
    artifacts.require_honest_contract(public, evidence.bundle.model.code_hash)
    with pytest.raises(Refused) as caught:
        artifacts.require_honest_contract(public, sha256(b"a contract that says yes"))
    assert caught.value.code == "contract-mismatch"
    with pytest.raises(NotFound):
        artifacts.find(bytes(32))


def test_an_artefact_of_another_model_is_refused(evidence: Evidence) -> None:
    public, model = evidence.artifact.public, evidence.bundle.model
    facts: dict[str, Any] = {
        "weights_digest": model.weights_digest,
        "vk_hash": model.vk_hash,
        "circuit_digest": model.circuit_digest,
        "lane": Lane.from_label(model.lane),
        "batch": 1,
    }
    require_match(public, **facts)
    for name, other in (
        ("weights_digest", bytes(32)),
        ("vk_hash", bytes(32)),
        ("circuit_digest", bytes(32)),
        ("batch", 2),
    ):
        with pytest.raises(Refused):
            require_match(public, **{**facts, name: other})
