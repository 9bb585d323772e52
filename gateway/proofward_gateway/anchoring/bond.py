"""The operator's stake behind a gateway's receipts: registered, renewed with every new key, and slashed when
anybody shows that two receipts of one id were signed.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from proofward.attestation import AttestationError, parse_quote
from proofward.chain import SubstrateClient, accounts
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import attestation, workers
from proofward.errors import ProofwardError
from proofward.evidence.two_receipts import TwoReceipts
from proofward_gateway.anchoring.ask import ask
from proofward_gateway.channel import GatewayError, Origin

_LOOK_SECONDS: Final = 30.0
_MARGIN_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Bonded:
    """A gateway's entry on the chain; `sent` is the block of this run's registration, None when there was
    nothing to do.
    """

    account: bytes
    receipt_key: bytes
    stake: int
    expires_at: int
    sent: int | None


def register(gateway: str, client: SubstrateClient, signer: Signer) -> Bonded:
    """Put a gateway's present keys on the chain under the signer's stake, unless they are there already.

    Raises GatewayError (`not-bonded`: its configuration names no account, or another, or the account's
    registration is over; `not-loopback`), ChainError.
    """
    require_loopback(gateway)
    told = _material(ask(gateway, "/v1/registration"))
    account = bytes(signer.public_key)
    if told.genesis != client.genesis:
        raise GatewayError(
            f"{gateway} is configured for the chain 0x{told.genesis.hex()}, not this one", code="not-bonded"
        )
    if told.account != account:
        raise GatewayError(
            f"{gateway} registers for {accounts.ss58(told.account)} alone, and the signer is "
            f"{accounts.ss58(account)}: change `account` under [chain]",
            code="not-bonded",
        )
    record = workers.get(client, account)
    if record is not None and not record.working:
        why = "banned" if record.banned else "retired"
        raise GatewayError(f"{accounts.ss58(account)} is {why}: it registers no more", code="not-bonded")
    if record is not None and record.receipt_key == told.receipt_key:
        if record.expires_at <= client.timestamp():
            raise GatewayError(
                f"the registration of key 0x{told.receipt_key.hex()} has ended, and a chain takes no key "
                "twice (ReceiptKeyTaken): start the gateway again, or wait until it renews its keys",
                code="not-bonded",
            )
        return Bonded(account, record.receipt_key, record.stake, record.expires_at, None)
    head = client.finalised_head()
    epoch = (workers.last_epoch(client, account) or 0) + 1
    path = f"/v1/registration?epoch={epoch}&block_hash={head.hash.hex()}"
    whole = ask(gateway, path)
    fresh = _material(whole)
    quote = _bytes(whole, "quote")
    _require_collateral(client, signer, quote, whole)
    change = workers.register if record is None else workers.renew
    call = change(
        quote=quote,
        hpke_key=fresh.hpke_key,
        receipt_key=fresh.receipt_key,
        possession=_bytes(whole, "possession"),
        epoch=epoch,
        block=head.number,
        endpoint=gateway,
    )
    receipt = client.submit(call, signer)
    after = workers.get(client, account)
    if after is None or after.receipt_key != fresh.receipt_key:
        raise GatewayError(
            "the chain holds other keys than were just registered: try again", code="not-bonded"
        )
    return Bonded(account, after.receipt_key, after.stake, after.expires_at, receipt.block)


def keep(
    gateway: str,
    client: SubstrateClient,
    signer: Signer,
    told: Callable[[Bonded], None],
    failed: Callable[[ProofwardError | OSError], None],
    *,
    stop: threading.Event | None = None,
) -> None:
    """`register`, and again with every new key, until `stop`. What fails is told and tried again.

    Raises GatewayError(not-loopback).
    """
    require_loopback(gateway)
    stop = stop or threading.Event()
    while not stop.is_set():
        try:
            found = register(gateway, client, signer)
            if found.sent is not None:
                told(found)
        except (ProofwardError, OSError) as error:
            failed(error)
        stop.wait(_LOOK_SECONDS)


def require_loopback(gateway: str) -> None:
    """Whether a gateway is on this machine: elsewhere, whoever answers could have its own keys put under the
    signer's stake, since no TLS key is known beforehand. Raises GatewayError(bad-url, not-loopback).
    """
    host = Origin.parse(gateway).host
    try:
        good = ipaddress.ip_address(host).is_loopback
    except ValueError:
        good = False
    if not good:
        raise GatewayError(
            f"{host} is no loopback address, and whoever answers there would have your stake behind its "
            "keys: run this beside the gateway, or tunnel (`ssh -L 8443:127.0.0.1:8443 HOST`) and give "
            "--gateway https://127.0.0.1:8443",
            code="not-loopback",
        )


@dataclass(frozen=True, slots=True)
class Slashed:
    """What two receipts cost their signer, in planck, and in which block."""

    account: bytes
    receipt: str
    slashed: int
    block: int


def report(two: TwoReceipts, client: SubstrateClient, signer: Signer) -> Slashed:
    """Show two receipts of one id to the chain, which judges them itself.

    Raises AnswerError(not-for-a-chain), GatewayError(not-bonded): nobody's stake answers for the key;
    DispatchError (`AlreadyPunished`), ChainError.
    """
    key, first, second = two.signed()
    if max(len(first[0]), len(second[0])) > workers.MAX_ANSWER_RECEIPT:
        most = workers.MAX_ANSWER_RECEIPT
        raise GatewayError(f"a receipt has more than the {most} bytes that a chain reads", code="not-bonded")
    if workers.holder(client, key) is None:
        raise GatewayError(
            f"nobody has registered the key 0x{key.hex()} on this chain, or its stake is free again: "
            "the evidence stands (`proofward verify`), and nothing can be slashed for it",
            code="not-bonded",
        )
    receipt = client.submit(workers.report_two_receipts(key, *first, *second), signer)
    event = receipt.find(workers.PALLET, "Contradicted")
    if event is None:
        raise GatewayError(f"block {receipt.block} has no word of the punishment", code="not-bonded")
    name = bytes(event.fields["receipt"]).decode("ascii")
    return Slashed(bytes(event.fields["worker"]), name, int(event.fields["slashed"]), receipt.block)


def _require_collateral(client: SubstrateClient, signer: Signer, quote: bytes, whole: dict[str, Any]) -> None:
    """Bring the collateral that goes with a quote, where the chain's does not last."""
    try:
        parsed = parse_quote(quote)
    except AttestationError as error:
        raise GatewayError(f"the gateway's quote cannot be read: {error.message}") from None
    until = client.timestamp() + _MARGIN_MS
    if any(one.expires_at > until for one in attestation.collateral(client, parsed.fmspc, parsed.ca)):
        return
    if whole.get("collateral") is None:
        raise GatewayError(
            "the chain has no collateral for this machine, and the gateway has none: set `collateral`",
            code="not-bonded",
        )
    call = attestation.refresh_collateral(quote, _bytes(whole, "collateral"))
    client.submit(call, signer)


@dataclass(frozen=True, slots=True)
class _Material:
    genesis: bytes
    account: bytes
    receipt_key: bytes
    hpke_key: bytes


def _material(value: dict[str, Any]) -> _Material:
    return _Material(*(_bytes(value, name) for name in ("genesis", "account", "receipt_key", "hpke_key")))


def _bytes(value: dict[str, Any], name: str) -> bytes:
    try:
        return bytes.fromhex(value[name])
    except (KeyError, TypeError, ValueError):
        raise GatewayError(f"the gateway's registration has no {name}") from None
