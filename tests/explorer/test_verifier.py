"""The site's verifier against the library's: the same checks, words and verdicts on the same evidence."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from proofward.attestation import DEVELOPMENT_ROOTS, AttestationError, Collateral, verify_quote
from proofward.client.answer import open_answer
from proofward.evidence.bundle import Bundle, ChangePart, InclusionPart
from proofward.evidence.policy import Policy
from proofward.evidence.verify import Outcome, Verdict, verify_bundle
from proofward.protocol import HpkePrivateKey, HpkeSuite, Level, OutputPayload, Setup, SetupKind, seal_output
from proofward.zkml import ArtifactError
from proofward.zkml.manifest import Manifest
from proofward_enclave.providers.dev_platform import DevPlatform, TdIdentity
from tests.attestation.samples import sample
from tests.attestation.test_quotes import DAY, NOW, QUOTE_FAULTS, fixture
from tests.ceremonial import FAULTS as CEREMONY_FAULTS
from tests.ceremonial import Ceremonial, spoilt, with_transcript
from tests.client.test_verification import ATTESTED, FAULTS, _change, _setup_quote
from tests.evidence import RECORD, Evidence, compile_tiny, make_evidence, pinned
from tests.explorer.site import ask

PROOF = InclusionPart(
    header=bytes(97), justification=b"", changes=[ChangePart(header=b"h", justification=b"j")], nodes=[b"n"]
)


def question(bundle: Bundle, policy: Policy) -> dict[str, Any]:
    """What the page would be asked."""
    return {
        "kind": "bundle",
        "bundle": bundle.model_dump_json(),
        "genesis": policy.genesis and policy.genesis.hex(),
        "measurements": policy.measurements and [one.hex() for one in policy.measurements],
        "development": policy.development,
        "now": policy.now,
    }


def lines(verdict: Verdict) -> list[tuple[str, str, str]]:
    """Name and word of each check; the detail too, but of a refusal, which each says in its own words."""
    return [(one.name, one.word, one.detail if one.ok is not False else "") for one in verdict]


def told(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(o["name"], o["word"], o["detail"] if o["ok"] is not False else "") for o in answer["checks"]]


def variants(evidence: Evidence) -> list[tuple[str, Bundle, Policy]]:
    """Bundles and readers that come to every verdict."""
    real, good = evidence.bundle, pinned(evidence)
    attested = _change(real, "result", setup=ATTESTED.encode())
    hardware = _change(real, "result", setup=Setup(SetupKind.ATTESTED, Level.HARDWARE).encode())
    quote = _setup_quote(evidence)
    ceremony = _change(real, "result", setup=b"\x02")
    foreign = _setup_quote(evidence, genesis=bytes(32))
    return [
        ("real", real, good),
        ("not development", real, Policy()),
        ("no pins", real, Policy.for_development()),
        ("no software pinned", real, Policy.for_development(genesis=good.genesis)),
        ("no chain pinned", real, Policy.for_development(measurements=good.measurements)),
        ("other pins", real, Policy.for_development(genesis=bytes(32), measurements={bytes(32)})),
        ("the reader's future", real, pinned(evidence, now=real.worker.attestation.time - 86_400)),
        ("demands hardware", _change(real, "job", min_level="hardware"), good),
        ("other epoch", _change(real, "worker", epoch=2), good),
        ("attested without a quote", attested, good),
        ("attested", attested.model_copy(update={"setup_evidence": quote}), good),
        ("attested elsewhere", attested.model_copy(update={"setup_evidence": foreign}), good),
        ("dev with a quote", real.model_copy(update={"setup_evidence": quote}), good),
        ("a setup that the job did not ask for", _change(real, "job", allow_dev_setup=False), good),
        ("a file that no manifest names", _files(real, more=b""), good),
        ("a file by another name", _files(real, **{"vk.bin": real.model.files["public/vk.bin"]}), good),
        ("claims a hardware setup", hardware.model_copy(update={"setup_evidence": quote}), good),
        ("ceremony", ceremony, good),
        ("setup of no kind", _change(real, "result", setup=b"\x07"), good),
        ("setup of no bytes", _change(real, "result", setup=b""), good),
        ("with the chain's proof, unread", real.model_copy(update={"inclusion": PROOF}), good),
        ("names to be escaped", _change(real, "chain", name='it\'s "x"\n\u202e<b>\\', type="\x00"), good),
    ]


def _files(bundle: Bundle, **more: bytes) -> Bundle:
    return _change(bundle, "model", files={**bundle.model.files, **more})


def test_site_and_library_come_to_the_same_verdict(evidence: Evidence) -> None:
    """Every fault of tests/client/test_verification.py, and readers of every kind."""
    cases = variants(evidence)
    cases += [(fault, change(evidence.bundle), pinned(evidence)) for fault, change, _ in FAULTS]
    answers = ask([question(bundle, policy) for _, bundle, policy in cases])
    words = set()
    for (case, bundle, policy), answer in zip(cases, answers, strict=True):
        verdict = verify_bundle(bundle, policy)
        assert "error" not in answer, (case, answer)
        assert told(answer) == lines(verdict), case
        assert answer["word"] == verdict.word, case
        words.add(verdict.outcome)
    assert words == {Outcome.ACCEPTED, Outcome.NOT_ANCHORED, Outcome.REFUSED}
    single = {fault for fault, change, _ in FAULTS if len(refused(verdict_of(evidence, change))) == 1}
    assert len(single) >= 14, single


def test_site_and_library_say_the_same_of_a_ceremony(ceremonial: Ceremonial) -> None:
    evidence = ceremonial.evidence
    bundles = [evidence.bundle, with_transcript(evidence, b"")]
    bundles += [with_transcript(evidence, spoilt(ceremonial, fault)) for fault in CEREMONY_FAULTS]
    answers = ask([question(bundle, pinned(evidence)) for bundle in bundles])
    for bundle, answer in zip(bundles, answers, strict=True):
        verdict = verify_bundle(bundle, pinned(evidence))
        assert told(answer) == lines(verdict)
        assert answer["word"] == verdict.word


def verdict_of(evidence: Evidence, change: Any) -> Verdict:
    return verify_bundle(change(evidence.bundle), pinned(evidence))


def refused(verdict: Verdict) -> list[str]:
    return [one.name for one in verdict if one.ok is False]


def test_a_damaged_bundle_is_refused_by_the_site(evidence: Evidence) -> None:
    good = question(evidence.bundle, pinned(evidence))
    text = good["bundle"]
    fields = json.loads(text)
    damaged = [
        text[:-10],
        "[]",
        "null",
        text.replace('"level"', '"lewel"', 1),
        text.replace('"proof":"', '"proof":"zz'),
        text.replace("proofward/bundle/v1", "proofward/bundle/v2"),
        json.dumps({**fields, "more": 1}),
        json.dumps({**fields, "job": {**fields["job"], "deadline": -1}}),
        json.dumps({**fields, "job": {**fields["job"], "deadline": 2**32}}),
        json.dumps({**fields, "job": {**fields["job"], "deadline": 1.5}}),
        json.dumps({**fields, "job": {**fields["job"], "id": "00" * 31}}),
        json.dumps({**fields, "job": {**fields["job"], "id": "00" * 31 + " 0"}}),
        json.dumps({**fields, "job": {**fields["job"], "id": "00 " * 32}}),
        json.dumps({**fields, "job": {**fields["job"], "deadline": "9"}}),
        json.dumps({**fields, "job": {**fields["job"], "allow_dev_setup": "yes"}}),
        json.dumps({**fields, "job": {**fields["job"], "allow_dev_setup": 1}}),
        json.dumps({**fields, "model": {**fields["model"], "lane": "constructor"}}),
        json.dumps({**fields, "chain": {**fields["chain"], "name": "x" * 129}}),
        '{"__proto__": {"chain": 1}}',
    ]
    answers = ask([{**good, "bundle": one} for one in damaged])
    for bundle, answer in zip(damaged, answers, strict=True):
        assert "error" in answer, bundle[:80]
        with pytest.raises(ValidationError):
            Bundle.model_validate_json(bundle)


def _quote(quote: bytes, collateral: Collateral, now: int) -> dict[str, Any]:
    return {
        "kind": "quote",
        "quote": quote.hex(),
        "collateral": collateral.encode().hex(),
        "now": now,
        "development": True,
    }


def _verdict(quote: bytes, collateral: Collateral, now: int) -> dict[str, str] | None:
    try:
        found = verify_quote(quote, collateral, now=now, roots=DEVELOPMENT_ROOTS)
    except AttestationError:
        return None
    measurement = found.quote.measurement.hex()
    return {"root": found.root.name, "status": found.tcb_status, "measurement": measurement}


def _dev(**changes: Any) -> Collateral:
    return Collateral.from_json(json.dumps({**DevPlatform().collateral(DAY), **changes}))


def _quotes() -> list[tuple[str, bytes, Collateral, int]]:
    """Intel's samples and the simulator's quotes, as they are, at other dates, and with bits flipped."""
    rng = random.Random(15)
    platform, dev = DevPlatform(), _dev()
    td = TdIdentity(mrtd=b"\x01" * 48)
    made = {
        f"simulated {version} {td15}": (
            platform.quote(bytes(64), td, version=version, td15=td15),
            dev,
            NOW,
        )
        for version, td15 in ((4, False), (5, False), (5, True))
    }
    debug = TdIdentity(mrtd=bytes(48), td_attributes=b"\x01" + td.td_attributes[1:])
    migratable = TdIdentity(mrtd=bytes(48), td_attributes=(1 << 28 | 1 << 29).to_bytes(8, "little"))
    names = ("tdx_quote", "tdx_quote_outdated", "tdx_quote_td15ex")
    real = {name: sample(name) for name in names}
    real["alice"] = fixture("alice")
    cases = [(name, *parts) for name, parts in {**made, **real}.items()]
    cases += [
        (f"{name} {days:+d} days", quote, collateral, now + days * 86_400)
        for name, quote, collateral, now in list(cases)
        for days in (-4_000, -8, -1, 20, 40, 4_000)
    ]
    cases += [
        ("debug", platform.quote(bytes(64), debug), dev, NOW),
        ("migratable", platform.quote(bytes(64), migratable), dev, NOW),
        ("of another family", made["simulated 4 False"][0], real["tdx_quote"][1], NOW),
        ("intel's with the simulator's", real["tdx_quote"][0], dev, real["tdx_quote"][2]),
    ]
    for status in ("OutOfDate", "Revoked", "SWHardeningNeeded", "ConfigurationNeeded"):
        collateral = Collateral.from_json(json.dumps(platform.collateral(DAY, tcb_status=status)))
        cases.append((status, made["simulated 4 False"][0], collateral, NOW))
    plain = made["simulated 4 False"][0]
    cases += [(fault, _flip(plain, 8 * at), dev, NOW) for fault, at, _ in QUOTE_FAULTS]
    for name in ("tdx_quote", "tdx_quote_td15ex", "alice"):
        quote, collateral, now = real[name]
        for _ in range(25):
            bit = rng.randrange(8 * len(quote))
            cases.append((f"{name} bit {bit}", _flip(quote, bit), collateral, now))
        for _ in range(25):
            encoded = collateral.encode()
            at = rng.randrange(8 * len(encoded))
            try:
                changed = Collateral.decode(_flip(encoded, at))
            except AttestationError:
                continue
            cases.append((f"{name} collateral bit {at}", quote, changed, now))
    return cases


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def test_site_and_library_agree_on_quotes() -> None:
    cases = _quotes()
    answers = ask([_quote(quote, collateral, now) for _, quote, collateral, now in cases])
    accepted = 0
    for (case, quote, collateral, now), answer in zip(cases, answers, strict=True):
        expected = _verdict(quote, collateral, now)
        assert (None if "error" in answer else answer) == expected, (case, answer, expected)
        accepted += expected is not None
    assert 5 < accepted < len(cases) - 100


def test_the_site_trusts_the_roots_that_the_library_trusts() -> None:
    [answer] = ask([{"kind": "roots"}])
    assert answer["roots"] == [[one.name, one.level.label, one.der.hex()] for one in DEVELOPMENT_ROOTS]


def test_site_and_library_take_the_same_manifests(evidence: Evidence) -> None:
    good = evidence.artifact.manifest.canonical()
    fields = json.loads(good)

    def canonical(**changes: Any) -> bytes:
        return json.dumps(fields | changes, sort_keys=True, separators=(",", ":")).encode()

    compared = {"records": 40, "refused": 0, "methods": ["predict"], "digest": "0a" * 32}
    compared |= {"flips": 0, "largest_shift": 0.0}
    cases = [
        good,
        canonical(expected=compared),
        canonical(expected={**compared, "records": 0}),
        canonical(expected={**compared, "methods": []}),
        canonical(expected={**compared, "methods": ["fit"]}),
        canonical(expected={**compared, "largest_shift": -0.5}),
        canonical(expected={**compared, "by": "nobody"}),
        json.dumps(fields).encode(),
        good.replace(b'"batch":', b'"batch": '),
        good + b" ",
        canonical(name="a\u00e9\U0001f600 <b>"),
        canonical(name="a\u00e9").replace(b"\\u00e9", "é".encode()),
        canonical(name=""),
        canonical(more=1),
        canonical(batch=0),
        canonical(batch=1.0),
        canonical(lane="other"),
        canonical(files={}),
        canonical(files={**fields["files"], "public/../x": "00" * 32}),
        canonical(output={**fields["output"], "scale": 0.0}),
        canonical(output={**fields["output"], "scale": 1}),
        canonical(output={**fields["output"], "scale": 1e-7}),
        canonical(output={**fields["output"], "scale": 1e22}),
        canonical(output={**fields["output"], "scale": 123456789012345680.0}),
        canonical(output={**fields["output"], "scale": 0.00012}),
        canonical(output={**fields["output"], "names": ["a", "b"]}),
        canonical(output={**fields["output"], "decision": "argmax", "labels": ["a"]}),
        canonical(output={**fields["output"], "labels": ["a", "a"]}),
        canonical(output={**fields["output"], "labels": ["a\n", "b"]}),
        canonical(output={**fields["output"], "labels": ["=A1", "b"]}),
        canonical(output={**fields["output"], "labels": ["-ve", "+ve"]}),
        canonical(vk_hash="AB" * 32),
        canonical(input={**fields["input"], "shape": []}),
        b'{"a":1,"a":2}',
    ]
    answers = ask([{"kind": "manifest", "manifest": one.hex()} for one in cases])
    taken = 0
    for data, answer in zip(cases, answers, strict=True):
        try:
            expected = Manifest.parse(data).name
        except ArtifactError:
            expected = None
        assert answer.get("name") == expected, (data[:200], answer)
        taken += expected is not None
    assert taken == 8


def test_a_client_opens_its_own_answer_as_the_library_does(evidence: Evidence, tmp_path: Path) -> None:
    """And no other: a wrong key, a wrong commitment, another job's file, a value out of bounds."""
    secret = bytes(range(1, 33))
    key = HpkePrivateKey.from_bytes(HpkeSuite.X25519, secret)
    # A tree of commitments of more than one level, and all records in one.
    for batch, openings in ((1, True), (20, True), (20, False)):
        made = evidence
        if batch > 1:
            model = compile_tiny(tmp_path / f"of{batch}{openings}", batch, record_openings=openings)
            made = make_evidence(model, RECORD, tmp_path)
        public, bundle = made.artifact.public, made.bundle
        outputs = np.arange(batch, dtype=np.int64).reshape(batch, 1) * 7 - 3
        commitment = public.commit_output(outputs, b"s" * 32)
        context = replace(made.context, output_commitment=commitment)
        payload = OutputPayload(1, tuple(int(one) for one in outputs.reshape(-1)), b"s" * 32)
        sealed = seal_output(context, payload, key.public)
        bundle = _change(bundle, "result", sealed_output=sealed, output_commitment=commitment)
        secrets = {"job": bundle.job.id.hex(), "reply_secret": secret.hex()}
        other = _change(bundle, "result", output_commitment=bytes(32))
        cases = [
            (bundle, secrets),
            (bundle, {**secrets, "reply_secret": bytes(32).hex()}),
            (bundle, {**secrets, "job": bytes(32).hex()}),
            (bundle, {}),
            (_change(bundle, "result", sealed_output=_flip(sealed, 300)), secrets),
            (_change(bundle, "result", sealed_output=b"short"), secrets),
            (other, secrets),
        ]
        good, *bad = ask(
            [
                {"kind": "answer", "bundle": one.model_dump_json(), "secrets": json.dumps(kept)}
                for one, kept in cases
            ]
        )
        expected = open_answer(public, context, sealed, key, 1)
        assert good["names"] == expected.names
        assert [one["values"] for one in good["records"]] == expected.values.tolist()
        assert all("error" in one for one in bad), bad


@pytest.mark.parametrize("name", ["proofward/zkml/contracts/Groth16Verifier.json"])
def test_the_site_knows_the_contract_of_this_version(name: str) -> None:
    source = (Path(__file__).parents[2] / "explorer" / "site" / "verify" / "contract.ts").read_text()
    assert f"from '../../../{name}'" in source
