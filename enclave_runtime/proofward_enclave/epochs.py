"""Keys by epoch: the present ones and those of the epoch before, which are erased when a third begins."""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass, field
from typing import Final

from proofward.protocol import HpkePrivateKey, HpkeSuite, ReceiptKey
from proofward.protocol.enclave import EnclaveError
from proofward_enclave.kept import KeptKeys, Secrets
from proofward_enclave.ledger import Ledger

_SALTS: Final = b"proofward/kept-salt/v1"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of one worker account on one chain. The secrets are made here and never leave, but sealed
    where keys are kept; `restored` tells that an earlier process made them.
    """

    genesis: bytes
    account: bytes
    number: int
    hpke: HpkePrivateKey
    receipt: ReceiptKey
    ledger: Ledger = field(default_factory=Ledger)
    secrets: Secrets | None = field(default=None, repr=False)
    restored: bool = False

    @classmethod
    def of(cls, secrets: Secrets, *, restored: bool = False) -> Epoch:
        """The epoch whose keys can be kept."""
        return cls(
            secrets.genesis,
            secrets.account,
            secrets.number,
            HpkePrivateKey.from_bytes(secrets.suite, secrets.hpke),
            ReceiptKey(secrets.receipt),
            secrets=secrets,
            restored=restored,
        )

    def salt(self, job: bytes) -> bytes | None:
        """The salt of a job's output where keys are kept, 32 bytes: a process that comes back, or a second
        one beside it, commits to the same output in the same way, and proves the same statement once more.
        """
        if self.secrets is None:
            return None
        return hmac.digest(self.secrets.salts, _SALTS + job, "sha256")

    def erase(self) -> None:
        """Overwrite the secrets as far as Python lets us, and forget what was worked."""
        self.hpke.erase()
        self.receipt.erase()
        self.ledger.clear()
        if self.secrets is not None:
            self.secrets.erase()


class Epochs:
    """The enclave's epochs; safe to use from several threads.

    Args:
        kept: where keys are kept beyond the process's end, if so.
    """

    def __init__(self, suite: HpkeSuite = HpkeSuite.X25519, kept: KeptKeys | None = None) -> None:
        self._suite = suite
        self._kept = kept
        self._held: tuple[Epoch, ...] = ()
        self._lock = threading.Lock()

    def restore(self) -> list[int]:
        """Go on with the epochs that an earlier process kept; their numbers. Raises
        EnclaveError(kept-keys-refused); there are none then.
        """
        if self._kept is None:
            return []
        with self._lock:
            self._held = tuple(Epoch.of(one, restored=True) for one in self._kept.read())
            return [epoch.number for epoch in self._held]

    @property
    def restored(self) -> bool:
        """Whether an earlier process made the present epoch's keys."""
        return bool(self._held) and self._held[-1].restored

    @property
    def current(self) -> int | None:
        """The present epoch's number."""
        return self._held[-1].number if self._held else None

    @property
    def room(self) -> int | None:
        """How many more jobs the present epoch takes."""
        return self._held[-1].ledger.room if self._held else None

    def begin(self, genesis: bytes, account: bytes, number: int) -> Epoch:
        """Begin epoch `number`, or give the present one again when the number is its own (for a fresh
        quote).

        Raises EnclaveError: stale-epoch when the number is below the present one, or is the present one of
        another account or chain; keys-not-kept, and the epoch has not begun.
        """
        with self._lock:
            held = self._held
            if held and number <= held[-1].number:
                present = held[-1]
                if (present.number, present.genesis, present.account) == (number, genesis, account):
                    return present
                raise EnclaveError(
                    f"epoch {present.number} has begun: the next is {present.number + 1} or later",
                    code="stale-epoch",
                )
            kept = [epoch for epoch in held[-1:] if (epoch.genesis, epoch.account) == (genesis, account)]
            fresh = self._make(genesis, account, number)
            self._held = (*kept, fresh)
            if self._kept is not None:
                try:
                    self._kept.write([epoch.secrets for epoch in self._held if epoch.secrets is not None])
                except EnclaveError:
                    self._held = held
                    fresh.erase()
                    raise
        for epoch in held:
            if epoch not in self._held:
                epoch.erase()
        return fresh

    def _make(self, genesis: bytes, account: bytes, number: int) -> Epoch:
        if self._kept is not None:
            return Epoch.of(Secrets.draw(genesis, account, number, self._suite))
        return Epoch(genesis, account, number, HpkePrivateKey.generate(self._suite), ReceiptKey.generate())

    def of(self, genesis: bytes, account: bytes) -> dict[int, Epoch]:
        """The epochs held for an account on a chain, by number. Raises EnclaveError(wrong-binding) when
        none is.
        """
        found = {
            epoch.number: epoch
            for epoch in self._held
            if (epoch.genesis, epoch.account) == (genesis, account)
        }
        if not found:
            raise EnclaveError(
                "this enclave holds no keys for that worker on that chain", code="wrong-binding"
            )
        return found

    def erase(self) -> None:
        """Erase everything; for shutdown."""
        with self._lock:
            held, self._held = self._held, ()
        for epoch in held:
            epoch.erase()
