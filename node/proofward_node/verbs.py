"""The operator's verbs, `proofward worker …`, and `proofward model setup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from proofward.cli.members import told
from proofward.cli.models import EvaluationFile, IgnoreExtra, RecordOpenings, TaskOption, TruthOption
from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    JsonOption,
    SignerOption,
    emit,
    hex0x,
    note,
    reporting,
)
from proofward.cli.verbs import Groups
from proofward_node import operations
from proofward_node.operations import ConfigOption

if TYPE_CHECKING:
    from proofward.chain.council import Agreement
    from proofward.zkml.manifest import LaneChoice, Task

CouncilOption = Annotated[
    bool,
    typer.Option(
        "--council", help="Agree as a member of the council; it happens when two thirds of the seats do."
    ),
]


def register(groups: Groups) -> None:
    """The entry point of group `proofward.cli`."""
    for name, verb in (
        ("init", init),
        ("run", run),
        ("status", status),
        ("retire", retire),
        ("withdraw", withdraw),
        ("top-up", top_up),
        ("allow", allow),
        ("disallow", disallow),
        ("contribute", contribute),
    ):
        groups.worker.command(name)(verb)
    groups.model.command("setup")(setup)
    operations.register(groups)


def init(
    path: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")] = Path("worker.toml"),
    publisher: Annotated[
        list[str] | None,
        typer.Option(help="Account (or key file) whose models are served (may be repeated)."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Key file; made if it is not there. Default: worker.key beside it.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="//Name instead of a key file, on a development chain.")
    ] = None,
    provider: Annotated[str, typer.Option(help="simulator, dstack or tsm.")] = "simulator",
    models: Annotated[Path, typer.Option(help="Folder of artefact folders.")] = Path("models"),
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Write a complete worker.toml, each key with what it means; and a key file, if there is none.

    Example: proofward worker init worker.toml --publisher 5FHn… --models build/models
    """
    from proofward.chain import accounts
    from proofward_node.template import write

    with reporting(as_json):
        made = write(
            path,
            url=chain,
            publishers=tuple(accounts.ss58(accounts.named(one)) for one in publisher or ()),
            key=None if account is not None else key or path.parent / "worker.key",
            dev_account=account,
            provider=provider,
            models=models,
        )
        emit(
            as_json,
            {"config": str(path), "account": made, "address": accounts.ss58(made)},
            [
                f"config  {path}",
                f"account {accounts.ss58(made)}: it needs its stake and fees (`proofward account balance`)",
                f"next    proofward worker run --config {path}",
            ],
        )


def run(config: ConfigOption) -> None:
    """Run the worker until SIGTERM; it logs JSON to standard error.

    Example: proofward worker run --config worker.toml
    """
    from proofward_node.daemon import run as run_node

    raise typer.Exit(run_node(config))


def status(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Show the daemon's health, its journal and its record on the chain.

    Example: proofward worker status --config worker.toml
    """
    from proofward.chain import accounts
    from proofward.cli.render import said
    from proofward_node.config import load
    from proofward_node.status import status as collect

    with reporting(as_json):
        value = collect(load(config))
        text = {part: dict(found) for part, found in value.items()}
        if "account" in text.get("chain", {}):
            text["chain"]["account"] = accounts.ss58(bytes.fromhex(text["chain"]["account"]))
        lines = [
            f"{part:8} {key:20} {said(one, key)}"
            for part, found in text.items()
            for key, one in found.items()
        ]
        emit(as_json, value, lines)


def retire(config: ConfigOption, as_json: JsonOption = False) -> None:
    """End the worker's registration; stop the daemon first. Its stake is free after the unbonding time.

    Example: proofward worker retire --config worker.toml
    """
    from proofward_node.config import load
    from proofward_node.retire import retire as leave

    with reporting(as_json):
        left = leave(load(config))
        emit(
            as_json,
            {"block": left.block, "free_at": left.free_at},
            [f"retired in block {left.block}; `proofward worker withdraw` from block {left.free_at} on"],
        )


def withdraw(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Take the stake of a retired worker back, once the unbonding time is over.

    Example: proofward worker withdraw --config worker.toml
    """
    from proofward_node.config import load
    from proofward_node.retire import withdraw as take

    with reporting(as_json):
        left = take(load(config))
        emit(as_json, {"block": left.block}, [f"stake withdrawn in block {left.block}"])


def top_up(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Make the worker's stake whole again after a part of it was lost; stop the daemon first.

    Example: proofward worker top-up --config worker.toml
    """
    from proofward_node.config import load
    from proofward_node.retire import top_up as restore

    with reporting(as_json):
        left = restore(load(config))
        emit(as_json, {"block": left.block}, [f"stake made whole in block {left.block}"])


ConfiguredChain = Annotated[
    str | None,
    typer.Option(
        "--chain", envvar="PROOFWARD_CHAIN", help="A node's ws:// address; default: the configuration's."
    ),
]
MeasurementArgument = Annotated[
    str | None, typer.Argument(help="0x and 64 hex digits; default: the enclave's of --config.")
]
OptionalConfig = Annotated[
    Path | None, typer.Option("--config", help="Ask this worker's enclave for its measurement.")
]


def allow(
    measurement: MeasurementArgument = None,
    config: OptionalConfig = None,
    label: Annotated[str, typer.Option(help="What readers of the list see.")] = "proofward",
    council: CouncilOption = False,
    signer: SignerOption = "//Alice",
    chain: ConfiguredChain = None,
    as_json: JsonOption = False,
) -> None:
    """Put a measurement on the chain's allow-list: with the sudo key, or by the council's members.

    Examples: proofward worker allow --config worker.toml --signer //Alice

              proofward worker allow 0x5c… --label "release 4" --council --signer member.key
    """
    from proofward.chain import governance

    with reporting(as_json):
        wanted = _measurement(measurement, config)
        if council:
            found = governance.agree_to_allow(_chain(chain, config), signer, wanted, label)
            return _told(as_json, wanted, "is allowed", found)
        block = governance.allow_measurement(_chain(chain, config), signer, wanted, label)
        emit(
            as_json,
            {"measurement": wanted, "block": block},
            [f"{hex0x(wanted)} is allowed since block {block}"],
        )


def disallow(
    measurement: MeasurementArgument = None,
    config: OptionalConfig = None,
    council: CouncilOption = False,
    signer: SignerOption = "//Alice",
    chain: ConfiguredChain = None,
    as_json: JsonOption = False,
) -> None:
    """Take a measurement off the chain's allow-list: with the sudo key, or by the council's members.

    Examples: proofward worker disallow 0x5c… --signer //Alice

              proofward worker disallow 0x5c… --council --signer member.key
    """
    from proofward.chain import governance

    with reporting(as_json):
        wanted = _measurement(measurement, config)
        if council:
            found = governance.agree_to_disallow(_chain(chain, config), signer, wanted)
            return _told(as_json, wanted, "is not allowed", found)
        block = governance.disallow_measurement(_chain(chain, config), signer, wanted)
        emit(
            as_json,
            {"measurement": wanted, "block": block},
            [f"{hex0x(wanted)} is not allowed since block {block}"],
        )


def _told(as_json: bool, measurement: bytes, decided: str, found: Agreement) -> None:
    told(as_json, found, f"{hex0x(measurement)} {decided}", measurement=measurement)


def _chain(given: str | None, config: Path | None) -> str:
    """The node that was named, else the configuration's, else the default."""
    from proofward_node.config import load

    if given is not None:
        return given
    return DEFAULT_CHAIN if config is None else load(config).chain.url


def _measurement(text: str | None, config: Path | None) -> bytes:
    if text is None and config is None:
        raise typer.BadParameter("give a measurement, or --config to ask an enclave")
    if text is not None:
        from proofward.client.ids import hash32

        return hash32(text, "measurement")
    from proofward_node.config import load
    from proofward_node.status import enclave_measurement

    assert config is not None
    return enclave_measurement(load(config))


def setup(
    onnx: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The ONNX file.")],
    calibration: Annotated[Path, typer.Option(help="Representative records: CSV or JSON, one a row.")],
    config: Annotated[Path, typer.Option("--config", help="The worker whose enclave makes the keys.")],
    publisher: Annotated[
        str, typer.Option(help="The account that will publish the model: the quote binds it.")
    ],
    evaluation: EvaluationFile = None,
    name: Annotated[str | None, typer.Option(help="The model's name; default: the file's.")] = None,
    lane: Annotated[str, typer.Option(help="auto, groth16 or ezkl.")] = "groth16",
    batch: Annotated[int, typer.Option(help="Records that one job can carry, 1 to 32.")] = 1,
    task: TaskOption = None,
    truth: TruthOption = None,
    ignore_extra_columns: IgnoreExtra = False,
    record_openings: RecordOpenings = True,
    as_json: JsonOption = False,
) -> None:
    """Have a model's keys made inside an enclave: `setup: attested`, at the level of the enclave's quote.

    The quote is for one publisher on the configuration's chain and stale after 256 blocks: publish at once.

    Example: proofward model setup m.onnx --calibration c.csv --config worker.toml --publisher 5Grw…
    """
    from proofward.chain import accounts
    from proofward.publisher import build as building
    from proofward.zkml import CompileOptions
    from proofward_node.attested_setup import attested_setup
    from proofward_node.config import load

    with reporting(as_json):
        options = CompileOptions(
            task=cast("Task | None", task),
            lane=cast("LaneChoice", lane),
            batch=batch,
            record_openings=record_openings,
        )
        request = building.setup_request(
            onnx,
            calibration,
            evaluation,
            name=name,
            options=options,
            reading=building.Reading(truth=truth, ignore_extra=ignore_extra_columns),
            progress=lambda line: note(as_json, line),
        )
        done = attested_setup(load(config), request, accounts.account(publisher))
        emit(
            as_json,
            {
                "artifact": str(done.folder),
                "quote": str(done.quote),
                "block": done.block,
                "circuit_digest": done.circuit_digest,
                "vk_hash": done.vk_hash,
            },
            [
                f"artefact {done.folder}",
                f"circuit  {hex0x(done.circuit_digest)}",
                f"key      {hex0x(done.vk_hash)}",
                f"publish  proofward model publish {done.folder}  (by block {done.block + 256})",
            ],
        )


def contribute(
    state: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The ceremony's file so far.")],
    config: Annotated[Path, typer.Option("--config", help="The worker whose enclave contributes.")],
    name: Annotated[str, typer.Option(help="Who contributes: at most 64 printable ASCII characters.")],
    out: Annotated[Path, typer.Option(help="The file to write; the quote goes into OUT.quote.")],
    as_json: JsonOption = False,
) -> None:
    """Add a secret to a ceremony inside an enclave, whose quote shows that nobody can have kept it.

    Example: proofward worker contribute 1.ceremony --config worker.toml --name ward-3 --out 2.ceremony
    """
    from proofward_node.config import load
    from proofward_node.contribution import contribute as ask

    with reporting(as_json):
        done = ask(load(config), state, name, out)
        emit(
            as_json,
            {"state": str(done.state), "quote": str(done.quote), "contribution": done.contribution.hex()},
            [
                f"contributed  {done.state}",
                f"hash         {done.contribution.hex()}: publish it, and look for it at the end",
                f"quote        {done.quote}: hand it over with the file",
            ],
        )
