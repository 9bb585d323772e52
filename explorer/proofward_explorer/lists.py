"""What the site asks of the index. Every list is bounded, and every question is an index's."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any, Final

from proofward.chain import accounts
from proofward.chain.accounts import AccountError
from proofward.chain.pallets import GOVERNANCE
from proofward.errors import NotFound, ProofwardError
from proofward_explorer.store import DAY_MS

PAGE: Final = 50
_PROVED: Final = "sum(json_array_length(events.fields, '$.pages'))"
_PAID: Final = "sum(json_extract(events.fields, '$.records'))"
_OPENED: Final = "json_extract(fields, '$.opened_at')"
_MOST: Final = 200
_DAYS: Final = 30
_STATUSES: Final = ("queued", "claimed", "accepted", "refunded")
_LEVELS: Final = ("simulated", "hardware")


class BadQuestion(ProofwardError):
    """A question to the explorer with a parameter that is none."""

    code = "bad-question"


def hash_of(text: str, what: str) -> bytes:
    """32 bytes from hex with or without 0x. Raises BadQuestion."""
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
        raise BadQuestion(f"{what} is 0x and 64 hexadecimal digits")
    return bytes.fromhex(text.removeprefix("0x"))


def account_of(text: str) -> bytes:
    """An account from hex or an SS58 address. Raises BadQuestion."""
    if re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
        return hash_of(text, "an account")
    try:
        return accounts.account(text)
    except AccountError:
        raise BadQuestion("an account is an address, or 0x and 64 hexadecimal digits") from None


class Lists:
    """Reading questions over one connection; not for several threads at once."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._daily: tuple[int | None, dict[str, Any]] | None = None

    def _all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self._db.execute(query, values).fetchall()

    def _one(self, query: str, *values: Any) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._db.execute(query, values).fetchone()
        return found

    @contextmanager
    def snapshot(self) -> Iterator[int]:
        """Questions inside are of one state of the file; gives its last block's number, 0 without one."""
        self._db.execute("BEGIN")
        try:
            found = self._one("SELECT max(number) FROM blocks")
            yield 0 if found is None or found[0] is None else int(found[0])
        finally:
            self._db.execute("ROLLBACK")

    def head(self) -> dict[str, Any]:
        """The chain and the last block in the index."""
        chain = self._one("SELECT * FROM chain")
        last = self._one("SELECT * FROM blocks ORDER BY number DESC LIMIT 1")
        return {
            "genesis": None if chain is None else _hex(chain["genesis"]),
            "name": None if chain is None else chain["name"],
            "type": None if chain is None else chain["type"],
            "block": None if last is None else _block(last),
        }

    def overview(self) -> dict[str, Any]:
        """Figures of the whole network, and jobs a day; counted once a block."""
        head = self.head()
        number = head["block"] and head["block"]["number"]
        if self._daily is None or self._daily[0] != number:
            self._daily = (number, self._figures())
        latest = [_block(row) for row in self._all("SELECT * FROM blocks ORDER BY number DESC LIMIT 10")]
        return {"head": head, **self._daily[1], "blocks": latest, "jobs": self.jobs({"limit": "10"})["jobs"]}

    def _figures(self) -> dict[str, Any]:
        statuses = {row[0]: row[1] for row in self._all("SELECT status, count(*) FROM jobs GROUP BY status")}
        levels = {
            row[0]: row[1]
            for row in self._all("SELECT level, count(*) FROM jobs WHERE level IS NOT NULL GROUP BY level")
        }
        last = self._one("SELECT max(day) FROM jobs")
        newest = last[0] if last is not None and last[0] is not None else 0
        days: dict[int, dict[str, Any]] = {}
        for row in self._all(
            "SELECT day, status, count(*), avg(seconds) FROM jobs WHERE day > ? GROUP BY day, status",
            newest - _DAYS,
        ):
            day = days.setdefault(row[0], {"day": row[0] * DAY_MS})
            day[row[1]] = row[2]
            if row[1] == "accepted":
                day["seconds"] = row[3]
        escrow = self._all("SELECT price FROM jobs WHERE status IN ('queued', 'claimed')")
        escrow += self._all(
            "SELECT json_extract(fields, '$.escrow') FROM records WHERE kind = 'session' AND gone = 0"
        )
        kinds = self._all("SELECT kind, count(*) FROM records WHERE gone = 0 GROUP BY kind")
        sizes = self._one(
            "SELECT avg(proof_bytes), avg(seconds) FROM (SELECT proof_bytes, seconds FROM jobs "
            "WHERE status = 'accepted' ORDER BY number DESC LIMIT 1000)"
        )
        assert sizes is not None
        committed = self._one(
            "SELECT count(*), sum(json_extract(fields, '$.records')), sum(json_extract(fields, '$.pages')) "
            "FROM records WHERE kind = 'session'"
        )
        proved = self._one(
            f"SELECT {_PROVED} FROM events WHERE pallet = 'InferenceSessions' AND name = 'Proved'"
        )
        assert committed is not None
        assert proved is not None
        return {
            "statuses": statuses,
            "levels": levels,
            "days": [days[day] for day in sorted(days)],
            "escrow": str(sum(int(row[0]) for row in escrow)),
            "records": {row[0]: row[1] for row in kinds},
            "recent": {"proof_bytes": sizes[0], "seconds": sizes[1]},
            "sessions": {
                "count": committed[0],
                "records": committed[1] or 0,
                "pages": committed[2] or 0,
                "proved": proved[0] or 0,
            },
        }

    def jobs(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Jobs, the newest first, by `status`, `level`, `model`, `worker`, `client`; `before` continues.
        Raises BadQuestion.
        """
        where, values = self._filters(asked)
        limit = _number(asked, "limit", PAGE, _MOST)
        clause = f"WHERE {' AND '.join(where)}" if where else ""
        query = f"SELECT * FROM jobs {clause} ORDER BY number DESC LIMIT ?"
        rows = self._all(query, *values, limit + 1)
        more = rows[limit - 1]["number"] if len(rows) > limit else None
        return {"jobs": [_job(row) for row in rows[:limit]], "next": more}

    def _filters(self, asked: Mapping[str, str]) -> tuple[list[str], list[Any]]:
        _only(asked, "jobs", {"status", "level", "model", "worker", "client", "before", "limit"})
        where: list[str] = []
        values: list[Any] = []
        for name, choices in (("status", _STATUSES), ("level", _LEVELS)):
            if name in asked:
                if asked[name] not in choices:
                    raise BadQuestion(f"{name} is one of {', '.join(choices)}")
                where.append(f"{name} = ?")
                values.append(asked[name])
        for name in ("model", "worker", "client"):
            if name in asked:
                where.append(f"{name} = ?")
                values.append(
                    hash_of(asked[name], "a model's id") if name == "model" else account_of(asked[name])
                )
        if "before" in asked:
            where.append("number < ?")
            values.append(_number(asked, "before", 0, 2**53))
        return where, values

    def job(self, job: bytes) -> dict[str, Any]:
        """One job with all that happened to it. Raises NotFound."""
        row = self._one("SELECT * FROM jobs WHERE id = ?", job)
        if row is None:
            raise NotFound(f"the index has no job {_hex(job)}")
        return {"job": _job(row), "events": self._events("subject = ?", job)}

    def _events(self, where: str, *values: Any, limit: int = _MOST) -> list[dict[str, Any]]:
        rows = self._all(
            "SELECT events.*, blocks.time, blocks.hash AS block_hash, extrinsics.hash AS extrinsic_hash, "
            "extrinsics.signer FROM events JOIN blocks ON blocks.number = events.block LEFT JOIN extrinsics "
            "ON extrinsics.block = events.block AND extrinsics.place = events.extrinsic "
            f"WHERE {where} ORDER BY events.block DESC, events.place DESC LIMIT ?",
            *values,
            limit,
        )
        return [_event(row) for row in reversed(rows)]

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Every worker or model, as it last was."""
        rows = self._all("SELECT * FROM records WHERE kind = ? ORDER BY block DESC LIMIT 1000", kind)
        return [_record(row) for row in rows]

    def record(self, kind: str, name: bytes) -> dict[str, Any]:
        """A worker or model with what happened to it and its latest jobs. Raises NotFound."""
        row = self._one("SELECT * FROM records WHERE kind = ? AND id = ?", kind, name)
        if row is None:
            raise NotFound(f"the index has no {kind} {_hex(name)}")
        column = "account" if kind == "worker" else "subject"
        found = {
            kind: _record(row),
            "events": self._events(f"events.{column} = ?", name, limit=PAGE),
            "jobs": self.jobs({kind: name.hex(), "limit": "20"})["jobs"],
        }
        counts = self._all(f"SELECT status, count(*) FROM jobs WHERE {kind} = ? GROUP BY status", name)
        found["statuses"] = {one[0]: one[1] for one in counts}
        if kind == "worker":
            serving = self._one("SELECT fields FROM records WHERE kind = 'serving' AND id = ?", name)
            found["serving"] = {} if serving is None else json.loads(serving[0])
        return found

    def attestation(self) -> dict[str, Any]:
        """Allow-list, roots, policy and collateral, and how they came about. Raises NotFound."""
        row = self._one("SELECT * FROM records WHERE kind = 'attestation'")
        if row is None:
            raise NotFound("the index has no block yet")
        return {
            **json.loads(row["fields"]),
            "events": self._events("events.pallet = 'Attestation'", limit=PAGE),
        }

    def market(self) -> dict[str, Any]:
        """What was paid, held and lost, by model and worker, and the latest cuts of bonds and stakes."""
        lost = self._events(
            "(events.pallet = 'Jobs' AND events.name IN ('Released', 'Lapsed', 'Rejected', 'FaultyProof')) "
            "OR (events.pallet = 'Workers' AND events.name IN "
            "('Equivocated', 'Contradicted', 'Undelivered', 'Suspended', 'Banned')) "
            "OR (events.pallet = 'Models' AND events.name IN ('StruckOff', 'Faulted')) "
            "OR (events.pallet = 'InferenceSessions' AND events.name IN ('Failed', 'Waived', 'Equivocated'))",
            limit=PAGE,
        )
        return {"models": self._totals("model"), "workers": self._totals("worker"), "lost": lost}

    def _totals(self, kind: str) -> list[dict[str, Any]]:
        # the text of a larger amount is longer, or later in the alphabet
        rows = self._all(
            "SELECT * FROM totals WHERE kind = ? ORDER BY length(paid) DESC, paid DESC LIMIT 50", kind
        )
        names = ("jobs", "records", "paid", "royalty")
        return [{"id": _hex(row["id"]), **{name: row[name] for name in names}} for row in rows]

    def sessions(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Sessions, the latest opened first, with what was committed, proved and paid of each, and sums of
        all; `before` continues. Raises BadQuestion.
        """
        _only(asked, "sessions", {"before", "limit"})
        limit = _number(asked, "limit", PAGE, _MOST)
        where, values = "", tuple[Any, ...]()
        if "before" in asked:
            opened, _, name = asked["before"].partition(".")
            values = (_number({"before": opened}, "before", 0, 2**32), hash_of(name, "a session's id"))
            where = f"AND ({_OPENED}, id) < (?, ?)"
        rows = self._all(
            f"SELECT * FROM records WHERE kind = 'session' {where} ORDER BY {_OPENED} DESC, id DESC LIMIT ?",
            *values,
            limit + 1,
        )
        found = [self._session(row) for row in rows[:limit]]
        more = f"{found[-1]['opened_at']}.{found[-1]['id']}" if len(rows) > limit else None
        return {"sessions": found, "next": more, "totals": self.overview()["sessions"]}

    def _session(self, row: sqlite3.Row) -> dict[str, Any]:
        """A record leaves state together with its last window: what was paid is what the events say."""
        proved, paid = (
            self._one(
                f"SELECT {what} FROM events WHERE subject = ? AND pallet = 'InferenceSessions' AND name = ?",
                row["id"],
                name,
            )
            for what, name in ((_PROVED, "Proved"), (_PAID, "Finished"))
        )
        assert proved is not None
        assert paid is not None
        return {**_record(row), "proved": proved[0] or 0, "paid": paid[0] or 0}

    def session(self, session: bytes, asked: Mapping[str, str]) -> dict[str, Any]:
        """One session with what happened to it, oldest first, the latest of it or what was `before`.
        Raises NotFound, BadQuestion.
        """
        _only(asked, "a session's events", {"before"})
        found = self._one("SELECT * FROM records WHERE kind = 'session' AND id = ?", session)
        if found is None:
            raise NotFound(f"the index has no session {_hex(session)}")
        where, values = "events.subject = ?", list[Any]([session])
        if "before" in asked:
            block, _, place = asked["before"].partition(".")
            where += " AND (events.block, events.place) < (?, ?)"
            values += [_number({"before": one}, "before", 0, 2**32, least=0) for one in (block, place)]
        events = self._events(where, *values, limit=_MOST + 1)
        more = None
        if len(events) > _MOST:
            events = events[1:]
            more = f"{events[0]['block']}.{events[0]['place']}"
        return {"session": self._session(found), "events": events, "next": more}

    def consortium(self) -> list[dict[str, Any]]:
        """What was announced, decided and shown of members and finality, the latest, oldest first."""
        pallets = ", ".join("?" * len(GOVERNANCE))
        return self._events(f"events.pallet IN ({pallets})", *GOVERNANCE, limit=PAGE)

    def studies(self) -> list[dict[str, Any]]:
        """Studies that were announced, the latest, oldest first: their events."""
        return self._events("events.pallet = 'Federation' AND events.name = 'Created'", limit=PAGE)

    def study(self, study: bytes) -> list[dict[str, Any]]:
        """What happened to one study. Raises NotFound."""
        found = self._events("events.subject = ? AND events.pallet = 'Federation'", study, limit=1_000)
        if not found:
            raise NotFound(f"the index has no study {_hex(study)}")
        return found

    def search(self, text: str) -> list[dict[str, str]]:
        """What an id, hash, account, address or block number names, or a model's name."""
        wanted = text.strip()[:128]
        if re.fullmatch(r"[0-9]{1,10}", wanted):
            found = self._one("SELECT number FROM blocks WHERE number = ?", int(wanted))
            return [] if found is None else [{"kind": "block", "id": wanted}]
        try:
            name = account_of(wanted)
        except BadQuestion:
            return self._named(wanted)
        return self._identified(name)

    def _named(self, wanted: str) -> list[dict[str, str]]:
        rows = self._all(
            "SELECT id FROM records WHERE kind = 'model' AND json_extract(fields, '$.name') = ? LIMIT 20",
            wanted,
        )
        return [{"kind": "model", "id": _hex(row[0])} for row in rows]

    def _identified(self, name: bytes) -> list[dict[str, str]]:
        found = []
        for kind, query in (
            ("job", "SELECT 1 FROM jobs WHERE id = ?"),
            ("model", "SELECT 1 FROM records WHERE kind = 'model' AND id = ?"),
            ("worker", "SELECT 1 FROM records WHERE kind = 'worker' AND id = ?"),
            ("session", "SELECT 1 FROM records WHERE kind = 'session' AND id = ?"),
            ("client", "SELECT 1 FROM jobs WHERE client = ? LIMIT 1"),
        ):
            if self._one(query, name) is not None:
                found.append({"kind": kind, "id": _hex(name)})
        for query in (
            "SELECT number FROM blocks WHERE hash = ?",
            "SELECT block FROM extrinsics WHERE hash = ? LIMIT 1",
        ):
            row = self._one(query, name)
            if row is not None:
                found.append({"kind": "block", "id": str(row[0])})
        return found

    def block(self, number: int) -> dict[str, Any]:
        """A block with its calls and events. Raises NotFound."""
        row = self._one("SELECT * FROM blocks WHERE number = ?", number)
        if row is None:
            raise NotFound(f"the index has no block {number}")
        calls = self._all("SELECT * FROM extrinsics WHERE block = ? ORDER BY place LIMIT 1000", number)
        return {
            "block": _block(row),
            "extrinsics": [
                {
                    "hash": _hex(one["hash"]),
                    "place": one["place"],
                    "call": one["call"],
                    "signer": _hex(one["signer"]),
                }
                for one in calls
            ],
            "events": self._events("events.block = ?", number),
        }


def _only(asked: Mapping[str, str], what: str, known: Set[str]) -> None:
    if unknown := asked.keys() - known:
        raise BadQuestion(f"{what} are not filtered by {', '.join(sorted(unknown))}")


def _number(asked: Mapping[str, str], name: str, default: int, most: int, *, least: int = 1) -> int:
    text = asked.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,16}", text) or not least <= int(text) <= most:
        raise BadQuestion(f"{name} is a number from {least} to {most}")
    return int(text)


def _hex(value: bytes | None) -> Any:
    return None if value is None else "0x" + value.hex()


def _block(row: sqlite3.Row) -> dict[str, Any]:
    return {**{name: row[name] for name in ("number", "time", "extrinsics")}, "hash": _hex(row["hash"])}


def _job(row: sqlite3.Row) -> dict[str, Any]:
    found = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a Row iterates over values
    for name in ("id", "client", "model", "worker"):
        found[name] = _hex(found[name])
    return found


def _event(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "block": row["block"],
        "place": row["place"],
        "block_hash": _hex(row["block_hash"]),
        "time": row["time"],
        "pallet": row["pallet"],
        "name": row["name"],
        "extrinsic": _hex(row["extrinsic_hash"]),
        "signer": _hex(row["signer"]),
        "fields": json.loads(row["fields"]),
    }


def _record(row: sqlite3.Row) -> dict[str, Any]:
    fields = json.loads(row["fields"])
    return {
        "id": _hex(row["id"]),
        "block": row["block"],
        "gone": bool(row["gone"]),
        **{k: v for k, v in fields.items() if k != "id"},
    }
