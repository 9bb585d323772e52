"""A proved model inside the trust domain: python -m proofward_gateway.proved CHAIN MODEL ARTIFACT SIGNER.

A process of its own under the gateway's, because a client of the chain and a verifier of proofs are large.
Each question becomes a job on the chain, sealed to workers whose quotes are verified here and whose software
the configuration names, so that no node hands the record to a key of its own. Its answer goes back only when
the proof has been verified here and both of its commitments open. Then it comes with the job's evidence.
A job that nobody claims in time is cancelled: its price comes back. What could open a job lies in memory
alone, and is deleted when its question has been answered, or not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiohttp import web

from proofward.chain import DispatchError
from proofward.client import Client, Job
from proofward.client.answer import examine
from proofward.client.collect import accepted_job, sealed_output
from proofward.client.errors import JobTimeout
from proofward.errors import ProofwardError, Refused
from proofward.evidence.proved import MEMBER, NoRecords, Opening, facts, records_of
from proofward.evidence.verdict import Outcome
from proofward.protocol import HpkePrivateKey, HpkeSuite
from proofward.zkml.lines import answer_lines
from proofward_enclave.hardening import harden
from proofward_gateway.process import PROVED_HEADER, announce, error_of, only_speaker, serve_app

_MEMORY: Final = Path("/dev/shm")


class Unproved(ProofwardError):
    """A job that ended without an answer that was proved and checked. Its text goes to the caller."""

    code = "unproved"


class NothingSent(ProofwardError):
    """No job was made of a question, and nothing sealed. Its text goes to the caller."""

    code = "nothing-sent"


class Proved:
    """One model of one chain, asked on an account of the operator's."""

    def __init__(self, client: Client, model: bytes, seconds: float) -> None:
        self._client, self._model, self._seconds = client, model, seconds
        self._submitting = threading.Lock()
        self.record = client.model(model)
        self._public, _ = client.honest_artifact(self.record, None)
        self.app = web.Application(client_max_size=16 << 20)
        self.app.router.add_post("/v1/chat/completions", self._chat)

    async def _chat(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
            if body.get("stream"):
                raise NoRecords("a proved answer is not streamed: it is there when it is proved")
            told, opening, bundle = await asyncio.to_thread(self._asked, body)
        except NoRecords as error:
            return error_of(error.message)
        except NothingSent as error:
            return error_of(f"no proved answer, and no job: {error.message}", status=503)
        except ProofwardError as error:
            return error_of(f"no proved answer: {error.message}", status=502)
        except (ValueError, AttributeError):
            return error_of("the request has a member of another kind than OpenAI's")
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": opening.text()},
        }
        value = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": str(body.get("model")),
            "choices": [choice],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            MEMBER: {"bundle": bundle},
        }
        return web.json_response(value, headers={PROVED_HEADER: json.dumps(told)})

    def _asked(self, body: dict[str, Any]) -> tuple[dict[str, Any], Opening, Any]:
        client, rows = self._client, records_of(body)
        with self._submitting:
            try:
                job = client.submit(self._model, rows, verify_workers=True)
            except Refused as error:
                raise NothingSent(error.message) from None
        try:
            self._await(job)
            bundle = client.bundle(job, inclusion=True)
            verdict = client.verdict(bundle)
            if verdict.outcome is not Outcome.ACCEPTED:
                raise Unproved(f"job {job}'s evidence is {verdict.word}")
            opening = self._opening(job.id, len(rows))
            return facts(bundle), opening, json.loads(bundle.model_dump_json())
        finally:
            client.store.forget(job.id)

    def _await(self, job: Job) -> None:
        """Until it is accepted. One that is late is cancelled if nobody holds it: else its worker is paid."""
        client = self._client
        try:
            found = client.wait(job, timeout=self._seconds)
        except JobTimeout as late:
            try:
                client.cancel(job)
            except DispatchError:
                raise Unproved(f"{late.message}; a worker holds it, and is paid if it delivers") from None
            raise Unproved(
                f"no worker claimed job {job} within {self._seconds:g} s: it is cancelled"
            ) from None
        if found.state != "accepted":
            raise Unproved(f"job {job} was {found.state}: no worker delivered in time")

    def _opening(self, job: bytes, records: int) -> Opening:
        """The output, checked against the proven commitment. Raises Unproved, NotFound."""
        client, public = self._client, self._public
        secrets_of = client.store.load(job)
        context, sealed = sealed_output(client.chain, *accepted_job(client.chain, job))
        key = HpkePrivateKey.from_bytes(HpkeSuite.X25519, bytes.fromhex(secrets_of.reply_secret))
        fault, payload = examine(public, context, sealed, key)
        if fault is not None or payload is None or payload.records != records:
            raise Unproved(f"job 0x{job.hex()}'s output does not open what was proved: {fault}")
        length = public.manifest.output.length
        flat = payload.values
        rows = tuple(tuple(flat[at : at + length]) for at in range(0, len(flat), length))
        real = np.array(rows[:records], dtype=np.int64)
        lines = answer_lines(public.output_names, public.decide(real), public.dequantize(real))
        return Opening(tuple(lines), rows, records, bytes.fromhex(secrets_of.input_salt), payload.output_salt)


def main() -> int:
    """Exit code 2, with a line of JSON, when the model cannot be asked."""
    parser = argparse.ArgumentParser(prog="python -m proofward_gateway.proved")
    parser.add_argument("chain", help="ws:// address of a node")
    parser.add_argument("model", help="its id on the chain, 0x and 64 hex digits")
    parser.add_argument("artifact", type=Path, help="folder of its public artefact")
    parser.add_argument("signer", help="key file of the account that pays")
    parser.add_argument("--genesis", required=True, help="the chain's, 0x and 64 hex digits")
    parser.add_argument("--measurement", action="append", required=True, help="software of its workers, 0x…")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--dev", action="store_true")
    options = parser.parse_args()
    harden()
    told = only_speaker()
    base = _MEMORY if _MEMORY.is_dir() else None
    try:
        with (
            tempfile.TemporaryDirectory(prefix="jobs-", dir=base) as state,
            Client(
                options.chain,
                options.signer,
                development=options.dev,
                artifacts=[options.artifact],
                state=state,
                measurements=[bytes.fromhex(one.removeprefix("0x")) for one in options.measurement],
            ) as client,
        ):
            if client.chain.genesis.hex() != options.genesis.removeprefix("0x"):
                raise Unproved(
                    f"{options.chain} is of chain 0x{client.chain.genesis.hex()}, not the one named"
                )
            proved = Proved(client, bytes.fromhex(options.model.removeprefix("0x")), options.seconds)
            digest = f"sha256:{proved.record.weights_digest.hex()}"
            asyncio.run(serve_app(proved.app, told, {"weights": digest}))
    except ProofwardError as error:
        announce(told, {"error": error.message[:500]})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
