"""The answer of `proofward worker why`: what was read, what it means, and the enclave's signature over it.

The signature is by the receipt key, over the SHA-256 of the report's canonical JSON under a domain of its
own. It is worth this much: the operator of this registered worker said so. It does not make the report true.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from proofward.chain.pallets.jobs import JobRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.errors import ProofwardError
from proofward.files import read_whole
from proofward.protocol import ProtocolError, sha256, strict_json, verify_statement
from proofward.protocol.enclave import EnclaveError
from proofward_node import diary, session_report, why
from proofward_node.chain_port import ChainPort
from proofward_node.config import NodeConfig
from proofward_node.enclave_link import EnclaveDown, EnclaveLink
from proofward_node.journal import Entry, JournalError, peek, select
from proofward_node.ports import ChainDown, Head
from proofward_node.reasons import SESSION_CODES
from proofward_node.status import health
from proofward_node.why import Finding, Known, Lost

MOST_JOBS, MOST_LINES, MAX_BYTES = 1000, 5000, 8 << 20
"""Open jobs looked at, most lines of a report, and longest report that is read."""
FORMAT = "proofward/why/v1"
SIGN_SECONDS = 10.0
"""How long the enclave may take to sign."""


class ReportRefused(ProofwardError):
    """A report that cannot be made, or that nobody vouches for. `code` says which."""

    code = "refused"


@dataclass(frozen=True, slots=True)
class Report:
    """Findings, oldest first, and what they were read from; sessions, those that ended too. `gaps` says what
    could not be read.
    """

    genesis: bytes
    account: bytes
    head: Head | None
    made_at: int
    findings: tuple[Finding, ...]
    gaps: tuple[str, ...] = ()
    sessions: tuple[dict[str, Any], ...] = ()

    def encode(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "format": FORMAT,
            "genesis": f"0x{self.genesis.hex()}",
            "worker": f"0x{self.account.hex()}",
            "head": None
            if self.head is None
            else {"number": self.head.number, "hash": f"0x{self.head.hash.hex()}"},
            "made_at": self.made_at,
            "findings": [finding.encode() for finding in self.findings],
            "sessions": list(self.sessions),
            "not_read": list(self.gaps),
        }


def digest(report: dict[str, Any]) -> bytes:
    """SHA-256 of the canonical JSON: keys sorted, no spaces, ASCII."""
    return sha256(json.dumps(report, sort_keys=True, separators=(",", ":")).encode("ascii"))


# making one -------------------------------------------------------------------------------------


def make(config: NodeConfig, job: bytes | None, since_seconds: float) -> Report:
    """The report about one job, or about all that befell in the last `since_seconds`.

    What cannot be read is named in it. Raises ReportRefused(not-found): nothing at all is known of the job;
    ConfigError, ChainMoved.
    """
    return asyncio.run(_make(config, job, since_seconds))


async def _make(config: NodeConfig, job: bytes | None, since_seconds: float) -> Report:
    now = time.time()
    began = now - since_seconds
    gaps: list[str] = []
    entries = _entries(config.journal, gaps)
    identity = _identity(config.journal)
    port = ChainPort(config.chain.url, config.signer, None, config.chain.genesis)
    running = _running(await health(config))
    pages = diary.read(config.diary, 0.0 if job is not None else began, job)
    # what befell one that still runs may be older than what is asked for
    told = diary.read(config.diary, 0.0, job).notes
    of_sessions = [note for note in told if note.reason.code in SESSION_CODES]
    pages = replace(pages, notes=tuple(note for note in pages.notes if note.reason.code not in SESSION_CODES))
    seen = why.with_gaps(pages.stretches, began, now, running)
    if not pages.notes and not of_sessions and not pages.stretches:
        gaps.append("the diary is empty or cannot be read: the worker did not run, or ran another version")
    head: Head | None = None
    records: dict[bytes, JobRecord] = {}
    sessions: tuple[dict[str, Any], ...] = ()
    genesis = identity[:32]
    try:
        await port.connect()
        genesis, head = port.genesis, await port.finalised()
        wanted = [job] if job is not None else await _wanted(port, entries, pages, began)
        records = await port.jobs(wanted)
        since = began if job is None else 0.0
        sessions = await session_report.seen(port, config.session_journal, of_sessions, since, job)
    except ChainDown as error:
        gaps.append(f"the chain: {error}")
        sessions = session_report.noted(of_sessions, began if job is None else 0.0)
        wanted = [job] if job is not None else _local(entries, pages, began)
    if job is not None and sessions:
        wanted = []  # it is a session
    found: list[Finding] = []
    lost = _lost(config.outbox)
    notes: dict[bytes, list[diary.Note]] = {}
    for note in pages.notes:
        notes.setdefault(note.job, []).append(note)
    for one in wanted[:MOST_LINES]:
        known = Known(
            one, port.account, 0 if head is None else head.number, records.get(one), entries.get(one),
            notes.get(one, []), seen, lost.get(one, []),
        )  # fmt: skip
        if job is not None and known.record is None and known.entry is None and not known.notes and not gaps:
            raise ReportRefused(f"neither chain nor journal knows a job 0x{job.hex()}", code="not-found")
        found.append(await _with_hash(why.explain(known), port if head is not None else None))
    await port.close()
    if job is None:
        found += why.stretches(pages.stretches, began, now, running)[-MOST_LINES:]
    found.sort(key=lambda one: one.began)
    return Report(genesis, port.account, head, int(now), tuple(found), tuple(gaps), sessions)


async def _wanted(
    port: ChainPort, entries: dict[bytes, Entry], pages: diary.Pages, began: float
) -> list[bytes]:
    return list(dict.fromkeys([*_local(entries, pages, began), *await port.open_jobs(MOST_JOBS)]))


def _local(entries: dict[bytes, Entry], pages: diary.Pages, began: float) -> list[bytes]:
    recent = [entry.job for entry in entries.values() if entry.updated >= began]
    return list(dict.fromkeys([*recent, *(note.job for note in pages.notes)]))


async def _with_hash(finding: Finding, port: ChainPort | None) -> Finding:
    if finding.hash or not finding.block or port is None:
        return finding
    with suppress(ChainDown):
        return replace(finding, hash=await port.block_hash(finding.block))
    return finding


def _entries(path: Path, gaps: list[str]) -> dict[bytes, Entry]:
    try:
        return {entry.job: entry for entry in peek(path)}
    except JournalError as error:
        gaps.append(f"the journal: {error}")
        return {}


def _identity(path: Path) -> bytes:
    """Genesis and account of a journal, 64 bytes of zeros when it does not say."""
    row = select(path, "SELECT value FROM meta WHERE key = 'identity'")
    return bytes(row[0][0]) if row else bytes(64)


def _lost(path: Path) -> dict[bytes, list[Lost]]:
    """By job: what was signed for it and is dead."""
    found: dict[bytes, list[Lost]] = {}
    query = "SELECT key, error FROM outbox WHERE state = 'dead' ORDER BY id DESC LIMIT 10000"
    for key, error in select(path, query):
        parts = str(key).split(":")
        with suppress(ValueError, IndexError):
            found.setdefault(bytes.fromhex(parts[1]), []).append(Lost(str(key), str(error)))
    return found


def _running(said: dict[str, Any]) -> bool | None:
    state = said.get("status")
    return None if state == "unknown" else state != "not running"


# vouching ---------------------------------------------------------------------------------------


def signed(config: NodeConfig, report: Report) -> dict[str, Any]:
    """The report with its signature, or with the reason why there is none: only the enclave that runs has
    the key.
    """
    body = report.encode()
    request = {"genesis": report.genesis, "account": report.account, "digest": digest(body)}

    async def ask() -> dict[str, Any]:
        return await EnclaveLink(config.socket).call("vouch", request, SIGN_SECONDS)

    try:
        made = asyncio.run(ask())
    except (EnclaveDown, EnclaveError) as error:
        return {"report": body, "signature": None, "unsigned": str(error)}
    return {
        "report": body,
        "signature": {
            "receipt_key": f"0x{made['receipt_key'].hex()}",
            "epoch": made["epoch"],
            "signature": f"0x{made['signature'].hex()}",
        },
    }


@dataclass(frozen=True, slots=True)
class Vouched:
    """A signed report that held: who said it, by which key."""

    account: bytes
    epoch: int
    receipt_key: bytes
    findings: int


def read(path: Path) -> dict[str, Any]:
    """A report from a file. Raises ReportRefused."""
    try:
        found = strict_json.loads(read_whole(path, MAX_BYTES), limit=MAX_BYTES)
    except OSError as error:
        raise ReportRefused(f"{path} cannot be read: {error.strerror}", code="not-found") from error
    except ValueError as error:
        raise ReportRefused(f"{path} is no report: {error}", code="bad-report") from None
    if not isinstance(found, dict):
        raise ReportRefused(f"{path} is no report", code="bad-report")
    return found


def vouched(found: dict[str, Any], genesis: bytes, record: WorkerRecord | None) -> Vouched:
    """Check a report's signature against the worker's record on the chain.

    Raises ReportRefused: it is unsigned, of another chain, or not signed by a key of this worker.
    """
    body, mark = found.get("report"), found.get("signature")
    try:
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise ReportRefused("it is no report of `worker why`", code="bad-report")
        if not isinstance(mark, dict):
            raise ReportRefused("the report is not signed: nobody vouches for it", code="unsigned")
        account, key = _hex(body["worker"]), _hex(mark["receipt_key"])
        signature, epoch, findings = _hex(mark["signature"]), int(mark["epoch"]), len(body["findings"])
        if _hex(body["genesis"]) != genesis:
            raise ReportRefused("the report is of another chain", code="other-chain")
        if record is None or record.account != account:
            raise ReportRefused(f"the chain has no worker 0x{account.hex()}", code="not-found")
        verify_statement(
            genesis=genesis, account=account, epoch=epoch, digest=digest(body), signature=signature,
            receipt_key=key,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, OverflowError, ProtocolError) as error:
        raise ReportRefused(f"the report's signature does not hold: {error}", code="bad-signature") from None
    if key not in _keys(record):
        raise ReportRefused(
            f"0x{key.hex()} is no receipt key of worker 0x{account.hex()} that the chain remembers",
            code="bad-signature",
        )
    return Vouched(account, epoch, key, findings)


def worker_of(found: dict[str, Any]) -> bytes:
    """The account that a report names. Raises ReportRefused."""
    try:
        account = _hex(found["report"]["worker"])
    except (KeyError, TypeError, ValueError):
        raise ReportRefused("it is no report of `worker why`", code="bad-report") from None
    if len(account) != 32:
        raise ReportRefused("the report names no account", code="bad-report")
    return account


def _keys(record: WorkerRecord) -> set[bytes]:
    """Every receipt key that the chain remembers of a worker."""
    previous = set() if record.previous is None else {record.previous.receipt_key}
    return {record.receipt_key, *(past.receipt_key for past in record.past_keys)} | previous


def _hex(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("a hash or key is no text")
    return bytes.fromhex(text.removeprefix("0x"))
