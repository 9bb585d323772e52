"""Sessions from end to end, with real processes: what is asked is answered, committed, proved and paid."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner
from websockets.sync.server import serve

from proofward.chain import accounts
from proofward.chain.pallets import sessions, workers
from proofward.cli import app
from proofward.client import Client
from proofward.client.aio import AsyncClient
from proofward.client.errors import SessionError
from proofward.client.session import Session
from proofward.client.sessions import (
    SessionOrder,
    close_session,
    connect_session,
    open_session,
    session_store,
)
from proofward.devnet.chains import Devnet
from proofward.errors import NotFound, Refused
from proofward.protocol.sessions import Tree, leaf, root_of
from proofward.zkml import Artifact, load_artifact
from proofward_enclave.measure import simulated_measurement
from proofward_explorer.indexer import Indexer
from proofward_explorer.lists import Lists
from proofward_explorer.store import open_reader
from proofward_node import diary, holding
from proofward_node.holding import Hold
from proofward_node.reasons import Code
from tests.canary import Canary, in_files, in_memory, in_text, is_in_memory
from tests.e2e.session_scene import CLIENT, PRICE, PUBLISHER, WORKER, Scene, metrics, scene
from tests.evidence import tiny

ORDER = SessionOrder(sample=0.2, window_blocks=100)
RECORDS = np.random.default_rng(1).uniform(-1, 1, (400, 3))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("sessions")
    with Devnet() as chain, scene(chain, tiny(tmp_path_factory, 16), folder) as found:
        yield found


def test_a_session_is_answered_proved_and_paid_to_the_unit(stage: Scene, tmp_path: Path) -> None:
    before = stage.owned()
    with stage.client.session(stage.model, order=ORDER) as session:
        answers = session.infer_many(RECORDS[:150])
        answers += [session.infer(record) for record in RECORDS[150:200]]
        name, public = session.id, session.public
        secret = bytes.fromhex(session.secrets.secret)
        canaries = {
            "input integers": Canary.of_integers([int(v) for v in public.quantize(RECORDS[:2]).reshape(-1)]),
            "secret": Canary.of_bytes(secret),
        }
        canary = Canary.together(**canaries)
        assert stage.chain.pid is not None
        assert in_memory(canary, stage.worker.node_pid) + in_memory(canary, stage.chain.pid) == []
        assert in_files(canary, stage.worker.folder) + in_text(canary, metrics=metrics(stage)) == []
        assert is_in_memory(canaries["secret"], os.getpid())
    assert [answer.index for answer in answers] == list(range(200))
    # the integers that the model gives for these records, and no others
    artifact = compiled(stage)
    rows = public.quantize(RECORDS[:200])
    expected = np.concatenate(
        [artifact.infer(public.pad(rows[at : at + 16]))[: 200 - at] for at in range(0, 200, 16)]
    )
    assert np.array_equal(np.array([answer.outputs for answer in answers]), expected)
    assert session.counts.vouched == 200
    stage.finished(name, 200)
    after = stage.owned()
    # fees aside, which are the worker's own and the client's own: what the pallet moved, to the unit
    finished = stage.events("Finished", name)
    assert [(event["records"], event["paid"] + event["royalty"]) for event in finished] == [
        (event["records"], event["records"] * PRICE) for event in finished
    ]
    assert sum(event["records"] for event in finished) == 200
    assert stage.events("Settled", name)[0]["paid"] == 200
    assert before["client held"] == after["client held"] == 0
    assert after["publisher"] - before["publisher"] == sum(event["royalty"] for event in finished)
    shown(stage, name, tmp_path)
    exported(stage, name, tmp_path / "audit.jsonl")


def shown(stage: Scene, name: bytes, folder: Path) -> None:
    """The explorer's index has the session: all that was committed, and the pages that were proved."""
    with stage.chain.connect() as client:
        head = client.finalised_head().number
        indexer = Indexer(client, folder / "index.sqlite")
        indexer.run(lambda number: indexer.stop() if number >= head else None)
        indexer.close()
    proved = sum(len(event["pages"]) for event in stage.events("Proved", name))
    assert proved > 0
    with open_reader(folder / "index.sqlite") as database:
        lists = Lists(database)
        page = lists.sessions({})
        (listed,) = page["sessions"]
        assert (listed["id"], listed["gone"]) == ("0x" + name.hex(), True)
        assert (listed["records"], listed["paid"], listed["proved"]) == (200, 200, proved)
        totals = {"count": 1, "records": 200, "pages": listed["pages"], "proved": proved}
        assert lists.overview()["sessions"] == page["totals"] == totals
        assert lists.overview()["escrow"] == "0"
        found = lists.session(name, {})
        finished, market = stage.events("Finished", name), lists.market()
        sums = {key: str(sum(event[key] for event in finished)) for key in ("paid", "royalty")}
        assert market["workers"] == [{"id": listed["worker"], "jobs": 0, "records": 200, **sums}]
        assert market["models"] == [{"id": listed["model"], "jobs": 0, "records": 200, **sums}]
        assert found["session"] == listed
        assert {"Opened", "Checkpointed", "Proved", "Settled"} <= {event["name"] for event in found["events"]}
        assert lists.search(name.hex()) == [{"kind": "session", "id": "0x" + name.hex()}]


def test_a_stranger_audits_a_session_that_has_ended(stage: Scene, tmp_path: Path) -> None:
    """From the chain alone, with nothing of its client's: what was paid, and a page that was proved."""
    since = stage.rpc.finalised_head().number
    with stage.client.session(stage.model, order=ORDER) as session:
        session.infer_many(RECORDS[:32])
        name = session.id
    stage.finished(name, 32)
    page = stage.events("Proved", name)[0]["pages"][0]
    env = {"PROOFWARD_STATE": str(tmp_path / "nothing")}

    def asked(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(
            app, ["session", *arguments, "--chain", stage.chain.url, "--json"], env=env
        )
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return json.loads(result.stdout)

    told, begin = "0x" + name.hex(), ["--since", str(since)]
    found = asked("audit", told, *begin)
    assert (found["end"], found["committed"], found["loss_to_gain"]["1 page"]) == ("settled", 32, 2)
    out = tmp_path / "page.bundle"
    collected = asked("bundle", told, str(page), "--out", str(out), "--artifact", str(stage.artifact), *begin)
    assert collected["status"] == "proved"
    pins = ["--genesis", stage.rpc.genesis.hex(), "--measurement", simulated_measurement().hex(), "--dev"]
    verified = CliRunner().invoke(app, ["verify", str(out), *pins])
    assert verified.exit_code == 0, verified.output
    assert "--since" in asked("show", told, code=4)["error"]["message"]
    assert "--since" in asked("audit", told, code=4)["error"]["message"]
    asked("audit", told, "--since", str(stage.rpc.finalised_head().number), code=4)


def exported(stage: Scene, name: bytes, out: Path) -> None:
    """An auditor's export has the session's whole life: escrow, windows, proofs and payments."""
    made = CliRunner().invoke(app, ["audit", "export", "--out", str(out), "--chain", stage.chain.url])
    assert made.exit_code == 0, made.output
    told = [line for line in map(json.loads, out.read_text().splitlines()) if line["kind"] == "event"]
    mine = [line for line in told if line["fields"].get("session") == "0x" + name.hex()]
    paid = [int(line["fields"]["paid"]) for line in mine if line["event"] == "InferenceSessions.Finished"]
    assert sum(paid) == sum(event["paid"] for event in stage.events("Finished", name)) > 0
    kinds = {line["event"].removeprefix("InferenceSessions.") for line in mine}
    assert kinds == {"Opened", "Closed", "Checkpointed", "Drawn", "Proved", "Finished", "Settled"}


def compiled(stage: Scene) -> Artifact:
    """The worker's artefact, for its integers."""
    return load_artifact(stage.artifact)


def test_a_client_that_dies_goes_on_where_it_was_and_pays_once(stage: Scene) -> None:
    name = open_session(stage.client, stage.model, ORDER).id
    kept: dict[int, bytes] = {}

    def persist(first: int, outputs: np.ndarray) -> None:
        kept.update({first + at: row.tobytes() for at, row in enumerate(outputs)})

    first = connect_session(stage.client, name, persist=persist)
    first.infer_many(RECORDS[:40])
    _die(first)
    second = connect_session(stage.client, name, persist=persist)
    assert second.next_index == 40
    second.infer_many(RECORDS[40:60])
    close_session(stage.client, name)
    assert second.close()
    assert sorted(kept) == list(range(60))
    stage.finished(name, 60)
    assert sum(event["records"] for event in stage.events("Finished", name)) == 60


def _die(session: Session) -> None:
    """What SIGKILL leaves: a connection that ends, and files as they were written."""
    session._hung_up = True
    session._connection.socket.socket.close()
    session._reader.join(10)


def test_no_session_goes_to_software_that_is_not_pinned(stage: Scene, tmp_path: Path) -> None:
    """A node's allow-list is its word; a client that pins software must not need it."""
    one = stage.client
    name = open_session(one, stage.model, ORDER).id
    with Client(
        stage.chain.url, CLIENT, development=True, artifacts=[stage.artifact], state=one.state,
        measurements=[bytes(32)],
    ) as pinning:  # fmt: skip
        with pytest.raises(Refused, match="not among what is pinned"):
            open_session(pinning, stage.model, ORDER)
        with pytest.raises(Refused, match="in software that is pinned"):
            connect_session(pinning, name)
    close_session(one, name)


def test_inputs_that_are_lost_are_not_vouched_for(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    name = open_session(stage.client, stage.model, ORDER).id
    with monkeypatch.context() as silent:
        silent.setattr(Session, "_proposal", lambda *_: None)
        first = connect_session(stage.client, name)
        first.infer_many(RECORDS[:5])
        _die(first)
    (session_store(stage.client).directory / f"{name.hex()}.inputs").unlink()
    with pytest.raises(SessionError) as refused:
        connect_session(stage.client, name)
    assert refused.value.code == "inputs-lost"
    close_session(stage.client, name)


def test_a_client_that_does_not_vouch_loses_its_session_and_what_it_vouched_for_is_paid(
    stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = open_session(stage.client, stage.model, ORDER).id
    session = connect_session(stage.client, name)
    session.infer_many(RECORDS[:20])
    assert session.wait_vouched(60)
    monkeypatch.setattr(Session, "_proposal", lambda *_: None)
    session.infer_many(RECORDS[20:40])
    stage.until(lambda: session._failed is not None, blocks=5)
    with pytest.raises(SessionError) as refused:
        session.infer(RECORDS[0])
    assert refused.value.code == "voucher-overdue"
    session.close(0)
    with pytest.raises((SessionError, NotFound)) as again:
        connect_session(stage.client, name)
    assert again.value.code in ("voucher-overdue", NotFound.code)  # the latter once it is settled
    stage.until(lambda: stage.events("Closed", name))
    stage.finished(name, 20)
    assert [event["records"] for event in stage.events("Finished", name)] == [20]
    assert stage.events("Settled", name)[0]["paid"] == 20


def test_a_drained_worker_ends_its_sessions_and_is_paid(stage: Scene) -> None:
    """Its client, which goes on asking, is asked to vouch once more; then nobody waits for anything."""
    name = open_session(stage.client, stage.model, ORDER).id
    session = connect_session(stage.client, name)
    session.infer_many(RECORDS[:20])
    hold = stage.worker.folder / "data" / "hold.json"
    holding.write(hold, Hold(Code.DRAINING))
    try:
        stage.until(lambda: stage.events("Closed", name), blocks=1)
        stage.finished(name, 20)
    finally:
        hold.unlink()
    assert stage.events("Settled", name)[0]["paid"] == 20

    def told() -> list[Code]:
        notes = diary.read(stage.worker.folder / "data" / "diary.sqlite", job=name).notes
        return [note.reason.code for note in notes]

    stage.until(lambda: told()[-1] is Code.SESSION_SETTLED, blocks=1)
    assert told()[0] is Code.SESSION_DRAINED
    session.close(0)


def test_a_forced_page_is_proved_and_its_receipt_is_in_the_tree(stage: Scene) -> None:
    with stage.client.session(stage.model, order=ORDER) as session:
        session.infer_many(RECORDS[:48])
        name = session.id
    stage.until(lambda: (record := sessions.get(stage.rpc, name)) is not None and record.next == 1)
    record = sessions.get(stage.rpc, name)
    assert record is not None
    window = sessions.windows(stage.rpc, record)[0]
    lines = [json.loads(line) for line in session_store(stage.client).pages(name).read_text().splitlines()]
    leaves = [
        leaf(name, line["page"], *(bytes.fromhex(line[f"{side}_commitment"]) for side in ("input", "output")))
        for line in lines
    ]
    tree = Tree(leaves)
    assert tree.root == window.root
    assert all(root_of(one, at, tree.path(at)) == window.root for at, one in enumerate(leaves))
    stage.client.send(f"force:{name.hex()}:2", sessions.force(name, 0, 2))
    stage.finished(name, 48)
    assert 2 in {page for event in stage.events("Proved", name) for page in event["pages"]}


def test_a_page_of_each_kind_is_audited_from_a_file_without_a_chain(stage: Scene, tmp_path: Path) -> None:
    with stage.client.session(stage.model, order=ORDER) as session:
        session.infer_many(RECORDS[:128])
        name = session.id
    stage.until(lambda: (record := sessions.get(stage.rpc, name)) is not None and record.next == 1)
    stage.client.send(f"force:{name.hex()}:5", sessions.force(name, 0, 5))
    stage.finished(name, 128)
    drawn = next(
        number for number in range(stage.rpc.finalised_head().number, 0, -1)
        if any(one.name == "Drawn" and one.fields["session"] == name for one in stage._events_of(number))
    )  # fmt: skip
    proved = {page for event in stage.events("Proved", name) for page in event["pages"]}
    assert 5 in proved
    picked = min(proved - {5})
    plain = next(page for page in range(8) if page not in proved)

    def collected(page: int, *more: str) -> tuple[Path, Any]:
        out = tmp_path / f"{page}{'-'.join(more)}.bundle"
        arguments = ["session", "bundle", "0x" + name.hex(), str(page), "--out", str(out), *more]
        state = {"PROOFWARD_STATE": str(stage.client.state)}
        result = CliRunner().invoke(app, [*arguments, "--chain", stage.chain.url, "--json"], env=state)
        assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
        return out, json.loads(result.stdout)

    kinds = {
        "committed": collected(plain),
        "sampled": collected(picked, "--at", str(drawn)),
        "proved": collected(picked),
        "forced": collected(5),
    }
    pins = ["--genesis", stage.rpc.genesis.hex(), "--measurement", simulated_measurement().hex(), "--dev"]

    def verified(path: Path, *, code: int = 0, pins: Sequence[str] = pins) -> Any:
        result = CliRunner().invoke(app, ["verify", str(path), *pins, "--json"])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return json.loads(result.stdout)

    for kind, (path, told) in kinds.items():
        status = "proved" if kind == "forced" else kind
        assert (told["status"], told["forced"]) == (status, kind == "forced")
        found = verified(path)
        assert found["accepted"], kind
        assert found["flags"][0] == status
        # what no signature binds is told and never ticked: anybody can sign as some client, for some session
        held = {check["name"]: check["ok"] for check in found["checks"]}
        assert (held["voucher"], held["session's model"]) == (None, None)
        assert ("proof" in {check["name"] for check in found["checks"]}) is (status == "proved")
        assert verified(path, code=6, pins=["--dev"])["outcome"] == "not-anchored"
        assert verified(path, code=1, pins=pins[:-1])["outcome"] == "refused"
    whole = json.loads(kinds["proved"][0].read_text())
    other = json.loads(kinds["committed"][0].read_text())
    faults: dict[str, tuple[str, str, Any]] = {
        "another page's commitment": ("page", "input_commitment", other["page"]["input_commitment"]),
        "another number": ("page", "number", plain),
        "another path": ("page", "path", whole["page"]["path"][::-1]),
        "a page receipt of another page": ("page", "signature", other["page"]["signature"]),
        "a proof that was altered": ("page", "proof", whole["page"]["proof"][:-2] + "00"),
        "another root": ("window", "root", "11" * 32),
        "more records": ("window", "records", whole["window"]["records"] + 1),
        "a voucher that is none": ("window", "voucher", whole["window"]["signature"]),
        "another client's session": ("session", "client", "22" * 32),
        "another voucher key": ("session", "voucher_key", "33" * 32),
        "another receipt key": ("session", "receipt_key", "44" * 32),
        "another epoch": ("session", "epoch", whole["session"]["epoch"] + 1),
        "another model": ("session", "model", "55" * 32),
        "pages without number": ("window", "first", 2**32 - 1),
        "another level": ("session", "level", "hardware"),
    }
    for fault, (part, key, value) in faults.items():
        forged = tmp_path / "forged.bundle"
        forged.write_text(json.dumps(whole | {part: whole[part] | {key: value}}))
        assert verified(forged, code=1)["outcome"] == "refused", fault
    # A beacon's value that did not pick the page makes a page that is not proved a committed one, no more.
    early = json.loads(kinds["sampled"][0].read_text())
    (tmp_path / "early.bundle").write_text(json.dumps(early | {"beacon": None}))
    assert verified(tmp_path / "early.bundle")["flags"][0] == "committed"
    (tmp_path / "junk.bundle").write_text(json.dumps(whole | {"page": {"number": -1}}))
    assert verified(tmp_path / "junk.bundle", code=1)["error"]["code"] == "bad-bundle"


def test_an_endpoint_that_is_somebody_elses_cannot_answer(stage: Scene) -> None:
    name = open_session(stage.client, stage.model, ORDER).id
    told = session_store(stage.client).load(name)

    def pretend(socket: object) -> None:
        socket.recv()  # type: ignore[attr-defined]
        socket.send(os.urandom(32))  # type: ignore[attr-defined]
        socket.send(os.urandom(272))  # type: ignore[attr-defined]

    with serve(pretend, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        lie = told.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"})
        public = stage.client.artifacts.find(bytes.fromhex(told.manifest_hash))[0]
        with pytest.raises(SessionError) as refused:
            Session(lie, public, session_store(stage.client))
        assert refused.value.code == "wrong-enclave"
        server.shutdown()
    close_session(stage.client, name)


def test_an_enclave_that_starts_anew_gives_its_windows_up_and_keeps_its_bond(stage: Scene) -> None:
    with stage.client.session(stage.model, order=ORDER) as session:
        session.infer_many(RECORDS[:32])
        name = session.id
    stage.until(lambda: (record := sessions.get(stage.rpc, name)) is not None and record.next == 1)
    epoch = sessions.get(stage.rpc, name).epoch  # type: ignore[union-attr]
    stage.kill_enclave()
    stage.until(lambda: sessions.get(stage.rpc, name) is None, 90)
    assert stage.events("Waived", name)
    assert not stage.events("Failed", name)
    # what is owed waits for no registration; the next client's session is of the new enclave's keys
    stage.until(lambda: (now := workers.get(stage.rpc, stage.account)) is not None and now.epoch > epoch, 90)


def test_a_bond_that_a_stranger_has_the_chain_take_is_seen_by_the_worker(stage: Scene) -> None:
    """The enclave hangs, a window runs out, and somebody else ends it: metric, log and diary say so."""
    with stage.client.session(stage.model, order=ORDER) as session:
        session.infer_many(RECORDS[:32])
        name = session.id
    stage.until(lambda: (record := sessions.get(stage.rpc, name)) is not None and record.next == 1)
    record = sessions.get(stage.rpc, name)
    assert record is not None
    enclave = stage.worker.events("enclave-started")[-1]["pid"]
    os.kill(enclave, signal.SIGSTOP)
    try:
        stage.chain.skip_to(sessions.windows(stage.rpc, record)[0].due)
        stage.rpc.submit(sessions.finish(name), accounts.dev_keypair(PUBLISHER)).raise_for_error()
    finally:
        os.kill(enclave, signal.SIGCONT)
    (failed,) = stage.events("Failed", name)
    stage.until(lambda: b'windows_total{outcome="failed"} 1.0' in metrics(stage), blocks=1)
    (lost,) = stage.worker.events("session-bond-lost")
    assert lost["session"] == name.hex()
    noted = diary.read(stage.worker.folder / "data" / "diary.sqlite", job=name).notes[-1]
    assert (noted.reason.code, noted.block) == (Code.SESSION_FAILED, lost["block"])
    assert f"{failed['bond']:,}" in noted.reason.detail


def test_a_kill_between_answer_and_checkpoint_costs_a_window_and_no_money(
    stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the worker's enclave alone, and of enclave and client both."""
    names = [open_session(stage.client, stage.model, ORDER).id for _ in range(2)]
    epoch = sessions.get(stage.rpc, names[0]).epoch  # type: ignore[union-attr]
    with monkeypatch.context() as silent:
        # It has its answers and gives no voucher: what the enclave asks for is not answered any more.
        silent.setattr(Session, "_proposal", lambda *_: None)
        stays, dies = (connect_session(stage.client, name) for name in names)
        assert [len(one.infer_many(RECORDS[:20])) for one in (stays, dies)] == [20, 20]
        _die(dies)
        stage.kill_enclave()
        stays._reader.join(30)
        with pytest.raises(SessionError):
            stays.infer(RECORDS[20])
    for name in names:
        # The session's secret was the enclave's: nobody takes the session up, and nothing of it is paid.
        with pytest.raises(SessionError):
            connect_session(stage.client, name)
        close_session(stage.client, name)
    stage.until(lambda: not any(sessions.get(stage.rpc, name) for name in names), 90, blocks=4)
    for name in names:
        assert [event["paid"] for event in stage.events("Settled", name)] == [0]
        assert stage.events("Finished", name) == stage.events("Failed", name) == []
    assert stage.owned()["client held"] == 0
    stage.until(lambda: (now := workers.get(stage.rpc, stage.account)) is not None and now.epoch > epoch)


def test_an_exhausted_escrow_is_topped_up_and_the_asking_goes_on(stage: Scene, tmp_path: Path) -> None:
    dear = 10**10  # the least escrow pays for a hundred
    with Devnet() as chain, scene(chain, compiled(stage), tmp_path, price=dear) as one:

        def call(*arguments: str) -> Any:
            result = CliRunner().invoke(app, ["session", *arguments, "--chain", chain.url, "--json"])
            assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
            return json.loads(result.stdout)

        (offer,) = call("offers", "0x" + one.model.hex())
        assert (offer["terms"]["price"], offer["free"]) == (dear, 8)
        name = open_session(one.client, one.model, replace(ORDER, records=100)).id
        first = connect_session(one.client, name)
        first.infer_many(RECORDS[:64])
        with pytest.raises(SessionError) as refused:
            first.infer_many(RECORDS[64:128])
        assert refused.value.code == "escrow-exhausted"
        first.close(0)
        found = call("top-up", "0x" + name.hex(), "--by", "1", "--signer", CLIENT)
        assert found["room"] >= 200 - 64
        second = connect_session(one.client, name)
        assert second.next_index == 64
        second.infer_many(RECORDS[64:128])
        close_session(one.client, name)
        assert second.close()
        one.finished(name, 128)
        assert sum(event["records"] for event in one.events("Finished", name)) == 128
        call("withdraw", "0x" + one.model.hex(), "--signer", WORKER)
        one.until(
            lambda: sessions.offer_of(one.rpc, one.model, one.account) is not None, blocks=1
        )  # its policy


def test_the_files_of_a_session_are_the_owners_alone(stage: Scene) -> None:
    name = open_session(stage.client, stage.model, ORDER).id
    connect_session(stage.client, name).close(0)
    close_session(stage.client, name)
    folder = session_store(stage.client).directory
    found = [folder / f"{name.hex()}.{kind}" for kind in ("json", "inputs")]
    assert [path.stat().st_mode & 0o077 for path in (folder, *found)] == [0, 0, 0]


def test_the_command_line_answers_a_table_and_goes_on_and_audits(
    stage: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    names = ",".join(feature.name for feature in compiled(stage).manifest.input.features or ()) or None
    rows = [",".join(f"{value:.4f}" for value in row) for row in RECORDS[:70]]
    table.write_text("\n".join([*([names] if names else []), *rows]) + "\n")

    common = ("--chain", stage.chain.url, "--json")
    state = {"PROOFWARD_STATE": str(stage.client.state)}

    def call(*arguments: str) -> Any:
        result = CliRunner().invoke(app, ["session", *arguments, *common], env=state)
        assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
        return json.loads(result.stdout)

    run = (
        "run", "0x" + stage.model.hex(), "--input", str(table), "--out", str(out), "--sample", "20",
        "--artifact", str(stage.artifact), "--signer", "//Charlie", "--dev",
    )  # fmt: skip
    report = call(*run)
    assert (report["rows"], report["vouched"], report["cost"]) == (70, True, 70 * PRICE)
    name = report["sessions"][0]
    lines = out.read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(row) for row in range(70)]
    again = call(*run)
    assert (again["rows"], again["cost"], again["sessions"]) == (0, 0, [])
    assert out.read_text().splitlines() == lines
    assert name in {entry["session"] for entry in call("list")}
    stage.finished(bytes.fromhex(name[2:]), 70)
    # The same as a Parquet file: killed before its end, it goes on and pays once for each row.
    whole = tmp_path / "out.parquet"
    to_parquet = tuple(str(whole) if part == str(out) else part for part in run)
    with monkeypatch.context() as killed:
        killed.setattr(Session, "close", lambda *_: sys.exit(137))
        died = CliRunner().invoke(app, ["session", *to_parquet, *common], env=state)
        assert died.exit_code == 137
    assert not whole.exists()
    assert (tmp_path / "out.parquet.rows.csv").exists()
    second = call(*to_parquet)
    assert (second["vouched"], second["resumed_at"]) == (True, 70)
    table = pq.read_table(whole).to_pandas()
    assert table["row"].tolist() == list(range(70))
    assert [",".join([str(r), str(d), repr(v)]) for r, d, v in table.itertuples(index=False)] == lines[1:]
    assert not (tmp_path / "out.parquet.rows.csv").exists()
    assert call(*to_parquet)["sessions"] == []
    paid = second["sessions"][0]
    stage.finished(bytes.fromhex(paid[2:]), 70)
    assert sum(event["records"] for event in stage.events("Finished", bytes.fromhex(paid[2:]))) == 70
    (tmp_path / "other.parquet").write_bytes(b"PAR1")
    strange = tuple(str(tmp_path / "other.parquet") if part == str(out) else part for part in run)
    refused = CliRunner().invoke(app, ["session", *strange, *common], env=state)
    assert "of no run" in refused.stdout
    found = call("audit", name)
    assert (found["committed"], found["end"]) == (70, "settled")
    assert all(window["ours"] and not window["unproved"] for window in found["windows"])
    assert 0 < found["unseen"]["1 page"] < 1


def test_the_other_verbs_and_asyncio(stage: Scene) -> None:
    def call(*arguments: str, code: int = 0) -> Any:
        state = {"PROOFWARD_STATE": str(stage.client.state)}
        result = CliRunner().invoke(
            app, ["session", *arguments, "--chain", stage.chain.url, "--json"], env=state
        )
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return json.loads(result.stdout)

    model, signer = "0x" + stage.model.hex(), ("--signer", "//Charlie")
    assert call("allow", model, "--price", "0.0000002", "--signer", "//Bob")["price"] == 200_000
    opened = call("open", model, "--artifact", str(stage.artifact), "--sample", "10", "--dev", *signer)
    name = opened["id"]

    async def ask() -> list[int]:
        async def records() -> AsyncIterator[np.ndarray]:
            for record in RECORDS[:20]:
                yield record

        async with AsyncClient(stage.client).session(stage.model, resume=name) as session:
            found = [answer.index async for answer in session.stream(records())]
            return [*found, (await session.infer(RECORDS[20])).index]

    assert asyncio.run(ask()) == list(range(21))
    posted = bytes.fromhex(name[2:])
    stage.until(lambda: (found := sessions.get(stage.rpc, posted)) is not None and found.next > 0)
    shown = call("show", name)
    assert shown["records"] > 0
    config = str(stage.worker.folder / "worker.toml")
    why = CliRunner().invoke(app, ["worker", "why", "--config", config, "--json"])
    assert why.exit_code == 0, (why.stdout, why.stderr, why.exception)
    (told,) = [one for one in json.loads(why.stdout)["report"]["sessions"] if one["session"] == name]
    # Its client has just closed it, in this block or the one before.
    assert (told["state"].partition(" ")[0] in ("running", "over:"), told["windows"] > 0) == (True, True)
    assert name in CliRunner().invoke(app, ["worker", "why", "--config", config]).stdout
    assert call("force", name, "0", "0", *signer)["fee"] > 0
    assert call("settle", name, *signer, code=1)["error"]["code"]
    assert call("close", name, *signer)["session"] == name
