"""Consents that patients hold: signed by them, for one hospital, taken back by nobody else."""

from __future__ import annotations

import base64
import json
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from proofward_federation.consents import Register
from proofward_federation.errors import FederationError
from proofward_federation.wallet import Held, Wallet, read_consent, read_revocation

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
    followed = register.take_back("Cleveland", revocation)
    assert followed is not None
    assert followed.record == "4711"
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
        ("until after the year 9999", wallet.grant("Cleveland", "cardiology", until=10**12), "Cleveland"),
        ("until no tree can hold", wallet.grant("Cleveland", "cardiology", until=2**64), "Cleveland"),
        ("until no double", wallet.grant("Cleveland", "cardiology", until=10**400), "Cleveland"),
        ("of an issuer without a key", f"{head}.{_payload_of('{}')}.{rest}", "Cleveland"),
        ("of an issuer in lists in lists", f"{head}.{_payload_of('[' * 5_000)}.{rest}", "Cleveland"),
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
    handle = read_consent(credential, "Cleveland").handle
    stranger = Wallet(other.seed, {"Cleveland": [Held(handle)]})
    assert register.take_back("Cleveland", stranger.revoke("Cleveland")[0]) is None
    assert register.live("cardiology", int(time.time())).records == ("1",)
    early = Register()
    early.take_back("Cleveland", stranger.revoke("Cleveland")[0])
    early.accept("1", "Cleveland", credential)  # a stranger's word keeps nobody's consent out


def _payload_of(key: str) -> str:
    """What a credential says whose issuer's key is this text."""
    issuer = f"did:jwk:{base64.urlsafe_b64encode(key.encode()).decode().rstrip('=')}"
    return base64.urlsafe_b64encode(json.dumps({"iss": issuer}).encode()).decode().rstrip("=")


def _live(register: Register, purpose: str = "cardiology") -> tuple[str, ...]:
    with suppress(FederationError):
        return register.live(purpose, int(time.time())).records
    return ()


def test_a_patient_who_gave_twice_takes_all_back(tmp_path: Path) -> None:
    wallet, register, path = Wallet.new(), Register(), tmp_path / "consents.json"
    for until in (LATER, LATER + 1):  # a renewal
        register.accept("4711", "VA", wallet.grant("VA", "cardiology", until=until))
    assert len(register.live("cardiology", int(time.time())).leaves) == 1, "a record counts once"
    wallet.save(tmp_path / "me.json")
    first, second = Wallet.load(tmp_path / "me.json").revoke("VA")
    register.take_back("VA", first)
    register.save(path)
    assert _live(Register.load(path)) == ("4711",)
    with Register.changing(path) as held:
        held.take_back("VA", second)
    assert _live(Register.load(path)) == ()
    # a revocation that was lost is given out again
    assert {read_revocation(one, "VA") for one in wallet.revoke("VA")} == {
        read_revocation(one, "VA") for one in (first, second)
    }


def test_a_revoked_consent_does_not_come_back(tmp_path: Path) -> None:
    wallet, register, path = Wallet.new(), Register(), tmp_path / "consents.json"
    first = wallet.grant("VA", "cardiology", until=LATER)
    register.accept("4711", "VA", first)
    (revocation,) = wallet.revoke("VA")
    register.take_back("VA", revocation)
    second = wallet.grant("VA", "cardiology", until=LATER)
    register.accept("4711", "VA", second)
    register.save(path)
    early = Register()
    assert early.take_back("VA", revocation) is None  # the revocation comes before the consent
    for held in (Register.load(path), early):
        with pytest.raises(FederationError) as refused:
            held.accept("4711", "VA", first)
        assert refused.value.code == "consent-revoked"
    assert _live(early) == ()


def test_a_record_s_purposes_are_given_and_taken_back_one_by_one(tmp_path: Path) -> None:
    wallet, register = Wallet.new(), Register()
    for purpose in ("cardiology", "infection"):
        register.accept("4711", "VA", wallet.grant("VA", purpose, until=LATER))
    assert _live(register, "cardiology") == _live(register, "infection") == ("4711",)
    for revocation in wallet.revoke("VA", "infection"):
        register.take_back("VA", revocation)
    assert (_live(register, "cardiology"), _live(register, "infection")) == (("4711",), ())
    assert [(one.purpose, one.revoked) for one in wallet.given["VA"]] == [
        ("cardiology", False),
        ("infection", True),
    ]
    with pytest.raises(FederationError, match="nothing was given to VA for quality"):
        wallet.revoke("VA", "quality")
    register.revoke("4711")  # struck by the hospital: to nothing
    assert _live(register) == ()


def test_two_clerks_at_once_lose_no_revocation(tmp_path: Path) -> None:
    wallets, path = [Wallet.new(), Wallet.new()], tmp_path / "consents.json"
    with Register.changing(path, new=True) as held:
        for place, wallet in enumerate(wallets):
            held.accept(str(place), "VA", wallet.grant("VA", "cardiology", until=LATER))
    begun, other = threading.Event(), []

    def clerk() -> None:
        begun.set()
        with Register.changing(path) as held:
            other.append(_live(held))
            held.take_back("VA", wallets[1].revoke("VA")[0])

    thread = threading.Thread(target=clerk)
    with Register.changing(path) as held:
        thread.start()
        begun.wait()
        held.take_back("VA", wallets[0].revoke("VA")[0])
    thread.join()
    assert other == [("1",)], "the second read what the first had written"
    assert _live(Register.load(path)) == ()


def test_a_register_that_cannot_be_read_is_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "consents.json"
    lax = '[{"record": "1", "handle": "ab", "purpose": "cardiology", "until": true}]'
    for text in ("{", "{}", lax):
        path.write_text(text)
        with pytest.raises(FederationError) as refused, Register.changing(path, new=True):
            pass
        assert (refused.value.code, path.read_text()) == ("bad-consents", text)


def test_a_wallet_of_before_takes_back_what_it_gave(tmp_path: Path) -> None:
    wallet, path = Wallet.new(), tmp_path / "me.json"
    handle = read_consent(wallet.grant("VA", "cardiology", until=LATER), "VA").handle
    path.write_text(json.dumps({"seed": wallet.seed.hex(), "given": {"VA": [handle]}}))
    (revocation,) = Wallet.load(path).revoke("VA", "cardiology")
    assert read_revocation(revocation, "VA") == (wallet.issuer("VA"), handle)
    path.write_text(json.dumps({"seed": wallet.seed.hex(), "given": {"VA": ["no handle"]}}))
    with pytest.raises(FederationError) as refused:
        Wallet.load(path)
    assert refused.value.code == "bad-wallet"


def test_a_patient_is_another_at_every_hospital() -> None:
    wallet = Wallet.new()
    issuers = {wallet.issuer(hospital) for hospital in ("Cleveland", "Hungary", "VA")}
    assert len(issuers) == 3
