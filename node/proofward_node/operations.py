"""The verbs of an operator's day, `proofward worker …`: what happened, and what to do about it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from proofward.cli.output import DEFAULT_CHAIN, ChainOption, Exit, JsonOption, emit, hex0x, note, reporting
from proofward.cli.verbs import Groups

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The worker's TOML file; docs/operators.md has its keys.")
]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def register(groups: Groups) -> None:
    """Add the verbs to `proofward worker`."""
    groups.worker.command("why")(why)


def why(
    job: Annotated[str | None, typer.Argument(help="0x and 64 hex digits; default: all of --since.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The worker's TOML file.")] = None,
    since: Annotated[str, typer.Option(help="How far to look back: 90s, 30m, 1h, 2d.")] = "1h",
    out: Annotated[Path | None, typer.Option(help="Write the signed report into this file.")] = None,
    check: Annotated[Path | None, typer.Option(help="Check a report's signature against the chain.")] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Say why each job that named this worker was not done here, and what each time without work was for.

    From the diary, the journal and the chain. The running enclave signs the report with the receipt key; that
    shows who says so, not that it is true. With --check nothing but the file and --chain is read.

    Example: proofward worker why --since 1h --config worker.toml
    """
    with reporting(as_json):
        if check is not None:
            _check(check, chain, as_json)
            return
        if config is None:
            raise typer.BadParameter("give the worker's --config, or a report to --check")
        seconds = _seconds(since)
        from proofward.client.ids import hash32
        from proofward_node import report
        from proofward_node.config import load

        settings = load(config)
        made = report.make(settings, None if job is None else hash32(job, "job"), seconds)
        found = report.signed(settings, made)
        if out is not None:
            out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        for gap in made.gaps:
            note(True, f"not read: {gap}")
        if found["signature"] is None:
            note(True, f"not signed: {found['unsigned']}")
        emit(as_json, found, [_line(one) for one in found["report"]["findings"]] or ["nothing to tell"])


def _line(finding: dict[str, Any]) -> str:
    begun = _clock(finding["from"]) if finding["from"] else "-" * 8
    span = f"{begun} to {_clock(finding['to'])}" if finding["job"] is None else begun
    who = "no work" if finding["job"] is None else finding["job"]
    block = f"  block {finding['block']} {finding['block_hash'] or ''}".rstrip() if finding["block"] else ""
    detail = f" ({finding['detail']})" if finding["detail"] else ""
    return f"{span}  {who}  {finding['code']}: {finding['meaning']}{detail}{block}"


def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%m-%d %H:%M:%SZ")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time: write 90s, 30m, 1h or 2d")
    return float(int(found[1]) * _UNITS[found[2]])


def _check(path: Path, chain: str, as_json: bool) -> None:
    from proofward.chain import SubstrateClient
    from proofward.chain.pallets import workers
    from proofward_node import report

    found = report.read(path)
    account = report.worker_of(found)
    with SubstrateClient.connect(chain) as client:
        held = report.vouched(found, client.genesis, workers.get(client, account))
    emit(
        as_json,
        {
            "worker": held.account,
            "epoch": held.epoch,
            "receipt_key": held.receipt_key,
            "findings": held.findings,
        },
        [
            f"signed by the enclave of worker {hex0x(held.account)}, epoch {held.epoch}",
            f"says {held.findings} things: its operator's word, not the enclave's",
        ],
    )


__all__ = ["ConfigOption", "Exit", "register"]
