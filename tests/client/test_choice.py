"""Which workers and models a client takes, and which it refuses."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proofward.amounts import UNIT
from proofward.attestation import AttestationError
from proofward.chain import SubstrateClient
from proofward.chain.pallets import models
from proofward.chain.pallets.models import LaneContract, ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.client import NotFound, Refused
from proofward.client.artifacts import Artifacts, require_contract, require_match
from proofward.client.client import Client
from proofward.client.contest import require_contestable
from proofward.client.job import Demand
from proofward.client.workers import SAMPLE, choose
from proofward.protocol import DEV_SETUP, Lane, Level, Setup, SetupKind, sha256
from proofward.zkml import PublicArtifact
from proofward.zkml.contracts import verifier_code
from proofward.zkml.hiding import NotHiding
from proofward.zkml.manifest import MAX_CONTESTED_BYTES
from tests.evidence import Evidence

NOW = 1_000_000_000
GOOD, OTHER = sha256(b"measurement"), sha256(b"other software")


TALLY = {"accepted": 0, "rejected": 0, "lapsed": 0, "released": 0, "declined": 0}


def _worker(**changes: Any) -> dict[str, Any]:
    return {
        "level": "Simulated",
        "root": bytes(32),
        "measurement": GOOD,
        "hpke_key": bytes(32),
        "receipt_key": bytes(32),
        "epoch": 1,
        "platform": bytes(32),
        "previous": None,
        "past_keys": (),
        "endpoint": b"",
        "quote_hash": bytes(32),
        "registered_at": 1,
        "expires_at": NOW + 3_600_000,
        "stake": 100 * UNIT,
        "open_claims": 0,
        "served": 1,
        "tally": TALLY,
        "retired_at": None,
        "banned": False,
        **changes,
    }


MODEL = sha256(b"a model")


class Tables:
    """The reads that choosing needs. All but `idle` workers serve the one model, at `price`."""

    def __init__(self, *, price: int = 0, idle: tuple[str, ...] = (), **workers: dict[str, Any]) -> None:
        self.workers: dict[bytes, dict[str, Any]] = {}
        self.prices: dict[bytes, int] = {}
        for name, record in workers.items():
            self.add(name, record, price)
        for name in idle:
            del self.prices[sha256(name.encode())]

    def add(self, name: str, record: dict[str, Any], price: int = 0) -> None:
        self.workers[sha256(name.encode())], self.prices[sha256(name.encode())] = record, price

    def timestamp(self, at: bytes | None = None) -> int:
        return NOW

    def finalised_head(self) -> Any:
        return SimpleNamespace(hash=bytes(32))

    def keys(self, pallet: str, item: str, *keys: Any, limit: int, **_: Any) -> Iterator[Any]:
        assert (pallet, item, keys) == ("Workers", "Served", (MODEL,))
        yield from [(MODEL, account) for account in sorted(self.prices)][:limit]

    def query(self, pallet: str, item: str, *keys: Any, at: bytes | None = None) -> Any:
        if item == "Served":
            return self.prices.get(keys[1])
        return (
            self.workers.get(keys[0]) if item == "Workers" else {GOOD: b"label", OTHER: b"label"}.get(keys[0])
        )

    def query_many(self, pallet: str, item: str, keys: list[Any], at: bytes | None = None) -> list[Any]:
        return [self.query(pallet, item, *key) for key in keys]


def _choose(
    tables: Tables,
    level: Level = Level.SIMULATED,
    count: int = 3,
    wanted: list[bytes] | None = None,
    **options: Any,
) -> list[bytes]:
    chosen = choose(cast(SubstrateClient, tables), MODEL, level, count, wanted, **options)
    return [choice.record.account for choice in chosen]


def test_the_draw_is_random_and_weighted_by_stake_record_and_load() -> None:
    """Attack free: three identities that are first in some order had every client's jobs."""
    tables = Tables(
        good=_worker(),
        twin=_worker(),
        lapses=_worker(tally={**TALLY, "lapsed": 9}),
        busy=_worker(open_claims=9),
        poor=_worker(stake=UNIT),
    )
    rng, drawn = random.Random(1), Counter[bytes]()
    for _ in range(2_000):
        drawn.update(_choose(tables, count=1, rng=rng))
    share = {
        name: drawn[sha256(name.encode())] / 2_000 for name in ("good", "twin", "lapses", "busy", "poor")
    }
    assert 0.40 < share["good"] < 0.54
    assert 0.40 < share["twin"] < 0.54
    assert 0 < share["lapses"] < 0.02
    assert 0.02 < share["busy"] < 0.08
    assert 0 < share["poor"] < 0.02


def test_one_worker_that_asks_for_a_fortune_makes_no_job_cost_it() -> None:
    """Attack: a job's price is the dearest of those that it is sealed to, and goes to whoever works it."""
    tables = Tables(cheap=_worker(), fair=_worker(), dear=_worker(stake=10**6 * UNIT))
    cheap, fair, dear = (sha256(name.encode()) for name in ("cheap", "fair", "dear"))
    tables.prices |= {cheap: UNIT, fair: 2 * UNIT, dear: 2 * UNIT + 1}
    for _ in range(64):
        assert set(_choose(tables)) == {cheap, fair}
    # what the model costs anyway is not much, and a price that its client gives is his own to give
    assert set(_choose(tables, floor=2 * UNIT)) == {cheap, fair, dear}
    assert set(_choose(tables, price=3 * UNIT)) == {cheap, fair, dear}
    assert _choose(tables, wanted=[dear]) == [dear]


def test_what_the_others_ask_who_are_left_out_is_told() -> None:
    tables = Tables(bait=_worker(), dear=_worker())
    tables.prices |= {sha256(b"bait"): 0, sha256(b"dear"): 5 * UNIT}

    def check(record: WorkerRecord) -> None:
        if record.account == sha256(b"bait"):
            raise Refused("its quote is not good")

    with pytest.raises(Refused, match=r"its quote is not good; .* asks for 5 UNIT.*give a price") as caught:
        _choose(tables, check=check)
    assert caught.value.code == "worker-refused"


def test_each_worker_is_drawn_once_and_all_are_hardware() -> None:
    tables = Tables(soft=_worker())
    for n in range(5):
        tables.add(f"hard{n}", _worker(level="Hardware"))
    chosen = _choose(tables, Level.HARDWARE, count=8)
    assert len(chosen) == len(set(chosen)) == 5
    assert sha256(b"soft") not in chosen


def test_a_model_that_many_serve_is_sampled() -> None:
    tables = Tables()
    for n in range(3 * SAMPLE):
        tables.add(f"w{n}", _worker())
    assert len(_choose(tables)) == 3


def test_workers_of_other_software_than_is_pinned_are_passed_over_and_refused_by_name() -> None:
    tables = Tables(one=_worker(), other=_worker())
    tables.workers[sha256(b"other")] = _worker(measurement=OTHER)
    pinned = frozenset({OTHER})
    for _ in range(5):
        assert _choose(tables, pinned=pinned) == [sha256(b"other")]
    with pytest.raises(Refused, match="not among what is pinned"):
        _choose(tables, wanted=[sha256(b"one")], pinned=pinned)
    with pytest.raises(Refused, match="not among what is pinned") as caught:
        _choose(tables, pinned=frozenset({bytes(32)}))
    assert caught.value.code == "no-worker"


def _check(good: str) -> Callable[[WorkerRecord], None]:
    """A closer look that one worker alone passes; the others fail it each in their own way."""
    faults = itertools.cycle(
        [Refused("a bad quote"), NotFound("no registration"), AttestationError("no quote")]
    )

    def check(record: WorkerRecord) -> None:
        if record.account != sha256(good.encode()):
            raise next(faults)

    return check


def test_another_is_drawn_in_the_place_of_a_worker_that_fails_our_own_check() -> None:
    tables = Tables(one=_worker(), two=_worker(), three=_worker(), good=_worker())
    for count in (1, 2, 4):
        assert _choose(tables, count=count, check=_check("good")) == [sha256(b"good")]
    with pytest.raises(Refused, match="no registration") as caught:
        _choose(tables, check=_check("nobody"))
    assert caught.value.code == "worker-refused"


def test_a_worker_that_is_named_and_fails_our_own_check_has_no_other_in_its_place() -> None:
    tables = Tables(one=_worker(), good=_worker())
    with pytest.raises(Refused, match="a bad quote"):
        _choose(tables, wanted=[sha256(b"good"), sha256(b"one")], check=_check("good"))


def test_who_refused_a_job_is_drawn_again_when_nobody_else_is_left() -> None:
    tables = Tables(refused=_worker(), one=_worker(), two=_worker(stake=UNIT))
    last = [sha256(b"refused")]
    for _ in range(50):
        assert sha256(b"refused") not in _choose(tables, count=2, last=last)
    assert _choose(tables, count=3, last=last)[2] == sha256(b"refused")
    assert _choose(Tables(refused=_worker()), last=last) == last


@pytest.mark.parametrize(
    ("fault", "record", "level", "says"),
    [
        ("simulated-for-hardware", _worker(), Level.HARDWARE, "demands hardware"),
        ("expired", _worker(expires_at=NOW - 1), Level.SIMULATED, "expired"),
        ("about-to-expire", _worker(expires_at=NOW + 1_000), Level.SIMULATED, "expired"),
        ("measurement-withdrawn", _worker(measurement=bytes(32)), Level.SIMULATED, "allow-list"),
        ("retired", _worker(retired_at=5), Level.SIMULATED, "has retired"),
        ("banned", _worker(banned=True), Level.SIMULATED, "is banned"),
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


def test_a_worker_that_does_not_serve_the_model_or_asks_for_more() -> None:
    with pytest.raises(Refused, match="no worker serves"):
        _choose(Tables(one=_worker(), idle=("one",)))
    with pytest.raises(Refused, match="does not serve this model"):
        _choose(Tables(one=_worker(), idle=("one",)), wanted=[sha256(b"one")])
    with pytest.raises(Refused, match="asks for 3 UNIT"):
        _choose(Tables(one=_worker(), price=3 * UNIT), price=2 * UNIT)
    assert len(_choose(Tables(one=_worker(), price=3 * UNIT))) == 1


def test_an_unknown_worker_and_too_many() -> None:
    with pytest.raises(Refused, match="not a registered worker"):
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
        Client._require_setup(setup, Demand(level, dev, None))
    else:
        with pytest.raises(Refused) as caught:
            Client._require_setup(setup, Demand(level, dev, None))
        assert caught.value.code == "dev-setup"


def test_sealed_jobs_refuse_a_lane_that_is_not_hiding(tmp_path: Path) -> None:
    """Attack a_ezkl: refused by the chain's record, before anything is committed to or sealed."""
    client = object.__new__(Client)
    client._keypair, client.development, client.artifacts = cast(Any, object()), True, Artifacts()
    record = SimpleNamespace(id=bytes(32), lane=Lane.EZKL)
    client.model = lambda which: cast(Any, record)  # type: ignore[method-assign]
    with pytest.raises(NotHiding):
        client.submit(bytes(32), [[1.0]])


def test_a_model_whose_results_cannot_be_contested_is_refused(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack A5: the chain reads no larger manifest, so a worker would be paid for garbage, and keep it."""
    public = evidence.artifact.public
    require_contestable(public)
    params = {**public.manifest.lane_params, "note": "x" * MAX_CONTESTED_BYTES}
    padded = public.manifest.model_copy(update={"lane_params": params})
    large = PublicArtifact(padded, public.files)
    client = object.__new__(Client)
    client._keypair, client.development = cast(Any, object()), True
    monkeypatch.setattr(Client, "open_model", lambda *_: (None, large, Path()))
    taken = RuntimeError("the job goes on")
    client.chain = cast(Any, SimpleNamespace(require_finality=lambda: (_ for _ in ()).throw(taken)))
    with pytest.raises(Refused, match="could not be contested") as caught:
        client.submit("m", [1.0])
    assert caught.value.code == "not-contestable"
    with pytest.raises(RuntimeError, match="goes on"):
        client.submit("m", [1.0], uncontestable=True)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (None, "lane-closed"),
        (LaneContract(bytes(20), sha256(b"a contract that says yes")), "contract-mismatch"),
        (LaneContract(bytes(20), verifier_code("groth16").code_hash), None),
    ],
)
def test_a_lane_whose_contract_is_not_the_known_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, found: LaneContract | None, code: str | None
) -> None:
    monkeypatch.setattr(models, "verifier", lambda client, lane: found)
    if code is None:
        assert require_contract(cast(Any, None), Lane.GROTH16) == found
        return
    with pytest.raises(Refused) as caught:
        require_contract(cast(Any, None), Lane.GROTH16)
    assert caught.value.code == code


def test_an_artefact_that_is_not_at_hand_is_named(evidence: Evidence) -> None:
    artifacts = Artifacts([evidence.artifact.path.parent])
    assert artifacts.find(evidence.artifact.public.manifest_hash)[0].vk == evidence.artifact.public.vk
    with pytest.raises(NotFound):
        artifacts.find(bytes(32))


def test_an_artefact_of_another_model_is_refused(evidence: Evidence) -> None:
    public, model = evidence.artifact.public, evidence.bundle.model
    facts: dict[str, Any] = {
        "weights_digest": model.weights_digest,
        "vk_hash": model.vk_hash,
        "key_hash": model.key_hash,
        "circuit_digest": model.circuit_digest,
        "lane": Lane.from_label(model.lane),
        "batch": 1,
    }
    require_match(public, cast(ModelRecord, SimpleNamespace(**facts)))
    for name, other in (
        ("weights_digest", bytes(32)),
        ("vk_hash", bytes(32)),
        ("key_hash", bytes(32)),
        ("circuit_digest", bytes(32)),
        ("batch", 2),
    ):
        with pytest.raises(Refused):
            require_match(public, cast(ModelRecord, SimpleNamespace(**{**facts, name: other})))
