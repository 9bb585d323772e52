"""An export names the line that was changed; a chain is compared line by line."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from proofward.chain import accounts
from proofward.chain.pallets import attestation
from proofward.cli import app
from proofward.devnet.chains import Devnet
from proofward.evidence import audit_file
from proofward.evidence.audit_file import AuditError, Difference, Span, differences, leaf, merkle_root
from proofward.protocol import sha256

LINES = [audit_file.line_of({"number": number}) for number in range(1, 41)]
LEAVES = [leaf(line) for line in LINES]


def told(lines: list[bytes]) -> list[str]:
    return [str(one) for one in differences(LEAVES, lines)]


def test_the_root_is_rfc_6962s() -> None:
    """Known answers of certificate transparency's own tests (merkletree's reference implementation)."""
    inputs = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43", bytes(range(0x50, 0x58)),
              bytes(range(0x60, 0x70))]  # fmt: skip
    leaves = [leaf(one) for one in inputs]
    assert merkle_root([]) == sha256(b"")
    assert merkle_root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle_root(leaves[:2]).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert merkle_root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_each_change_is_named() -> None:
    other = audit_file.line_of({"number": 99})
    assert told(LINES) == []
    assert told([*LINES[:6], other, *LINES[7:]]) == ["line 7 was edited"]
    assert told([*LINES[:6], *LINES[7:]]) == ["line 7 was dropped"]
    assert told([*LINES[:6], other, *LINES[6:]]) == ["line 7 was added"]
    assert told([*LINES, other]) == ["line 41 was added"]
    assert told(LINES[:-1]) == ["line 40 was dropped"]
    assert told([*LINES[:6], *LINES[7:20], LINES[6], *LINES[20:]]) == ["line 7 was reordered"]
    assert told([*LINES[:6], LINES[7], LINES[6], *LINES[8:]]) in (
        ["line 7 was reordered"], ["line 8 was reordered"],
    )  # fmt: skip
    assert told([*LINES[:3], LINES[2], *LINES[3:]]) == ["line 4 was added"]
    assert told([]) == [f"line {number} was dropped" for number in range(1, 41)]


@settings(max_examples=200)
@given(dropped=st.sets(st.integers(0, 39)), edited=st.sets(st.integers(0, 39)))
def test_what_was_dropped_and_edited_is_named_wherever_it_was(dropped: set[int], edited: set[int]) -> None:
    lines = [
        audit_file.line_of({"edited": number}) if number in edited else line
        for number, line in enumerate(LINES)
        if number not in dropped
    ]
    found = differences(LEAVES, lines)
    named = {one.number - 1 for one in found}
    assert named == dropped | edited
    assert sum(one.kind == "edited" for one in found) == len(edited - dropped)


@settings(max_examples=100)
@given(st.permutations(range(40)))
def test_no_order_but_the_one_is_taken(order: list[int]) -> None:
    found = differences(LEAVES, [LINES[number] for number in order])
    assert bool(found) == (order != sorted(order))
    assert {one.kind for one in found} <= {"reordered"}
    moved = {one.number - 1 for one in found}
    rest = [number for number in order if number not in moved]
    assert rest == sorted(rest)


def test_differences_are_of_the_original_lines() -> None:
    assert Difference("edited", 7) in differences(LEAVES, [*LINES[:6], b"", *LINES[7:]])


@pytest.fixture(scope="module")
def chain() -> Iterator[Devnet]:
    with Devnet() as devnet:
        with devnet.connect() as client:
            client.wait_block(3)
        yield devnet


def run(*arguments: str, code: int) -> Any:
    result = CliRunner().invoke(app, ["audit", *arguments, "--json"])
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return json.loads(result.stdout)


def test_an_export_of_a_chain_and_what_becomes_of_it(chain: Devnet, tmp_path: Path) -> None:
    out = tmp_path / "audit.jsonl"
    made = run("export", "--out", str(out), "--from", "0", "--to", "3", "--chain", chain.url, code=0)
    assert (made["genesis"], made["to"]) == (chain.genesis.hex(), 3)
    kinds = [json.loads(line)["kind"] for line in out.read_bytes().splitlines()]
    assert kinds.count("block") == 4
    assert run("export", "--out", str(out), "--chain", chain.url, code=1)["error"]["code"] == "bad-audit"
    far = run("export", "--out", f"{out}2", "--to", "999999", "--chain", chain.url, code=2)
    assert "no range" in far["error"]["message"]
    assert not Path(f"{out}2").exists()

    assert run("verify", str(out), code=6)["outcome"] == "not-anchored"
    assert run("verify", str(out), "--root", made["root"], code=0)["outcome"] == "accepted"
    assert run("verify", str(out), "--chain", chain.url, code=0)["outcome"] == "accepted"
    refused = run("verify", str(out), "--root", "00" * 32, code=1)
    assert [check["name"] for check in refused["checks"] if check["ok"] is False] == ["root"]

    lines = out.read_bytes().splitlines()
    out.write_bytes(b"\n".join([lines[0].replace(b'"number":0', b'"number":9'), *lines[1:]]) + b"\n")
    edited = run("verify", str(out), "--root", made["root"], code=1)
    assert [c["detail"] for c in edited["checks"] if c["ok"] is False] == ["line 1 was edited"]

    # who changes the manifest along with the lines is found by the pinned root, or by the chain
    forged = audit_file.line_of({**json.loads(lines[1]), "time": 1})
    manifest = audit_file.manifest_path(out)
    facts = json.loads(manifest.read_text())
    out.unlink()
    manifest.unlink()
    audit_file.write(
        out, [lines[0], forged, *lines[2:]], Span(0, 3, bytes.fromhex(facts["head"])),
        genesis=chain.genesis, chain=facts["chain"],
    )  # fmt: skip
    assert run("verify", str(out), code=6)["outcome"] == "not-anchored"
    assert run("verify", str(out), "--root", made["root"], code=1)["outcome"] == "refused"
    found = run("verify", str(out), "--chain", chain.url, code=1)
    [detail] = [one["detail"] for one in found["checks"] if one["name"] == "chain"]
    assert "line 2 was edited" in detail


def test_an_export_names_its_pallets_and_one_of_before_is_compared_with_its_own(
    chain: Devnet, tmp_path: Path
) -> None:
    measurement, alice = sha256(b"software"), accounts.dev_keypair("//Alice")
    with chain.connect() as client:
        receipt = client.submit(attestation.sudo(attestation.allow_measurement(measurement, "x")), alice)
        place = str(client.finalised_head().number)
    out = tmp_path / "audit.jsonl"
    made = run("export", "--out", str(out), "--to", place, "--chain", chain.url, code=0)
    assert {"Jobs", "InferenceSessions", "Federation", "Consortium", "Grandpa", "Sudo"} <= {*made["pallets"]}
    lines = out.read_bytes().splitlines()
    events = [one for one in map(json.loads, lines) if one["kind"] == "event"]
    assert {one["event"].split(".")[0] for one in events} == {"Attestation", "Sudo"}
    assert {one["extrinsic"] for one in events} == {receipt.hash.hex()}
    assert run("verify", str(out), "--chain", chain.url, code=0)["outcome"] == "accepted"
    # an earlier release left all but four pallets out, and named none
    manifest = audit_file.manifest_path(out)
    facts = json.loads(manifest.read_text())
    out.unlink()
    manifest.unlink()
    old = [line for line in lines if b'"event":"Sudo.' not in line]
    assert len(old) < len(lines)
    audit_file.write(
        out, old, Span(0, int(place), bytes.fromhex(facts["head"])), genesis=chain.genesis,
        chain=facts["chain"],
    )  # fmt: skip
    unnamed = json.loads(manifest.read_text())
    del unnamed["pallets"]
    manifest.write_text(json.dumps(unnamed))
    assert run("verify", str(out), "--chain", chain.url, code=0)["outcome"] == "accepted"


def test_more_lines_than_one_file_holds_go_into_further_files_of_whole_blocks(
    chain: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is verified by itself, and begins where the one before ended; nothing is written over."""
    signer = accounts.dev_keypair("//Alice")
    with chain.connect() as client:
        call = attestation.sudo(attestation.allow_measurement(sha256(b"parts"), "x"))
        end = client.submit(call, signer).block + 1
        client.wait_block(end)
    monkeypatch.setattr(audit_file, "MAX_LINES", 4)
    out, limits = tmp_path / "audit.jsonl", ("--from", "0", "--to", str(end), "--chain", chain.url)
    result = CliRunner().invoke(app, ["audit", "export", "--out", str(out), *limits, "--json"])
    assert result.exit_code == 0, result.output
    parts = [json.loads(line) for line in result.stdout.splitlines() if '"root"' in line]
    assert [Path(one["out"]).name for one in parts[:2]] == ["audit.jsonl", "audit.2.jsonl"]
    assert (parts[0]["from"], parts[-1]["to"]) == (0, end)
    assert all(one["to"] + 1 == after["from"] for one, after in pairwise(parts))
    heads = list[str]()
    for one in parts:
        lines = [json.loads(line) for line in Path(one["out"]).read_bytes().splitlines()]
        blocks = [line for line in lines if line["kind"] == "block"]
        assert [line["number"] for line in blocks] == list(range(one["from"], one["to"] + 1))
        assert len(lines) == one["lines"] <= 4
        assert not heads or blocks[0]["parent"] == heads[-1]
        heads.append(one["head"])
        arguments = [one["out"], "--root", one["root"], "--chain", chain.url]
        assert run("verify", *arguments, code=0)["outcome"] == "accepted"
    out.unlink()
    audit_file.manifest_path(out).unlink()
    taken = run("export", "--out", str(out), *limits, code=1)
    assert "audit.2.jsonl exists already" in taken["error"]["message"]
    assert not out.exists()
    monkeypatch.setattr(audit_file, "MAX_LINES", 1)
    full = run("export", "--out", str(tmp_path / "b"), "--from", str(end - 1), *limits[2:], code=1)
    assert "one block has more than 1 lines" in full["error"]["message"]


def _write(out: Path) -> None:
    audit_file.write(out, LINES[:3], Span(0, 1, bytes(32)), genesis=bytes(32), chain="x")


@pytest.mark.parametrize("files", [0, 1])
def test_an_export_that_finds_the_disk_full_leaves_neither_file(
    files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = iter(range(files))

    def fsync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and next(room, None) is None:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(AuditError, match="full"):
        _write(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_an_export_whose_manifest_cannot_be_written_is_not_left(tmp_path: Path) -> None:
    manifest = audit_file.manifest_path(tmp_path / "a")
    manifest.symlink_to("nowhere")  # nobody sees that it is there before it is written
    with pytest.raises(AuditError, match="manifest"):
        _write(tmp_path / "a")
    assert list(tmp_path.iterdir()) == [manifest]


@pytest.mark.parametrize(
    "change",
    [
        {"format": "proofward/audit/v2"},
        {"lines": 2},
        {"leaves": "zz"},
        {"root": "00"},
        {"more": 1},
        {"first": -1},
        {"pallets": ["Jobs"] * 65},
        {"pallets": "Jobs"},
    ],
)
def test_a_manifest_that_is_none_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "a"
    _write(out)
    manifest = audit_file.manifest_path(out)
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with pytest.raises(AuditError):
        audit_file.verify(out)
