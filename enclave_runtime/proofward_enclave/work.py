"""One job inside the enclave: open, check, infer, prove, verify, seal, sign.

What goes back to the host is ciphertext, a proof, commitments and codes. Messages about the payload never
say more than the code does: which record or value was at fault is the client's secret.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import cbor2
import numpy as np
from numpy.typing import NDArray

from proofward.protocol import (
    SYSTEM_RANDOM,
    JobPayload,
    Level,
    OutputContext,
    OutputPayload,
    ProtocolError,
    RandomSource,
    Receipt,
    SetupKind,
    bounds,
    decode_envelope,
    job_id,
    open_envelope,
    reply_nonce,
    seal_output,
    sha256,
    sign_receipt,
)
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.requests import JobRequest
from proofward.zkml import Artifact, InputRangeError, Proof, ProvingError
from proofward.zkml.hiding import NotHiding, require_hiding
from proofward_enclave.epochs import Epoch, Epochs
from proofward_enclave.models import ModelStore

Integers = NDArray[np.int64]
T = TypeVar("T")

BUCKETS: Final = (0.0625, 0.25, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
"""Seconds: what crosses the boundary about the time that a stage took."""

PASSING: Final = frozenset({"prover-timeout"})
"""Failures of a prover that say something about the machine, not about the key and the witness."""


@dataclass(frozen=True, slots=True, repr=False)
class _Opened:
    """A job whose envelope opened and whose input is what the chain holds a commitment to."""

    artifact: Artifact
    epoch: Epoch
    payload: JobPayload
    values: Integers


class JobRunner:
    """Runs jobs with the enclave's keys and models. Blocking: call it off the event loop, one job at a
    time.
    """

    def __init__(
        self, epochs: Epochs, models: ModelStore, *, simulated: bool, random: RandomSource = SYSTEM_RANDOM
    ) -> None:
        self._epochs = epochs
        self._models = models
        self._simulated = simulated
        self._random = random

    def inspect(self, job: JobRequest, envelope: bytes) -> dict[str, Any]:
        """Whether `work` would accept the job, before a bond is risked on it: {records}, the model's batch.

        How many of the rows are real stays the client's secret. For a job that was worked already, `block` is
        besides the one that its receipt names. Raises EnclaveError as `work` does before it proves.
        """
        opened = self._open(job, envelope)
        _clear(opened.values)
        self._check_reply_key(job, opened)
        block = opened.epoch.ledger.worked(_key(job))
        found = {"records": opened.artifact.manifest.batch}
        return found if block is None else {**found, "block": block}

    def work(self, job: JobRequest, envelope: bytes, block: int) -> dict[str, Any]:
        """Do the job: {sealed_output, output_commitment, proof, receipt_signature, block, seconds}.

        The same job and envelope give the same bytes for as long as the epoch lives in this process, with the
        receipt of the first time: `block` is the one that it names. Behind a restart with kept keys they give
        another proof of the same commitments. `seconds` are upper bounds, see `coarse`.

        Raises EnclaveError: oversize, malformed-envelope, not-a-recipient, unknown-epoch, wrong-binding,
        unknown-model, model-quarantined, lane-not-hiding, unsupported-setup, input-out-of-range,
        commitment-mismatch, already-worked, epoch-full, prover-failed.
        """
        watch = _Stopwatch()
        opened = watch.time("open", lambda: self._open(job, envelope))
        try:
            self._check_reply_key(job, opened)
            return self._once(job, envelope, opened, lambda: self._make(job, opened, block, watch), block)
        finally:
            _clear(opened.values)

    def _once(
        self,
        job: JobRequest,
        envelope: bytes,
        opened: _Opened,
        make: Callable[[], dict[str, Any]],
        block: int,
    ) -> dict[str, Any]:
        ledger, key = opened.epoch.ledger, _key(job)
        found = ledger.begin(key, _request_digest(job, envelope), block)
        if found is not None:
            return found
        try:
            result = make()
        except EnclaveError as error:
            ledger.end(key, error)
            raise
        ledger.end(key, result)
        return result

    def _make(self, job: JobRequest, opened: _Opened, block: int, watch: _Stopwatch) -> dict[str, Any]:
        salt = opened.epoch.salt(_key(job)) or self._random(bounds.SALT_LENGTH)
        try:
            inferred = watch.time("infer", lambda: _infer(opened))
            proof = watch.time("prove", lambda: _prove(opened, salt))
            watch.time("verify_local", lambda: _check_proof(job, opened, inferred, proof, salt))
        except ProvingError as error:
            if error.code not in PASSING:
                self._models.quarantine(job.manifest_hash)
            raise EnclaveError("no proof was made", code="prover-failed") from None
        sealed = watch.time("seal", lambda: self._seal(job, opened, proof, salt))
        receipt = Receipt(
            genesis=job.context.genesis,
            job=job.context.job,
            model=job.context.model,
            worker=job.worker,
            weights_digest=job.weights_digest,
            input_commitment=job.context.input_commitment,
            output_commitment=proof.output_commitment,
            sealed_output_hash=sha256(sealed),
            proof_hash=sha256(proof.proof),
            level=job.level,
            setup=job.setup,
            block=block,
        )
        return {
            "sealed_output": sealed,
            "output_commitment": proof.output_commitment,
            "proof": proof.proof,
            "receipt_signature": in_protocol(lambda: sign_receipt(receipt, opened.epoch.receipt)),
            "block": block,
            "seconds": watch.seconds,
        }

    def _open(self, job: JobRequest, envelope: bytes) -> _Opened:
        epochs = self._epochs.of(job.context.genesis, job.worker)
        if self._simulated and job.level is not Level.SIMULATED:
            raise EnclaveError(
                "a simulated enclave signs receipts of level simulated only", code="wrong-binding"
            )
        artifact = self._models.get(job.manifest_hash)
        check_hiding(artifact)
        _check_model(job, artifact)
        _check_setup(job, artifact)
        taken = in_protocol(lambda: decode_envelope(envelope))
        keys = {number: epoch.hpke for number, epoch in epochs.items()}
        payload = in_protocol(lambda: open_envelope(job.context, taken, job.worker, keys))
        values = _values(payload, artifact)
        try:
            commitment = artifact.public.commit_input(values, payload.input_salt)
        except InputRangeError:
            raise EnclaveError(
                "the input is outside of what the model's circuit takes", code="input-out-of-range"
            ) from None
        if commitment != job.context.input_commitment:
            raise EnclaveError("the input does not open the job's commitment", code="commitment-mismatch")
        return _Opened(artifact, epochs[taken.recipient(job.worker).epoch], payload, values)

    def _check_reply_key(self, job: JobRequest, opened: _Opened) -> None:
        """A reply key that nothing can be sealed to would cost the worker a proof; one that the job's id does
        not commit to, its stake: its client could say that the output was to be sealed to another.
        """
        context = _output_context(job, bytes(bounds.HASH_LENGTH))
        empty = OutputPayload(0, (), bytes(bounds.SALT_LENGTH))
        reply_key = opened.payload.reply_key
        in_protocol(lambda: seal_output(context, empty, reply_key))
        # The chain judges a contest by the key that the job's id commits to.
        if job_id(job.context.client, reply_nonce(reply_key)) != job.context.job:
            raise EnclaveError(
                "the job's id does not commit to the reply key of its envelope", code="commitment-mismatch"
            )

    def _seal(self, job: JobRequest, opened: _Opened, proof: Proof, salt: bytes) -> bytes:
        flat = tuple(int(value) for value in proof.outputs.reshape(-1))
        payload = OutputPayload(opened.payload.records, flat, salt)
        context = _output_context(job, proof.output_commitment)
        return in_protocol(lambda: seal_output(context, payload, opened.payload.reply_key))


def _check_model(job: JobRequest, artifact: Artifact) -> None:
    """The model that the client sealed for is the one that is loaded: its id is recomputed from the
    artefact.
    """
    weights = bytes.fromhex(artifact.manifest.weights_digest)
    if artifact.public.model_id(job.publisher) != job.context.model or weights != job.weights_digest:
        raise EnclaveError(
            "the job's model is not the loaded artefact with that manifest", code="wrong-binding"
        )


def check_hiding(artifact: Artifact) -> None:
    """What was sealed must not be readable in the proof. Raises EnclaveError."""
    try:
        require_hiding(artifact.manifest.lane)
    except NotHiding as error:
        raise EnclaveError(error.message, code=error.code) from None


def _check_setup(job: JobRequest, artifact: Artifact) -> None:
    """A receipt names no better origin of the keys than the manifest in here, which the model's id binds.

    More the enclave cannot know: the publisher wrote the manifest, and the level of an attested setup is the
    host's word. Who reads a receipt looks at the setup's own quote or transcript.
    """
    said = artifact.manifest.setup
    if job.setup.kind not in (SetupKind.DEV, SetupKind.from_label(said)):
        raise EnclaveError(
            f"the artefact's manifest says setup: {said}; no receipt is signed that says {job.setup.label}",
            code="unsupported-setup",
        )


def _values(payload: JobPayload, artifact: Artifact) -> Integers:
    """The payload's integers as [batch, features]. Raises EnclaveError(malformed-envelope)."""
    batch = artifact.manifest.batch
    features = int(np.prod(artifact.manifest.input.shape))
    if not 1 <= payload.records <= batch or len(payload.values) != batch * features:
        raise EnclaveError("the payload has not the shape that the model takes", code="malformed-envelope")
    return np.array(payload.values, dtype=np.int64).reshape(batch, features)


def _infer(opened: _Opened) -> Integers:
    try:
        return opened.artifact.infer(opened.values)
    except InputRangeError:
        raise ProvingError("the model could not be run on this input") from None


def _prove(opened: _Opened, salt: bytes) -> Proof:
    try:
        return opened.artifact.prove(opened.values, opened.payload.input_salt, salt)
    except InputRangeError:
        raise ProvingError("the prover does not take this input") from None


def _check_proof(job: JobRequest, opened: _Opened, inferred: Integers, proof: Proof, salt: bytes) -> None:
    """Nothing is signed that the chain would reject, or that a client could contest there."""
    commitment = job.context.input_commitment
    sound = (
        proof.input_commitment == commitment
        and _opens(opened, proof, salt)
        and len(proof.output_commitment) == bounds.HASH_LENGTH
        and len(proof.proof) <= bounds.MAX_PROOF
        and np.array_equal(proof.outputs, inferred)
        and opened.artifact.public.verify_made(commitment, proof.output_commitment, proof.proof)
    )
    if not sound:
        raise ProvingError("the proof does not verify here")


def _opens(opened: _Opened, proof: Proof, salt: bytes) -> bool:
    """Whether the manifest's own description of the outputs, by which the chain judges a contest, gives the
    commitment that the circuit gave.
    """
    try:
        return opened.artifact.public.commit_output(proof.outputs, salt) == proof.output_commitment
    except InputRangeError:
        return False


def _key(job: JobRequest) -> bytes:
    """What a job is remembered by: all that its envelope is bound to, and nothing that a host can vary."""
    context = job.context
    parts = context.genesis, context.job, context.client, context.model, context.input_commitment, job.worker
    return sha256(b"".join(parts))


def _request_digest(job: JobRequest, envelope: bytes) -> bytes:
    return sha256(cbor2.dumps(job.encode()) + sha256(envelope))


def _output_context(job: JobRequest, output_commitment: bytes) -> OutputContext:
    return OutputContext(
        genesis=job.context.genesis,
        job=job.context.job,
        model=job.context.model,
        worker=job.worker,
        input_commitment=job.context.input_commitment,
        output_commitment=output_commitment,
    )


def in_protocol(action: Callable[[], T]) -> T:
    """What `action` gives; what the protocol refuses, the enclave refuses. Raises EnclaveError."""
    try:
        return action()
    except ProtocolError as error:
        raise EnclaveError(error.message, code=error.code) from None


def _clear(values: Integers) -> None:
    """Overwrite the plaintext in reach; Python's own integers and the libraries' copies are not."""
    values.fill(0)


def coarse(seconds: float) -> float:
    """An upper bound, one of a few: how long a stage took exactly could tell what it worked on."""
    return next((bound for bound in BUCKETS if seconds <= bound), math.inf)


class _Stopwatch:
    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def time(self, name: str, action: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return action()
        finally:
            self._seconds[name] = time.perf_counter() - started

    @property
    def seconds(self) -> dict[str, float]:
        return {name: coarse(value) for name, value in self._seconds.items()}
