"""The demo's ten faults, committed for real: each must be refused where it should be, for its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from proofward.chain import Call, DispatchError
from proofward.chain.pallets import jobs
from proofward.client import Client, Job, OutputMismatch
from proofward.errors import ProofwardError
from proofward.protocol import SYSTEM_RANDOM, Level, ReceiptKey, job_id
from proofward.zkml import Artifact
from proofward_demo.attacker import Attacker, Solution, flip_bit

DEADLINE_BLOCKS = 25
"""Blocks that a job of the attacker's may take; the late result waits this long."""


class NotRefused(ProofwardError):
    """A fault went through, or was refused for another reason. The demo fails."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A fault, who refused it (`pallet`, `contract`, `client`), and the error as it came."""

    fault: str
    where: str
    error: str


@dataclass
class Faults:
    """Runs the faults with one attacker against one model (a Groth16 artefact of batch 1)."""

    client: Client
    attacker: Attacker
    artifact: Artifact
    model: bytes
    record: NDArray[np.float64]
    told: Callable[[Refusal], None]
    done: list[Refusal] = field(default_factory=list)
    _late: Solution | None = None

    def refused_quotes(self, old_block: int, somebody_else: bytes) -> None:
        """Four registrations that the pallet must refuse; then one that it cannot tell from an honest one."""
        make = self.attacker.registration
        attacks = (
            ("a quote with a flipped bit", "QuoteRejected", make(flip=True)),
            ("a quote under a foreign root", "UnknownRoot", make(foreign=True)),
            ("a quote with another account's report_data", "ReportDataMismatch", make(account=somebody_else)),
            ("a quote bound to a block that is too old", "BlockTooOld", make(block=old_block)),
        )
        for fault, error, call in attacks:
            self._pallet(fault, error, partial(self._send, call))
        self._send(make())
        self.attacker.serve(self.model)

    def wrong_receipt(self) -> None:
        """A right result under a receipt of another key; the same result waits to be late."""
        job = self._claimed_job()
        solution = self.attacker.solve(job.id, self.artifact)
        self._pallet(
            "a receipt signed by another key",
            "BadReceipt",
            lambda: self.attacker.complete(solution, ReceiptKey.generate()),
        )
        self._late = solution

    def wrong_proofs(self) -> None:
        """A proof with a flipped bit, and a good proof of another job."""
        job = self._claimed_job()
        first = self.attacker.solve(job.id, self.artifact)
        flipped = flip_bit(first.proof, len(first.proof) // 2)
        self._contract("a proof with a flipped bit", self.attacker.with_proof(first, flipped))
        other_job = self._claimed_job()
        second = self.attacker.solve(other_job.id, self.artifact)
        foreign = self.attacker.with_proof(second, first.proof, first.receipt.output_commitment)
        self._contract("a proof of another job", foreign)

    def wrong_output(self) -> None:
        """A good proof with other integers in the sealed output: the chain cannot see it, the client does."""
        job = self._claimed_job()
        solution = self.attacker.solve(job.id, self.artifact)
        receipt = self.attacker.complete(self.attacker.with_outputs(solution, solution.outputs + 1))
        if receipt.find("Jobs", "Accepted") is None:
            raise NotRefused("the chain was expected to accept a good proof")
        fault = "an output that does not open its commitment"
        try:
            self.client.open(job)
        except OutputMismatch as error:
            self._record(Refusal(fault, "client", f"OutputMismatch: {error}"))
        else:
            raise NotRefused(f"{fault}: the client opened it")

    def wrong_level(self) -> None:
        """A simulated worker claims a job that demands hardware."""
        job = self._submit_past_the_client(Level.HARDWARE)
        self._pallet(
            "a simulated worker on a job that demands hardware",
            "LevelTooLow",
            lambda: self.attacker.claim(job),
        )

    def late_result(self) -> None:
        """The right result of `wrong_receipt`, handed in when its deadline has passed."""
        if self._late is None:
            raise RuntimeError("wrong_receipt comes first")
        solution = self._late
        deadline = self.client.show(solution.job).record.deadline
        self.client.chain.wait_block(deadline + 1, timeout=120)
        self._pallet(
            "a result after the deadline", "DeadlinePassed", lambda: self.attacker.complete(solution)
        )

    # inside ---------------------------------------------------------------------------------------

    def _send(self, call: Call) -> None:
        self.client.chain.submit(call, self.attacker.keypair)

    def _claimed_job(self) -> Job:
        job = self.client.submit(
            self.model, self.record, recipients=[self.attacker.account], deadline=DEADLINE_BLOCKS
        )
        self.attacker.claim(job.id)
        return job

    def _submit_past_the_client(self, min_level: Level) -> bytes:
        """A job that `Client.submit` would not seal to this worker, put on the chain by hand."""
        nonce = SYSTEM_RANDOM(32)
        model = self.client.model(self.model)
        call = jobs.submit(
            model=self.model,
            nonce=nonce,
            sealed=SYSTEM_RANDOM(512),
            input_commitment=SYSTEM_RANDOM(32),
            recipients=[self.attacker.account],
            price=model.price,
            deadline=self.client.chain.finalised_head().number + DEADLINE_BLOCKS,
            min_level=min_level,
            allow_dev_setup=True,
        )
        self._send(call)
        return job_id(self.attacker.account, nonce)

    def _pallet(self, fault: str, expected: str, act: Callable[[], object]) -> None:
        try:
            act()
        except DispatchError as error:
            if error.name != expected:
                raise NotRefused(f"{fault}: expected {expected}, refused by {error}") from error
            self._record(Refusal(fault, "pallet", str(error)))
        else:
            raise NotRefused(f"{fault}: the pallet let it through")

    def _contract(self, fault: str, solution: Solution) -> None:
        receipt = self.attacker.complete(solution)
        event = receipt.find("Jobs", "Rejected")
        if event is None:
            raise NotRefused(f"{fault}: the contract let it through")
        bond = event.fields["bond_cut"]
        self._record(
            Refusal(fault, "contract", f"Jobs.Rejected: {event.fields['reason']}, bond of {bond} cut")
        )

    def _record(self, refusal: Refusal) -> None:
        self.done.append(refusal)
        self.told(refusal)
