"""Keys by epoch: the present ones and those of the epoch before, which are erased when a third begins."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from proofward.protocol import HpkePrivateKey, HpkeSuite, ReceiptKey
from proofward.protocol.enclave import EnclaveError
from proofward_enclave.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of one worker account on one chain. The secrets are made here and never leave."""

    genesis: bytes
    account: bytes
    number: int
    hpke: HpkePrivateKey
    receipt: ReceiptKey
    ledger: Ledger = field(default_factory=Ledger)

    def erase(self) -> None:
        """Overwrite the secrets as far as Python lets us, and forget what was worked."""
        self.hpke.erase()
        self.receipt.erase()
        self.ledger.clear()


class Epochs:
    """The enclave's epochs; safe to use from several threads."""

    def __init__(self, suite: HpkeSuite = HpkeSuite.X25519) -> None:
        self._suite = suite
        self._held: tuple[Epoch, ...] = ()
        self._lock = threading.Lock()

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

        Raises EnclaveError(stale-epoch) when the number is below the present one, or is the present one of
        another account or chain.
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
            fresh = Epoch(
                genesis, account, number, HpkePrivateKey.generate(self._suite), ReceiptKey.generate()
            )
            kept = [epoch for epoch in held[-1:] if (epoch.genesis, epoch.account) == (genesis, account)]
            self._held = (*kept, fresh)
        for epoch in held:
            if epoch not in self._held:
                epoch.erase()
        return fresh

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
