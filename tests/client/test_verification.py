"""A bundle of a real job passes; one changed byte anywhere is named by the check that it breaks."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import TypeAdapter, ValidationError

from proofward.attestation import parse_quote
from proofward.check import Check
from proofward.cli.output import emit, note, reporting
from proofward.errors import Refused
from proofward.evidence import model as model_of_bundle
from proofward.evidence.bundle import Bundle, BundleError, FileBytes, SetupPart, load_bundle, save_bundle
from proofward.evidence.policy import Certificate
from proofward.evidence.setup import setup_checks
from proofward.evidence.verdict import outcome_of
from proofward.evidence.verify import Outcome, Policy, Verdict, verify_bundle
from proofward.protocol import Level, Setup, SetupKind, setup_report_data, sha256
from proofward.zkml import ContractError, LaneUnavailable, PublicArtifact
from proofward_enclave.measure import code_digest
from proofward_enclave.providers.dev_platform import DevPlatform, TdIdentity
from tests.evidence import Evidence, pinned

DEV = Policy.for_development()


def _flip(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _change(bundle: Bundle, part: str, **fields: Any) -> Bundle:
    return bundle.model_copy(update={part: getattr(bundle, part).model_copy(update=fields)})


def _attestation(bundle: Bundle, **fields: Any) -> Bundle:
    return _change(bundle, "worker", attestation=bundle.worker.attestation.model_copy(update=fields))


def _failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if check.ok is False}


def test_a_real_job_is_accepted_and_says_what_it_rests_on(evidence: Evidence) -> None:
    verdict = verify_bundle(evidence.bundle, pinned(evidence))
    assert verdict.accepted, [check for check in verdict if check.required and not check.ok]
    assert verdict.word == "accepted (simulated, setup: dev)"
    names = [check.name for check in verdict]
    for wanted in ("quote", "binding", "measurement", "receipt", "proof", "contract", "setup", "level"):
        assert wanted in names


def test_outside_development_what_is_simulated_or_made_by_one_party_is_refused(evidence: Evidence) -> None:
    verdict = verify_bundle(evidence.bundle)
    assert verdict.word == "refused (simulated, setup: dev)"
    assert _failed(verdict) == {"quote", "setup", "level"}


def _other_code(bundle: Bundle) -> Bundle:
    return _change(bundle, "model", contract_code=_flip(bundle.model.contract_code))


def _other_file(bundle: Bundle) -> Bundle:
    files = dict(bundle.model.files)
    files["public/vk.bin"] = _flip(files["public/vk.bin"])
    return _change(bundle, "model", files=files)


def _more_files(bundle: Bundle, name: str) -> Bundle:
    return _change(bundle, "model", files={**bundle.model.files, name: bundle.model.files["public/vk.bin"]})


FAULTS: list[tuple[str, Callable[[Bundle], Bundle], str]] = [
    ("proof-bit-flipped", lambda b: _change(b, "result", proof=_flip(b.result.proof)), "proof"),
    ("proof-bit-flipped-receipt", lambda b: _change(b, "result", proof=_flip(b.result.proof)), "receipt"),
    ("proof-cut", lambda b: _change(b, "result", proof=b.result.proof[:-1]), "proof"),
    ("other-input", lambda b: _change(b, "job", input_commitment=sha256(b"x")), "proof"),
    ("other-output", lambda b: _change(b, "result", output_commitment=sha256(b"x")), "proof"),
    ("key-of-no-known-length", lambda b: _change(b, "worker", hpke_key=b"short"), "binding"),
    ("other-job", lambda b: _change(b, "job", id=sha256(b"x")), "receipt"),
    ("other-worker", lambda b: _change(b, "result", worker=sha256(b"x")), "receipt"),
    ("other-sealed-output", lambda b: _change(b, "result", sealed_output=b"x"), "receipt"),
    (
        "other-signature",
        lambda b: _change(b, "result", receipt_signature=_flip(b.result.receipt_signature)),
        "receipt",
    ),
    ("other-receipt-block", lambda b: _change(b, "result", receipt_block=8), "receipt"),
    ("other-chain", lambda b: _change(b, "chain", genesis=sha256(b"x")), "receipt"),
    ("other-receipt-key", lambda b: _change(b, "worker", receipt_key=sha256(b"x")), "receipt"),
    ("other-model-id", lambda b: _change(b, "job", model=sha256(b"x")), "model"),
    ("other-weights", lambda b: _change(b, "model", weights_digest=sha256(b"x")), "model"),
    ("other-verifying-key", _other_file, "model"),
    ("other-circuit", lambda b: _change(b, "model", circuit_digest=sha256(b"x")), "model"),
    ("yes-contract", _other_code, "contract"),
    ("claims-hardware", lambda b: _change(b, "result", level="hardware"), "receipt"),
    ("record-claims-hardware", lambda b: _change(b, "worker", level="hardware"), "level"),
    ("work-before-the-job", lambda b: _change(b, "job", submitted_at=8), "block order"),
    ("verdict-before-the-work", lambda b: _change(b, "result", block=6), "block order"),
    ("verdict-past-the-deadline", lambda b: _change(b, "job", deadline=8), "block order"),
    ("other-model-name", lambda b: _change(b, "model", name="FDA-approved"), "model"),
    ("a-setup-the-job-did-not-ask-for", lambda b: _change(b, "job", allow_dev_setup=False), "terms"),
    ("a-file-that-no-manifest-names", lambda b: _more_files(b, "public/more.bin"), "model"),
    ("a-file-by-another-name", lambda b: _more_files(b, "vk.bin"), "model"),
    ("claims-ceremony", lambda b: _change(b, "result", setup=b"\x02"), "receipt"),
    ("quote-bit-flipped", lambda b: _attestation(b, quote=_flip(b.worker.attestation.quote, 100)), "quote"),
    ("collateral-cut", lambda b: _attestation(b, collateral=b.worker.attestation.collateral[:-9]), "quote"),
    (
        "quote-out-of-date",
        lambda b: _attestation(b, time=b.worker.attestation.time + 10 * 365 * 86400),
        "quote",
    ),
]


@pytest.mark.parametrize(("fault", "change", "check"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_faults(fault: str, change: Callable[[Bundle], Bundle], check: str, evidence: Evidence) -> None:
    verdict = verify_bundle(change(evidence.bundle), pinned(evidence))
    assert verdict.outcome is Outcome.REFUSED
    assert check in _failed(verdict), (fault, _failed(verdict))


def test_a_bound_key_of_another_epoch_is_refused(evidence: Evidence) -> None:
    verdict = verify_bundle(_change(evidence.bundle, "worker", epoch=2), DEV)
    assert "binding" in _failed(verdict)


def test_nothing_is_accepted_that_the_reader_has_not_pinned(evidence: Evidence) -> None:
    bundle, good = evidence.bundle, pinned(evidence)
    for name, policy in (
        ("chain", Policy.for_development(measurements=good.measurements)),
        ("measurement allowed", Policy.for_development(genesis=good.genesis)),
    ):
        verdict = verify_bundle(bundle, policy)
        assert verdict.word == "consistent, not anchored (simulated, setup: dev)"
        assert [check.name for check in verdict if check.required and not check.ok] == [name]
    other = Policy.for_development(genesis=sha256(b"other"), measurements={sha256(b"other")})
    assert _failed(verify_bundle(bundle, other)) == {"chain", "measurement allowed"}


def test_what_a_bundle_says_of_itself_is_never_a_check(evidence: Evidence) -> None:
    """Attack d_verify: a bundle that calls itself Polkadot, Live, and names a client."""
    bundle = _change(evidence.bundle, "chain", name="Polkadot", type="Live")
    told = {check.name: check for check in verify_bundle(bundle, pinned(evidence))}
    for name in ("chain name", "model name", "contract address", "terms", "client", "blocks", "quote time"):
        assert told[name].word == "said", name
        assert "word" in told[name].detail, name
    checked = [check.detail for check in told.values() if check.ok is not None]
    address = bundle.model.verifier.hex()
    assert not any(word in detail for word in ("Polkadot", address) for detail in checked)


def _setup(evidence: Evidence, setup: Setup, policy: Policy, quote: SetupPart | None = None) -> list[Check]:
    return setup_checks(
        setup.encode(),
        quote,
        model=evidence.bundle.model,
        public=evidence.artifact.public,
        genesis=evidence.bundle.chain.genesis,
        policy=policy,
        certificate=policy.certified.get(evidence.bundle.job.model),
    )


def _setup_quote(evidence: Evidence, identity: TdIdentity | None = None, **changes: Any) -> SetupPart:
    model = evidence.bundle.model
    facts = {
        "genesis": evidence.bundle.chain.genesis,
        "publisher": model.publisher,
        "manifest_hash": model.manifest_hash,
        "circuit_digest": model.circuit_digest,
        "vk_hash": model.vk_hash,
        "block_hash": sha256(b"a recent block"),
    }
    quote = DevPlatform().quote(
        setup_report_data(**facts | changes), identity or TdIdentity(mrtd=code_digest())
    )
    attestation = evidence.bundle.worker.attestation.model_copy(update={"quote": quote})
    return SetupPart(**attestation.model_dump(), block_hash=facts["block_hash"])


ATTESTED = Setup(SetupKind.ATTESTED, Level.SIMULATED)


def test_d_verify_a_measurement_pin_reaches_the_enclave_that_made_the_keys(evidence: Evidence) -> None:
    """Attack d_verify: an enclave of the attacker's own makes the keys and keeps what forges proofs."""
    audited = TdIdentity(mrtd=b"\x01" * 48)
    good = _setup_quote(evidence, identity=audited)
    policy = Policy(
        development=True, min_level=Level.SIMULATED, measurements={parse_quote(good.quote).measurement}
    )
    assert outcome_of(_setup(evidence, ATTESTED, policy, good)) is Outcome.ACCEPTED
    evil = _setup_quote(evidence, identity=TdIdentity(mrtd=b"\xee" * 48))
    failed = [check.name for check in _setup(evidence, ATTESTED, policy, evil) if check.ok is False]
    assert failed == ["setup measurement"]
    unpinned = Policy(development=True, min_level=Level.SIMULATED)
    assert outcome_of(_setup(evidence, ATTESTED, unpinned, good)) is Outcome.NOT_ANCHORED


def test_attested_setups(evidence: Evidence) -> None:
    policy, good = pinned(evidence), _setup_quote(evidence)
    hardware = Setup(SetupKind.ATTESTED, Level.HARDWARE)
    assert outcome_of(_setup(evidence, ATTESTED, policy)) is Outcome.INCOMPLETE
    for fault, setup, quote in (
        *(
            (f"another {name}", ATTESTED, _setup_quote(evidence, None, **{name: sha256(b"x")}))
            for name in ("genesis", "publisher", "manifest_hash", "circuit_digest", "vk_hash", "block_hash")
        ),
        ("claims hardware", hardware, good),
        ("of tomorrow", ATTESTED, good.model_copy(update={"time": good.time + 86_400})),
        ("expired", ATTESTED, good.model_copy(update={"time": 1_000_000_000})),
    ):
        assert outcome_of(_setup(evidence, setup, policy, quote)) is Outcome.REFUSED, fault


def test_a_ceremony_is_believed_of_nobody_but_the_readers_own_chain(evidence: Evidence) -> None:
    """Attack d_verify: `ceremony` is a word in a bundle."""
    ceremony, model = Setup(SetupKind.CEREMONY), evidence.bundle.job.model
    assert outcome_of(_setup(evidence, ceremony, pinned(evidence))) is Outcome.INCOMPLETE
    certificate = Certificate(sha256(b"a transcript"), "the reader's node")
    elsewhere = pinned(evidence, certified={sha256(b"another model"): certificate})
    assert outcome_of(_setup(evidence, ceremony, elsewhere)) is Outcome.INCOMPLETE
    certified = pinned(evidence, certified={model: certificate})
    assert outcome_of(_setup(evidence, ceremony, certified)) is Outcome.ACCEPTED


def test_a_quote_that_no_check_reads_is_said_to_be_unread(evidence: Evidence) -> None:
    bundle = evidence.bundle.model_copy(update={"setup_evidence": _setup_quote(evidence)})
    verdict = verify_bundle(bundle, pinned(evidence))
    assert verdict.accepted
    assert "setup quote          one is here and unread: the setup is dev" in str(verdict)


def test_evidence_from_the_readers_future_is_refused(evidence: Evidence) -> None:
    then = evidence.bundle.worker.attestation.time
    early = pinned(evidence, now=then - 86_400)
    assert _failed(verify_bundle(evidence.bundle, early)) == {"quote"}
    years_later = pinned(evidence, now=then + 10 * 365 * 86_400)
    assert verify_bundle(evidence.bundle, years_later).accepted


def test_a_missing_tool_is_no_failed_check_and_no_passed_one(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_contract(*_: object) -> None:
        raise ContractError("the lane has no contract", code="no-lane-verifier")

    def no_prover(*_: object) -> bool:
        raise LaneUnavailable("the lane is not installed here")

    with monkeypatch.context() as patched:
        patched.setattr(model_of_bundle, "check_code", no_contract)
        patched.setattr(PublicArtifact, "verify", no_prover)
        verdict = verify_bundle(evidence.bundle, pinned(evidence))
    assert {check.name for check in verdict if check.required and check.ok is None} == {"proof", "contract"}
    assert verdict.word == "incomplete (simulated, setup: dev)"
    assert all(check.word == "not checked" for check in verdict if check.name in ("proof", "contract"))


@pytest.mark.parametrize(
    ("checks", "outcome"),
    [
        ([], Outcome.INCOMPLETE),
        ([Check("client", None, "", required=False)], Outcome.INCOMPLETE),
        ([Check("proof", True, "")], Outcome.ACCEPTED),
        ([Check("proof", True, ""), Check("chain", None, "")], Outcome.NOT_ANCHORED),
        ([Check("proof", None, ""), Check("chain", None, "")], Outcome.INCOMPLETE),
        ([Check("proof", False, ""), Check("contract", None, "")], Outcome.REFUSED),
        ([Check("proof", True, ""), Check("told", False, "", required=False)], Outcome.REFUSED),
    ],
)
def test_outcomes(checks: list[Check], outcome: Outcome) -> None:
    assert outcome_of(checks) is outcome


def test_a_job_that_demanded_more_is_refused(evidence: Evidence) -> None:
    changed = _change(evidence.bundle, "job", min_level=Level.HARDWARE.label)
    assert _failed(verify_bundle(changed, DEV)) == {"level"}


def test_a_bundle_survives_its_file_and_a_damaged_file_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    path = tmp_path / "job.bundle"
    save_bundle(evidence.bundle, path)
    assert load_bundle(path) == evidence.bundle
    text = path.read_text()
    for damaged in (
        text[:-10],
        text.replace('"level"', '"lewel"', 1),
        "[]",
        text.replace('"proof": "', '"proof": "zz'),
    ):
        path.write_text(damaged)
        with pytest.raises(BundleError):
            load_bundle(path)


def test_a_forger_s_megabytes_of_hexadecimal_take_no_more_memory_than_they_are_long() -> None:
    text = '"' + "ab" * (1 << 20) + '"'
    tracemalloc.start()
    try:
        assert len(TypeAdapter(FileBytes).validate_json(text)) == 1 << 20
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../../escaped", ".", "", "a\0b", "\udcff", "A", "x" * 65, "a\n"])
def test_a_bundle_cannot_write_outside_its_folder(name: str, evidence: Evidence) -> None:
    """Nor end in anything but a failed check: the names are another's."""
    files = {**evidence.bundle.model.files, f"public/{name}": b"x"}
    assert "model" in _failed(verify_bundle(_change(evidence.bundle, "model", files=files), DEV))


#: Clears the screen, says what it likes in the place of the verdict, and hides what is printed after it.
STEERING = "\x1b[2J\x1b[Haccepted\n\x1b[8m\u202e"


def test_nothing_that_a_forger_writes_steers_the_readers_terminal(evidence: Evidence) -> None:
    """Attack: a refused bundle whose model's name had the terminal show `accepted` alone."""
    printed = str(verify_bundle(_change(evidence.bundle, "model", name=STEERING), pinned(evidence)))
    assert all(map(str.isprintable, printed.split("\n")))
    assert "\naccepted" not in printed
    assert printed.split("\n")[-1].startswith("refused")


@pytest.mark.parametrize("code", [0, 1])
def test_no_verb_prints_what_steers_a_terminal(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Names, labels, errors of nodes, reasons of workers: whatever verb prints them."""
    if code:
        with pytest.raises(typer.Exit), reporting(as_json=False):
            raise Refused(f"the worker ended the connection: {STEERING}")
    else:
        emit(False, None, [STEERING])
        note(False, STEERING)
    out, err = capsys.readouterr()
    assert "accepted" in out + err
    assert all(line.isprintable() for line in (out + err).split("\n"))


#: What an accepted bundle may say otherwise -> the line that repeats it as somebody's word.
SAID = {
    "chain.name": "chain name",
    "chain.type": "chain name",
    "job.client": "client",
    "job.submitted_at": "block order",
    "job.deadline": "block order",
    "result.block": "block order",
    "model.verifier": "contract address",
    "worker.attestation.time": "quote time",
}


def _places(value: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in value.items():
        yield (*path, name)
        if isinstance(inner, dict):
            yield from _places(inner, (*path, name))


def _other_values(old: Any) -> Iterator[Any]:
    """Other values, and other ways to write this one."""
    yield None
    match old:
        case bool():
            yield from (not old, int(old), str(old))
        case int():
            yield from (old - 1, old + 1, 10**30, float(old), str(old))
        case dict():
            yield from ({}, {**old, "more": "00"})
        case str():
            half = len(old) // 2
            yield from ("", old[:-2], f"0x{old}", f"{old[:2]} {old[2:]}")
            yield old[:half] + ("1" if old[half : half + 1] == "0" else "0") + old[half + 1 :]


def _put(value: dict[str, Any], path: tuple[str, ...], *new: Any) -> dict[str, Any]:
    """The same with another value in a place, or without the place."""
    first, *rest = path
    others = {name: inner for name, inner in value.items() if name != first}
    if rest:
        return {**others, first: _put(value[first], tuple(rest), *new)}
    return {**others, **dict(zip([first], new, strict=False))}


def _changed(value: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A bundle's JSON with one field left out, named or written otherwise; and which one."""
    for path in _places(value):
        old = reduce(getitem, path, value)
        where = ".".join(path)
        yield where, _put(value, path)
        if where.startswith("model.files."):
            yield where, _put(_put(value, path), (*path[:-1], path[-1].removeprefix("public/")), old)
        for new in _other_values(old):
            yield where, _put(value, path, new)


def test_what_an_accepted_bundle_may_say_otherwise_is_printed_as_its_own_word(evidence: Evidence) -> None:
    """Every field of it, one at a time."""
    real, policy = evidence.bundle, pinned(evidence)
    lines = {(one.name, one.word, one.detail) for one in verify_bundle(real, policy)}
    found: dict[str, set[str]] = {}
    for where, value in _changed(real.model_dump(mode="json")):
        try:
            read = Bundle.model_validate(value)
        except ValidationError:
            continue
        verdict = verify_bundle(read, policy) if read != real else None
        if verdict is not None and verdict.accepted:
            new = {(one.name, one.word, one.detail) for one in verdict} - lines
            assert all(word == "said" for name, word, _ in new if name != "block order"), (where, new)
            found.setdefault(where, set()).update(name for name, _, _ in new)
    assert found == {where: {line} for where, line in SAID.items()}
