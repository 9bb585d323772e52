"""The aggregator's host: it registers the enclave as a worker, begins rounds, hands sealed updates to the
enclave, and publishes the sums. It holds no key that opens one.

What it does with a round is written down before it is sent. Started again it goes on after the last published
sum: a round that was open is given up, or its sum sent again if it was made already.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from proofward.chain import Call, DispatchError, Inclusion, SubstrateClient, ss58
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import attestation, federation, workers
from proofward.chain.pallets.federation import Failed, Published, RoundRecord, StudyRecord
from proofward.files import write_whole
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.federation import UpdateContext, values_hash
from proofward_federation.errors import EngineMissing, FederationError
from proofward_federation.network.ledger import announced, posted_consents, published_in, weights_after
from proofward_federation.network.wire import Delivery, TheStudy, read_delivery
from proofward_federation.process import EnclaveCall
from proofward_federation.study import Study
from proofward_federation.transcript import Part, Told, Transcript, told_of
from proofward_federation.update import Floats, is_short

LOOK_SECONDS: Final = 0.1
MOST_LOOK_SECONDS: Final = 30.0
"""Between two looks at the head while a round is far away."""
RENEW_MS: Final = 3_600_000
"""How long before it expires a registration is renewed."""
MAX_TRIES: Final = 8
"""Deliveries of one site in a round that are looked at."""
_COLLATERAL: Final = frozenset({"NoCollateral", "CollateralExpired", "QuoteRejected"})


@dataclass(frozen=True, slots=True)
class Logged:
    """A round with the blocks that its opening and its sum are in; `published` is 0 until it is known."""

    told: Told
    opened: int
    published: int = 0


@dataclass(slots=True)
class Waiting:
    """A round that sites deliver to."""

    number: int
    noise: bytes
    parts: dict[bytes, Part] = field(default_factory=dict)
    tries: dict[bytes, int] = field(default_factory=dict)


class Host:
    """One study's host. `deliver` and `told` are safe to call from other threads than `run`'s.

    `linger`: seconds that committed updates are waited for after the last block for commitments.
    """

    def __init__(
        self,
        client: SubstrateClient,
        keypair: Signer,
        call: EnclaveCall,
        study: Study,
        *,
        state: Path,
        linger: float = 10.0,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.client, self.study = client, study
        self.account = bytes(keypair.public_key)
        self.taken = self.refused = 0
        self._keypair, self._call, self.tell = keypair, call, tell
        self._state, self._linger = state, linger
        self._name = b""
        self._log: list[Logged] = []
        self._waiting: Waiting | None = None
        self._lock = threading.Lock()
        self._receipt_key = b""

    # ---- registration ---------------------------------------------------------------------

    def register(self) -> workers.WorkerRecord:
        """Have the enclave's keys on the chain, by a quote, as any worker's. Raises FederationError(refused),
        EnclaveError, ChainError.
        """
        record = workers.get(self.client, self.account)
        if record is not None and not record.working:
            raise FederationError("this account retired, or was banned: give another", code="not-registered")
        fresh = record is not None and record.expires_at - self.client.timestamp() > RENEW_MS
        if record is not None and fresh and record.receipt_key == self._receipt_key:
            return record
        last = record.epoch if record else workers.last_epoch(self.client, self.account) or 0
        head = self.client.finalised_head()
        keys = self._call(
            "begin_epoch",
            genesis=self.client.genesis,
            account=self.account,
            epoch=last + 1,
            block_hash=head.hash,
        )
        names = ("quote", "hpke_key", "receipt_key", "possession")
        change = workers.register if record is None else workers.renew
        call = change(**{name: keys[name] for name in names}, epoch=last + 1, block=head.number)
        try:
            self._send(call)
        except DispatchError as error:
            if error.name not in _COLLATERAL or not keys.get("collateral"):
                raise FederationError(
                    f"the chain does not register this aggregator: {error}; governance has to allow "
                    "what `proofward federation measurement` prints",
                    code="not-registered",
                ) from None
            self._send(attestation.refresh_collateral(keys["quote"], keys["collateral"]))
            self._send(call)
        self._receipt_key = keys["receipt_key"]
        found = workers.get(self.client, self.account)
        if found is None:
            raise FederationError("the chain holds no registration of this account", code="not-registered")
        self.tell(f"registered: level {found.level.label}, measurement 0x{found.measurement.hex()[:16]}…")
        return found

    def find(self) -> bytes | None:
        """The study on the chain that has this document and names this aggregator; None without one."""
        for name, value in self.client.iterate(federation.PALLET, "Studies"):
            ours = value["aggregator"] == self.account and value["plan"]["rule"] == self.study.rule
            if ours and ss58(value["researcher"]) == self.study.researcher:
                announced(self.client, name, self.study)
                return bytes(name)
        return None

    def attend(self, name: bytes) -> None:
        """Tell sites of this study from now on."""
        self._name = name

    # ---- what sites ask and bring -----------------------------------------------------------

    def told(self) -> TheStudy:
        """For sites: document, and values of the published rounds."""
        with self._lock:
            values = {one.told.number: one.told.values for one in self._log if one.published}
        return TheStudy(self._name, self.study.document(), values)

    def deliver(self, data: bytes) -> None:
        """Take a site's update in. Raises FederationError, EnclaveError."""
        try:
            self._take(read_delivery(data, self.client.genesis))
        except (FederationError, EnclaveError):
            self.refused += 1
            raise
        self.taken += 1

    def _take(self, brought: Delivery) -> None:
        with self._lock:
            waiting = self._waiting
            if waiting is None or (brought.study, brought.number) != (self._name, waiting.number):
                raise FederationError("no such round waits for updates", code="no-round")
            if brought.site in waiting.parts:
                return  # it came through before, and its answer was lost
        record = federation.round_of(self.client, self._name, brought.number)
        word = federation.Committed(brought.site, brought.commitment, brought.consents)
        if record is None or word not in record.committed:
            raise FederationError("the site did not commit to this on the chain", code="not-committed")
        if not posted_consents(self.client, brought.site, brought.consents, brought.most):
            raise FederationError("the site posted another number of consents", code="other-consents")
        with self._lock:
            waiting.tries[brought.site] = tries = waiting.tries.get(brought.site, 0) + 1
        if tries > MAX_TRIES:
            raise FederationError("this site delivered too often in this round", code="too-often")
        context = UpdateContext(
            genesis=self.client.genesis,
            study=self._name,
            rule=self.study.rule,
            number=brought.number,
            noise=waiting.noise,
            site=brought.site,
            commitment=brought.commitment,
            consents=brought.consents,
        )
        if not is_short(brought.commitment, self.study, brought.most, context.info(), brought.proof):
            raise FederationError("the update is not proved to be short", code="not-short")
        self._call(
            "take_update",
            study=self._name,
            number=brought.number,
            site=brought.site,
            commitment=brought.commitment,
            consents=brought.consents,
            sealed=brought.sealed,
        )
        part = Part(
            brought.site.hex(),
            brought.commitment.hex(),
            brought.consents.hex(),
            brought.most,
            brought.proof.hex(),
        )
        with self._lock:
            waiting.parts[brought.site] = part

    # ---- rounds -----------------------------------------------------------------------------

    def run(self, name: bytes) -> Floats:
        """All rounds of a study under Flower's FedAvg; the weights after the last.

        Raises FederationError(no-sum) when chain or budget end it earlier; what was published stays.
        """
        self._name = name
        record = announced(self.client, name, self.study)
        self._load(record)
        rounds = federation.rounds(self.client, record)
        weights = weights_after(self.study, rounds, self.told().values)
        left = self.study.rounds - len(self._log)
        if left <= 0:
            return weights
        try:
            from proofward_federation.engine import learn
        except ImportError as error:
            raise EngineMissing.of((error.name or "flwr").partition(".")[0]) from None
        return learn(weights, self._exchange, nodes=max(1, len(record.members)), rounds=left)

    def periods(self, name: bytes, every: int) -> Iterator[None]:
        """Rounds of a study of counts, each begun `every` blocks after the one before; a turn after each sum,
        and one at the start where there are sums already.

        A round that comes to no sum is told, and costs its period: what it spent of the budget is gone.

        Raises FederationError when chain or budget end it earlier; what was published stays.
        """
        self._name = name
        self._load(announced(self.client, name, self.study))
        if self.logged:
            yield
        while len(self.logged) < self.study.rounds:
            self._due(every)
            try:
                self._round()
            except _NoSum as error:
                self.tell(f"{error}; this period has no sum")
                continue
            yield

    def _due(self, every: int) -> None:
        """Wait for the block in which the next round may begin."""
        record = announced(self.client, self._name)
        rounds = federation.rounds(self.client, record)
        due = max((one.until - record.plan.window + every for one in rounds), default=0)
        if due > record.plan.end:
            raise FederationError(
                f"the next round would begin after the study's end, block {record.plan.end}", code="no-sum"
            )
        while (left := due - self.client.finalised_head().number) > 0:
            time.sleep(min(left * LOOK_SECONDS, MOST_LOOK_SECONDS))

    def transcript(self) -> Transcript:
        """The published rounds, for everybody."""
        return Transcript(
            self.client.genesis.hex(),
            self._name.hex(),
            self.study.document().hex(),
            tuple(one.told for one in self._log if one.published),
        )

    @property
    def logged(self) -> list[Logged]:
        """The published rounds, with their blocks."""
        return [one for one in self._log if one.published]

    def _exchange(self, weights: Floats) -> Floats:
        """Rounds until one gives a sum, and the weights after it: those that every site computes."""
        while True:
            try:
                self._round()
            except _NoSum as error:
                self.tell(str(error))
                continue
            record = announced(self.client, self._name)
            return weights_after(self.study, federation.rounds(self.client, record), self.told().values)

    def _round(self) -> None:
        self.register()
        number = announced(self.client, self._name).next
        head = self.client.finalised_head()
        opened = self._call(
            "open_round",
            document=self.study.document(),
            genesis=self.client.genesis,
            account=self.account,
            study=self._name,
            number=number,
            at=head.number,
            block=head.hash,
        )
        with self._lock:
            self._waiting = Waiting(number, opened["noise"])
        try:
            call = federation.open_round(
                self._name, at=head.number, noise=opened["noise"], signature=opened["signature"]
            )
            receipt = self._send(call)
        except DispatchError as error:
            if error.name == "RoundOpen":  # what was sent before a death came through after it
                self._give_up(announced(self.client, self._name).next - 1)
                raise _NoSum(f"round {number} was begun by a process that is gone: it is given up") from None
            raise FederationError(f"the chain begins no round {number}: {error}", code="no-sum") from None
        self.tell(f"round {number} is open, {self.study.rho / 1e9:.6f} rho are spent (block {receipt.block})")
        record = self._gathered(number)
        with self._lock:
            waiting, self._waiting = self._waiting, None
        assert waiting is not None
        unheard = [place for place, one in enumerate(record.committed) if one.site not in waiting.parts]
        try:
            result = self._call(
                "close_round",
                study=self._name,
                number=number,
                sites=b"".join(one.site for one in record.committed),
                commitments=b"".join(one.commitment for one in record.committed),
                cohorts=self._cohorts(record),
                absent=bytes(unheard),
            )
        except EnclaveError as error:
            self._give_up(number)
            raise _NoSum(f"round {number} has no sum: {error.message}") from None
        absent = tuple(result["absent"])
        for place in sorted(set(absent) - set(unheard)):
            site = ss58(record.committed[place].site)
            self.tell(f"round {number}: {site} wants others in a sum than there are, and is left out")
        parts = [waiting.parts.get(one.site) or _unproved(one) for one in record.committed]
        told = Told(
            number=number,
            receipt_key=record.receipt_key.hex(),
            at=head.number,
            block=head.hash.hex(),
            noise=opened["noise"].hex(),
            opening=opened["signature"].hex(),
            parts=tuple(parts),
            absent=absent,
            values=tuple(result["values"]),
            blinding=result["blinding"].hex(),
            signature=result["signature"].hex(),
        )
        self._log.append(Logged(told, receipt.block))
        self._save()
        self._published(self._log[-1])

    def _cohorts(self, record: RoundRecord) -> bytes:
        """The fewest sites of a sum that each site has registered by now: the chain takes none of fewer."""
        sites = [federation.site(self.client, one.site) for one in record.committed]
        return bytes(0 if site is None else site.rules.cohort for site in sites)

    def _published(self, one: Logged) -> None:
        """Publish, or give the round up where the chain refuses its sum: sent again it would be so again.

        A refusal may also mean that what was sent before a death came through: then the sum is there.
        """
        number = one.told.number
        try:
            self.publish(one)
            return
        except DispatchError as error:
            refusal = error
        ending = self._ending(number)
        if ending is None:
            self._give_up(number)
            ending = self._ending(number)
        if isinstance(ending, Published) and ending.values == values_hash(one.told.values):
            self._known(one, published_in(self.client, self._name, number, one.opened))
            self.tell(f"round {number}: the sum was published before")
            return
        if not isinstance(ending, Failed):
            found = "has no ending" if ending is None else "has another sum than the one written down"
            raise FederationError(
                f"round {number} {found} on the chain, which refuses ours ({refusal}): see {self._file()}",
                code="bad-state",
            )
        self._log = [other for other in self._log if other.told.number != number]
        self._save()
        raise _NoSum(f"the chain refuses the sum of round {number}: {refusal}")

    def _ending(self, number: int) -> Published | Failed | None:
        """How a round ended at the finalised head; None while it waits, or when it is gone."""
        found = federation.round_of(self.client, self._name, number)
        return None if found is None else found.ending

    def _give_up(self, number: int) -> bool:
        """Fail a round; whether it was this that ended it, and not what was sent before a death."""
        try:
            self._send(federation.fail(self._name, number))
        except DispatchError as error:
            if error.name != "UnknownRound":
                raise
            return False
        return True

    def _known(self, one: Logged, block: int) -> None:
        """Write down the block that a sum is in."""
        with self._lock:
            place = next(at for at, other in enumerate(self._log) if other.told.number == one.told.number)
            self._log[place] = replace(one, published=block)
        self._save()

    def publish(self, one: Logged) -> None:
        """Send a sum that was written down; the chain opens it. Raises DispatchError."""
        said = one.told
        whole = self.study.dimension <= federation.MAX_OPENED
        call = federation.publish(
            self._name,
            said.number,
            absent=said.absent,
            values=said.values if whole else values_hash(said.values),
            blinding=bytes.fromhex(said.blinding),
            signature=bytes.fromhex(said.signature),
        )
        receipt = self._send(call)
        self._known(one, receipt.block)
        names = f", without {len(said.absent)} by name" if said.absent else ""
        self.tell(
            f"round {said.number}: the sum of {len(said.parts) - len(said.absent)} sites{names} is published "
            f"(block {receipt.block})"
        )

    def _gathered(self, number: int) -> RoundRecord:
        """The round once its commitments and updates are there, or their time is over."""
        late: float | None = None
        while True:
            head = self.client.finalised_head()
            record = federation.round_of(self.client, self._name, number, head.hash)
            study = announced(self.client, self._name)
            if record is None:
                raise FederationError(f"round {number} is gone from the chain", code="no-sum")
            active = sum(member.active for member in study.members)
            closed = len(record.committed) >= active or head.number > record.until
            with self._lock:
                came = self._waiting.parts if self._waiting else {}
                every = all(one.site in came for one in record.committed)
            if closed and every:
                return record
            if closed:
                late = late or time.monotonic() + self._linger
                if time.monotonic() > late:
                    return record
            time.sleep(LOOK_SECONDS)

    def _send(self, call: Call) -> Inclusion:
        return self.client.submit(call, self._keypair)

    # ---- what is written down ---------------------------------------------------------------

    def _file(self) -> Path:
        return self._state / f"study-{self._name.hex()[:16]}.json"

    def _save(self) -> None:
        said = {"rounds": [asdict(one) for one in self._log]}
        write_whole(self._file(), json.dumps(said).encode())

    def _load(self, record: StudyRecord) -> None:
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept: list[Logged] = []
        if self._file().exists():
            try:
                kept = [_logged(one) for one in json.loads(self._file().read_text())["rounds"]]
            except (ValueError, TypeError, KeyError) as error:
                raise FederationError(f"{self._file()} cannot be read: {error}", code="bad-state") from None
        rounds = {one.number: one for one in federation.rounds(self.client, record)}
        for one in kept:
            there = rounds.get(one.told.number)
            if there is not None and isinstance(there.ending, Published):
                block = one.published or published_in(self.client, record.id, one.told.number, one.opened)
                self._log.append(replace(one, published=block))
            elif there is not None and there.ending is None:
                self._log.append(one)
                try:
                    self._published(one)
                except _NoSum as error:
                    self.tell(str(error))
        lost = [one.number for one in rounds.values() if isinstance(one.ending, Published)]
        if missing := set(lost) - {one.told.number for one in self._log}:
            raise FederationError(
                f"the sums of rounds {sorted(missing)} are not in {self._state}: they are in the blocks that "
                "published them",
                code="bad-state",
            )
        record = announced(self.client, self._name)
        if record.open and self._give_up(record.next - 1):
            self.tell(f"round {record.next - 1} was lost with the enclave's process, and is given up")


class _NoSum(FederationError):
    """A round that was begun and given up."""

    code = "no-sum"


def _unproved(one: federation.Committed) -> Part:
    """A site that committed and delivered nothing."""
    return Part(one.site.hex(), one.commitment.hex(), one.consents.hex(), 0, "")


def _logged(value: dict[str, Any]) -> Logged:
    return Logged(told_of(value["told"]), int(value["opened"]), int(value["published"]))
