"""Consents that patients hold: signed by them, for one hospital, taken back by nobody else."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from proofward_federation.consents import Register
from proofward_federation.errors import FederationError
from proofward_federation.wallet import Wallet, read_consent

pytest.importorskip("openvc", reason="make federation installs openvc-core")

LATER = int(time.time()) + 86_400


def test_a_patient_gives_and_takes_back(tmp_path: Path) -> None:
    wallet, register, path = Wallet.new(), Register(), tmp_path / "wallet.json"
    credential = wallet.grant("Cleveland", "cardiology", until=LATER, scope=["labs"])
    given = read_consent(credential, "Cleveland")
    assert (given.purpose, given.scope, given.until) == ("cardiology", ("labs",), LATER)
    register.accept("4711", "Cleveland", credential)
    assert register.live("cardiology", int(time.time())).records == ("4711",)
    wallet.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    (revocation,) = Wallet.load(path).revoke("Cleveland")
    assert register.take_back("Cleveland", revocation).record == "4711"
    with pytest.raises(FederationError, match="nobody agrees"):
        register.live("cardiology", int(time.time()))
    with pytest.raises(FederationError, match="nothing was given"):
        Wallet.load(path).revoke("Hungary")


def test_the_reference_implementation_reads_the_same() -> None:
    verifier = pytest.importorskip("sd_jwt.verifier", reason="make federation installs sd-jwt")
    from jwcrypto.jwk import JWK

    wallet = Wallet.new()
    credential = wallet.grant("Cleveland", "oncology", until=LATER, scope=["labs", "images"])

    def key(issuer: str, _header: object) -> JWK:
        text = issuer.removeprefix("did:jwk:")
        return JWK(**json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))

    claims = verifier.SDJWTVerifier(credential, key, None, None).get_verified_payload()
    given = read_consent(credential, "Cleveland")
    assert (claims["iss"], claims["handle"], claims["purpose"]) == (given.issuer, given.handle, given.purpose)
    assert tuple(claims["scope"]) == given.scope
    hidden = verifier.SDJWTVerifier(credential.split("~")[0] + "~", key, None, None).get_verified_payload()
    assert "scope" not in hidden


def test_what_is_not_this_patient_s_word_for_this_hospital() -> None:
    wallet, other, register = Wallet.new(), Wallet.new(), Register()
    credential = wallet.grant("Cleveland", "cardiology", until=LATER)
    head, payload, rest = credential.split(".", 2)
    elsewhere = other.grant("Cleveland", "cardiology", until=LATER).split(".")[1]
    for fault, spoilt, hospital in (
        ("for another hospital", credential, "Hungary"),
        ("a signature of another", f"{head}.{payload}.{'A' * 86}~", "Cleveland"),
        ("another's payload", f"{head}.{elsewhere}.{rest}", "Cleveland"),
        ("a revocation", wallet.revoke("Cleveland")[0], "Cleveland"),
        ("over", wallet.grant("Cleveland", "cardiology", until=int(time.time()) - 3_600), "Cleveland"),
        ("without its scope", credential.split("~")[0] + "~", "Cleveland"),
        ("no credential", "~", "Cleveland"),
        ("nothing", "", "Cleveland"),
        ("too long", "a" * 20_000, "Cleveland"),
    ):  # fmt: skip
        with pytest.raises(FederationError) as refused:
            register.accept("1", hospital, spoilt)
        assert refused.value.code == "bad-credential", fault
    register.accept("1", "Cleveland", credential)
    with pytest.raises(FederationError) as refused:
        register.accept("2", "Cleveland", credential)
    assert refused.value.code == "consent-again"
    stranger = Wallet(other.seed, {"Cleveland": [read_consent(credential, "Cleveland").handle]})
    with pytest.raises(FederationError) as refused:
        register.take_back("Cleveland", stranger.revoke("Cleveland")[0])
    assert refused.value.code == "unknown-consent"
    assert register.live("cardiology", int(time.time())).records == ("1",)


def test_a_patient_is_another_at_every_hospital() -> None:
    wallet = Wallet.new()
    issuers = {wallet.issuer(hospital) for hospital in ("Cleveland", "Hungary", "VA")}
    assert len(issuers) == 3
