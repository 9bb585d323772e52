"""The command: python -m proofward_enclave --socket PATH --provider simulator --models DIR."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from proofward.processes import begin_from_sources
from proofward.protocol import HpkeSuite
from proofward.protocol.enclave import EnclaveError
from proofward_enclave import log
from proofward_enclave.epochs import Epochs
from proofward_enclave.hardening import harden
from proofward_enclave.kept import KeptKeys
from proofward_enclave.models import ModelStore
from proofward_enclave.providers import NAMES, make_provider
from proofward_enclave.server import Server
from proofward_enclave.service import Service
from proofward_enclave.sessions import MAX_BYTES


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m proofward_enclave",
        description="The process that holds the keys: opens sealed jobs, runs and proves them.",
        epilog="example: python -m proofward_enclave --socket e.sock --provider simulator --models models",
    )
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to listen on")
    parser.add_argument("--provider", choices=NAMES, required=True, help="where quotes come from")
    parser.add_argument("--models", type=Path, required=True, help="directory of the artefacts to serve")
    parser.add_argument(
        "--hpke",
        choices=[suite.name.lower() for suite in HpkeSuite],
        default=HpkeSuite.X25519.name.lower(),
        help="key encapsulation: x25519, or its hybrid with ML-KEM-768",
    )
    parser.add_argument(
        "--session-mebibytes",
        type=int,
        default=MAX_BYTES >> 20,
        help="memory for the pages of sessions that may yet have to be proved",
    )
    parser.add_argument(
        "--keep-keys",
        type=Path,
        metavar="FILE",
        help="keep the epochs' keys in this file, sealed to the TEE: the same measurement goes on with them "
        "when it starts again. Costs forward secrecy (docs/threat-model.md); default: they end with it",
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    provider = make_provider(arguments.provider)
    if not arguments.models.is_dir():
        raise EnclaveError(
            f"{arguments.models} is no directory: give the one that holds the artefacts", code="bad-path"
        )
    kept = None if arguments.keep_keys is None else KeptKeys(arguments.keep_keys, provider.sealing_key())
    epochs = Epochs(HpkeSuite[arguments.hpke.upper()], kept)
    try:
        restored = epochs.restore()
        if kept is not None:
            log.info("keys-kept", file=str(arguments.keep_keys), restored=restored)
    except EnclaveError as error:
        log.error("kept-keys-refused", message=error.message)
    service = Service(provider, ModelStore(arguments.models), epochs)
    service.sessions.max_bytes = arguments.session_mebibytes << 20
    try:
        async with await Server(service).start(arguments.socket):
            log.info("ready", provider=provider.name, simulated=provider.simulated, hpke=arguments.hpke)
            await stop.wait()
            arguments.socket.unlink(missing_ok=True)
    finally:
        service.close()
    log.info("stopped")


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 0, or 2 when it cannot start."""
    arguments = _arguments()
    log.info("hardening", **harden())
    try:
        # not asyncio.run, which would wait for a proof that nobody waits for
        asyncio.new_event_loop().run_until_complete(_run(arguments))
    except (EnclaveError, OSError) as error:
        code = error.code if isinstance(error, EnclaveError) else "cannot-listen"
        log.error("cannot-start", code=code, message=str(error))
        return 2
    return 0


if __name__ == "__main__":
    begin_from_sources()
    code = main()
    sys.stderr.flush()
    # threads may still prove, and native provers may crash at interpreter exit
    os._exit(code)
