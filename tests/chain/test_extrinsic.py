"""Known answers for what is signed: eras, compact integers, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalecodec.base import RuntimeConfiguration, ScaleBytes

from proofward.chain.accounts import AccountError, account, ss58
from proofward.chain.errors import MetadataError, RpcError, invalid_extrinsic
from proofward.chain.extrinsic import mortal_era
from proofward.chain.metadata import Reader, read_metadata
from proofward.consensus.keys import twox
from proofward.protocol.scale import compact


@pytest.mark.parametrize(
    ("birth", "period", "expected"),
    [
        # sp_runtime::generic::era, its own tests
        (42, 64, bytes([5 + 42 % 16 * 16, 42 // 16])),
        (20_000, 32_768, bytes([14 + 2_500 % 16 * 16, 2_500 // 16])),
    ],
)
def test_eras_are_those_of_sp_runtime(birth: int, period: int, expected: bytes) -> None:
    assert mortal_era(birth, period) == expected


@pytest.mark.parametrize("period", [0, 3, 48, 131_072])
def test_an_era_has_a_period_that_is_a_power_of_two(period: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        mortal_era(1, period)


@given(st.integers(0, 2**128 - 1))
def test_compact_integers_are_scalecodecs(value: int) -> None:
    encoded = compact(value)
    library = RuntimeConfiguration().create_scale_object("Compact<u128>", ScaleBytes(encoded))
    assert library.decode() == value
    assert Reader(encoded).compact() == value


def test_storage_prefixes_are_twox_128() -> None:
    # the prefix of System.Account on every Substrate chain
    key = twox(b"System", 128) + twox(b"Account", 128)
    assert key.hex() == "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"


@given(st.binary(max_size=64))
def test_bytes_that_are_no_metadata_are_refused(data: bytes) -> None:
    with pytest.raises(MetadataError):
        read_metadata(data)
    with pytest.raises(MetadataError):
        read_metadata(b"meta\x0e" + data + b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("Transaction is outdated", "nonce-used"),
        ("Transaction has a bad signature", "bad-signature"),
        ("Inability to pay some fees (e.g. account balance too low)", "cannot-pay"),
        ("Transaction will be valid in the future", "nonce-in-future"),
        ("Custom error: 7", "custom"),
        ("something new", "invalid"),
    ],
)
def test_refusals_of_a_node_have_codes(data: str, code: str) -> None:
    refusal = invalid_extrinsic(RpcError("author_submitExtrinsic", 1010, "Invalid Transaction", data))
    assert refusal is not None
    assert refusal.code == code


def test_an_extrinsic_that_the_runtime_cannot_judge_is_refused() -> None:
    told = "Verification Error: Runtime error: Execution failed: wasm `unreachable` instruction executed"
    refusal = invalid_extrinsic(RpcError("author_submitExtrinsic", 1002, told, "RuntimeApi(...)"))
    assert refusal is not None
    assert refusal.code == "not-verified"


def test_other_errors_of_a_node_are_no_refusals() -> None:
    assert invalid_extrinsic(RpcError("author_submitExtrinsic", -32603, "Internal error")) is None


ALICES = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
ALICES_ADDRESS = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"


@pytest.mark.parametrize(
    "text",
    [
        ALICES_ADDRESS,
        "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
        f"0x{ALICES}",
        bytes.fromhex(ALICES),
    ],
)
def test_an_account_is_read_in_each_form(text: str | bytes) -> None:
    assert account(text).hex() == ALICES
    assert ss58(account(text)) == ALICES_ADDRESS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "0x",
        f"0x{ALICES[2:]}",
        f"0x{ALICES}00",
        ALICES_ADDRESS[:-1] + "Z",
        "5Grwva0l",
        "//Alice",
        b"\0" * 31,
    ],
)
def test_no_account(text: str | bytes) -> None:
    with pytest.raises(AccountError):
        account(text)
