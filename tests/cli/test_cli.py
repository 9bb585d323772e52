"""Verbs, exit codes, JSON, and errors in one line."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from proofward.amounts import UNIT
from proofward.cli import app, main, waiting
from proofward.cli.doctor import PURPOSES
from proofward.cli.output import TRACEBACK, Exit, reporting
from proofward.cli.render import said
from proofward.client import JobTimeout, NotFound, OutputMismatch, Refused
from proofward.evidence import audit_file
from proofward.evidence import bundle as bundles
from proofward.evidence.audit_file import Span
from proofward.evidence.bundle import save_bundle
from proofward.extras import EXTRAS
from proofward.files import write_whole
from proofward.logs import Logger
from tests.evidence import Evidence

NOBODY = "ws://127.0.0.1:1"
JOB = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROOFWARD_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("proofward.chain.transport.PATIENCE", 0.1)


def _run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def _verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _verbs(inner, (*path, name))
    else:
        yield " ".join(path), command


VERBS = dict(_verbs(typer.main.get_command(app)))


def test_the_verbs() -> None:
    wanted = """devnet demo doctor compile prove verify explorer proxy
        model publish,model list,model show,model audit,model setup
        model price,model retire,model remove,model fetch
        account new,account show,account balance,account send,account faucet
        gateway serve,gateway measurement,gateway anchor,gateway anchored,gateway contradiction,gateway report
        gateway register,gateway registered,signer serve
        worker init,worker run,worker status,worker list,worker retire,worker withdraw,worker top-up
        worker report,worker allow,worker disallow,worker contribute,worker why
        worker drain,worker resume,worker backup,worker restore,worker tcb,worker console
        setup new,setup contribute,setup verify,setup finish,setup export
        network up,network status,network down,network kill,network start,network partition,network heal
        network spec,network checkpoint
        network members,network set-keys,network endpoint,network leave,network enact,network upgrade
        network vote admit,network vote remove,network vote replace,network vote reinstate
        network vote announce,network vote withdraw,network vote recover-finality
        session allow,session open,session run,session list,session show,session audit,session force
        session close,session settle,session bundle,session offers,session top-up
        session withdraw,session report
        audit export,audit verify,beacon post,beacon show
        edge run,edge verify
        statement setup,statement prove,statement verify,statement show,statement accuracy
        federation policy,federation admit,federation budget,federation rehearse,federation audit
        federation watch,federation measurement
        federation announce,federation serve,federation take-part,federation status,federation close
        federation seal-records,federation post-accuracy,federation posted,consent erase
        consent grant,consent accept,consent note,consent revoke,consent take-back,consent strike,consent show
        consent path,consent placed
        job submit,job list,job show,job watch,job cancel,job again,job open,job contest"""
    names = {
        name.strip()
        for line in wanted.splitlines()
        for name in (line.split(",") if "," in line else line.split())
    }
    assert set(VERBS) == names


COMMAND = re.compile(r"(?<![\w./-])proofward ([a-z-]+(?: [a-z-]+)*)([^`\n|;&]*)")


def test_the_pages_name_options_that_are_there() -> None:
    pages = [*PAGE.parent.glob("**/*.md"), PAGE.parents[1] / "README.md"]
    seen = 0
    for page in pages:
        for words, rest in COMMAND.findall(page.read_text().replace("\\\n", " ")):
            names = (" ".join(words.split()[:count]) for count in (3, 2, 1))
            verb = next((name for name in names if name in VERBS), None)
            if verb is not None:
                known = {one for each in VERBS[verb].params for one in (*each.opts, *each.secondary_opts)}
                said = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest))
                assert said <= known, f"{page.name}: proofward {verb}"
                seen += len(said)
    assert seen > 150


def test_the_page_names_every_verb_and_exit_code() -> None:
    rows = [row for row in PAGE.read_text().splitlines() if row.startswith("|")]
    for verb in VERBS:
        first, last = verb.split()[0], verb.split()[-1]
        assert any(
            f"`proofward {verb}" in row or (f"`proofward {first} " in row and f"`{last}`" in row)
            for row in rows
        ), verb
    codes = {int(row.split("|")[1]) for row in rows if row.split("|")[1].strip().isdigit()}
    assert codes == {0, 130, *map(int, Exit)}


def test_the_doctor_knows_what_each_extra_is_for() -> None:
    assert set(PURPOSES) == set(EXTRAS.values())


def test_help_and_completion_load_neither_chain_nor_arrays() -> None:
    command = (
        "import proofward.cli, sys; print({'substrateinterface', 'numpy', 'cryptography'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_verb_loads_its_logging_when_it_has_something_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = "proofward.cli, proofward.client, proofward_node.registration"
    command = f"import {loaded}, sys; print('structlog' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    log = Logger("test")
    with reporting(False), reporting(True):
        log.info("of no interest")
        log.warning("resent", block=7)
    log.warning("after the verb")
    out, err = capsys.readouterr()
    assert out == ""
    assert "resent" in err
    assert re.sub(r"\x1b\[\d+m", "", err).count("block=7") == 1
    assert "of no interest" not in err
    assert "after the verb" not in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_verbs(shell: str) -> None:
    words = {"COMP_WORDS": "proofward job su", "COMP_CWORD": "2", "_TYPER_COMPLETE_ARGS": "proofward job su"}
    asked = {**words, "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_PROOFWARD_COMPLETE": f"complete_{shell}"}
    found = CliRunner().invoke(app, env=asked, prog_name="proofward").stdout
    assert "submit" in found
    assert "watch" not in found


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_an_example_and_json(verb: str) -> None:
    command = VERBS[verb]
    assert f"proofward {verb}" in " ".join((command.help or "").split())
    assert verb == "worker run" or any("--json" in parameter.opts for parameter in command.params)


@pytest.mark.parametrize(
    "arguments",
    [
        ("model", "list"),
        ("model", "show", "mlp"),
        ("worker", "list"),
        ("job", "show", JOB),
        ("job", "watch", JOB),
        ("job", "open", JOB),
        ("verify", JOB),
        ("worker", "allow", JOB),
    ],
)
def test_without_a_chain_every_verb_exits_with_3(arguments: tuple[str, ...]) -> None:
    code, out, err = _run(*arguments, "--chain", NOBODY, "--json")
    assert code == 3
    assert json.loads(out)["error"]["code"] == "chain-unreachable"
    assert err.startswith("error: no node answers at ws://127.0.0.1:1")
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("fault", "arguments", "code"),
    [
        ("no-such-file", ("verify", "nothing.bundle"), 4),
        ("no-such-onnx", ("compile", "no.onnx", "--calibration", "no.csv", "--out", "out"), 4),
        ("no-such-artefact", ("prove", "nowhere", "--input", "no.csv", "--out", "p.json"), 1),
        ("bad-measurement", ("worker", "allow", "0x12"), 2),
        ("no-measurement", ("worker", "allow"), 2),
        ("no-config", ("worker", "status", "--config", "no.toml"), 2),
        ("no-config-run", ("worker", "run", "--config", "no.toml"), 2),
        ("unknown-option", ("job", "show", JOB, "--nonsense"), 2),
        ("bad-signer", ("worker", "allow", JOB, "--signer", "nokey", "--chain", NOBODY), 2),
    ],
)
def test_exit_codes(
    fault: str, arguments: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, err = _run(*arguments)
    assert found == code, (fault, err)
    assert "Traceback" not in err


def test_an_option_that_compares_with_nothing_is_refused() -> None:
    numbers = {
        f"{verb} {parameter.name}": parameter.callback
        for verb, command in VERBS.items()
        for parameter in command.params
        if parameter.type_descriptor.annotation is float
    }
    assert len(numbers) > 15
    assert {name for name, callback in numbers.items() if callback is None} == set()
    code, _, _ = _run("federation", "watch", "none.csv", "--deviation", "1", "--threshold", "nan")
    assert code == 2


@pytest.mark.parametrize("verb", ["open", "run"])
def test_a_session_s_worker_that_is_no_account_is_a_line(verb: str) -> None:
    table = ("--input", "none.csv", "--out", "none.csv") if verb == "run" else ()
    options = ("--artifact", "none", "--worker", "nobody", "--chain", NOBODY)
    code, _, err = _run("session", verb, "m", *table, *options)
    assert code == 2
    assert err.startswith("error:")
    assert "nobody" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("no"), 1),
        (OutputMismatch("no"), 1),
        (NotFound("no"), 4),
        (JobTimeout("no"), 5),
        (Refused("no", code="usage"), 2),
        (Refused("no", code="bad-url"), 2),
        (Refused("no", code="port-in-use"), 2),
    ],
)
def test_errors_have_exit_codes(error: Exception, code: int) -> None:
    with pytest.raises(typer.Exit) as caught, reporting(as_json=False):
        raise error
    assert caught.value.exit_code == code


def test_an_export_onto_a_full_disk_is_one_to_try_again(tmp_path: Path) -> None:
    def lines() -> Iterator[bytes]:
        yield b"{}"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(typer.Exit) as caught, reporting(as_json=False):
        audit_file.write(
            tmp_path / "a.jsonl", lines(), Span(0, 1, bytes(32)), genesis=bytes(32), chain="test"
        )
    assert caught.value.exit_code == Exit.TRY_AGAIN
    assert not list(tmp_path.iterdir())


def test_any_file_onto_a_full_disk_is_one_to_try_again() -> None:
    with pytest.raises(typer.Exit) as caught, reporting(as_json=False):
        write_whole(Path("/dev/full"), b"full")
    assert caught.value.exit_code == Exit.TRY_AGAIN


@pytest.mark.parametrize("fault", ["no room", "no folder", "a folder"])
def test_files_that_cannot_be_used_are_a_line(fault: str, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    name = {"no room": "my.key", "no folder": "none/my.key", "a folder": "kept"}[fault]
    limit = "ulimit -f 0; " if fault == "no room" else ""
    command = f"{limit}exec {sys.executable} -m proofward.cli account new {name} --json"
    done = subprocess.run(["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout)["error"]["code"] in ("files-unusable", "bad-account")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("fault", "command", "code", "says"),
    [
        ("closed", "account new a.key <&- >&- 2>&-", 0, ""),
        ("full, JSON", "verify nope --json >/dev/full", 75, "error: standard output cannot be written"),
        ("full, help", "--help >/dev/full", 75, "error: standard output cannot be written"),
        ("full, errors", "account new a.key 2>/dev/full", 0, ""),
        ("left", "account show //Alice", 141, "error: who read standard output has left"),
        ("ASCII", "account new $'b\\xff\\xc3\\xa9.key'", 0, ""),
    ],
)
def test_a_standard_stream_that_fails(
    fault: str, command: str, code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    script = f"exec {sys.executable} -m proofward.cli {command}"
    nobody, out = os.pipe()
    if fault == "left":
        os.close(nobody)
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True
    )
    os.close(out)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == bool(says), done.stderr
    if command.startswith("account new"):
        (key,) = tmp_path.iterdir()
        assert len(key.read_text().split()) == 12


def test_checks_have_their_colours_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    code = (
        "from proofward.check import Check, said\n"
        "from proofward.cli.verdicts import emit_checks\n"
        "emit_checks(False, None, [Check('a', True, 'b\\x1b[2J\\nok'), said('c', 'd')], 'refused')\n"
    )
    subprocess.run([sys.executable, "-c", code], stdout=theirs, check=True)
    lines = os.read(ours, 4096).decode().split("\r\n")
    os.close(ours)
    os.close(theirs)
    colours = [re.findall(r"\x1b\[(\d+)m(.*)\x1b\[0m", line) for line in lines]
    assert colours == [[("32", "ok")], [("34", "said")], [], []]
    assert [line.count("\x1b") for line in lines] == [2, 2, 0, 0]


def test_a_home_that_takes_no_completion_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def install(**_: object) -> None:
        raise PermissionError(13, "Permission denied", "/root/.bashrc")

    monkeypatch.setattr("proofward.cli.app", install)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: /root/.bashrc cannot be used (Permission denied)")


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError()])
def test_what_no_machine_can_read_is_a_line(error: Exception) -> None:
    with pytest.raises(typer.Exit) as caught, reporting(as_json=False):
        raise error
    assert caught.value.exit_code == 2


def test_a_name_of_other_bytes_than_utf_8_is_a_line() -> None:
    """A model's file of an older system's name ended `model setup` with a traceback."""
    with pytest.raises(typer.Exit) as caught, reporting(as_json=False):
        os.fsdecode(b"mod\xe8le").encode()
    assert caught.value.exit_code == 2
    with pytest.raises(UnicodeEncodeError), reporting(as_json=False):
        "modèle".encode("ascii")


def test_the_place_of_a_fault_that_is_taken_for_a_file_s_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fault: what recursed without end in the program itself was told as a file nested too deeply."""

    def recurse() -> None:
        recurse()

    for shown in (False, True):
        monkeypatch.setenv(TRACEBACK, "1" if shown else "")
        with pytest.raises(typer.Exit), reporting(as_json=True):
            recurse()
        told = capsys.readouterr()
        assert ("in recurse" in told.err) == shown
        assert told.err.splitlines()[-1].startswith("error: memory or depth ran out")
        assert json.loads(told.out)["error"]["code"] == "unreadable"


def test_a_database_without_room_is_a_line() -> None:
    with sqlite3.connect(":memory:") as full:
        full.execute("PRAGMA max_page_count = 1")
        with pytest.raises(typer.Exit) as caught, reporting(as_json=False):
            full.execute("CREATE TABLE outbox (data BLOB)")
    assert caught.value.exit_code == Exit.TRY_AGAIN


def test_text_for_people_has_units_and_no_python_literals() -> None:
    found = {
        "account": None, "registered": True, "balance": 3 * 10**11, "epoch": 3, "recipients": [],
        "serves": {"0xab": UNIT}, "tally": {"accepted": 3, "lapsed": 0}, "terms": {"price": UNIT},
        "recent": [{"job": "ab", "outcome": None}, {"job": "cd", "outcome": "accepted"}],
    }  # fmt: skip
    assert [said(one, key) for key, one in found.items()] == [
        "none", "yes", "0.3 UNIT", "3", "none", "0xab 1 UNIT", "accepted 3, lapsed 0", "price 1 UNIT",
        "job ab, outcome none; job cd, outcome accepted",
    ]  # fmt: skip


def test_no_verb_is_silent_for_longer_than_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting.EVERY_SECONDS == 2
    monkeypatch.setattr(waiting, "EVERY_SECONDS", 0.01)
    lines, heard = list[str](), threading.Semaphore(0)

    def echo(line: str, *, err: bool) -> None:
        assert err, "standard output is for the result alone"
        lines.append(line)
        heard.release()

    monkeypatch.setattr("proofward.cli.streams.typer.echo", echo)
    with reporting(as_json=True):
        assert heard.acquire(timeout=60), "a verb that waits said nothing"
        assert heard.acquire(timeout=60), "a verb that waits said it once alone"
    assert "goes on" in lines[0]
    with reporting(as_json=False, serves=True):
        assert "ticker" not in [thread.name for thread in threading.enumerate()]


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), reporting(as_json=False):
        _ = 1 // 0


def test_a_bundle_is_verified_offline(evidence: Evidence, tmp_path: Path) -> None:
    path = tmp_path / "job.bundle"
    save_bundle(evidence.bundle, path)
    genesis = "0x" + evidence.bundle.chain.genesis.hex()
    measurement = "0x" + evidence.bundle.worker.measurement.hex()
    pins = ("--genesis", genesis, "--measurement", measurement)
    code, out, _ = _run("verify", str(path), "--dev", *pins, "--chain", NOBODY)
    assert code == 0
    assert out.strip().splitlines()[-1] == "accepted (simulated, setup: dev)"
    for pin in ((), pins[:2], pins[2:]):
        code, out, _ = _run("verify", str(path), "--dev", *pin)
        assert code == 6
        assert out.strip().splitlines()[-1] == "consistent, not anchored (simulated, setup: dev)"
    code, out, _ = _run("verify", str(path), "--json")
    value = json.loads(out)
    assert code == 1
    assert value["flags"] == ["simulated", "setup: dev"]
    assert {check["name"] for check in value["checks"] if check["ok"] is False} == {"quote", "setup", "level"}
    assert bundles.load_bundle(path) == evidence.bundle


def test_prove_and_verify_with_files_alone(evidence: Evidence, tmp_path: Path) -> None:
    record, proof = tmp_path / "record.csv", tmp_path / "proof.json"
    record.write_text("a,b,c\n0.25,-0.5,0.75\n")
    folder = str(evidence.artifact.path)
    code, out, err = _run("prove", folder, "--input", str(record), "--out", str(proof), "--json")
    assert code == 0, err
    assert (tmp_path / "proof.json.salts").stat().st_mode & 0o777 == 0o600
    assert len(json.loads(out)["decisions"]) == 1
    public = str(evidence.artifact.path / "public")
    assert _run("verify", str(proof), "--artifact", public, "--dev")[0] == 6
    assert _run("verify", str(proof), "--artifact", public)[0] == 1
    fields = json.loads(proof.read_text())
    fields["output_commitment"] = fields["input_commitment"]
    proof.write_text(json.dumps(fields, indent=1))
    assert _run("verify", str(proof), "--artifact", public, "--dev")[0] == 1


def test_a_record_outside_the_models_range_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    record = tmp_path / "record.csv"
    record.write_text("1e9,0,0\n")
    code, _, err = _run(
        "prove", str(evidence.artifact.path), "--input", str(record), "--out", str(tmp_path / "p.json")
    )
    assert code == 1
    assert "outside" in err
    assert not (tmp_path / "p.json").exists()
