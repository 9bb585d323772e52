"""`proofward worker run|status|list`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.output import DEFAULT_CHAIN, ChainOption, JsonOption, SignerOption, emit, hex0x, reporting

app = typer.Typer(no_args_is_help=True, help="Run a worker and look after it.")

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The worker's TOML file; docs/operators.md has its keys.")
]


@app.command("run")
def run(config: ConfigOption) -> None:
    """Run the worker until SIGTERM; it logs JSON to standard error.

    Example: proofward worker run --config worker.toml
    """
    from node.main import run as run_node

    raise typer.Exit(run_node(config))


@app.command("status")
def status(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Show the daemon's health, its journal and its record on the chain.

    Example: proofward worker status --config worker.toml
    """
    from node.config import load
    from node.status import status as collect

    with reporting(as_json):
        value = collect(load(config))
        lines = [f"{part:8} {key:20} {value[part][key]}" for part in value for key in value[part]]
        emit(as_json, value, lines)


@app.command("retire")
def retire(config: ConfigOption, as_json: JsonOption = False) -> None:
    """End the worker's registration and take its stake back; stop the daemon first.

    Example: proofward worker retire --config worker.toml
    """
    from node.config import load
    from node.retire import retire as leave

    with reporting(as_json):
        block = leave(load(config))
        emit(as_json, {"block": block}, [f"retired in block {block}"])


@app.command("list")
def list_workers(chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False) -> None:
    """List the registered workers.

    Example: proofward worker list
    """
    from proofward import inspection

    with reporting(as_json):
        workers = inspection.workers(chain)
        lines = [
            f"{one['account']}  {one['level']:9}  epoch {one['epoch']}  {one['open_claims']} claims  "
            f"expires in {one['expires_in_seconds']} s"
            for one in workers
        ]
        emit(as_json, workers, lines or ["no workers are registered"])


MeasurementArgument = Annotated[
    str | None, typer.Argument(help="0x and 64 hex digits; default: the enclave's of --config.")
]
OptionalConfig = Annotated[
    Path | None, typer.Option("--config", help="Ask this worker's enclave for its measurement.")
]


@app.command("allow")
def allow(
    measurement: MeasurementArgument = None,
    config: OptionalConfig = None,
    label: Annotated[str, typer.Option(help="What readers of the list see.")] = "proofward",
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Put a measurement on the chain's allow-list, with the chain's sudo key.

    Example: proofward worker allow --config worker.toml --signer //Alice
    """
    from proofward import governance

    with reporting(as_json):
        wanted = _measurement(measurement, config)
        block = governance.allow_measurement(chain, signer, wanted, label)
        emit(
            as_json,
            {"measurement": wanted, "block": block},
            [f"{hex0x(wanted)} is allowed since block {block}"],
        )


@app.command("disallow")
def disallow(
    measurement: MeasurementArgument = None,
    config: OptionalConfig = None,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Take a measurement off the chain's allow-list, with the chain's sudo key.

    Example: proofward worker disallow 0x5c… --signer //Alice
    """
    from proofward import governance

    with reporting(as_json):
        wanted = _measurement(measurement, config)
        block = governance.disallow_measurement(chain, signer, wanted)
        emit(
            as_json,
            {"measurement": wanted, "block": block},
            [f"{hex0x(wanted)} is not allowed since block {block}"],
        )


def _measurement(text: str | None, config: Path | None) -> bytes:
    if text is None and config is None:
        raise typer.BadParameter("give a measurement, or --config to ask an enclave")
    if text is not None:
        from proofward.client.ids import hash32

        return hash32(text, "measurement")
    from node.config import load
    from node.status import enclave_measurement

    assert config is not None
    return enclave_measurement(load(config))
