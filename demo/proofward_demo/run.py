"""The main job from end to end with real parts: chain, enclaves, quotes, proofs, contracts, and faults."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from proofward.amounts import UNIT
from proofward.chain import SubstrateClient, accounts
from proofward.chain.outbox import Outbox
from proofward.chain.pallets import attestation, jobs, workers
from proofward.chain.pallets.models import ModelRecord, Terms
from proofward.client import Client, Job, Outcome
from proofward.devnet.chains import Devnet
from proofward.errors import ProofwardError
from proofward.protocol import sha256, weights_digest
from proofward.publisher.publish import publish
from proofward.zkml import Artifact, ArtifactError, CompileOptions, Evaluation, compile_model, load_artifact
from proofward_demo.attacker import Attacker
from proofward_demo.data import DemoModel, train
from proofward_demo.faults import DEADLINE_BLOCKS, Faults, NotRefused
from proofward_demo.processes import Worker
from proofward_demo.report import Report
from proofward_enclave.measure import simulated_measurement

CLAIM_BLOCKS = {"mlp": 12, "logistic": 40}
"""Blocks after which a claim lapses: short for the model for which the demo kills a worker and waits for it.
"""
LANE: Literal["groth16"] = "groth16"
"""The only lane whose proofs hide what they are about, so the only one that a sealed job takes."""
BOND = 10**11
"""What a worker puts down for a claim: the least that the chain takes."""
PRICE = 2 * UNIT
AGE_BLOCKS = 260
"""Blocks of age that the chain is given first, so that one of them is too old for a quote."""
SUDO, PUBLISHER, HOSPITAL = "//Alice", "//Bob", "//Charlie"
FIRST_WORKER, SECOND_WORKER, ATTACKER = "//Dave", "//Eve", "//Ferdie"
WAIT_SECONDS = 90.0
LABELS = ("malignant", "benign")


class DemoFailed(ProofwardError):
    """A step did not do what it has to; the message says which."""


def run(chain: str | None, out: Path, as_json: bool) -> int:
    """Run the whole demo and write `out`; `chain` is a development chain's ws:// address, None starts one.

    Returns the exit code: 0, or 1 when a step failed. Raises ProofwardError.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no chain or worker is left behind
    report = Report(None if as_json else sys.stdout)
    try:
        with ExitStack() as stack:
            _Demo(chain, out.parent, report, stack).run()
    except (DemoFailed, NotRefused) as error:
        print(f"error: demo: {error}", file=sys.stderr)
        return 1
    report.write(out)
    report.table()
    if as_json:
        print(out.read_text(), end="")
    else:
        print(f"\nwritten to {out}")
    return 0


class _Demo:
    def __init__(self, url: str | None, build: Path, report: Report, stack: ExitStack) -> None:
        self.url = url
        self.build = build.resolve()
        self.report = report
        self.stack = stack
        self.folder = self.build / "demo"
        self.models: dict[str, DemoModel]
        self.artifacts: dict[str, Artifact] = {}
        self.published: dict[str, ModelRecord] = {}
        self.client: Client
        self.names: dict[bytes, str] = {}

    def run(self) -> None:
        self.say("demo", "training two models on the breast-cancer set (569 records of 30 measures)")
        self.models = {model.kind: model for model in train()}
        self.compile_models()
        chain = self.start_chain()
        first, second = self.start_workers(chain)
        self.publish_models(chain)
        self.wait_registered(chain, first, second)
        self.wait_served(chain, first, second)

        main, second_kind = "mlp", "logistic"
        killed = self.job_of_a_killed_worker(main, first, second)
        hopeless = self.submit(
            main, 0, "only the killed worker could do this one", [self.account(first)], DEADLINE_BLOCKS
        )
        plain = self.submit(main, 1, "sealed to the living worker", [self.account(second)])
        other = self.submit(second_kind, 2, "to the second model", [self.account(second)])
        self.commit_faults(chain, main)
        for job, index, kind in ((plain, 1, main), (other, 2, second_kind), (killed, 3, main)):
            self.finish(job, index, kind, second)
        self.refund(hopeless, 0, main)
        self.describe(chain, (FIRST_WORKER, SECOND_WORKER))

    def say(self, who: str, what: str, block: int | None = None) -> None:
        self.report.step(who, what, block)

    def account(self, worker: Worker) -> bytes:
        return bytes(accounts.keypair_of(worker.account_uri).public_key)

    # models ---------------------------------------------------------------------------------------

    def compile_models(self) -> None:
        for kind, model in self.models.items():
            self.artifacts[kind] = artifact = self._compiled(model)
            accuracy = artifact.manifest.accuracy
            self.say(
                "publisher",
                f"{kind}: accuracy {accuracy.integer:.4f} in integers, {accuracy.float_:.4f} in floats",
            )

    def _compiled(self, model: DemoModel) -> Artifact:
        path = self.build / "models" / f"breast-cancer-{model.kind}"
        if path.exists():
            with suppress(ArtifactError):  # of an earlier version, or cut off
                artifact = load_artifact(path)
                if artifact.manifest.weights_digest == weights_digest(model.onnx).hex():
                    return artifact
            shutil.rmtree(path)
        return compile_model(
            model.onnx,
            model.calibration,
            path,
            name=f"breast-cancer-{model.kind}",
            options=CompileOptions(lane=LANE, cache=self.build / "cache"),
            evaluation=Evaluation(model.records, model.truth),
            progress=lambda message: self.say("publisher", message),
        )

    def publish_models(self, chain: SubstrateClient) -> None:
        signer = accounts.dev_keypair(PUBLISHER)
        outbox = Outbox(self.folder / "publisher.sqlite", chain)
        self.stack.callback(outbox.close)
        for kind, artifact in self.artifacts.items():
            result = publish(
                chain,
                outbox,
                signer,
                artifact.public,
                terms=Terms(PRICE, 0, BOND, CLAIM_BLOCKS[kind]),
            )
            self.published[kind] = result.record
            self.say(
                "publisher",
                f"published 0x{result.model.hex()[:8]}… ({kind}), "
                f"judged by 0x{result.contract.address.hex()[:8]}…",
                result.record.published_at,
            )

    # chain and workers ----------------------------------------------------------------------------

    def start_chain(self) -> SubstrateClient:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        devnet = None if self.url else self.stack.enter_context(Devnet())
        url = self.url or (devnet.url if devnet else "")
        self.client = self.stack.enter_context(
            Client(
                url,
                HOSPITAL,
                development=True,
                artifacts=[self.build / "models"],
                state=self.folder / "client",
            )
        )
        chain = self.stack.enter_context(SubstrateClient.connect(url))
        self.say("chain", f"{chain.node}, genesis 0x{chain.genesis.hex()[:8]}… at {url}")
        if devnet is not None:
            devnet.skip_to(AGE_BLOCKS)
        else:
            self.say("chain", f"waiting for block {AGE_BLOCKS}, so that one block is too old for a quote")
            chain.wait_block(AGE_BLOCKS, timeout=600)
        code = chain.rpc("state_getStorage", "0x3a636f6465")
        self.report.chain = {
            "node": chain.node,
            "genesis": f"0x{chain.genesis.hex()}",
            "runtime_sha256": sha256(code).hex(),
        }
        return chain

    def start_workers(self, chain: SubstrateClient) -> tuple[Worker, Worker]:
        digest = simulated_measurement()
        allow = attestation.sudo(attestation.allow_measurement(digest, "this checkout's enclave"))
        receipt = chain.submit(allow, accounts.dev_keypair(SUDO))
        self.say("chain", f"measurement {digest.hex()[:8]}… of this checkout allowed by sudo", receipt.block)
        sockets = Path(tempfile.mkdtemp(prefix="proofward-"))
        self.stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        started = []
        for name, uri in (("first", FIRST_WORKER), ("second", SECOND_WORKER)):
            worker = Worker(
                name,
                uri,
                self.folder / name,
                sockets,
                self.client.chain.url,
                self.build / "models",
                PUBLISHER,
            )
            self.stack.callback(worker.stop)
            worker.start(freeze_work=name == "first")
            self.names[self.account(worker)] = name
            started.append(worker)
        self.names[bytes(accounts.dev_keypair(ATTACKER).public_key)] = "attacker"
        return started[0], started[1]

    def wait_registered(self, chain: SubstrateClient, *started: Worker) -> None:
        for worker in started:
            account = self.account(worker)
            self._until(
                lambda account=account: workers.get(chain, account) is not None,  # type: ignore[misc]
                f"the {worker.name} worker to register",
                worker,
            )
            record = workers.get(chain, account)
            assert record is not None
            self.say(
                worker.name,
                f"registered: the pallet verified its quote, level {record.level.label}",
                record.registered_at,
            )

    def wait_served(self, chain: SubstrateClient, *started: Worker) -> None:
        wanted = {record.id for record in self.published.values()}
        for worker in started:
            account = self.account(worker)
            self._until(
                lambda account=account: workers.serving(chain, account).keys() >= wanted,  # type: ignore[misc]
                f"the {worker.name} worker to declare which models it serves",
                worker,
            )
            self.say(worker.name, f"serves {len(wanted)} models of this publisher, says the chain")

    def _until(self, ready: Callable[[], bool], what: str, worker: Worker) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not ready():
            if not worker.running:
                raise DemoFailed(f"waiting for {what}, its process stopped:\n{worker.log_tail()}")
            if time.monotonic() > end:
                raise DemoFailed(f"waited {WAIT_SECONDS:g} s for {what}; its log ends:\n{worker.log_tail()}")
            time.sleep(0.1)

    # jobs -----------------------------------------------------------------------------------------

    def submit(
        self, kind: str, index: int, what: str, recipients: list[bytes], deadline: int | None = None
    ) -> Job:
        job = self.client.submit(
            self.published[kind].id,
            self.models[kind].records[index],
            recipients=recipients,
            deadline=deadline,
        )
        self.say("hospital", f"submitted job {str(job)[:10]}… ({kind}): {what}", job.block)
        return job

    def job_of_a_killed_worker(self, kind: str, first: Worker, second: Worker) -> Job:
        """Both may open the envelope; the first claims it and dies with the claim in hand."""
        second.pause()
        job = self.submit(
            kind, 3, "sealed to both workers", [self.account(first), self.account(second)], deadline=120
        )
        assert first.frozen is not None
        if not first.frozen.frozen.wait(WAIT_SECONDS):
            raise DemoFailed(f"the first worker did not take the job; its log ends:\n{first.log_tail()}")
        outcome = self.client.show(job)
        if outcome.worker != self.account(first):
            raise DemoFailed(f"job {job} is {outcome.state}, not claimed by the first worker")
        first.kill()
        second.resume()
        self.say("first", f"killed (SIGKILL) while it holds the claim on {str(job)[:10]}…")
        return job

    def commit_faults(self, chain: SubstrateClient, kind: str) -> None:
        attacker = Attacker(chain, accounts.dev_keypair(ATTACKER))
        faults = Faults(
            self.client,
            attacker,
            self.artifacts[kind],
            self.published[kind].id,
            self.models[kind].records[4],
            self.report.refusal,
        )
        faults.refused_quotes(1, bytes(accounts.dev_keypair(HOSPITAL).public_key))
        self.say("attacker", "registered with a quote he signed himself: `simulated` cannot tell")
        faults.wrong_receipt()
        faults.wrong_proofs()
        faults.wrong_output()
        faults.wrong_level()
        faults.late_result()

    def finish(self, job: Job, index: int, kind: str, worker: Worker) -> None:
        outcome = self.client.wait(job, timeout=WAIT_SECONDS)
        if outcome.state != "accepted":
            raise DemoFailed(f"job {job} ended {outcome.state}; the worker's log ends:\n{worker.log_tail()}")
        answer = self.client.open(job)
        verdict = self.client.verify(job)
        name = self.names[outcome.worker or b""]
        self.say("contract", f"accepted job {str(job)[:10]}…, {name} worker paid", outcome.block)
        if not verdict.accepted:
            failed = "; ".join(
                f"{check.name}: {check.detail}" for check in verdict if check.required and not check.ok
            )
            raise DemoFailed(f"job {job} fails its own verification: {failed}")
        decided = LABELS[int(str(answer.decisions[0]))]
        self.say(
            "hospital",
            f"opened it: {decided}; verified {len(verdict.checks)} checks, {verdict.word}",
        )
        logit = float(answer.values[0, 0])
        entry = self._entry(job, index, kind, outcome)
        entry["answer"] = 1 / (1 + np.exp(-logit))
        delivered = jobs.delivery(self.client.chain, outcome.record)
        entry["proof_bytes"] = 0 if delivered is None else len(delivered.proof)
        entry["seconds"] |= self._worker_seconds(worker, job.id)
        entry["checks"] = [asdict(check) for check in verdict]
        self.report.jobs.append(entry)

    def refund(self, job: Job, index: int, kind: str) -> None:
        outcome = self.client.wait(job, timeout=WAIT_SECONDS)
        if outcome.state != "refunded":
            raise DemoFailed(f"job {job} was to be refunded and is {outcome.state}")
        self.say("pallet", f"deadline passed, job {str(job)[:10]}… refunded", outcome.block)
        self.report.jobs.append(self._entry(job, index, kind, outcome))

    def _entry(self, job: Job, index: int, kind: str, outcome: Outcome) -> dict[str, Any]:
        status = outcome.record.status
        accepted = isinstance(status, jobs.Accepted)
        return {
            "id": str(job),
            "model": self.published[kind].name,
            "lane": self.published[kind].lane.label,
            "setup": self.published[kind].setup.label,
            "level": status.level.label if isinstance(status, jobs.Accepted) else None,
            "worker": self.names[status.worker] if isinstance(status, jobs.Accepted) else None,
            "verdict": outcome.state,
            "paid": outcome.paid if accepted else 0,
            "proof_bytes": 0,
            "block": outcome.block,
            "seconds": dict(job.seconds),
            "answer": None,
            "float_answer": self._float_answer(kind, index),
            "truth": LABELS[int(self.models[kind].truth[index])],
        }

    def _float_answer(self, kind: str, index: int) -> float:
        import onnxruntime

        session = onnxruntime.InferenceSession(self.models[kind].onnx)
        record = self.models[kind].records[index : index + 1].astype(np.float32)
        return float(session.run(None, {"x": record})[0][0, 0])

    def _worker_seconds(self, worker: Worker, job: bytes) -> dict[str, float]:
        """The enclave's own timings, and the time from the finished proof to the finalised verdict."""
        proved, done = worker.events("proved", job), worker.events("job-done", job)
        if not proved or not done:
            return {}
        times = [datetime.fromisoformat(entry["timestamp"]) for entry in (proved[-1], done[-1])]
        seconds = {name: float(value) for name, value in (proved[-1].get("seconds") or {}).items()}
        return {**seconds, "verdict": (times[1] - times[0]).total_seconds()}

    def describe(self, chain: SubstrateClient, uris: tuple[str, ...]) -> None:
        for uri in uris:
            record = workers.get(chain, bytes(accounts.dev_keypair(uri).public_key))
            if record is not None:
                self.report.workers.append(
                    {
                        "account": accounts.ss58(record.account),
                        "level": record.level.label,
                        "measurement": record.measurement.hex(),
                        "expires_at": record.expires_at,
                    }
                )
        for kind, model in self.published.items():
            accuracy = self.artifacts[kind].manifest.accuracy
            self.report.models.append(
                {
                    "id": f"0x{model.id.hex()}",
                    "name": model.name,
                    "lane": model.lane.label,
                    "setup": model.setup.label,
                    "accuracy_float": accuracy.float_,
                    "accuracy_integer": accuracy.integer,
                }
            )
