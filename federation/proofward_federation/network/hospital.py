"""A hospital's process: it follows the chain, posts its consents, and answers each round of one study.

Records never leave it; what does is `Site.answer`'s, written down before it is sent, so that a hospital that
was stopped between commitment and delivery delivers the same bytes again.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from proofward.attestation import DEVELOPMENT_ROOTS, PRODUCTION_ROOTS, AttestationError
from proofward.chain import Call, DispatchError, Inclusion, SubstrateClient
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import federation, workers
from proofward.chain.pallets.attestation import batch
from proofward.chain.pallets.federation import RoundRecord, SiteRecord, StudyRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.client.workers import recheck
from proofward.errors import NotFound
from proofward.files import TooLong, read_stream, write_whole
from proofward.tables.errors import TableError
from proofward_federation.consents import Register
from proofward_federation.errors import FederationError, PolicyRefused
from proofward_federation.folder import read_site
from proofward_federation.network.ledger import announced, rules_of, weights_after
from proofward_federation.network.wire import MAX_TOLD, Delivery, TheStudy
from proofward_federation.site import RoundView, Site
from proofward_federation.spent import Ledger
from proofward_federation.study import Study

HTTP_SECONDS: Final = 60.0
TRIES: Final = 5
"""Of a delivery; a host that is gone is not waited for longer than the round."""
_NOT_YET: Final = frozenset({"aggregator-away", "not-committed", "other-consents"})
"""What the host says while its node is a block behind the hospital's."""
_QUOTED: Final = ("account", "level", "measurement", "hpke_key", "receipt_key", "epoch", "quote_hash")
"""Of a worker's record, what its quote shows."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What is kept of an answer: the delivery, in hexadecimal."""

    number: int
    commitment: str
    consents: str
    most: int
    proof: str
    sealed: str
    noise: str = ""
    """The round's, so that a study's number which is begun anew is not taken for the one before."""
    records: str = ""
    """The digest of the records, of a study of counts."""


class Hospital:
    """One hospital in one study. `measurement` (32 bytes) is the aggregator's software that it answers to;
    `development`: simulated quotes are believed.
    """

    def __init__(
        self,
        client: SubstrateClient,
        keypair: Signer,
        folder: Path,
        name: bytes,
        *,
        url: str,
        measurement: bytes,
        development: bool = False,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.client, self.folder, self.name = client, folder, name
        self.account = bytes(keypair.public_key)
        self._keypair, self._url, self._measurement, self._tell = keypair, url, measurement, tell
        self.site = self._read()
        self._roots = DEVELOPMENT_ROOTS if development else PRODUCTION_ROOTS
        self._shown: set[tuple[object, ...]] = set()
        """Registrations whose quotes were looked at: later the chain's node may have dropped that state."""
        self._done: set[int] = set()
        self.answered: list[int] = []
        self.refused: dict[int, str] = {}

    # ---- before the rounds --------------------------------------------------------------------

    def enter(self, budget: int) -> None:
        """Register the site's rules, post its consents, join the study for at most `budget` nano-rho.

        Raises PolicyRefused before anything is sent, FederationError, DispatchError.
        """
        record = announced(self.client, self.name)
        study, _ = self._asked(record)
        self.site.policy.admit(study)
        rules = rules_of(self.site.policy)
        there = federation.site(self.client, self.account)
        calls: list[Call] = []
        if there is None or there.rules != rules:
            calls.append(federation.register_site(rules))
            self._tell(f"registers its rules, policy 0x{rules.policy.hex()[:16]}…")
        consents = self._consents(study)
        if consents is not None:
            calls.append(consents)
        member = record.member(self.account)
        if member is None:
            raise FederationError("the researcher has not invited this account", code="not-invited")
        if not member.active or member.budget != budget:
            calls.append(federation.join(self.name, budget))
            self._tell(f"joins the study for at most {budget / 1e9:.6f} rho")
        if calls:
            receipt = self._send(batch(calls))  # all of it, or none
            if consents is not None:
                self.client.wait_block(receipt.block + 1)  # a tree counts from the next block on

    def post_consents(self, study: Study) -> None:
        """Have the tree of the live consents on the chain, as the register has them now."""
        call = self._consents(study)
        if call is not None:
            receipt = self._send(call)
            self._tell(f"posted the root of its consents (block {receipt.block})")
            self.client.wait_block(receipt.block + 1)  # it counts from the next block on

    def _consents(self, study: Study) -> Call | None:
        """The call that posts the live consents; None when they stand there."""
        self.site.consents = Register.load(self.folder / "consents.json")
        live = self.site.consents.live(study.purpose, int(time.time()))
        there = federation.site(self.client, self.account)
        known = None if there is None else there.consents
        if known is not None and (known.root, known.live) == (live.root, live.most):
            return None
        return federation.set_consents(live.root, live.most)

    # ---- rounds -------------------------------------------------------------------------------

    def run(self) -> None:
        """Answer rounds until the study had all of them, or is over. Raises FederationError, ChainError."""
        told = ""
        for _head in self.client.follow():
            found = federation.study(self.client, self.name)
            if found is None:
                return
            try:
                self.look(found)
            except (AggregatorAway, RecordsNotYet, ConsentsMoved, CommitmentTaken, PeersAway) as error:
                # tried again at the next block, while the round waits
                if error.message != told:
                    self._tell(error.message)
                told = error.message
            except (FederationError, PolicyRefused, DispatchError, TableError) as error:
                self._tell(f"takes no part in round {found.next - 1}: {error.message}")
                self.refused[found.next - 1] = error.message
                self._done.add(found.next - 1)
            if self._over(found):
                return

    def look(self, record: StudyRecord) -> None:
        """Answer the round that waits, if there is one and it was not answered."""
        number = record.next - 1
        if not record.open or number in self._done:
            return
        waiting = federation.round_of(self.client, self.name, number)
        if waiting is None or waiting.ending is not None:
            return
        ours = next((one for one in waiting.committed if one.site == self.account), None)
        kept = self._kept(number)
        if ours is not None:
            if kept is not None and bytes.fromhex(kept.commitment) == ours.commitment:
                self._deliver(kept)
                self.answered.append(number)
            self._done.add(number)
            return
        answered = self._on_its_way(record, waiting, kept) or self._answer(record, waiting)
        try:
            self._commit(answered)
        except DispatchError as error:
            if error.name == "BadCommitment":  # each is a point, so another site took this one for its own
                self._file(number).unlink(missing_ok=True)
                raise CommitmentTaken(
                    f"another site committed to this update of round {number} first: answers it anew"
                ) from None
            if error.name == "StaleConsents":
                raise ConsentsMoved(
                    f"the consents on the chain are others since round {number} was answered: answers it anew"
                ) from None
            if error.name != "CommittedAlready":
                raise
            return  # the block that has it is looked at next
        self._tell(f"round {number}: committed to its update")
        self.committed(number)
        self._deliver(answered)
        self.answered.append(number)
        self._done.add(number)

    def committed(self, number: int) -> None:
        """Between a commitment and its delivery; nothing, but for those who test what a death there does."""

    def _on_its_way(
        self, record: StudyRecord, waiting: RoundRecord, kept: Answered | None
    ) -> Answered | None:
        """An answer from before a death, whose commitment may come through yet: another one beside it would
        leave this site absent. None without one, and where a consent was given or taken back since.
        """
        if kept is None or kept.noise != waiting.noise.hex():
            return None
        study, _ = self._asked(record)
        stands = self._consents(study) is None  # the chain has the live ones
        there = self._registered().consents
        return kept if stands and there is not None and there.root.hex() == kept.consents else None

    def _answer(self, record: StudyRecord, waiting: RoundRecord) -> Answered:
        study, told = self._asked(record)
        aggregator = self._attested(record, waiting)
        if study.kind == "counts":
            self._read_anew(waiting.number)
        self.post_consents(study)
        view = self._view(record, waiting, aggregator, self._registered())
        weights = weights_after(study, federation.rounds(self.client, record), told.values)
        try:
            answer = self.site.answer(study, view, weights)
        except PolicyRefused as error:
            if error.code != "policy-peers":
                raise
            raise PeersAway(error.message) from None
        except FederationError as error:
            if study.kind != "counts" or error.code != "bad-records":
                raise
            raise RecordsNotYet(error.message) from None
        answered = Answered(
            waiting.number,
            answer.commitment.hex(),
            answer.consents.hex(),
            answer.most,
            answer.proof.hex(),
            answer.sealed.hex(),
            waiting.noise.hex(),
            self.site.digest.hex() if study.kind == "counts" else "",
        )
        write_whole(self._file(waiting.number), json.dumps(asdict(answered)).encode())
        return answered

    def _attested(self, record: StudyRecord, waiting: RoundRecord) -> WorkerRecord:
        """The aggregator's registration, whose keys, level and software its quote shows here: the node that
        tells of it could name a key of its own. Raises FederationError.
        """
        found = workers.get(self.client, record.aggregator)
        if found is None or found.measurement != self._measurement:
            raise FederationError(
                "the aggregator is not the software that this hospital answers to", code="other-measurement"
            )
        if found.receipt_key != waiting.receipt_key:
            raise FederationError(
                "the aggregator changed its keys since it began the round", code="other-keys"
            )
        keys = tuple(getattr(found, name) for name in _QUOTED)
        if keys not in self._shown:
            try:
                failed = [one for one in recheck(self.client, found, self._roots) if one.ok is not True]
            except (NotFound, AttestationError) as error:
                raise FederationError(
                    f"the aggregator's quote cannot be looked at: {error.message}", code="other-keys"
                ) from None
            if failed:
                raise FederationError(
                    f"the aggregator's quote does not show what the node tells: {failed[0].name}: "
                    f"{failed[0].detail}",
                    code="other-keys",
                )
            self._shown.add(keys)
        return found

    def _read_anew(self, number: int) -> None:
        """This period's records. Raises RecordsNotYet: those of a period before would be counted twice, and
        what is no table may be one in a moment.
        """
        try:
            self.site = self._read()
        except (FederationError, TableError) as error:
            raise RecordsNotYet(error.message) from None
        digest = self.site.digest.hex()
        before = [one for one in range(number) if (kept := self._kept(one)) and kept.records == digest]
        if before:
            raise RecordsNotYet(
                f"{self.folder} still holds the records of round {before[-1]}: put this period's there"
            )

    def _view(
        self,
        record: StudyRecord,
        waiting: RoundRecord,
        aggregator: WorkerRecord,
        here: SiteRecord,
    ) -> RoundView:
        return RoundView(
            genesis=self.client.genesis,
            study=self.name,
            rule=record.plan.rule,
            number=waiting.number,
            noise=waiting.noise,
            policy=here.rules.policy,
            spent=here.spent if here.year == federation.year(self.client) else 0,
            hpke_key=aggregator.hpke_key,
            level=aggregator.level,
            members=frozenset(one.site for one in record.members if one.active),
        )

    def _commit(self, answered: Answered) -> None:
        self._send(
            federation.commit(
                self.name,
                answered.number,
                commitment=bytes.fromhex(answered.commitment),
                consents=bytes.fromhex(answered.consents),
            )
        )

    def _deliver(self, answered: Answered) -> None:
        delivery = Delivery(
            study=self.name,
            number=answered.number,
            site=self.account,
            commitment=bytes.fromhex(answered.commitment),
            consents=bytes.fromhex(answered.consents),
            most=answered.most,
            proof=bytes.fromhex(answered.proof),
            sealed=bytes.fromhex(answered.sealed),
        )
        body = delivery.signed(self.client.genesis, self._keypair)
        for left in reversed(range(TRIES)):
            try:
                _request(self._url, "POST", "/rounds", body)
                return
            except FederationError as error:
                if left == 0 or error.code not in _NOT_YET:
                    raise
                time.sleep(0.5)

    def _told(self) -> TheStudy:
        return TheStudy.parse(_request(self._url, "GET", "/study"))

    def _asked(self, record: StudyRecord) -> tuple[Study, TheStudy]:
        """The study that the aggregator tells of, which is the chain's, and all that it tells. Raises
        AggregatorAway, FederationError.
        """
        told = self._told()
        study = Study.parse(told.document)
        if study.rule != record.plan.rule:
            raise FederationError("the aggregator tells of another study than the chain", code="other-study")
        announced(self.client, self.name, study)
        return study, told

    def _read(self) -> Site:
        return read_site(self.folder, self._keypair, ledger=Ledger(self.folder / "spent.json"))

    def _registered(self) -> SiteRecord:
        found = federation.site(self.client, self.account)
        if found is None:
            raise FederationError("this site is not registered", code="not-registered")
        return found

    def _over(self, record: StudyRecord) -> bool:
        spent = record.spent + record.rho > record.plan.budget
        return not record.open and (record.next >= record.plan.rounds or spent)

    def _file(self, number: int) -> Path:
        return self.folder / f"answer-{self.name.hex()[:16]}-{number}.json"

    def _kept(self, number: int) -> Answered | None:
        try:
            return Answered(**json.loads(self._file(number).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _send(self, call: Call) -> Inclusion:
        return self.client.submit(call, self._keypair)


class RecordsNotYet(FederationError):
    """A study of counts begins a period, and the folder has not its records: none, or those of one before."""

    code = "no-records-yet"


class ConsentsMoved(FederationError):
    """Another process of this site, in another study, posted a tree since; the round waits still."""

    code = "consents-moved"


class CommitmentTaken(FederationError):
    """Another member copied this site's commitment on its way: of two alike the chain takes the first."""

    code = "commitment-taken"


class PeersAway(FederationError):
    """Fewer of the site's peers take part than its rules want; another may join while the round waits."""

    code = "policy-peers"


class AggregatorAway(FederationError):
    """The host does not answer, or not now."""

    code = "aggregator-away"


def _request(url: str, method: str, path: str, body: bytes | None = None) -> bytes:
    """Raises AggregatorAway, and FederationError with the host's own code."""
    at = urlsplit(url)
    kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}.get(at.scheme)
    if kind is None or at.hostname is None:
        raise FederationError(f"{url!r} is no http:// or https:// address", code="bad-address")
    peer = kind(at.hostname, at.port, timeout=HTTP_SECONDS)
    try:
        peer.request(method, at.path.rstrip("/") + path, body)
        answer = peer.getresponse()
        data = read_stream(answer, MAX_TOLD)
    except (OSError, http.client.HTTPException) as error:
        raise AggregatorAway(f"the aggregator at {url} does not answer: {error}") from None
    except TooLong:
        raise FederationError(f"the aggregator at {url} tells too much", code="bad-study") from None
    finally:
        peer.close()
    if answer.status in (200, 204):
        return data
    if answer.status == 409:
        try:
            said = json.loads(data)
            raise FederationError(f"the aggregator refuses: {said['message']}", code=str(said["code"]))
        except (ValueError, TypeError, KeyError):
            pass
    raise AggregatorAway(f"the aggregator at {url} answers {answer.status}")
