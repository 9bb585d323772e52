"""A second verifier of quotes, Google's go-tdx-guest: `make test-tdx-peer` builds it where Go is there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from proofward_enclave.providers import dev_pki
from proofward_enclave.providers.dev_platform import DevPlatform
from tests.attestation.samples import sample
from tests.attestation.test_quotes import DAY, NOW, REPORT_DATA, TD

FAMILY = bytes.fromhex("504000000000")
"""Without a letter: go-tdx-guest compares the quote's in lower case with Intel's upper case, and so refuses
Intel's own samples of such families (`B0C06F000000`) under their collateral."""
PEER = Path(__file__).parents[2] / "build" / "go-tdx-guest"
pytestmark = pytest.mark.skipif(
    "PROOFWARD_TDX_PEER" not in os.environ, reason="a peer in Go: make test-tdx-peer builds and asks it"
)


def said(*questions: dict[str, object]) -> list[str]:
    """What the peer says of each: nothing, or why not."""
    text = "\n".join(json.dumps(question) for question in questions)
    done = subprocess.run([PEER], input=text, capture_output=True, text=True, check=True, timeout=60)
    return [
        json.loads(line)["error"] for line in done.stdout.splitlines() if line.startswith("{")
    ]  # beside its log


def question(
    quote: bytes, collateral: dict[str, str] | None, root: str | None, now: int
) -> dict[str, object]:
    return {"quote": quote.hex(), "collateral": collateral, "root": root, "now": now}


def test_the_simulators_quotes_satisfy_it_but_for_the_root() -> None:
    platform = DevPlatform(fmspc=FAMILY)
    root = dev_pki.development().root.certificate.public_bytes(Encoding.PEM).decode()
    other = dev_pki.fresh().root.certificate.public_bytes(Encoding.PEM).decode()
    quote, collateral = platform.quote(REPORT_DATA, TD), platform.collateral(DAY)
    under_dev, under_intel, under_other = said(
        question(quote, collateral, root, NOW),
        question(quote, collateral, None, NOW),
        question(quote, collateral, other, NOW),
    )
    assert under_dev == ""
    assert "certificate signed by unknown authority" in under_intel
    assert "certificate signed by unknown authority" in under_other


def test_it_refuses_what_we_refuse() -> None:
    platform, stranger = DevPlatform(fmspc=FAMILY), DevPlatform(dev_pki.fresh(), FAMILY)
    root = dev_pki.development().root.certificate.public_bytes(Encoding.PEM).decode()
    quote, collateral = platform.quote(REPORT_DATA, TD), platform.collateral(DAY)
    edited = bytearray(quote)
    edited[48 + 520] ^= 1  # the first byte of report_data
    late = NOW + 60 * 86_400
    faults = said(
        question(bytes(edited), collateral, root, NOW),
        question(quote, collateral, root, late),
        question(quote, stranger.collateral(DAY), root, NOW),
        question(quote, collateral | {"tcb_info_signature": collateral["qe_identity_signature"]}, root, NOW),
        question(quote, platform.collateral(DAY, tcb_status="OutOfDate"), root, NOW),
    )
    assert all(faults), faults


def test_it_takes_intels_sample() -> None:
    quote, _, now = sample("tdx_quote")
    assert said(question(quote, None, None, now)) == [""]
