"""The worker's registration: keys per epoch, a quote over them, collateral for the quote, `register` or
`renew`.

Keys live in the enclave process. A new process has none of the old ones, so the registration follows the
enclave's generation; besides, it is renewed before it expires and at least once an `epoch_seconds`. The old
epoch's keys work for one epoch more, in the enclave and on the chain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from proofward.chain.pallets import attestation, workers
from proofward.chain.pallets.workers import WorkerRecord
from proofward.errors import ProofwardError
from proofward.logs import Logger
from proofward_node.journal import Journal
from proofward_node.ports import Chain, Enclave, Head

log = Logger("proofward_node.registration")

EPOCH_TIMEOUT_SECONDS = 60.0
"""How long the TEE may take for keys and a quote."""
RETRY_MS = 15_000
RETRY_MAX_MS = 900_000
"""After a refused renewal, while the old registration stands: milliseconds on the chain's clock. Each costs a
fee, so the pause doubles with every further one, up to a quarter of an hour.
"""
RIVAL_RENEWALS = 2
"""Renewals by somebody else, with keys newer than ours, after which we leave the account to them."""
_COLLATERAL_ERRORS = frozenset({"NoCollateral", "CollateralExpired", "QuoteRejected"})
"""Refusals after which fresh collateral may help."""


class RegistrationRefused(ProofwardError):
    """The chain, or the enclave, does not accept this worker now. The message says why and what to do."""

    code = "registration-refused"

    def __init__(self, message: str, *, error: str | None = None) -> None:
        """`error` is the chain's own name of the refusal, when it was the chain's."""
        super().__init__(message)
        self.error = error


class RivalWorker(ProofwardError):
    """Another process renews the registration of this account: two of them would pay for ever."""

    code = "rival-worker"


@dataclass
class Registration:
    """Keeps the worker registered.

    Args:
        fetch_collateral: brings collateral for a quote when its provider brought none; raises
        RegistrationRefused.
        fresh_keys: renew at once behind keys that an earlier enclave process kept: sessions want its own.
        epoch_seconds, renew_before_seconds: on the chain's clock.
    """

    chain: Chain
    enclave: Enclave
    journal: Journal
    endpoint: str
    epoch_seconds: int
    renew_before_seconds: int
    fetch_collateral: Callable[[bytes], Awaitable[bytes]]
    fresh_keys: bool = False
    _keys_in: int | None = None
    _retry_at_ms: int = 0
    _refused: int = 0
    _rivals: int = 0

    async def ensure(self, head: Head) -> WorkerRecord:
        """The worker's record, after registering or renewing when that is due. A renewal that is refused does
        not end a registration that still stands.

        Raises:
            RegistrationRefused: with the chain's or the enclave's reason. RivalWorker: another process
            registers this account again and again. ChainDown, EnclaveDown, EnclaveError pass through.
        """
        record = await self.chain.worker()
        if record is not None and not record.working:
            raise RegistrationRefused(_stopped(record))
        status = await self.enclave.call("status", {}, EPOCH_TIMEOUT_SECONDS)
        reason = self._due(record, status, head)
        if record is not None and reason is None:
            return record
        self._look_for_rivals(record, status)
        if record is not None and self._usable(record, head) and head.time_ms < self._retry_at_ms:
            return record
        try:
            return await self._begin_epoch(record, status, head, reason or "not registered")
        except RegistrationRefused as error:
            if record is None or not self._usable(record, head):
                raise
            pause = min(RETRY_MS << min(self._refused, 16), RETRY_MAX_MS)
            self._refused += 1
            self._retry_at_ms = head.time_ms + pause
            log.error("renewal-refused", message=str(error), retry_ms=pause)
            return record

    def _look_for_rivals(self, record: WorkerRecord | None, status: dict[str, Any]) -> None:
        """Count renewals that were not ours: keys of a later epoch than this very enclave has begun."""
        ours = status.get("epoch")
        if record is None or ours is None or self._keys_in != self.enclave.generation:
            return
        if record.epoch <= ours:
            self._rivals = 0
            return
        self._rivals += 1
        log.error("another-worker", epoch=record.epoch, ours=ours, account=self.chain.account.hex())
        if self._rivals >= RIVAL_RENEWALS:
            raise RivalWorker(
                f"another process registers the account 0x{self.chain.account.hex()} (epoch {record.epoch}, "
                f"ours is {ours}): stop one of the two, or give each an account of its own"
            )

    def _usable(self, record: WorkerRecord, head: Head) -> bool:
        """Whether the registration stands and this enclave process still holds its keys: it keeps two
        epochs.
        """
        return record.expires_at > head.time_ms and self._keys_in == self.enclave.generation

    def _due(self, record: WorkerRecord | None, status: dict[str, Any], head: Head) -> str | None:
        if record is None:
            return "not registered"
        if status.get("epoch") != record.epoch or self.journal.get_meta("receipt_key") != record.receipt_key:
            return "the enclave holds other keys than the chain"
        self._keys_in = self.enclave.generation
        if self.fresh_keys and status.get("restored"):
            return "an earlier process made the enclave's keys, and sessions want its own"
        if record.expires_at - head.time_ms <= self.renew_before_seconds * 1000:
            return "it expires soon"
        if status.get("room") == 0:
            return "the epoch has worked all the jobs that it takes"
        started = self.journal.get_meta("epoch_started_ms")
        if started is None or head.time_ms - int(started) >= self.epoch_seconds * 1000:
            return "the epoch is over"
        return None

    async def _begin_epoch(
        self, record: WorkerRecord | None, status: dict[str, Any], head: Head, reason: str
    ) -> WorkerRecord:
        # an epoch that was begun and not registered is used again: a third one would erase the registered
        # keys; an account's epochs only grow, through retirement too
        last = record.epoch if record else await self.chain.last_epoch() or 0
        epoch = max(last + 1, status.get("epoch") or 0)
        keys = await self.enclave.call(
            "begin_epoch",
            {
                "genesis": self.chain.genesis,
                "account": self.chain.account,
                "epoch": epoch,
                "block_hash": head.hash,
            },
            EPOCH_TIMEOUT_SECONDS,
        )
        quote, receipt_key = keys["quote"], keys["receipt_key"]
        if await self.chain.collateral_missing(quote):
            await self._refresh(quote, keys.get("collateral"))
        change = workers.register if record is None else workers.renew
        call = change(
            quote=quote,
            hpke_key=keys["hpke_key"],
            receipt_key=receipt_key,
            possession=keys["possession"],
            epoch=epoch,
            block=head.number,
            endpoint=self.endpoint,
        )
        key = f"{call.name}:{epoch}:{receipt_key.hex()}"
        sent = await self.chain.send(key, call)
        if sent.error in _COLLATERAL_ERRORS:
            await self._refresh(quote, keys.get("collateral"))
            sent = await self.chain.send(f"{key}:again", call)
        if sent.error is not None:
            raise RegistrationRefused(
                f"the chain refuses to {call.name} this worker in epoch {epoch}: {sent.error}; see "
                "docs/operators.md, 'Refused registrations'",
                error=sent.error,
            )
        self._keys_in = self.enclave.generation
        self._refused = 0
        self.journal.set_meta("receipt_key", receipt_key)
        self.journal.set_meta("epoch_started_ms", str(head.time_ms).encode())
        after = await self.chain.worker()
        if after is None:
            raise RegistrationRefused(
                f"the chain holds no record after {call.name} in block {sent.block}; it is tried again"
            )
        log.info(
            "registered", reason=reason, epoch=epoch, block=sent.block, level=after.level.label,
            measurement=after.measurement.hex(), expires_at_ms=after.expires_at,
        )  # fmt: skip
        return after

    async def _refresh(self, quote: bytes, brought: bytes | None) -> None:
        collateral = brought if brought is not None else await self.fetch_collateral(quote)
        key = f"collateral:{(await self.chain.finalised()).number}"
        sent = await self.chain.send(key, attestation.refresh_collateral(quote, collateral))
        log.info("collateral-refreshed", block=sent.block, error=sent.error, bytes=len(collateral))
        if sent.error not in (None, "CollateralOlder"):
            raise RegistrationRefused(
                f"the chain refuses this platform's collateral: {sent.error}", error=sent.error
            )


def _stopped(record: WorkerRecord) -> str:
    if record.banned:
        return "governance, or evidence against it, has banned this worker: ask the consortium"
    return (
        f"this worker retired in block {record.retired_at}: take its stake back with `proofward worker "
        "withdraw` once the unbonding time is over, then start it again"
    )
