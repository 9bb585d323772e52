"""The client: seal a record to attested workers, wait for the verdict, open the answer, verify all of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from proofward.amounts import UNIT
from proofward.attestation import DEVELOPMENT_ROOTS, PRODUCTION_ROOTS
from proofward.chain import Call, ChainError, DispatchError, Inclusion, Outbox, SubstrateClient, accounts
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import attestation as chain_attestation
from proofward.chain.pallets import jobs, models, workers
from proofward.chain.pallets.jobs import Accepted, JobRecord, Undelivered
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.client.answer import Answer, open_answer
from proofward.client.artifacts import Artifacts, require_contract, require_match
from proofward.client.collect import accepted_job, collect, sealed_output
from proofward.client.contest import contest, require_contestable, with_contest
from proofward.client.epochs import GoneKeys, gone
from proofward.client.errors import JobTimeout
from proofward.client.ids import hash32
from proofward.client.job import Demand, Job, Offer, Outcome, job_bytes, outcome
from proofward.client.options import DEFAULT_RECIPIENTS, SubmitOptions, require_known
from proofward.client.sealing import Owner, SealedJob, seal
from proofward.client.session import Session
from proofward.client.sessions import SessionOrder, connect_session, open_session
from proofward.client.store import JobSecrets, JobStore, default_directory
from proofward.client.workers import Choice, choose, recheck
from proofward.errors import NotFound, Refused
from proofward.evidence.bundle import Bundle, save_bundle
from proofward.evidence.policy import Certificate
from proofward.evidence.verify import Policy, Verdict, verify_bundle
from proofward.protocol import (
    HpkePrivateKey,
    HpkeSuite,
    Level,
    Setup,
    SetupKind,
)
from proofward.zkml import PublicArtifact
from proofward.zkml.hiding import require_hiding

MIN_DEADLINE_BLOCKS = 60
"""Least number of blocks until the deadline when the caller gives none."""
MAX_NAMED = 1_000
"""Models among which one is looked for by its name: anybody can make a chain have more."""
MOST_AT_ONCE = 4_096
TOGETHER = 128
"""Jobs that `Client.submit_many` takes; and those of them that go to the node together, with workers drawn
for each such lot: as many as land while an extrinsic lives, in blocks that others use as well.
"""
POLL_SECONDS = 0.2
"""Seconds between two looks at a job."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """What jobs of one model are submitted on. `deadline` in blocks from then on; `choose` draws workers,
    `wanted` of them; `offered` is told of each job.
    """

    record: ModelRecord
    public: PublicArtifact
    folder: Path
    demand: Demand
    deadline: int | None
    choose: Callable[[], list[Choice]]
    wanted: int
    offered: Callable[[Offer], None]


@dataclass(frozen=True, slots=True)
class _Order:
    """A sealed job that is not submitted yet, with `blocks` until its deadline."""

    terms: _Terms
    sealed: SealedJob
    offer: Offer
    blocks: int

    def call(self, head: int) -> tuple[str, Call]:
        """The outbox's key, and what puts the job into its model's queue at block `head`."""
        sealed, demand = self.sealed, self.terms.demand
        return f"submit:{sealed.context.job.hex()}", jobs.submit(
            model=sealed.context.model,
            nonce=sealed.nonce,
            sealed=sealed.sealed,
            input_commitment=sealed.context.input_commitment,
            recipients=list(self.offer.recipients),
            price=self.offer.price,
            deadline=head + self.blocks,
            min_level=demand.min_level,
            allow_dev_setup=demand.dev_setup,
        )

    def job(self, block: int, head: int) -> Job:
        """What its client knows of it once it is in a block."""
        context, seconds = self.sealed.context, {"seal": self.sealed.seconds}
        return Job(context.job, context.model, block, head + self.blocks, self.offer, seconds)


class Client:
    """A client of one chain. Use it as a context manager, or `close` it.

    Args:
        url: ws:// address of a node, or a chain that is open already, such as a light client's.
        signer: `//Name` (development) or the path of a key file (mode 0600); None for reading only.
        development: admit the development root, level `simulated` and `setup: dev`. Only where the chain
            itself says that it is a development chain, else Refused.
        artifacts: folders with public artefacts, or folders of such folders.
        measurements: software of workers (32 bytes each) that records may be sealed to and evidence rest on;
            their quotes are then verified before anything is sealed. Default: the chain's allow-list.
        state: where job secrets are kept; default `$PROOFWARD_STATE` or `~/.local/state/proofward`.

    Raises:
        ChainUnreachable, Refused, AccountError.
    """

    def __init__(
        self,
        url: str | SubstrateClient,
        signer: str | None = None,
        *,
        development: bool = False,
        artifacts: Sequence[str | Path] = (),
        state: str | Path | None = None,
        measurements: Collection[bytes] | None = None,
    ) -> None:
        self._keypair = None if signer is None else accounts.keypair_of(signer)
        self.chain = SubstrateClient.connect(url) if isinstance(url, str) else url
        self.development = development
        self._pinned = None if measurements is None else frozenset(measurements)
        if development and self.chain.chain_type != "Development":
            kind, where = self.chain.chain_type, self.chain.url
            self.chain.close()
            raise Refused(f"the chain at {where} is {kind}, not a development chain; leave out --dev")
        self.state = Path(state) if state is not None else default_directory()
        self.store = JobStore(self.state, self.chain.genesis)
        self.artifacts = Artifacts(Path(path) for path in artifacts)
        self._outbox: Outbox | None = None

    def close(self) -> None:
        """Close the connection."""
        self.chain.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def account(self) -> bytes:
        """The signer's account. Raises Refused without one."""
        return bytes(self._signer().public_key)

    @property
    def signer(self) -> Signer:
        """The key that signs. Raises Refused without one."""
        return self._signer()

    @property
    def min_level(self) -> Level:
        """The default least level: `hardware`, or `simulated` in development."""
        return Level.SIMULATED if self.development else Level.HARDWARE

    # submitting -----------------------------------------------------------------------------------

    def submit(self, model: str | bytes, x: ArrayLike, **options: Unpack[SubmitOptions]) -> Job:
        """Seal records to workers and put the job into its model's queue.

        Args:
            model: id (bytes or 0x hex) or, if only one unretired model has it, name.
            x: one record [features] or several [n, features], n up to the model's batch, in the model's own
            units.
            options: `SubmitOptions`, by name.

        Returns after the submission is finalised. Raises Refused, NotFound, NotHiding (the model's lane shows
        what is sealed), InputRangeError, DispatchError, ChainError (`finality-stalled`: nothing was sent).
        """
        terms = self._terms(model, options)
        order, head = self._ordered(terms, x, terms.choose()), self.chain.finalised_head().number
        key, call = self._written_down(order, head)
        return order.job(self.send(key, call).block, head)

    def submit_many(
        self, model: str | bytes, xs: Sequence[ArrayLike], **options: Unpack[SubmitOptions]
    ) -> list[Job | ChainError]:
        """As `submit`, for many jobs of one model, `MOST_AT_ONCE` at most: all are sealed first, then they go
        to the node many together, and share blocks.

        Gives, for each of `xs`, its job or the error that it met (DispatchError, ChainError) when the others
        went on. Raises what `submit` raises before anything is sent.
        """
        if len(xs) > MOST_AT_ONCE:
            raise Refused(f"{MOST_AT_ONCE} jobs at most are submitted at once, not {len(xs)}")
        terms = self._terms(model, options)
        orders = list[_Order]()
        for start in range(0, len(xs), TOGETHER):
            choices = terms.choose()
            orders += [self._ordered(terms, x, choices) for x in xs[start : start + TOGETHER]]
        found = list[Job | ChainError]()
        for start in range(0, len(orders), TOGETHER):
            found += self._put_together(orders[start : start + TOGETHER])
        return found

    def _terms(self, model: str | bytes, options: SubmitOptions) -> _Terms:
        require_known(options)
        self._signer()  # who has no account hears of that first
        min_level, dev_setup = options.get("min_level"), options.get("allow_dev_setup")
        demand = Demand(
            self.min_level if min_level is None else min_level,
            self.development if dev_setup is None else dev_setup,
            options.get("price"),
        )
        record, public, folder = self.open_model(model, options.get("artifact"), demand)
        if not options.get("uncontestable", False):
            require_contestable(public)
        self.chain.require_finality()
        wanted = options.get("recipients", DEFAULT_RECIPIENTS)
        verify = options.get("verify_workers", False)
        choose = partial(self.choose_workers, record.id, demand, wanted, verify=verify, floor=record.price)
        count = wanted if isinstance(wanted, int) else len(wanted)
        offered = options.get("offered", lambda _: None)
        return _Terms(record, public, folder, demand, options.get("deadline"), choose, count, offered)

    def _ordered(self, terms: _Terms, x: ArrayLike, choices: Sequence[Choice]) -> _Order:
        owner, record = Owner(self.chain.genesis, self.account), terms.record
        asked = terms.demand.price
        price = max(record.price, *(choice.price for choice in choices)) if asked is None else asked
        offer = Offer(price, tuple(choice.record.account for choice in choices), terms.wanted)
        terms.offered(offer)
        sealed = seal(terms.public, x, owner, record.id, [choice.record for choice in choices])
        blocks = self._deadline(record, len(choices)) if terms.deadline is None else terms.deadline
        return _Order(terms, sealed, offer, blocks)

    def open_model(
        self, which: str | bytes, artifact: str | Path | None, demand: Demand
    ) -> tuple[ModelRecord, PublicArtifact, Path]:
        """A model that takes such a job, with its artefact. Raises NotFound, Refused, NotHiding."""
        record = self.model(which)
        require_hiding(record.lane.label)
        public, folder = self.honest_artifact(record, artifact)
        self._require_setup(record.setup, demand)
        if record.retired:
            raise Refused(f"model 0x{record.id.hex()} is retired and takes no new jobs")
        if demand.price is not None and demand.price < record.price:
            offered = f"{demand.price / UNIT:g} UNIT"
            raise Refused(f"the model's price is {record.price / UNIT:g} UNIT, above {offered}")
        return record, public, folder

    def choose_workers(
        self,
        model: bytes,
        demand: Demand,
        wanted: Sequence[bytes] | int,
        *,
        verify: bool = False,
        last: Collection[bytes] = (),
        floor: int = 0,
    ) -> list[Choice]:
        """Workers that something of a model may be sealed to: those named, or so many. With `verify`, and
        where software is pinned, each one's quote is verified here: who fails is refused when he is named,
        and else others are drawn. Those of `last` are drawn when nobody else is left; `floor` is what the
        model costs anyway. Raises Refused, NotFound, AttestationError.
        """
        count, named = (wanted, None) if isinstance(wanted, int) else (1, list(wanted))
        check = self._verify_worker if verify or self._pinned is not None else None
        return choose(
            self.chain, model, demand.min_level, count, named,
            price=demand.price, floor=floor, pinned=self._pinned, last=last, check=check,
        )  # fmt: skip

    def require_key(self, worker: bytes, hpke_key: bytes) -> None:
        """Where software is pinned: `hpke_key` must be the one that this worker's quote, verified here,
        shows. Raises Refused.
        """
        if self._pinned is None:
            return
        record = workers.get(self.chain, worker)
        if record is None or record.hpke_key != hpke_key or record.measurement not in self._pinned:
            raise Refused(
                f"worker {accounts.ss58(worker)} does not show this key in software that is pinned here",
                code="worker-refused",
            )
        self._verify_worker(record)

    def _written_down(self, order: _Order, head: int) -> tuple[str, Call]:
        """What puts a job into its model's queue, when what opens its answer is on the disk."""
        self.store.save(order.sealed.secrets(order.terms.record.manifest_hash, order.terms.folder))
        return order.call(head)

    def _put_together(self, orders: Sequence[_Order]) -> list[Job | ChainError]:
        """Put sealed jobs into their model's queue; returns when each is final or has failed."""
        head = self.chain.finalised_head().number
        wanted = [self._written_down(order, head) for order in orders]
        with contextlib.suppress(ChainError):  # each one learns of it by itself
            self._open_outbox().hand_over(wanted, self._signer())
        found = list[Job | ChainError]()
        for order, (key, call) in zip(orders, wanted, strict=True):
            try:
                found.append(order.job(self.send(key, call).block, head))
            except ChainError as error:
                found.append(error)
        return found

    def _deadline(self, model: ModelRecord, recipients: int) -> int:
        """Blocks in which every recipient could hold the job once, one after the other."""
        wanted = max(MIN_DEADLINE_BLOCKS, (recipients + 1) * model.claim_blocks)
        return min(wanted, int(self.chain.constant("Jobs", "MaxDeadline")))

    def model(self, which: str | bytes) -> ModelRecord:
        """A model, by id or by a name that only one unretired model has, while the chain has few.

        Raises NotFound, Refused (several of that name, or more models than are looked through).
        """
        if isinstance(which, bytes) or which.startswith("0x"):
            name = hash32(which, "model")
            record = models.get(self.chain, name)
            if record is None:
                raise NotFound(f"the chain has no model 0x{name.hex()}")
            return record
        found = models.named(self.chain, which, MAX_NAMED)
        if found is None:
            raise Refused(
                f"the chain has more than {MAX_NAMED} models: a name is not looked for among so many; "
                f"give the id of {which!r}"
            )
        if not found:
            raise NotFound(f"the chain has no model named {which!r}; see `proofward model list`")
        if len(found) > 1:
            ids = ", ".join(f"0x{record.id.hex()}" for record in found)
            raise Refused(f"{len(found)} models are named {which!r}; names prove nothing, give an id: {ids}")
        return found[0]

    def honest_artifact(
        self, record: ModelRecord, artifact: str | Path | None
    ) -> tuple[PublicArtifact, Path]:
        """A model's public artefact and its folder, checked against the chain's record. Raises NotFound,
        Refused.
        """
        if artifact is not None and self.artifacts.add(Path(artifact)).manifest_hash != record.manifest_hash:
            raise Refused(f"the artefact in {artifact} is not the one of model 0x{record.id.hex()}")
        public, folder = self.artifacts.find(record.manifest_hash)
        require_match(public, record)
        require_contract(self.chain, record.lane)
        return public, folder

    @staticmethod
    def _require_setup(setup: Setup, demand: Demand) -> None:
        attested = setup.level is not None and setup.level >= demand.min_level
        if setup.kind is not SetupKind.CEREMONY and not attested and not demand.dev_setup:
            raise Refused(
                f"the model's setup is {setup.label}: whoever made its keys could forge proofs; admit it "
                "with --dev on a development chain, or with allow_dev_setup",
                code="dev-setup",
            )

    def _verify_worker(self, worker: WorkerRecord) -> None:
        roots = DEVELOPMENT_ROOTS if self.development else PRODUCTION_ROOTS
        for check in recheck(self.chain, worker, roots):
            if check.ok is not True:
                raise Refused(
                    f"worker {accounts.ss58(worker.account)} fails our own check, {check.name}: "
                    f"{check.detail}",
                    code="worker-refused",
                )

    # sessions -------------------------------------------------------------------------------------

    def session(
        self,
        model: str | bytes,
        *,
        artifact: str | Path | None = None,
        order: SessionOrder | None = None,
        resume: bytes | str | None = None,
    ) -> Session:
        """A session with a worker, for `with client.session("ecg") as s: s.infer(x)`; it is closed at the
        end.

        Args:
            model: id, or name.
            artifact: folder of the model's public artefact, unless `artifacts` holds it.
            order: escrow, price, rate of sampling and so on; the defaults are `SessionOrder`'s.
            resume: the id of a session of one's own to go on with, instead of a new one.

        Raises Refused, NotFound, NotHiding, SessionError, DispatchError, ChainError.
        """
        if resume is None:
            name = open_session(self, model, order or SessionOrder(), artifact).id
        else:
            name = hash32(resume, "session")
        return connect_session(self, name, artifact=artifact, close_on_exit=True)

    # waiting --------------------------------------------------------------------------------------

    def show(self, job: Job | str | bytes) -> Outcome:
        """Where a job stands now. Raises NotFound."""
        name = job_bytes(job)
        record = jobs.get(self.chain, name)
        if record is None:
            raise NotFound(
                f"the chain has no job 0x{name.hex()}; one that ended long ago is forgotten, and only block "
                "history shows it"
            )
        accepted = isinstance(record.status, Accepted)
        return outcome(name, record, jobs.contested(self.chain, name) if accepted else None)

    def look(self, job: Job | str | bytes) -> Outcome | None:
        """As `show`; None when the chain has no such job (any more)."""
        try:
            return self.show(job)
        except NotFound:
            return None

    def wait(
        self,
        job: Job | str | bytes,
        *,
        timeout: float | None = None,
        expire: bool = True,
        progress: Callable[[Outcome], None] | None = None,
    ) -> Outcome:
        """Wait until a job is accepted or refunded; past its deadline the refund is called for.

        Args:
            timeout: seconds of the caller's clock; None waits as long as the chain moves.
            expire: whether to send `expire` (it costs a fee, and needs a signer).
            progress: told of each change of state.

        Raises NotFound, JobTimeout.
        """
        name = job_bytes(job)
        end = None if timeout is None else time.monotonic() + timeout
        last: str | None = None
        while True:
            found = self.show(name)
            key = f"{found.state}{found.worker!r}"
            if progress is not None and key != last:
                progress(found)
            last = key
            if found.ended:
                return found
            if expire and self._keypair is not None and self._over(found.record):
                self._expire(name)
                continue
            if end is not None and time.monotonic() > end:
                raise JobTimeout(
                    f"job 0x{name.hex()} is still {found.state} after {timeout:g} s; its deadline is "
                    f"block {found.record.deadline}"
                )
            time.sleep(POLL_SECONDS)

    def _over(self, record: JobRecord) -> bool:
        """Whether nobody can deliver any more: the deadline has passed, or no recipient may do it."""
        return record.is_exhausted or self.chain.finalised_head().number > record.deadline

    def _expire(self, job: bytes) -> None:
        try:
            self.chain.submit(jobs.expire(job), self._signer())
        except DispatchError:
            if not self.show(job).ended:  # else somebody else called for it in the same block
                raise

    def cancel(self, job: Job | str | bytes) -> Outcome:
        """End a job of one's own that no worker has claimed; price and deposits come back. Raises NotFound,
        DispatchError (AlreadyClaimed, NotOpen, NotClient), ChainError.
        """
        name = job_bytes(job)
        self.show(name)
        self.send(f"cancel:{name.hex()}", jobs.cancel(name))
        return self.show(name)

    def keys_gone(self, job: Job | str | bytes) -> list[GoneKeys]:
        """The recipients of an open job that have no longer the keys that it is sealed to, by their epochs on
        the chain. None of one that ended: nobody has to open it any more. Raises NotFound.
        """
        name = job_bytes(job)
        record = self.show(name).record
        sealed = jobs.sealed(self.chain, name) if record.is_open else None
        if sealed is None:
            return []
        found = workers.many(self.chain, record.recipients)
        return gone(record, sealed, {account: worker.epoch for account, worker in found.items()})

    def submit_again(
        self, job: Job | str | bytes, x: ArrayLike, *, artifact: str | Path | None = None
    ) -> Job:
        """End a job of one's own that nobody has claimed, if it is open still, and submit the same records on
        the same terms to workers of now, sealed to their present keys; those that declined or failed it are
        chosen when nobody else can take it.

        Raises Refused: it is claimed or accepted, or `x` is not its input (its commitment says so); and what
        `submit` and `cancel` raise. The earlier job is ended even if the new submission fails.
        """
        name = job_bytes(job)
        found, secrets = self.show(name), self.store.load(name)
        if found.state in ("claimed", "accepted"):
            raise Refused(
                f"job 0x{name.hex()} is {found.state}: it is submitted again only when nobody works it"
            )
        public = self.artifact_of(secrets, artifact)
        values = public.pad(public.quantize(np.atleast_2d(np.asarray(x, dtype=np.float64))))
        commitment = public.commit_input(values, bytes.fromhex(secrets.input_salt))
        if commitment.hex() != secrets.input_commitment:
            raise Refused(
                f"these records are not the input of job 0x{name.hex()}: submit them as a job of their own"
            )
        if not found.ended:
            self.cancel(name)
        record = found.record
        demand = Demand(record.min_level, record.allow_dev_setup, record.price)
        last = (*record.declined_by, *record.rejected_by)
        wanted = len(record.recipients)
        choices = self.choose_workers(record.model, demand, wanted, last=last)
        again = self.submit(
            record.model,
            x,
            artifact=artifact or secrets.artifact,
            price=record.price,
            min_level=record.min_level,
            allow_dev_setup=record.allow_dev_setup,
            recipients=[choice.record.account for choice in choices],
            uncontestable=True,  # whose risk it is has chosen already
        )
        return replace(again, offer=replace(again.offer, wanted=wanted))

    # opening and verifying ------------------------------------------------------------------------

    def open(self, job: Job | str | bytes, *, artifact: str | Path | None = None) -> Answer:
        """Fetch, unseal and check a job's output; needs the secrets that `submit` stored.

        Raises:
            OutputMismatch: the output does not open the commitment that the proof is about.
            NotFound, Refused, JobRefunded: nothing to open.
        """
        name = job_bytes(job)
        secrets = self.store.load(name)
        record, verdict = accepted_job(self.chain, name)
        context, sealed = sealed_output(self.chain, record, verdict)
        public = self.artifact_of(secrets, artifact)
        key = HpkePrivateKey.from_bytes(HpkeSuite.X25519, bytes.fromhex(secrets.reply_secret))
        return open_answer(public, context, sealed, key, secrets.records)

    def contest(self, job: Job | str | bytes, *, artifact: str | Path | None = None) -> Undelivered:
        """Show the chain that a job's result does not open: the worker loses a part of its stake, of which
        the client has a part. It reveals the reply key of this one job; whether the result opens is found out
        here first, and one that does is not contested.

        Raises Refused (`output-opens`, `contest-over`, `not-contestable`), NotFound, JobRefunded,
        DispatchError, ChainError.
        """
        name = job_bytes(job)
        self._signer()
        secrets = self.store.load(name)
        public, key = self.artifact_of(secrets, artifact), bytes.fromhex(secrets.reply_secret)
        return contest(self.chain, self.send, name, public, key)

    def artifact_of(self, secrets: JobSecrets, artifact: str | Path | None) -> PublicArtifact:
        """The public artefact of a job's model, in `artifact` or where it lay. Raises NotFound, Refused."""
        wanted = bytes.fromhex(secrets.manifest_hash)
        hint = artifact or secrets.artifact
        if hint is not None and Path(hint).is_dir():
            self.artifacts.add(Path(hint))
        return self.artifacts.find(wanted)[0]

    def bundle(
        self, job: Job | str | bytes, *, artifact: str | Path | None = None, out: Path | None = None,
        inclusion: bool = False,
    ) -> Bundle:  # fmt: skip
        """A job's evidence as a bundle, written to `out` when given: then with the chain's proof of its
        state, where the chain finalises by GRANDPA, which may take some blocks.

        Raises NotFound, Refused, JobRefunded, BundleError.
        """
        name = job_bytes(job)
        record, _ = accepted_job(self.chain, name)
        model = self.model(record.model)
        if artifact is None:
            try:
                artifact = self.store.load(name).artifact
            except NotFound:
                artifact = None
        if artifact is not None and Path(artifact).is_dir():
            self.artifacts.add(Path(artifact))
        public, _ = self.artifacts.find(model.manifest_hash)
        bundle = collect(self.chain, name, public, inclusion=inclusion or out is not None)
        if out is not None:
            save_bundle(bundle, out)
        return bundle

    def verify(
        self, job: Job | str | bytes, *, artifact: str | Path | None = None, policy: Policy | None = None
    ) -> Verdict:
        """Verify a job's quote, binding, receipt, proof, contract, setup and level from the chain's bytes.

        The chain is pinned to the one connected to, and measurements to its allow-list, unless `policy`
        says otherwise.
        """
        return self.verdict(self.bundle(job, artifact=artifact), policy)

    def verdict(self, bundle: Bundle, policy: Policy | None = None) -> Verdict:
        """As `verify`, of evidence that is here already."""
        return with_contest(self.chain, verify_bundle(bundle, policy or self.policy(bundle.job.model)))

    def policy(self, model: bytes) -> Policy:
        """What `verify` accepts here of a model's jobs: this chain, the measurements that are pinned, or else
        those on its allow-list, a ceremony if it certifies one, and `development` as asked for.
        """
        make = Policy.for_development if self.development else Policy
        pinned = self._pinned
        if pinned is None:
            pinned = frozenset(chain_attestation.measurements(self.chain))
        record = models.get(self.chain, model)
        ceremony = record is not None and record.setup.kind is SetupKind.CEREMONY
        certified = record.evidence_hash if record is not None and ceremony else None
        return make(
            genesis=self.chain.genesis,
            measurements=pinned,
            certified={} if certified is None else {model: Certificate(certified, self.chain.witness)},
            witness=self.chain.witness,
        )

    # inside ---------------------------------------------------------------------------------------

    def _signer(self) -> Signer:
        if self._keypair is None:
            raise Refused(
                "this needs an account; give one with --signer (//Name on a development chain, or a key file)"
            )
        return self._keypair

    def send(self, key: str, call: Call) -> Inclusion:
        """Make a call happen once under `key`, signed by the client's account; where it stands when that is
        final. Raises Refused, DispatchError, ChainError.
        """
        return self._open_outbox().send(key, call, self._signer()).raise_for_error()

    def _open_outbox(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self.store.directory / "outbox.sqlite", self.chain)
        return self._outbox
