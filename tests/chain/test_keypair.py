"""Keys and addresses: the same as substrate-interface's, and what is none is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalecodec.utils.ss58 import ss58_encode as their_address
from substrateinterface import Keypair as Theirs

from proofward.chain import accounts
from proofward.chain.accounts import AccountError
from proofward.chain.keypair import Keypair, new_phrase, ss58_decode, ss58_encode

PATHS = ("//Alice", "//Bob//stash", "//0", "//18446744073709551615", f"//{'long' * 15}", "//Zoë")


@pytest.mark.parametrize("path", PATHS)
def test_a_development_key_is_everybodys(path: str) -> None:
    ours, theirs = Keypair.of_dev(path), Theirs.create_from_uri(path)
    assert (ours.public_key, ours.private_key) == (theirs.public_key, theirs.private_key)
    assert (ours.ss58_address, ours.crypto_type) == (theirs.ss58_address, theirs.crypto_type)
    assert theirs.verify(b"said", ours.sign(b"said"))


def test_a_phrase_and_a_seed_give_the_key_that_others_find() -> None:
    phrase = new_phrase()
    assert len(phrase.split()) == 12
    assert Keypair.of_phrase(phrase).public_key == Theirs.create_from_mnemonic(phrase).public_key
    seed = bytes(range(32))
    assert Keypair.of_seed(seed).private_key == Theirs.create_from_seed(seed).private_key


def test_a_signature_is_of_these_bytes_and_this_key_alone() -> None:
    key, other = Keypair.of_dev("//Alice"), Keypair.of_dev("//Bob")
    signature = key.sign(b"said")
    public = Keypair(key.public_key)
    assert public.verify(b"said", signature)
    assert not other.verify(b"said", signature)
    assert not public.verify(b"<Bytes>said</Bytes>", signature)
    wrapped = key.sign(b"<Bytes>said</Bytes>")  # what a wallet signs, which substrate-interface takes for it
    assert not public.verify(b"said", wrapped)
    for at in range(0, 64, 7):
        assert not public.verify(b"said", signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :])
    for bad in (b"", signature[:-1], signature + b"x"):
        assert not public.verify(b"said", bad)
    assert not Keypair(b"\xff" * 32).verify(b"said", signature)
    with pytest.raises(ValueError, match="private half"):
        public.sign(b"said")
    assert key.private_key is not None
    assert key.private_key.hex() not in repr(key)
    assert repr(key.private_key) not in repr(key)


@given(account=st.binary(min_size=32, max_size=32), prefix=st.integers(0, 16383))
def test_an_address_of_any_network_is_read(account: bytes, prefix: int) -> None:
    assert ss58_encode(account) == their_address(account, 42)
    if prefix not in (46, 47):
        assert ss58_decode(their_address(account, prefix)) == account


@given(data=st.data())
def test_an_address_with_another_character_is_refused(data: st.DataObject) -> None:
    address = ss58_encode(data.draw(st.binary(min_size=32, max_size=32)))
    at = data.draw(st.integers(0, len(address) - 1))
    other = data.draw(st.characters().filter(lambda one: one != address[at]))
    with pytest.raises(AccountError):
        accounts.account(address[:at] + other + address[at + 1 :])


@pytest.mark.parametrize("text", ["", "5", "0x", "0x12", "0x" + "zz" * 32, "F7Hs"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AccountError):
        accounts.account(text)


@pytest.mark.parametrize(
    "text", ["", "//", "Alice", "//Alice/soft", "//Alice//", "//Alice///word", "//" + "x" * 63]
)
def test_what_is_no_development_key_is_refused(text: str) -> None:
    with pytest.raises(AccountError, match="no development key"):
        accounts.dev_keypair(text)


PHRASE = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"


@pytest.mark.parametrize("text", ["x" * 1_000_000, PHRASE], ids=["long", "phrase"])
def test_what_is_given_for_an_account_is_refused_at_once_and_not_quoted(text: str) -> None:
    with pytest.raises(AccountError) as refused:
        accounts.account(text)
    assert text[:20] not in refused.value.message
