"""substrate-interface against the embedded chain, or the node at PROOFWARD_NODE: what its users do, works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from substrateinterface import ExtrinsicReceipt, Keypair, SubstrateInterface
from substrateinterface.exceptions import SubstrateRequestException

from proofward.amounts import UNIT
from proofward.devnet.chains import Devnet


@pytest.fixture(scope="module")
def substrate() -> Iterator[SubstrateInterface]:
    if url := os.environ.get("PROOFWARD_NODE"):
        with SubstrateInterface(url=url) as client:
            yield client
        return
    with Devnet() as chain, SubstrateInterface(url=chain.url) as client:
        yield client


ALICE = Keypair.create_from_uri("//Alice")
BOB = Keypair.create_from_uri("//Bob")


def free(substrate: SubstrateInterface, account: Keypair) -> int:
    return int(substrate.query("System", "Account", [account.ss58_address]).value["data"]["free"])


def transfer(substrate: SubstrateInterface, value: int, **options: bool) -> ExtrinsicReceipt:
    params = {"dest": BOB.ss58_address, "value": value}
    call = substrate.compose_call("Balances", "transfer_keep_alive", params)
    extrinsic = substrate.create_signed_extrinsic(call, ALICE, era={"period": 64})
    return substrate.submit_extrinsic(extrinsic, **options)


@pytest.mark.parametrize("wait", ["wait_for_inclusion", "wait_for_finalization"])
def test_a_transfer_is_followed_into_its_block(substrate: SubstrateInterface, wait: str) -> None:
    before = free(substrate, BOB)
    receipt = transfer(substrate, UNIT, **{wait: True})
    assert receipt.is_success
    assert receipt.total_fee_amount > 0
    assert any(event.value["event_id"] == "Transfer" for event in receipt.triggered_events)
    assert free(substrate, BOB) == before + UNIT
    block = substrate.get_block(receipt.block_hash)
    hashes = {"0x" + one.extrinsic_hash.hex() for one in block["extrinsics"] if one.extrinsic_hash}
    assert receipt.extrinsic_hash in hashes


def test_a_failed_call_is_no_success(substrate: SubstrateInterface) -> None:
    receipt = transfer(substrate, 10**30, wait_for_inclusion=True)
    assert not receipt.is_success
    assert "ExtrinsicFailed" in [event.value["event_id"] for event in receipt.triggered_events]


def test_heads_are_followed(substrate: SubstrateInterface) -> None:
    numbers: list[int] = []

    def heard(header: dict[str, Any], update: int, _: str) -> bool | None:
        numbers.append(header["header"]["number"])
        return True if update >= 2 else None

    substrate.subscribe_block_headers(heard)
    assert numbers == [numbers[0] + at for at in range(len(numbers))]
    assert len(numbers) == 3


def test_maps_constants_fees_and_runtime_calls_are_read(substrate: SubstrateInterface) -> None:
    accounts = {key.value for key, _ in substrate.query_map("System", "Account", page_size=2)}
    assert {ALICE.ss58_address, BOB.ss58_address} <= accounts
    assert substrate.get_constant("System", "BlockHashCount").value > 0
    call = substrate.compose_call("System", "remark", {"remark": b"fee"})
    assert substrate.get_payment_info(call, ALICE)["partialFee"] > 0
    nonce = substrate.runtime_call("AccountNonceApi", "account_nonce", [ALICE.ss58_address])
    assert nonce.value == substrate.get_account_nonce(ALICE.ss58_address)


def test_a_storage_subscription_hears_of_a_change(substrate: SubstrateInterface) -> None:
    with SubstrateInterface(url=substrate.url) as listener:
        values: list[int] = []

        def heard(value: object, _update: int, _id: str) -> bool | None:
            values.append(int(value.value["data"]["free"]))  # type: ignore[attr-defined]
            if len(values) == 1:
                transfer(substrate, UNIT)
                return None
            return True

        listener.query("System", "Account", [BOB.ss58_address], subscription_handler=heard)
    assert values[1] == values[0] + UNIT


def test_a_refused_extrinsic_is_an_error(substrate: SubstrateInterface) -> None:
    call = substrate.compose_call("System", "remark", {"remark": b""})
    stale = substrate.create_signed_extrinsic(call, ALICE, nonce=0)
    with pytest.raises(SubstrateRequestException, match="1010"):
        substrate.submit_extrinsic(stale)
