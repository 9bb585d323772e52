"""The client against a running chain."""

from __future__ import annotations

import asyncio
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from proofward.amounts import UNIT
from proofward.chain import AsyncSubstrateClient, dev_keypair
from proofward.chain.accounts import account
from proofward.chain.client import SubstrateClient
from proofward.chain.errors import (
    ChainError,
    ChainUnreachable,
    DispatchError,
    ExtrinsicInvalid,
    MetadataError,
)
from proofward.chain.pallets import attestation, jobs, models, workers
from proofward.chain.values import Call
from proofward.devnet.chains import LocalChain, free_port
from proofward.protocol.types import Level

ALICE, BOB, CHARLIE = (dev_keypair(f"//{name}") for name in ("Alice", "Bob", "Charlie"))


def transfer(to: bytes, amount: int) -> Call:
    return Call("Balances", "transfer_keep_alive", {"dest": {"Id": to}, "value": amount})


def remark(data: bytes) -> Call:
    return Call("System", "remark_with_event", {"remark": data})


def test_a_transfer_is_finalised_and_paid(client: SubstrateClient) -> None:
    to = os.urandom(32)
    receipt = client.submit(transfer(to, 3 * UNIT), BOB)
    assert client.balance(to) == 3 * UNIT
    event = receipt.find("Balances", "Transfer")
    assert event is not None
    assert event.fields == {"from": account(BOB.ss58_address), "to": to, "amount": 3 * UNIT}
    assert client.finalised_head().number >= receipt.block


def test_a_module_error_is_named_by_its_index(client: SubstrateClient) -> None:
    # pallet-revive numbers its errors by hand, with gaps: by position this one would be another
    call = Call(
        "Revive",
        "instantiate",
        {
            "value": 0,
            "weight_limit": {"ref_time": 10**9, "proof_size": 10**5},
            "storage_deposit_limit": UNIT,
            "code_hash": os.urandom(32),
            "data": b"",
            "salt": None,
        },
    )
    with pytest.raises(DispatchError) as caught:
        client.submit(call, BOB)
    assert (caught.value.pallet, caught.value.name) == ("Revive", "CodeNotFound")


def test_our_pallets_errors_carry_their_docs(client: SubstrateClient) -> None:
    with pytest.raises(DispatchError) as caught:
        client.submit(jobs.claim(os.urandom(32), 0), BOB)
    assert (caught.value.pallet, caught.value.name) == ("Jobs", "UnknownJob")
    assert caught.value.docs.startswith("No job")


def test_a_failure_inside_sudo_or_a_batch_is_a_failure(client: SubstrateClient) -> None:
    inner = attestation.disallow_measurement(os.urandom(32))
    with pytest.raises(DispatchError, match="NoSuchMeasurement"):
        client.submit(attestation.sudo(inner), ALICE)
    interrupted = Call("Utility", "batch", {"calls": [remark(b"x"), jobs.claim(os.urandom(32), 0)]})
    with pytest.raises(DispatchError, match="UnknownJob"):
        client.submit(interrupted, BOB)


def test_calls_are_found_with_their_bytes_inside_batches_and_sudo(client: SubstrateClient) -> None:
    secret, other = os.urandom(40), b"plain text, which must stay bytes"
    silent = [Call("System", "remark", {"remark": data}) for data in (secret, other)]
    nested = attestation.batch([silent[0], attestation.batch([silent[1]])])
    receipt = client.submit(attestation.sudo(nested), ALICE)
    found = client.find_calls(receipt.block_hash, "System", "remark")
    assert [call.args["remark"] for call in found] == [secret, other]
    assert {call.signer for call in found} == {account(ALICE.ss58_address)}


def test_an_allowed_measurement_is_listed(client: SubstrateClient) -> None:
    measurement = os.urandom(32)
    client.submit(attestation.sudo(attestation.allow_measurement(measurement, "a test")), ALICE)
    assert attestation.measurements(client)[measurement] == "a test"
    assert {root.level.label for root in attestation.roots(client)} == {"simulated", "hardware"}
    assert attestation.policy(client).also_accepted == ()


def test_what_is_not_there_is_none_or_empty(client: SubstrateClient) -> None:
    nobody = os.urandom(32)
    assert workers.get(client, nobody) is None
    assert models.get(client, nobody) is None
    assert jobs.get(client, nobody) is None
    assert jobs.queue(client, nobody) == []
    assert jobs.sealed(client, nobody) is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call("Nonsense", "x"), "no pallet Nonsense"),
        (Call("System", "nonsense"), "no call System.nonsense"),
        (Call("System", "remark", {"remark": "text"}), "bytes are due"),
        (Call("System", "remark", {"remark": b"", "more": 1}), "no such field"),
        (Call("System", "remark", {}), "does not fit"),
        (Call("Jobs", "claim", {"job": b"short"}), "32 elements"),
        (Call("Balances", "transfer_keep_alive", {"dest": {"Id": bytes(32)}, "value": -1}), "negative"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_before_it_is_signed(
    client: SubstrateClient, call: Call, words: str
) -> None:
    with pytest.raises(MetadataError, match=words):
        client.sign(call, BOB)


def test_every_call_survives_the_way_through_scale(client: SubstrateClient) -> None:
    call = jobs.submit(
        model=os.urandom(32),
        nonce=os.urandom(32),
        sealed=os.urandom(65_536),
        input_commitment=os.urandom(32),
        recipients=[os.urandom(32), os.urandom(32)],
        price=2**100,
        deadline=7,
        min_level=Level.HARDWARE,
        allow_dev_setup=True,
    )
    runtime = client.runtime
    assert runtime.values.decode(runtime._call, runtime.encode_call(call)) == call


def test_a_nonce_used_twice_is_refused(client: SubstrateClient) -> None:
    first = client.sign(remark(b"first"), CHARLIE)
    second = client.sign(remark(b"second"), CHARLIE, nonce=first.nonce)
    client.broadcast(first)
    client.wait_finalised(first)
    with pytest.raises(ExtrinsicInvalid) as caught:
        client.broadcast(second)
    assert caught.value.code == "nonce-used"
    with pytest.raises(ExtrinsicInvalid) as caught:
        client.wait_finalised(second)
    assert caught.value.code == "nonce-used"


def test_the_same_bytes_sent_twice_are_one_extrinsic(client: SubstrateClient) -> None:
    one = client.sign(remark(b"once"), CHARLIE)
    client.broadcast(one)
    with contextlib.suppress(ExtrinsicInvalid):  # its nonce is used when the first has landed already
        assert client.broadcast(one) == one.hash
    receipt = client.wait_finalised(one)
    assert receipt.error is None
    head = client.wait_block(receipt.block + 1)
    blocks = [client.block_hash(number) for number in range(one.first_block, head.number + 1)]
    found = [call for block in blocks for call in client.find_calls(block, "System", "remark_with_event")]
    assert [call.args["remark"] for call in found].count(b"once") == 1


def test_a_head_that_is_told_has_the_hash_that_the_node_gives_it(chain: LocalChain) -> None:
    with chain.connect() as told, chain.connect() as asked:
        feed = told.subscribe()
        feed.wait(0, 10)
        asked.submit(remark(b"a block more"), CHARLIE)
        head = told.wait_block(asked.finalised_head().number)
        assert asked.block_hash(head.number) == head.hash == feed.hash_of(head.number)


def test_signing_asks_for_the_version_only_when_it_may_have_changed(chain: LocalChain) -> None:
    with chain.connect() as client:
        feed = client.subscribe()
        feed.wait(0, 10)
        client.submit(remark(b"its version is known now"), CHARLIE)
        assert feed.spec_version == client.runtime.spec_version
        asked = client.calls
        client.sign(remark(b"signed"), CHARLIE, nonce=7)
        assert client.calls == asked


def test_an_account_without_money_is_told_so(client: SubstrateClient) -> None:
    poor = dev_keypair("//Nobody")
    with pytest.raises(ExtrinsicInvalid) as caught:
        client.broadcast(client.sign(remark(b"free?"), poor))
    assert caught.value.code == "cannot-pay"


def test_a_flipped_bit_of_a_signature_is_refused(client: SubstrateClient) -> None:
    data = bytearray(client.sign(remark(b"bit"), BOB).data)
    data[50] ^= 1
    with pytest.raises(ExtrinsicInvalid) as caught:
        client.broadcast(bytes(data))
    assert caught.value.code == "bad-signature"


def test_threads_never_share_a_nonce(client: SubstrateClient) -> None:
    with ThreadPoolExecutor(4) as threads:
        receipts = list(threads.map(lambda number: client.submit(remark(bytes([number])), CHARLIE), range(6)))
    assert len({receipt.hash for receipt in receipts}) == 6


def test_time_and_blocks_go_on_by_themselves(client: SubstrateClient) -> None:
    before = client.finalised_head()
    after = client.wait_block(before.number + 2)
    assert client.timestamp(after.hash) > client.timestamp(before.hash)
    assert client.block(after.hash).parent == client.block_hash(after.number - 1)
    with pytest.raises(ChainError, match="has no block"):
        client.block_hash(10**6)


def test_the_client_follows_every_finalised_block(client: SubstrateClient) -> None:
    start = client.finalised_head().number
    heads = []
    for head in client.follow(max(1, start - 1)):
        heads.append(head.number)
        if len(heads) == 4:
            break
    assert heads == list(range(heads[0], heads[0] + 4))


async def test_the_asyncio_client_does_the_same(chain: LocalChain) -> None:
    async with await AsyncSubstrateClient.connect(chain.url) as client:
        receipts = await asyncio.gather(
            client.submit(remark(b"a"), BOB), client.submit(remark(b"b"), CHARLIE)
        )
        assert all(receipt.error is None for receipt in receipts)
        assert await client.run(attestation.policy) == attestation.TcbPolicy()
        async for head in client.follow():
            assert head.number > 0
            break


def test_nobody_there_is_an_error_with_advice() -> None:
    with pytest.raises(ChainUnreachable, match="proofward devnet"):
        SubstrateClient.connect(f"ws://127.0.0.1:{free_port()}", patience=0.2)
    with pytest.raises(ChainUnreachable, match="must start with ws"):
        SubstrateClient.connect("http://127.0.0.1:1")


def test_several_extrinsics_in_one_message_are_answered_one_by_one(client: SubstrateClient) -> None:
    account = bytes(CHARLIE.public_key)
    client.submit(remark(b"first"), CHARLIE)
    nonce = client.nonce(account)
    several = [client.sign(remark(b"%d" % one), CHARLIE, nonce=nonce + one) for one in range(3)]
    used = client.sign(remark(b"again"), CHARLIE, nonce=nonce - 1)
    refusals = client.broadcast_many([several[0], used, several[1], several[2]])
    assert [one and one.code for one in refusals] == [None, "nonce-used", None, None]
    for one in several:
        assert client.wait_finalised(one, taken=True).error is None


def test_a_record_that_has_not_changed_is_not_taken_apart_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = {b"a": b"1", b"b": b"2"}
    decoded: list[bytes] = []

    class Source:
        def __init__(self) -> None:
            self.runtime = self

        def query_many_raw(self, _: str, __: str, keys: list[tuple[bytes]], at: bytes) -> list[bytes | None]:
            return [stored.get(key) for (key,) in keys]

        def decode_storage(self, _: str, __: str, raw: bytes) -> bytes:
            decoded.append(raw)
            return raw

    monkeypatch.setattr(jobs, "_record", lambda job, value: (job, value))
    known, source = jobs.Known(), Source()

    def read() -> dict[bytes, object]:
        return dict(known.many(source, [b"a", b"b", b"gone"], b""))  # type: ignore[arg-type]

    assert read() == read() == {b"a": (b"a", b"1"), b"b": (b"b", b"2")}
    assert decoded == [b"1", b"2"]
    stored[b"a"] = b"3"
    assert read() == {b"a": (b"a", b"3"), b"b": (b"b", b"2")}
    assert decoded == [b"1", b"2", b"3"]
    source.runtime = Source()  # an upgrade may read the same bytes in another way
    read()
    assert decoded == [b"1", b"2", b"3", b"3", b"2"]
