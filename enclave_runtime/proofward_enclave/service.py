"""The enclave's methods. Proving and everything else that blocks runs off the event loop, one job at a
time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from proofward.protocol import bounds, sign_statement
from proofward.protocol.enclave import EnclaveError, Request
from proofward.protocol.requests import JobRequest, Params
from proofward.zkml.contracts import verifier_code
from proofward.zkml.errors import ContractError
from proofward_enclave import VERSION, log
from proofward_enclave.contribution import ContributionRunner
from proofward_enclave.epochs import Epochs
from proofward_enclave.measure import simulated_measurement
from proofward_enclave.models import ModelStore
from proofward_enclave.providers import QuoteProvider
from proofward_enclave.registration import registration
from proofward_enclave.sessions import Sessions
from proofward_enclave.setup import SetupRunner
from proofward_enclave.work import JobRunner, coarse

MAX_WAITING: Final = 4
"""Jobs that may wait for the one that runs; the next is refused as busy."""

_OFTEN: Final = ("status", "session_status", "session_frame", "session_checkpoint")
"""Asked at every block, or for every few records: not logged when all is well."""

T = TypeVar("T")
Abandoned = Callable[[], bool]


class Service:
    """Dispatches requests. `abandoned` tells whether the caller has hung up, so that no proof is made for
    nobody.
    """

    def __init__(self, provider: QuoteProvider, models: ModelStore, epochs: Epochs) -> None:
        self._provider = provider
        self._models = models
        self._epochs = epochs
        self._jobs = JobRunner(epochs, models, simulated=provider.simulated)
        self._setups = SetupRunner(provider, models)
        self._contributions = ContributionRunner(provider, models)
        self.sessions = Sessions(epochs, models)
        self._bench = asyncio.Lock()
        self._waiting = 0
        self._methods: dict[str, Callable[[Params, Abandoned], Awaitable[dict[str, Any]]]] = {
            "status": self._status,
            "load_model": self._load_model,
            "begin_epoch": self._begin_epoch,
            "inspect": self._inspect,
            "work": self._work,
            "setup": self._setup,
            "contribute": self._contribute,
            "vouch": self._vouch,
            "session_status": self._off_the_loop(lambda _: self.sessions.status()),
            "session_connect": self._off_the_loop(self.sessions.connect),
            "session_frame": self._off_the_loop(self.sessions.frame),
            "session_checkpoint": self._off_the_loop(self.sessions.checkpoint),
            "session_prove": self._off_the_loop(self.sessions.prove),
            "session_release": self._off_the_loop(self.sessions.release),
            "session_vouchers": self._off_the_loop(self.sessions.vouchers),
            "session_drop": self._off_the_loop(self.sessions.drop),
            "session_close": self._off_the_loop(self.sessions.close),
        }

    async def handle(self, request: Request, abandoned: Abandoned) -> dict[str, Any]:
        """The result of a request. Raises EnclaveError, and nothing else."""
        method = self._methods.get(request.method)
        if method is None:
            names = ", ".join(self._methods)
            raise EnclaveError(f"there is no such method: use one of {names}", code="unknown-method")
        started = time.perf_counter()
        code = "ok"
        try:
            return await method(Params(request.params), abandoned)
        except EnclaveError as error:
            code = error.code
            raise
        except Exception as error:  # noqa: BLE001 - a bug in one job must not end the others
            # neither text nor traceback: both can quote plaintext
            code = "internal"
            log.error("internal-error", method=request.method, kind=type(error).__name__, where=_where(error))
            raise EnclaveError(
                f"{request.method} failed inside the enclave; see its log", code="internal"
            ) from None
        finally:
            if request.method not in _OFTEN or code != "ok":
                seconds = coarse(time.perf_counter() - started)
                job = _job_id(request.params)
                log.info("request", method=request.method, job=job, code=code, seconds=seconds)

    async def _status(self, _: Params, __: Abandoned) -> dict[str, Any]:
        return {
            "provider": self._provider.name,
            "measurement": simulated_measurement() if self._provider.simulated else None,
            "epoch": self._epochs.current,
            "room": self._epochs.room,
            "restored": self._epochs.restored,
            "models": self._models.hashes(),
            "version": VERSION,
        }

    async def _load_model(self, params: Params, _: Abandoned) -> dict[str, Any]:
        artifact = await asyncio.to_thread(self._models.load, params.text("path", 4096))
        return {
            "manifest_hash": artifact.public.manifest_hash,
            "weights_digest": bytes.fromhex(artifact.manifest.weights_digest),
            "vk_hash": bytes.fromhex(artifact.manifest.vk_hash),
            "key_hash": artifact.public.key_hash,
            "lane": artifact.manifest.lane,
            "verifier_hash": _verifier_hash(artifact.manifest.lane),
        }

    async def _begin_epoch(self, params: Params, _: Abandoned) -> dict[str, Any]:
        genesis, account = params.raw("genesis"), params.raw("account")
        block_hash, number = params.raw("block_hash"), params.u32("epoch")
        epoch = self._epochs.begin(genesis, account, number)
        return await asyncio.to_thread(registration, epoch, self._provider, block_hash)

    async def _inspect(self, params: Params, _: Abandoned) -> dict[str, Any]:
        job, envelope = JobRequest.parse(params.map("job")), params.blob("envelope", bounds.MAX_ENVELOPE)
        return await asyncio.to_thread(self._jobs.inspect, job, envelope)

    async def _work(self, params: Params, abandoned: Abandoned) -> dict[str, Any]:
        job, envelope = JobRequest.parse(params.map("job")), params.blob("envelope", bounds.MAX_ENVELOPE)
        block = params.u32("block")
        return await self._alone(lambda: self._jobs.work(job, envelope, block), abandoned)

    async def _setup(self, params: Params, abandoned: Abandoned) -> dict[str, Any]:
        run = self._setups.prepare(params)
        return await self._alone(run, abandoned)

    async def _contribute(self, params: Params, abandoned: Abandoned) -> dict[str, Any]:
        run = self._contributions.prepare(params)
        return await self._alone(run, abandoned)

    async def _vouch(self, params: Params, _: Abandoned) -> dict[str, Any]:
        """Sign the host's own statement, under a domain that no receipt has."""
        genesis, account, digest = params.raw("genesis"), params.raw("account"), params.raw("digest")
        held = self._epochs.of(genesis, account)
        number = max(held)
        key = held[number].receipt
        signature = sign_statement(genesis=genesis, account=account, epoch=number, digest=digest, key=key)
        return {"receipt_key": key.public, "epoch": number, "signature": signature}

    @staticmethod
    def _off_the_loop(
        action: Callable[[Params], dict[str, Any]],
    ) -> Callable[[Params, Abandoned], Awaitable[dict[str, Any]]]:
        async def run(params: Params, _: Abandoned) -> dict[str, Any]:
            return await asyncio.to_thread(action, params)

        return run

    async def _alone(self, action: Callable[[], T], abandoned: Abandoned) -> T:
        """Run in a thread, one at a time. Raises EnclaveError(busy) when too many wait."""
        if self._waiting > MAX_WAITING:
            raise EnclaveError(f"{MAX_WAITING} jobs wait already: try again later", code="busy")
        self._waiting += 1
        try:
            async with self._bench:
                if abandoned():
                    raise EnclaveError("the caller hung up before the job began", code="abandoned")
                return await asyncio.to_thread(action)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Erase the keys and stop the provers."""
        self._epochs.erase()
        self._models.close()


def _verifier_hash(lane: str) -> bytes | None:
    """Code hash of the contract that has to judge the lane's proofs."""
    try:
        return verifier_code(lane).code_hash
    except ContractError:
        return None


def _job_id(params: dict[str, Any]) -> str | None:
    job = params.get("job")
    found = job.get("job") if isinstance(job, dict) else None
    return found.hex() if isinstance(found, bytes) and len(found) == bounds.HASH_LENGTH else None


def _where(error: Exception) -> str:
    """File and line of the innermost frame."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else ""
