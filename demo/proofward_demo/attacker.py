"""A worker with bad intentions, built from what anybody has: the library, and the simulator's public keys.

Under the development root anyone can claim any measurement, so this operator registers with an
honest-looking quote and keeps the enclave's keys himself. That is what level `simulated` cannot prevent.
What he can do with them is the demo's list of faults.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from proofward.chain import Call, Inclusion, SubstrateClient
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import jobs, models, workers
from proofward.protocol import (
    SYSTEM_RANDOM,
    HpkePrivateKey,
    JobContext,
    OutputContext,
    OutputPayload,
    Receipt,
    ReceiptKey,
    open_job,
    seal_output,
    sha256,
    sign_possession,
    sign_receipt,
    worker_report_data,
)
from proofward.zkml import Artifact
from proofward_enclave.measure import code_digest
from proofward_enclave.providers import dev_pki
from proofward_enclave.providers.dev_platform import DevPlatform, TdIdentity

EPOCH = 1


@dataclass(frozen=True, slots=True, repr=False)
class Solution:
    """A result that would be accepted, ready to be spoilt. `outputs`: int64 [batch, length]."""

    job: bytes
    receipt: Receipt
    sealed_output: bytes
    proof: bytes
    outputs: NDArray[np.int64]
    output_salt: bytes
    context: OutputContext
    reply_key: bytes
    records: int


class Attacker:
    """An operator who signs his own quotes. `keypair` pays for his extrinsics."""

    def __init__(self, client: SubstrateClient, keypair: Signer) -> None:
        self.client = client
        self.keypair = keypair
        self.account = bytes(keypair.public_key)
        self._hpke = HpkePrivateKey.generate()
        self._receipt_key = ReceiptKey.generate()
        self._platform = DevPlatform()
        self._identity = TdIdentity(mrtd=code_digest())

    def registration(
        self,
        *,
        block: int | None = None,
        account: bytes | None = None,
        foreign: bool = False,
        flip: bool = False,
    ) -> Call:
        """A `register` call, right in all but what the arguments say."""
        number = self.client.finalised_head().number if block is None else block

        def binding(whose: bytes) -> bytes:
            return worker_report_data(
                genesis=self.client.genesis,
                account=whose,
                hpke_key=self._hpke.public,
                receipt_key=self._receipt_key.public,
                epoch=EPOCH,
                block_hash=self.client.block_hash(number),
            )

        platform = DevPlatform(dev_pki.fresh()) if foreign else self._platform
        quote = platform.quote(binding(account or self.account), self._identity)
        if flip:
            quote = flip_bit(quote, len(quote) // 8)
        return workers.register(
            quote=quote,
            hpke_key=self._hpke.public,
            receipt_key=self._receipt_key.public,
            possession=sign_possession(binding(self.account), self._receipt_key),
            epoch=EPOCH,
            block=number,
            endpoint="attacker",
        )

    def serve(self, model: bytes) -> None:
        """Declare that he does jobs of a model, at any price. Raises DispatchError."""
        self.client.submit(workers.serve(model, 0), self.keypair)

    def claim(self, job: bytes) -> None:
        """Claim a job, on whatever bond. Raises DispatchError."""
        self.client.submit(jobs.claim(job, 2**128 - 1), self.keypair)

    def solve(self, job: bytes, artifact: Artifact) -> Solution:
        """Open a claimed job, prove it, and make everything that `complete` takes."""
        record = jobs.get(self.client, job)
        sealed = jobs.sealed(self.client, job)
        if record is None or sealed is None or not isinstance(record.status, jobs.Claimed):
            raise RuntimeError(f"job 0x{job.hex()} is not claimed")
        model = models.get(self.client, record.model)
        me = workers.get(self.client, self.account)
        if model is None or me is None:
            raise RuntimeError("the job's model or the attacker's registration is gone")
        inward = JobContext(self.client.genesis, job, record.client, record.model, record.input_commitment)
        payload = open_job(inward, sealed, self.account, {EPOCH: self._hpke})
        values = np.array(payload.values, dtype=np.int64).reshape(artifact.manifest.batch, -1)
        output_salt = SYSTEM_RANDOM(32)
        proof = artifact.prove(values, payload.input_salt, output_salt)
        context = OutputContext(
            self.client.genesis,
            job,
            record.model,
            self.account,
            record.input_commitment,
            proof.output_commitment,
        )
        sealed_output = self._seal(context, payload.records, proof.outputs, output_salt, payload.reply_key)
        receipt = Receipt(
            genesis=self.client.genesis,
            job=job,
            model=record.model,
            worker=self.account,
            weights_digest=model.weights_digest,
            input_commitment=record.input_commitment,
            output_commitment=proof.output_commitment,
            sealed_output_hash=sha256(sealed_output),
            proof_hash=sha256(proof.proof),
            level=me.level,
            setup=model.setup,
            block=record.status.claimed_at,
        )
        return Solution(
            job,
            receipt,
            sealed_output,
            proof.proof,
            proof.outputs,
            output_salt,
            context,
            payload.reply_key,
            payload.records,
        )

    @staticmethod
    def _seal(
        context: OutputContext, records: int, outputs: NDArray[np.int64], salt: bytes, reply_key: bytes
    ) -> bytes:
        flat = tuple(int(value) for value in outputs.reshape(-1))
        return seal_output(context, OutputPayload(records, flat, salt), reply_key)

    def with_proof(
        self, solution: Solution, proof: bytes, output_commitment: bytes | None = None
    ) -> Solution:
        """The same result with another proof, sealed and receipted for it."""
        commitment = output_commitment or solution.receipt.output_commitment
        context = replace(solution.context, output_commitment=commitment)
        sealed = self._seal(
            context, solution.records, solution.outputs, solution.output_salt, solution.reply_key
        )
        receipt = replace(
            solution.receipt,
            proof_hash=sha256(proof),
            output_commitment=commitment,
            sealed_output_hash=sha256(sealed),
        )
        return replace(solution, proof=proof, context=context, sealed_output=sealed, receipt=receipt)

    def with_outputs(self, solution: Solution, outputs: NDArray[np.int64]) -> Solution:
        """The same proof, with other integers in the sealed output."""
        sealed = self._seal(
            solution.context, solution.records, outputs, solution.output_salt, solution.reply_key
        )
        receipt = replace(solution.receipt, sealed_output_hash=sha256(sealed))
        return replace(solution, outputs=outputs, sealed_output=sealed, receipt=receipt)

    def complete(self, solution: Solution, key: ReceiptKey | None = None) -> Inclusion:
        """Hand a solution in under his receipt key, or another. Raises DispatchError."""
        call = jobs.complete(
            job=solution.job,
            sealed_output=solution.sealed_output,
            output_commitment=solution.receipt.output_commitment,
            proof=solution.proof,
            receipt_block=solution.receipt.block,
            receipt_signature=sign_receipt(solution.receipt, key or self._receipt_key),
        )
        return self.client.submit(call, self.keypair)


def flip_bit(data: bytes, position: int) -> bytes:
    """The bytes with the lowest bit of one of them turned over."""
    spoilt = bytearray(data)
    spoilt[position] ^= 1
    return bytes(spoilt)
