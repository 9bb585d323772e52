"""A device's windows: what it writes verifies, and nothing else does. tests/cli has it on a chain."""

from __future__ import annotations

import json
import math
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from proofward.chain.errors import ChainUnreachable, DispatchError
from proofward.cli import app
from proofward.edge import log as logs
from proofward.edge import run as edge_run
from proofward.edge import source
from proofward.edge.device import Device
from proofward.edge.errors import EdgeError
from proofward.edge.run import run
from proofward.edge.verify import verify_log
from proofward.evidence.verdict import Outcome
from proofward.zkml import Artifact

WINDOWS = 4


@pytest.fixture(scope="module")
def device(artifact: Artifact) -> Iterator[Device]:
    made = Device(artifact.path)
    yield made
    made.close()


def signal(count: int = WINDOWS) -> list[np.ndarray]:
    return list(np.random.default_rng(5).uniform(-0.9, 0.9, (count, 3)))


@pytest.fixture
def written(device: Device, tmp_path: Path) -> Path:
    report = run(device, iter(signal()), tmp_path / "ecg.log")
    assert (report.windows, report.proved, report.posted) == (WINDOWS, WINDOWS, 0)
    return tmp_path / "ecg.log"


def judged(path: Path, artifact: Artifact) -> Outcome:
    return verify_log(logs.load(path), artifact.public, development=True).outcome


def test_a_log_verifies_and_holds_no_plaintext(written: Path, device: Device, artifact: Artifact) -> None:
    verdict = verify_log(logs.load(written), artifact.public, development=True)
    assert verdict.accepted, str(verdict)
    assert "level: device" in verdict.word
    assert "attests" in str(verdict)
    assert verify_log(logs.load(written), artifact.public).outcome is Outcome.REFUSED
    secrets = written.with_name("ecg.log.secret")
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    told = [json.loads(line) for line in secrets.read_text().splitlines()]
    assert [one["number"] for one in told] == list(range(WINDOWS))
    public = written.read_text()
    for one in told:
        assert not any(salt in public for salt in one["salts"])
        values = np.array([one["values"]], dtype=np.int64)
        commitment = artifact.public.commit_input(values, bytes.fromhex(one["salts"][0]))
        assert commitment.hex() in public


@pytest.mark.parametrize("fault", ["proof", "commitment", "missing", "twice", "order", "level", "model"])
def test_a_changed_log_is_refused(fault: str, written: Path, artifact: Artifact) -> None:
    lines = written.read_text().splitlines()
    parsed = [json.loads(line) for line in lines]
    if fault == "proof":
        parsed[2]["proof"] = parsed[4]["proof"]
    elif fault == "commitment":
        parsed[1]["output"] = f"{1:064x}"
    elif fault == "missing":
        del parsed[2]
    elif fault == "twice":
        parsed.append(parsed[2])
    elif fault == "order":
        parsed[1], parsed[3] = parsed[3], parsed[1]
    elif fault == "level":
        parsed[0]["level"] = "hardware"
    else:
        parsed[0]["manifest_hash"] = "ab" * 32
    written.write_text("".join(json.dumps(one) + "\n" for one in parsed))
    if fault in ("twice", "order", "level"):
        with pytest.raises(EdgeError):
            logs.load(written)
    else:
        assert judged(written, artifact) is Outcome.REFUSED


def test_a_log_that_was_cut_off_is_read_to_its_last_whole_line(written: Path, artifact: Artifact) -> None:
    data = written.read_text()
    written.write_text(data[:-10])
    assert judged(written, artifact) is Outcome.REFUSED  # its last window is not proved
    written.write_text(data + '{"kind":"win')
    assert judged(written, artifact) is Outcome.ACCEPTED


def test_a_window_out_of_range_stops_nothing(device: Device, artifact: Artifact, tmp_path: Path) -> None:
    loose = [*signal(1), np.full(3, 1e6), *signal(1)]
    report = run(device, iter(loose), tmp_path / "log")
    assert (report.windows, report.left) == (2, 1)
    verdict = verify_log(logs.load(tmp_path / "log"), artifact.public, development=True)
    assert verdict.accepted
    assert "1 windows outside" in str(verdict)


def test_a_log_is_not_written_over(device: Device, written: Path) -> None:
    with pytest.raises(EdgeError, match="name a new one"):
        run(device, iter(signal()), written)


def test_without_a_chain_there_is_no_beacon(device: Device, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="no beacon"):
        run(device, iter(signal()), tmp_path / "log", sample=10_000)


@dataclass
class Away:
    """A client whose chain is away for so many calls, or for good, or refuses."""

    failures: float
    error: Exception = field(default_factory=lambda: ChainUnreachable("ws://a-node", "refused"))
    sent: list[str] = field(default_factory=list)
    failed: threading.Event = field(default_factory=threading.Event)
    signer: Any = field(default_factory=lambda: SimpleNamespace(public_key=b"d" * 32))

    @property
    def chain(self) -> Any:
        return SimpleNamespace(
            genesis=bytes(32),
            finalised_head=lambda: SimpleNamespace(number=100),
            block_hash=lambda number: bytes([number]) * 32,
        )

    def send(self, key: str, call: Any) -> Any:
        self.sent.append(key)
        if self.failures > 0:
            self.failures -= 1
            if self.failures < 1 or self.failures == math.inf:
                self.failed.set()
            raise self.error
        return SimpleNamespace(block=10)


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_run, "AGAIN_SECONDS", 0.001)
    monkeypatch.setattr(edge_run, "LAST_SECONDS", 0.1)


def behind(client: Away) -> Iterator[np.ndarray]:
    """Windows of which all but the first end while the chain is away."""
    first, *others = signal()
    yield first
    assert client.failed.wait(60)
    yield from others


def test_a_chain_that_is_away_stops_no_window(
    device: Device, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended meanwhile is posted when it is back, each window once, under the keys that were tried."""
    patient(monkeypatch)
    client = Away(failures=5)
    report = run(device, behind(client), tmp_path / "log", sample=500_000, client=client)  # type: ignore[arg-type]
    assert (report.windows, report.posted, client.failures) == (WINDOWS, len(set(client.sent)), 0)
    assert len(set(client.sent[:6])) == 1
    posts = logs.load(tmp_path / "log").posts
    assert [post.first for post in posts] == [0, *np.cumsum([post.count for post in posts])[:-1]]
    assert sum(post.count for post in posts) == WINDOWS


@pytest.mark.parametrize(
    "error", [DispatchError("System", "CallFiltered"), ChainUnreachable("ws://a-node", "refused")]
)
def test_a_chain_that_refuses_or_stays_away_to_the_end_ends_the_run(
    error: Exception, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    client = Away(math.inf, error)
    with pytest.raises(type(error)):
        run(device, behind(client), tmp_path / "log", sample=500_000, client=client)  # type: ignore[arg-type]
    assert len(client.sent) > 1 or isinstance(error, DispatchError)


def test_what_a_beacon_picks_is_of_the_post_and_of_its_size() -> None:
    fields = {"run": "11" * 32, "manifest_hash": "22" * 32}
    post = logs.Post(number=3, first=100, count=50, root="33" * 32, block=7)
    some = logs.Run(sample=100_000, **fields)  # type: ignore[arg-type]
    picked = [logs.chosen(some, post, bytes([i]) * 32) for i in range(8)]
    assert all(len(one) == 5 and set(one) <= set(range(100, 150)) for one in picked)
    assert len({tuple(one) for one in picked}) > 1
    every = logs.Run(sample=1_000_000, **fields)  # type: ignore[arg-type]
    assert logs.chosen(every, post, bytes(32)) == list(range(100, 150))
    assert logs.remark(some, post) != logs.remark(some, post.model_copy(update={"count": 51}))


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("1\n2\n3\n4\n", None, [[1.5, 3.5]]),
        ("time;ecg\n0;1\n1;2\n2;3\n3;5\n4;9\n", None, [[1.5, 4.0]]),
        ("ecg,time\n1,0\n2,1\n3,2\n5,3\n", "ecg", [[1.5, 4.0]]),
        ("", None, []),
        ("\ufeff1\n2\n3\n4\n\n\n", None, [[1.5, 3.5]]),
        ("t\tecg [mV]\n0\t1\n1\t2\n2\t3\n3\t5\n", "ecg", [[1500, 4000]]),
        ("ecg [uV]\n1\n2\n3\n5\n", None, [[1.5, 4.0]]),
    ],
)
def test_samples_become_windows(
    text: str, column: str | None, expected: list[list[float]], tmp_path: Path
) -> None:
    file = tmp_path / "s.csv"
    file.write_text(text)
    found = source.windows(source.samples(str(file), column, "uV"), 2, every=2)
    assert [one.tolist() for one in found] == expected


@pytest.mark.parametrize("text", ["1\nx\n", "1\nnan\n", "a,b\n1,\n", "1\n" + "2" * 5000 + "\n"])
def test_what_is_no_sample_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text(text)
    with pytest.raises(EdgeError):
        list(source.samples(str(file)))
    with pytest.raises(EdgeError, match="no column"):
        list(source.samples(str(file), "missing"))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("a decimal comma that reads as two columns", "0,5\n0,7\n"),
        ("decimal commas", "t;ecg\n0;0,5\n"),
        ("a gap", "1\n\n3\n"),
        ("a first sample that is missing", "NaN\n2\n"),
        ("a line with a column more", "t,ecg\n0,1\n0,9,2\n"),
        ("underscores", "1_000\n"),
        ("other digits", "ecg\n\u0663\n"),
        ("an open quote", 'ecg\n"1\n'),
        ("two columns of one name", "ecg,ecg\n1,2\n"),
        ("a unit of another substance", "ecg [mmol/L]\n1\n"),
        ("a unit where the model names none", "ecg [m]\n1\n"),
        ("no text", "\udcff\udcfe\n"),
    ],
)
def test_no_sample_is_guessed_or_left_out(fault: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_bytes(text.encode(errors="surrogateescape"))
    column = "ecg" if "ecg,ecg" in text else None
    with pytest.raises(EdgeError, match=r"line \d") as error:
        list(source.samples(str(file), column, None if "none" in fault else "uV"))
    assert error.value.code == "bad-table"


def test_the_command_line_runs_and_verifies(artifact: Artifact, tmp_path: Path) -> None:
    samples, log = tmp_path / "ecg.csv", tmp_path / "ecg.log"
    samples.write_text("".join(f"{x}\n" for window in signal(2) for x in window))
    folder = str(artifact.path)
    done = CliRunner().invoke(
        app, ["edge", "run", "--artifact", folder, "--source", str(samples), "--out", str(log), "--json"]
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["level"], told["windows"], told["proved"]) == ("device", 2, 2)
    verified = CliRunner().invoke(app, ["edge", "verify", str(log), "--artifact", folder, "--dev"])
    assert verified.exit_code == 0, verified.output
    assert "level: device" in verified.output.splitlines()[-1]


def test_a_log_without_an_account_proves_all_or_is_refused(written: Path, artifact: Artifact) -> None:
    # a device's owner writes what log he likes: nothing proved, nothing posted, and yet a share to be picked
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    assert lines[0].get("account") is None
    lines[0]["sample"] = 1
    bare = [one for one in lines if one["kind"] in ("run", "window")]
    for posts in (
        [],
        [{"kind": "post", "number": 0, "first": 0, "count": WINDOWS, "root": "00" * 32, "block": 1}],
    ):
        written.write_text("".join(json.dumps(one) + "\n" for one in [*bare, *posts]))
        verdict = verify_log(logs.load(written), artifact.public, development=True)
        assert verdict.outcome is Outcome.REFUSED, str(verdict)
