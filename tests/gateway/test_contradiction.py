"""Two receipts of one id: what proves that a gateway lied, what does not, and who keeps it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proofward.aci.documents import sign_receipt
from proofward.cli import app
from proofward.evidence import answer_file, two_receipts
from proofward.evidence.answer import Answer
from proofward.evidence.answer_file import AnswerError
from proofward.evidence.judged import STAKE, stake_checks
from proofward.evidence.policy import Policy
from proofward.evidence.two_receipts import TwoReceipts
from proofward.evidence.verdict import Outcome
from proofward_gateway.exchange import Exchange
from proofward_gateway.keys import Keys, make_keys
from tests.canary import Canary, in_text
from tests.gateway.test_proxy import PINNED, POLICY_HEX, post
from tests.gateway.world import MODEL, ask, desk, house, workloads


async def _lied_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Answer, dict[str, Any], Keys]:
    """An answer, another receipt of its id signed by the same gateway, and the gateway's keys."""
    made = workloads(monkeypatch)
    async with house(folder) as (_, outer), desk(outer, folder) as one:
        assert (await post(one, "/v1/chat/completions", ask("hello")))[0] == 200
        kept = answer_file.load(one.answers()[0])
    keys = made[1].keys
    return kept, _changed(kept.receipt, keys, served_at=kept.receipt["served_at"] + 60), keys


def _changed(receipt: dict[str, Any], keys: Keys, **changes: Any) -> dict[str, Any]:
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    return sign_receipt({**unsigned, **changes}, keys.receipt)


UNJUDGED: dict[str, dict[str, Any]] = {
    "a member behind": {"x": 1},
    "a member before": {"a": 1},
    "a member within the end": {"s": 1},
    "more than a chain reads": {"model": "m" * 16_384},
    "an id of other characters": {"receipt_id": "rcpt/1"},
    "a time that is no number": {"served_at": "1"},
}


async def test_a_receipt_that_no_chain_can_judge_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, other, keys = await _lied_to(tmp_path, monkeypatch)
    assert not any(one.name == STAKE for one in kept.checks(PINNED)), "ours can be judged"
    assert not any(one.name == STAKE for one in TwoReceipts.of(kept, other).checks(PINNED))
    for fault, changes in UNJUDGED.items():
        receipt = _changed(kept.receipt, keys, **changes)
        told = [one for one in replace(kept, receipt=receipt).checks(PINNED) if one.name == STAKE]
        assert [one.ok for one in told] == [None], fault
        assert told[0].detail.startswith("not behind this receipt: "), fault
    lie = TwoReceipts.of(kept, _changed(other, keys, x=1)).verdict(PINNED)
    assert lie.outcome is Outcome.ACCEPTED, "the lie is one, whoever can be slashed"
    assert [one.name for one in lie].count(STAKE) == 1
    keyset = keys.keyset
    twice = replace(keyset, receipt_keys=(keyset.receipt_keys[0],) * 2)
    assert "2 receipt keys" in stake_checks(kept.receipt, twice)[0].detail


async def test_a_receipts_time_is_within_what_its_reader_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, _, keys = await _lied_to(tmp_path, monkeypatch)
    later = replace(PINNED, now=kept.at + 200_000)
    ends, end = (kept.at - 600, keys.keyset.not_after + 600), "after its keys ended"
    times: list[tuple[Any, Policy, str | None]] = [
        (ends[0], PINNED, None), (ends[0] - 1, PINNED, "before the gateway was attested"),
        (ends[1], later, None), (ends[1] + 1, later, end),
        (kept.at + 5_000, PINNED, "in the reader's future"),
        ("1", PINNED, "no time"), (True, PINNED, "no time"),
    ]  # fmt: skip
    for served, policy, wrong in times:
        receipt = _changed(kept.receipt, keys, served_at=served)
        (told,) = [one for one in replace(kept, receipt=receipt).checks(policy) if one.name == "served at"]
        assert (told.ok, told.required) == ((None, False) if wrong is None else (False, True)), served
        assert wrong is None or wrong in told.detail


NO_PROOF: dict[str, Callable[[TwoReceipts, Keys], TwoReceipts]] = {
    "a second receipt that nobody signed": lambda two, _keys: replace(
        two, receipts=(two.receipts[0], {**two.receipts[1], "model": "another"})
    ),
    "a second receipt of other keys": lambda two, _keys: replace(
        two,
        receipts=(
            two.receipts[0],
            _changed(dict(two.receipts[1]), make_keys("127.0.0.1", not_after=2_000_000_000), model="another"),
        ),
    ),
    "one receipt twice": lambda two, _keys: replace(two, receipts=(two.receipts[0], two.receipts[0])),
    "two receipts of two ids": lambda two, keys: replace(
        two, receipts=(two.receipts[0], _changed(dict(two.receipts[1]), keys, receipt_id="rcpt-other"))
    ),
    "a report under another nonce": lambda two, _keys: replace(two, nonce="ab" * 32),
    "a report cut off": lambda two, _keys: replace(two, report=two.report[:-9]),
    "a time before the keys": lambda two, _keys: replace(two, at=two.at - 90_000),
}


async def test_two_receipts_of_one_id_are_evidence_against_their_signer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, other, keys = await _lied_to(tmp_path, monkeypatch)
    two = TwoReceipts.of(kept, other)
    two.save(tmp_path / "lie.json")
    read = two_receipts.load(tmp_path / "lie.json")
    assert read.verdict(PINNED).outcome is Outcome.ACCEPTED
    assert read.verdict(Policy.for_development()).outcome is Outcome.NOT_ANCHORED
    assert read.verdict(Policy(measurements=PINNED.measurements)).outcome is Outcome.REFUSED
    for fault, change in NO_PROOF.items():
        assert change(two, keys).verdict(PINNED).outcome is Outcome.REFUSED, fault
    for same in (kept.receipt, {**other, "receipt_id": "rcpt-other"}):
        with pytest.raises(AnswerError) as refused:
            TwoReceipts.of(kept, same)
        assert refused.value.code == "no-contradiction"

    (file,) = (tmp_path / "answers").glob("*.json")
    (tmp_path / "theirs.json").write_text(json.dumps(other))
    runner, out = CliRunner(), str(tmp_path / "told.json")
    done = runner.invoke(
        app, ["gateway", "contradiction", str(file), str(tmp_path / "theirs.json"), "--out", out]
    )
    assert done.exit_code == 0, done.output
    done = runner.invoke(app, ["verify", out, "--dev", "--measurement", f"0x{POLICY_HEX}"])
    assert (done.exit_code, done.output.splitlines()[-1].split(" ")[0]) == (0, "accepted"), done.output
    done = runner.invoke(app, ["gateway", "contradiction", str(file), str(file), "--out", out + "2"])
    assert done.exit_code == 1, done.output
    told = json.loads((tmp_path / "lie.json").read_text())
    huge = {**told, "receipts": [told["receipts"][0], {**told["receipts"][1], "served_at": 2**53}]}
    hostile = [
        huge,
        {**told, "at": -1},
        {**told, "at": 2**64},
        {**told, "at": True},
        {**told, "receipts": [1]},
    ]
    for broken in ("{}", "[]", *map(json.dumps, hostile)):
        (tmp_path / "broken").write_text(broken)
        with pytest.raises(AnswerError):
            two_receipts.load(tmp_path / "broken")


@pytest.mark.parametrize("events", [None, 5, "x", [[]], [{"type": []}], [{"type": {}}], {"type": 1}])
def test_events_of_no_kind_are_a_verdict_and_no_error(events: object) -> None:
    """A gateway signs what it likes: its user reads on."""
    kept = answer_file.load(Path(__file__).parents[1] / "fuzz" / "answer.json")
    changed = replace(kept, receipt={**kept.receipt, "event_log": events})
    assert changed.weights is None
    assert changed.verdict(PINNED).outcome is Outcome.REFUSED


async def test_the_proxy_keeps_what_proves_a_gateway_lied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, secret = Exchange.__init__, "the patient's own name, " * 3

    def one_id(one: Exchange, *args: Any, **named: Any) -> None:
        begin(one, *args, **named)
        one.id = "rcpt-one"

    monkeypatch.setattr(Exchange, "__init__", one_id)
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as one:
        body = {"model": MODEL, "messages": [{"role": "user", "content": secret}]}
        assert (await post(one, "/v1/chat/completions", body))[0] == 200
        for state in ("inner", "outer"):  # a host that forgets, so that its gateway signs the id anew
            with sqlite3.connect(tmp_path / state / "state" / "receipts.sqlite") as store:
                store.execute("DELETE FROM receipts")
        status, told = await post(one, "/v1/chat/completions", ask("another"))
        assert status == 502
        assert b"two receipts of one id" in told
        (evidence,) = one.settings.folder.glob("two-*.json")
    assert two_receipts.load(evidence).verdict(PINNED).outcome is Outcome.ACCEPTED
    canary = Canary.of_bytes(secret.encode())
    assert not in_text(canary, evidence=evidence.read_text()), "it may be shown to anybody"
