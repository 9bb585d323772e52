"""A platform's TCB against Intel's own samples and simulated ones: what counts, what is short, until when."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote as quoted

import pytest
from aiohttp import web

from proofward.attestation import DEVELOPMENT_ROOTS, INTEL_ROOT, AttestationError, Collateral
from proofward.attestation.tcb import Platform, Rules, Shortfall, stand, standard_expected
from proofward_enclave.measure import code_digest
from proofward_enclave.providers.dev_platform import DevPlatform, Publication, TdIdentity
from proofward_node import pcs, tcb
from proofward_node.chain_port import Attested
from proofward_node.config import NodeConfig, load
from proofward_node.tcb import Set, Verdict
from tests.attestation.samples import sample

DAY = 86_400
NOW = int(dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC).timestamp())


OLD, NEW = sample("tdx_quote"), sample("tdx_quote_td15ex")
PLATFORM = DevPlatform()
QUOTE = PLATFORM.quote(bytes(64), TdIdentity(mrtd=code_digest()))


def published(status: str = "UpToDate", days: int = 0, tcb_days: int = 300) -> Collateral:
    """What would have been published of the simulated platform `days` before NOW."""
    issued = dt.datetime.fromtimestamp(NOW - days * DAY, dt.UTC).replace(microsecond=0)
    what = Publication(
        issued - dt.timedelta(days=1), issued + dt.timedelta(days=30), 5, status,
        tcb_date=issued - dt.timedelta(days=tcb_days),
    )  # fmt: skip
    return Collateral.from_json(json.dumps(PLATFORM.collateral_of(what)))


def test_intels_newer_set_names_what_an_older_machine_lacks() -> None:
    """A real machine of June 2025, against the set that came after Intel's recovery of August."""
    quote, _, _ = OLD
    _, newer, now = NEW
    found = stand(quote, newer, now=now, roots=(INTEL_ROOT,))
    assert (found.counts, found.status, found.evaluation_number) == (False, "OutOfDate", 20)
    assert found.newest is not None
    assert found.newest.lacks == (
        Shortfall("CPU SVN 1", 3, 4),
        Shortfall("CPU SVN 2", 3, 4),
        Shortfall("TDX SVN 3", 3, 4),
        Shortfall("TDX module 1 SVN", 6, 11),
    )
    level = dt.datetime(2025, 8, 13, tzinfo=dt.UTC)
    assert standard_expected(found) == int((level + dt.timedelta(weeks=6)).timestamp())


@pytest.mark.parametrize("sample", [OLD, NEW], ids=["v4", "v5"])
def test_a_machine_that_is_up_to_date_lacks_nothing_of_the_level_that_dcap_qvl_finds(sample: Any) -> None:
    quote, collateral, now = sample
    found = stand(quote, collateral, now=now, roots=(INTEL_ROOT,))
    assert (found.counts, found.status, found.reason) == (True, "UpToDate", "")
    assert found.levels[0].reached
    assert standard_expected(found) is None


def test_a_machine_below_every_level_lacks_something_of_each() -> None:
    quote, collateral, now = sample("tdx_quote_outdated")
    found = stand(quote, collateral, now=now, roots=(INTEL_ROOT,))
    assert (found.counts, found.status) == (False, None)
    assert all(level.lacks == (Shortfall("CPU SVN 8", 3, 5),) for level in found.levels)


def test_grace_ends_as_the_chain_counts_it() -> None:
    rules = Rules(frozenset({"OutOfDate"}), grace_seconds=310 * DAY)
    collateral = published("OutOfDate")
    found = stand(QUOTE, collateral, now=NOW, roots=DEVELOPMENT_ROOTS, rules=rules)
    assert found.counts
    assert found.grace_until == NOW + 10 * DAY
    for seconds, counts in ((-1, False), (0, True)):
        at = replace(rules, grace_seconds=300 * DAY + seconds)
        assert stand(QUOTE, collateral, now=NOW, roots=DEVELOPMENT_ROOTS, rules=at).counts is counts


def _spoilt(member: str, value: object) -> Collateral:
    """The older machine's collateral with another value in a member of its TCB info."""
    fields = json.loads(OLD[1].to_json())
    fields["tcb_info"] = json.dumps({**json.loads(fields["tcb_info"]), member: value})
    return Collateral.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("fault", "quote", "collateral", "code"),
    [
        ("another family", OLD[0], sample("tdx_quote_outdated")[1], "no-collateral"),
        ("no quote", b"x", OLD[1], "malformed-quote"),
        (
            "a number without end",
            OLD[0],
            _spoilt("tcbEvaluationDataNumber", float("inf")),
            "malformed-collateral",
        ),
        ("a level that is a number", OLD[0], _spoilt("tcbLevels", [7]), "malformed-collateral"),
        ("a level's text", OLD[0], _spoilt("tcbLevels", ["x"]), "malformed-collateral"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    fault: str, quote: bytes, collateral: Collateral, code: str
) -> None:
    with pytest.raises(AttestationError) as caught:
        stand(quote, collateral, now=NOW, roots=(INTEL_ROOT,))
    assert caught.value.code == code, fault


def test_a_set_whose_signature_was_forged_counts_for_nothing() -> None:
    fields = json.loads(published("OutOfDate").to_json())
    fields["tcb_info"] = fields["tcb_info"].replace("OutOfDate", "UpToDate")
    forged = Collateral.from_json(json.dumps(fields))
    found = stand(QUOTE, forged, now=NOW, roots=DEVELOPMENT_ROOTS)
    assert not found.counts
    assert found.status is None


def _config(folder: Path, provider: str = "simulator", url: str = "") -> NodeConfig:
    path = folder / "worker.toml"
    pccs = f'pccs_url = "{url}"\n' if url else ""
    path.write_text(
        '[chain]\nurl = "ws://127.0.0.1:1"\n[worker]\ndev_account = "//Alice"\ndata_dir = "data"\n'
        f'[enclave]\nprovider = "{provider}"\nmodels = "models"\n{pccs}'
    )
    return load(path)


def attested(collateral: Collateral | None, rules: Rules | None = None) -> Attested:
    return Attested(QUOTE, NOW, rules or Rules(), DEVELOPMENT_ROOTS, collateral, NOW + 20 * DAY, NOW + DAY)


def files(folder: Path, **sets: Collateral) -> dict[Set, Path]:
    found = {}
    for name, collateral in sets.items():
        found[Set(name)] = folder / f"{name}.json"
        found[Set(name)].write_text(collateral.to_json())
    return found


@pytest.mark.parametrize(
    ("chain", "early", "rules", "verdict", "days"),
    [
        ("UpToDate", "UpToDate", Rules(), Verdict.COUNTS, None),
        ("UpToDate", "OutOfDate", Rules(), Verdict.AT_RISK, 41),
        ("OutOfDate", "OutOfDate", Rules(), Verdict.REFUSED, 0),
        ("OutOfDate", "OutOfDate", Rules(frozenset({"OutOfDate"}), 320 * DAY), Verdict.COUNTS, 20),
        ("OutOfDate", "OutOfDate", Rules(frozenset({"OutOfDate"}), 310 * DAY), Verdict.AT_RISK, 10),
        ("UpToDate", None, Rules(), Verdict.INCOMPLETE, None),
        (None, None, Rules(), Verdict.INCOMPLETE, None),
    ],
)
async def test_the_verdict_over_the_sets(
    chain: str | None, early: str | None, rules: Rules, verdict: Verdict, days: float | None, tmp_path: Path
) -> None:
    held = None if chain is None else published(chain)
    given = files(tmp_path, standard=published(chain or "UpToDate")) if chain else {}
    if early is not None:
        given |= files(tmp_path, early=published(early))
    report = await tcb.judged(_config(tmp_path), attested(held, rules), None, given, "none is held")
    assert report.verdict is verdict
    assert report.days_left == days
    assert json.dumps(report.encode())
    assert set(report.sets) | set(report.missing) == set(Set)


async def _pcs(collateral: Collateral, spoil: Callable[[str], str] = lambda body: body) -> web.AppRunner:
    fields = json.loads(collateral.to_json())

    def answer(part: str, name: str, header: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def give(request: web.Request) -> web.Response:
            assert request.query["update"] == "early"
            body = f'{{"{name}":{fields[part]},"signature":"{fields[f"{part}_signature"]}"}}'
            return web.Response(text=spoil(body), headers={header: quoted(fields[f"{part}_issuer_chain"])})

        return give

    app = web.Application()
    base = "/tdx/certification/v4"
    app.router.add_get(f"{base}/tcb", answer("tcb_info", "tcbInfo", "TCB-Info-Issuer-Chain"))
    app.router.add_get(
        f"{base}/qe/identity",
        answer("qe_identity", "enclaveIdentity", "SGX-Enclave-Identity-Issuer-Chain"),
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


async def test_the_early_set_comes_from_the_pcs_and_verifies_as_it_was_signed() -> None:
    early = published("OutOfDate", tcb_days=10)
    runner = await _pcs(early)
    try:
        found = await pcs.early(QUOTE, published(), f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
    assert found.to_json() == early.to_json()
    assert stand(QUOTE, found, now=NOW, roots=DEVELOPMENT_ROOTS).status == "OutOfDate"


@pytest.mark.parametrize(
    "spoil",
    [lambda body: body[:-40], lambda body: "[" * 50_000, lambda body: "{}", lambda body: body + body],
    ids=["cut", "deep", "empty", "twice"],
)
async def test_attack_pcs_an_answer_that_is_none_is_no_collateral(spoil: Callable[[str], str]) -> None:
    runner = await _pcs(published(), spoil)
    try:
        with pytest.raises(AttestationError) as caught:
            await pcs.early(QUOTE, published(), f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
    assert caught.value.code in ("no-collateral", "malformed-collateral")


def test_the_platform_is_read_from_the_quote() -> None:
    found = Platform.of(OLD[0])
    assert (found.fmspc.hex(), found.ca, found.pce_svn) == ("b0c06f000000", "platform", 11)
    assert found.cpu_svn[:8] == (3, 3, 2, 2, 4, 1, 0, 5)
