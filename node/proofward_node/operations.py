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
from proofward.files import write_whole

CONFIG_VARIABLE = "PROOFWARD_WORKER_CONFIG"
ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config", envvar=CONFIG_VARIABLE, help="The worker's TOML file; docs/operators.md has its keys."
    ),
]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def register(groups: Groups) -> None:
    """Add the verbs to `proofward worker`."""
    for verb in (why, console, drain, resume, backup, restore, tcb):
        groups.worker.command(verb.__name__)(verb)


def why(
    job: Annotated[
        str | None, typer.Argument(help="A job or a session, 0x and 64 hex digits; default: all of --since.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", envvar=CONFIG_VARIABLE, help="The worker's TOML file.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far to look back: 90s, 30m, 1h, 2d.")] = "1h",
    out: Annotated[Path | None, typer.Option(help="Write the signed report into this file.")] = None,
    check: Annotated[Path | None, typer.Option(help="Check a report's signature against the chain.")] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Say why each job that named this worker was not done here, what each time without work was for, what
    each session waits for or how it ended, and why sessions of a model are not offered.

    From the diary, the journal and the chain. The running enclave signs the report with the receipt key; that
    shows who says so, not that it is true. With --check nothing but the file and --chain is read.

    Example: proofward worker why --since 1h --config worker.toml
    """
    with reporting(as_json):
        if check is not None:
            _check(check, chain, as_json)
            return
        if config is None:
            raise typer.BadParameter(
                f"give the worker's --config (or {CONFIG_VARIABLE}), or a report to --check"
            )
        seconds = _seconds(since)
        from proofward.client.ids import hash32
        from proofward_node import report, session_report
        from proofward_node.config import load

        settings = load(config)
        made = report.make(settings, None if job is None else hash32(job, "job"), seconds)
        found = report.signed(settings, made)
        if out is not None:
            write_whole(out, f"{json.dumps(found, indent=1, sort_keys=True)}\n".encode(), mode=0o666)
        for gap in made.gaps:
            note(True, f"not read: {gap}")
        if found["signature"] is None:
            note(True, f"not signed: {found['unsigned']}")
        body = found["report"]
        lines = [*map(_line, body["findings"]), *map(session_report.line, body["sessions"])]
        emit(as_json, found, lines or ["nothing to tell"])


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


def console(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Show head, registration, TCB, claims, money, outcomes and log in the terminal; q ends it. Read-only.

    The same is a page at the worker's port (http.host, http.port). With --json: one view, and no terminal.

    Example: proofward worker console --config worker.toml
    """
    from proofward_node.config import load

    with reporting(as_json, serves=not as_json):
        settings = load(config)
        if as_json:
            import asyncio

            from proofward_node.chain_port import ChainPort
            from proofward_node.view import looked

            port = ChainPort(settings.chain.url, settings.signer, None, settings.chain.genesis)
            emit(True, asyncio.run(looked(settings, port)), [])
            return
        from proofward_node.console import Console, source

        Console(source(settings)).run()


def drain(
    config: ConfigOption,
    now: Annotated[
        bool,
        typer.Option("--now", help="Hand back claims without a proof; leave what only this worker may do."),
    ] = False,
    timeout: Annotated[str, typer.Option(help="How long to wait: 90s, 30m, 1h.")] = "30m",
    as_json: JsonOption = False,
) -> None:
    """Take nothing new, finish what is held, and say when it is safe to stop the worker and its enclave.

    The hold stays, through restarts, until `worker resume`. Exit code 5: not safe in time.

    Example: proofward worker drain --config worker.toml
    """
    from proofward_node import draining
    from proofward_node.config import load

    with reporting(as_json):
        hold, standing = draining.drain(
            load(config), now=now, seconds=_seconds(timeout), progress=lambda text: note(as_json, text)
        )
        emit(
            as_json,
            {"safe": True, "hold": hold.id, "running": standing.running},
            ["safe to stop: nothing is held, nothing on its way; `proofward worker resume` takes work again"],
        )


def resume(config: ConfigOption, as_json: JsonOption = False) -> None:
    """End a drain, or close the circuit again after lost claims were looked at.

    Example: proofward worker resume --config worker.toml
    """
    from proofward_node import draining
    from proofward_node.config import load

    with reporting(as_json):
        hold = draining.resume(load(config))
        value = None if hold is None else {"code": hold.code, "detail": hold.detail, "since": hold.since}
        emit(
            as_json,
            {"ended": value},
            ["it was not held" if hold is None else f"no longer held (it was {hold.code}: {hold.detail})"],
        )


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    config: ConfigOption,
    move: Annotated[
        bool, typer.Option("--move", help="End the original: it goes on where the backup is restored.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy journal, outbox, diary and hold; the daemon may run, unless they are moved.

    The key file is not in it, nor any key of the enclave.

    Example: proofward worker backup /backup/worker-1 --config worker.toml
    """
    from proofward_node.backup import backup as make
    from proofward_node.config import load

    with reporting(as_json):
        made = make(load(config), folder, move=move)
        emit(
            as_json,
            {"folder": str(made.folder), "id": made.id, "files": made.files, "moved": made.moved},
            [f"backup   {made.folder} ({made.id}): {', '.join(made.files)}"]
            + (["moved    the daemon does not start on the original again"] if made.moved else []),
        )


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup's folder.")],
    config: ConfigOption,
    lost: Annotated[
        bool, typer.Option("--lost", help="The original of this copy can never start again.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put a journal that is there aside, as .replaced.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in place: once, of this account, never beside an original that may run.

    Example: proofward worker restore /backup/worker-1 --config worker.toml
    """
    from proofward_node.backup import restore as bring
    from proofward_node.config import load

    with reporting(as_json):
        done = bring(load(config), folder, lost=lost, replace=replace)
        emit(
            as_json,
            {"folder": str(done.folder), "id": done.id, "files": done.files},
            [f"restored {done.id}: {', '.join(done.files)}"],
        )


_FILE = "A file of that set, as dcap-qvl's JSON, instead of asking for it."


def tcb(
    config: ConfigOption,
    quote: Annotated[Path | None, typer.Option(help="A quote's file; default: the registered one.")] = None,
    early: Annotated[Path | None, typer.Option(help=_FILE)] = None,
    standard: Annotated[Path | None, typer.Option(help=_FILE)] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the platform's TCB counts, until when, and which SVN falls short of which set.

    Exit code 0: it counts under every set. 1: the chain refuses it today. 9: it falls short of a newer set,
    or in less than 14 days. 7: a set could not be looked at.

    Example: proofward worker tcb --config worker.toml --early early.json
    """
    from proofward_node import tcb as judge
    from proofward_node.config import load

    with reporting(as_json):
        files = {judge.Set.EARLY: early, judge.Set.STANDARD: standard}
        report = judge.look(load(config), quote, {name: path for name, path in files.items() if path})
        emit(as_json, report.encode(), _tcb_lines(report.encode()))
        codes = {"counts": Exit.OK, "at-risk": Exit.AT_RISK, "refused": Exit.REFUSED}
        raise typer.Exit(codes.get(str(report.verdict), Exit.INCOMPLETE))


def _tcb_lines(found: dict[str, Any]) -> list[str]:
    platform = found["platform"]
    lines = [
        f"platform   {platform['fmspc']} {platform['ca']}",
        f"SVNs       CPU {_svns(platform['cpu_svn'])}, PCE {platform['pce_svn']}, "
        f"TDX {_svns(platform['tee_tcb_svn'])}",
    ]
    for name, one in found["sets"].items():
        state = "counts" if one["counts"] else f"REFUSED ({one['reason']})"
        lines.append(
            f"{name:10} {one['status'] or 'no level reached'}: {state}; set {one['evaluation_number']}, "
            f"until {_clock(one['expires_at'])}"
        )
        lines += [
            f"           {level['status']} of {datetime.fromtimestamp(level['date'], UTC):%Y-%m-%d}: "
            f"{'counts' if level['counts'] else 'does not count'}, "
            f"{'reached' if level['reached'] else 'not reached'}"
            for level in one["levels"]
        ]
        lines += [
            f"           falls short: {lack['component']} is {lack['has']}, {lack['needs']} is needed"
            for lack in one["lacks"]
        ]
        if one["grace_until"] is not None:
            lines.append(f"           by grace until {_clock(one['grace_until'])}")
    lines += [f"{name:10} not looked at: {why}" for name, why in found["missing"].items()]
    for name in ("collateral", "registered"):
        if (until := found[f"{name}_until"]) is not None:
            lines.append(f"{name:10} {(until - found['now']) / 86_400:.1f} days, until {_clock(until)}")
    left = found["days_left"]
    lines.append(f"{found['verdict']:10} " + ("no end is known" if left is None else f"{left:.1f} days left"))
    return lines


def _svns(numbers: list[int]) -> str:
    return ".".join(str(number) for number in numbers)


__all__ = ["ConfigOption", "Exit", "register"]
