"""`proofward signer serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.output import DEFAULT_CHAIN, ChainOption, JsonOption, emit, reporting

app = typer.Typer(no_args_is_help=True, help="A key on its own: it signs what its rules let through.")

WORKER_CALLS = (
    "jobs.claim,jobs.complete,jobs.release,jobs.decline,jobs.lapse,workers.register,workers.renew,"
    "workers.serve,workers.unserve,workers.top_up,attestation.refresh_collateral,inferencesessions.offer,"
    "inferencesessions.withdraw,inferencesessions.checkpoint,inferencesessions.draw,inferencesessions.prove,"
    "inferencesessions.finish,inferencesessions.settle,inferencesessions.waive,inferencesessions.close,"
    "utility.batch_all"
)
"""What a worker's daemon sends; nothing of it moves the stake."""


@app.command("serve")
def serve(
    socket: Annotated[Path, typer.Option("--socket", help="The Unix socket to listen at.")],
    key_file: Annotated[str, typer.Option("--key-file", help="The key (mode 0600), or //Name.")],
    allow: Annotated[
        str, typer.Option("--allow", help="Calls that are signed, as jobs.claim, with commas between.")
    ] = WORKER_CALLS,
    max_tip: Annotated[int, typer.Option(min=0, help="The most of a tip, in the smallest unit.")] = 0,
    group: Annotated[str | None, typer.Option(help="Let this group ask too (mode 0660).")] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Sign for programs of this machine that do not have the key: only calls that are named, on this one
    chain, for a short time, and nothing that hides another call.

    Run it as another user than the worker, whose key file the worker cannot read. Each signature and each
    refusal is a line of JSON on standard error. Calls are read by the metadata of the node at --chain:
    let it be your own.

    Example: proofward signer serve --socket /run/proofward/signer.sock --key-file worker.key
    """
    import logging
    import sys

    import structlog

    from proofward.chain import SubstrateClient, accounts
    from proofward.chain.signer_service import SignerService
    from proofward.chain.signing_rules import rules
    from proofward.errors import Refused

    with reporting(as_json, serves=True), SubstrateClient.connect(chain) as client:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
        if accounts.is_dev_source(key_file) and client.chain_type != "Development":
            raise Refused(
                f"everybody has the key {key_file}, and the chain at {chain} is {client.chain_type}"
            )
        key = accounts.keypair_of(key_file)
        let = rules(allow.split(","), client.genesis, max_tip, client.runtime)
        service = SignerService(socket, key, let, client.fresh_runtime)
        service.open(group)
        address = accounts.ss58(bytes(key.public_key))
        emit(
            as_json,
            {"address": address, "socket": str(socket), "allowed": sorted(let.allowed), "max_tip": max_tip},
            [
                f"address {address}",
                f"socket  {socket}",
                f"signs   {', '.join(sorted(let.allowed))}",
                f"tip     {max_tip} at most",
            ],
        )
        sys.stdout.flush()
        try:
            service.serve()
        finally:
            service.close()
