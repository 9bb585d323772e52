"""`proofward gateway …` and `proofward proxy`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.amounts import shown
from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    DevOption,
    JsonOption,
    SignerOption,
    emit,
    hex0x,
    note,
    reporting,
)
from proofward.cli.verbs import Groups
from proofward.errors import ProofwardError
from proofward.processes import from_sources

app = typer.Typer(
    name="gateway", no_args_is_help=True, help="Private language-model calls: the operator's side."
)


def register(groups: Groups) -> None:
    """The entry point of group `proofward.cli`."""
    app.command("serve")(serve)
    app.command("measurement")(measurement)
    app.command("anchor")(anchor)
    app.command("anchored")(anchored)
    app.command("contradiction")(contradiction)
    app.command("report")(report)
    app.command("register")(register_keys)
    app.command("registered")(registered)
    groups.root.add_typer(app, name="gateway")
    groups.root.command("proxy")(proxy)


ConfigOption = Annotated[Path, typer.Option("--config", help="gateway.toml; docs/gateway.md has its keys.")]


GenesisOption = Annotated[
    str | None, typer.Option("--genesis", help="Pin the chain: its genesis hash, 0x and 64 hex digits.")
]


def serve(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Run the gateway until SIGTERM; it logs JSON to standard error.

    Example: proofward gateway serve --config gateway.toml
    """
    from proofward_gateway.config import load

    with reporting(as_json):
        load(config)  # what is wrong with it is told here, and not in the log
    # a process of its own: what the command line imports is not what is measured
    command = from_sources("-m", "proofward_gateway", config)
    os.execv(command[0], command)


def measurement(as_json: JsonOption = False) -> None:
    """Print the measurement that a simulated gateway of the software installed here has in its quotes.

    Example: proofward gateway measurement
    """
    from proofward_gateway.measure import simulated_measurement

    with reporting(as_json):
        found = simulated_measurement()
        emit(as_json, {"measurement": found, "level": "simulated"}, [hex0x(found)])


def anchor(
    state: Annotated[Path, typer.Option(help="The gateway's `state` folder.")] = Path("gateway-state"),
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    every: Annotated[int, typer.Option(min=1, max=4096, help="Receipts that make a batch.")] = 64,
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="Longest that one receipt waits.")] = 60,
    once: Annotated[bool, typer.Option("--once", help="Anchor what is there, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put the Merkle roots of a gateway's receipts on the chain until Ctrl-C, one remark a batch.

    Example: proofward gateway anchor --state gateway-state --signer //Alice --once
    """
    from proofward.chain import SubstrateClient, keypair_of
    from proofward_gateway.anchoring.run import Anchored, fields, keep

    def told(found: Anchored) -> None:
        text = f"{found.count} receipts under 0x{found.root} in block {found.block}, fee {found.fee} planck"
        emit(as_json, {"event": "anchored", **fields(found)}, [text])
        sys.stdout.flush()

    def failed(error: ProofwardError) -> None:
        note(as_json, f"{error}; it is tried again")

    with reporting(as_json, serves=not once), SubstrateClient.connect(chain) as client:
        again = None if once else failed
        try:
            keep(state, client, keypair_of(signer), told, again, every=every, seconds=seconds, once=once)
        except KeyboardInterrupt:
            note(as_json, "stopped; what waits is anchored next time")


def anchored(
    file: Annotated[Path, typer.Argument(help="An answer's file, as `proofward proxy` writes it.")],
    keep: Annotated[
        bool, typer.Option("--keep", help="Put the proof into the file: `proofward verify` then has it.")
    ] = False,
    genesis: GenesisOption = None,
    light: Annotated[
        Path | None,
        typer.Option(help="Read the chain of this spec by proofs, as a light client; no node is believed."),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="Ask no chain: read the chain's proof that its gateway hands out, by this spec."),
    ] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Check that an answer's receipt is on the chain, and by when; the proof comes from its gateway.

    Example: proofward gateway anchored answers/rcpt-0a.json --keep --genesis 0x9a… --light consortium.json
    """
    from dataclasses import replace

    from proofward.evidence.answer_file import load, replace_file
    from proofward_gateway.anchoring.check import fetch, look, read

    with reporting(as_json):
        answer = load(file)
        proof = answer.anchor if answer.anchor and not keep else None
        proof = proof or fetch(answer.gateway, answer.receipt["receipt_id"])
        if spec is not None:
            found = read(answer.receipt, proof, spec, genesis)
        else:
            found = look(answer.receipt, proof, chain, light, genesis)
        good = all(one.ok is True for one in found.checks)
        if good and keep:
            replace_file(replace(answer, anchor=found.proof), file)
        value = {
            "anchored": good,
            "kept": good and keep,
            "checks": [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in found.checks],
        }
        emit(as_json, value, [*map(str, found.checks), "anchored" if good else "refused"])
        if not good:
            raise typer.Exit(1)


def contradiction(
    file: Annotated[Path, typer.Argument(help="An answer's file: its receipt, and who signed it.")],
    other: Annotated[Path, typer.Argument(help="Another answer's file, or a receipt by itself.")],
    out: Annotated[Path, typer.Option(help="File for the evidence: hashes alone, fit to be shown.")],
    as_json: JsonOption = False,
) -> None:
    """Put two receipts of one id that say different things into one file, for `proofward verify`.

    Example: proofward gateway contradiction answers/rcpt-0a.json theirs.json --out lie.json
    """
    from proofward.evidence.answer_file import load
    from proofward.evidence.two_receipts import TwoReceipts, receipt_in

    with reporting(as_json):
        found = TwoReceipts.of(load(file), receipt_in(other))
        found.save(out)
        name = str(found.receipts[0]["receipt_id"])
        emit(
            as_json,
            {"receipt": name, "gateway": found.gateway, "file": str(out)},
            [f"{name} of {found.gateway} is two receipts: proofward verify {out}"],
        )


def report(
    file: Annotated[Path, typer.Argument(help="Evidence of `gateway contradiction`, or of the proxy.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Show two receipts of one id to the chain: their signer loses half of its stake, and you have a tenth
    of that.

    Example: proofward gateway report lie.json --signer //Alice
    """
    from proofward.chain import SubstrateClient, accounts, keypair_of
    from proofward.evidence.two_receipts import load
    from proofward_gateway.anchoring import bond

    with reporting(as_json), SubstrateClient.connect(chain) as client:
        found = bond.report(load(file), client, keypair_of(signer))
        value = {
            "worker": accounts.ss58(found.account),
            "receipt": found.receipt,
            "slashed_planck": str(found.slashed),
            "block": found.block,
        }
        told = f"{value['worker']} lost {shown(found.slashed)} in block {found.block}, for {found.receipt}"
        emit(as_json, value, [told])


def register_keys(
    gateway: Annotated[str, typer.Option("--gateway", help="https://127.0.0.1:port, loopback alone.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    once: Annotated[bool, typer.Option("--once", help="Register what is there, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a stake behind a gateway's receipts, and keep it there with every new key until Ctrl-C.

    It runs beside the gateway, or at a tunnel to it: whoever answers has the stake behind its keys.

    Example: proofward gateway register --gateway https://127.0.0.1:8443 --signer //Alice --once
    """
    from proofward.chain import SubstrateClient, accounts, keypair_of
    from proofward_gateway.anchoring import bond

    def told(found: bond.Bonded) -> None:
        where = "already there" if found.sent is None else f"block {found.sent}"
        text = (
            f"{shown(found.stake)} of {accounts.ss58(found.account)} behind key 0x{found.receipt_key.hex()}"
        )
        value = {
            "event": "registered",
            "account": accounts.ss58(found.account),
            "receipt_key": hex0x(found.receipt_key),
            "stake_planck": str(found.stake),
            "expires_at_ms": found.expires_at,
            "block": found.sent,
        }
        emit(as_json, value, [f"{text}: {where}"])
        sys.stdout.flush()

    def failed(error: ProofwardError | OSError) -> None:
        note(as_json, f"{error}; it is tried again")

    with reporting(as_json, serves=not once), SubstrateClient.connect(chain) as client:
        if once:
            told(bond.register(gateway, client, keypair_of(signer)))
            return
        try:
            bond.keep(gateway, client, keypair_of(signer), told, failed)
        except KeyboardInterrupt:
            note(as_json, "stopped; the registration stands until it ends")


def registered(
    account: Annotated[str, typer.Argument(help="An upstream's account: an address, or 0x and 64 digits.")],
    out: Annotated[Path, typer.Option(help="The file that `registered` of the gateway's upstream names.")],
    chain: ChainOption = DEFAULT_CHAIN,
    seconds: Annotated[int, typer.Option(min=10, max=300, help="Between two proofs.")] = 120,
    once: Annotated[bool, typer.Option("--once", help="Write one proof, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep the chain's proof of an upstream's registration fresh for a gateway, until Ctrl-C.

    Example: proofward gateway registered 5GrwvaEF… --out big.registered.json --once
    """
    from proofward.chain import SubstrateClient, accounts
    from proofward_gateway.anchoring import registered as prover

    def told(block: int) -> None:
        emit(as_json, {"event": "proved", "block": block, "file": str(out)}, [f"{out}: block {block}"])
        sys.stdout.flush()

    def failed(error: ProofwardError | OSError) -> None:
        note(as_json, f"{error}; it is tried again")

    with reporting(as_json, serves=not once), SubstrateClient.connect(chain) as client:
        again = None if once else failed
        try:
            prover.keep(client, accounts.account(account), out, told, again, seconds=seconds)
        except KeyboardInterrupt:
            note(as_json, "stopped; the gateway sends there until the proof is ten minutes old")


Pins = Annotated[
    list[str] | None,
    typer.Option(
        "--measurement",
        help="The gateway's software, 0x and 64 hex digits (repeatable). With --dev: this installation's.",
    ),
]
UpstreamPins = Annotated[
    list[str] | None,
    typer.Option(
        "--upstream-measurement",
        help="The software that may answer behind the gateway (repeatable). Default: as --measurement.",
    ),
]


def proxy(
    gateway: Annotated[str, typer.Option("--gateway", help="https://host:port of the gateway.")],
    pins: Pins = None,
    upstream_pins: UpstreamPins = None,
    proofs: Annotated[
        Path, typer.Option(help="Folder for one file an answer (mode 0600): it holds prompt and answer.")
    ] = Path("answers"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")] = 8089,
    allow_unverified: Annotated[
        bool,
        typer.Option("--allow-unverified-upstream", help="Take answers of upstreams that attest nothing."),
    ] = False,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="sha256: of the weights that may answer (repeatable). Default: any, or none named."
        ),
    ] = None,
    genesis: GenesisOption = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="The chain's raw spec: its final state must have the upstream that answers."),
    ] = None,
    require_stake: Annotated[
        bool,
        typer.Option("--require-stake", help="Refuse a gateway that has no stake on the chain of --spec."),
    ] = False,
    dev: DevOption = False,
    as_json: JsonOption = False,
) -> None:
    """Serve OpenAI's and Anthropic's API on this machine, through a gateway that is checked first.

    Then: OPENAI_BASE_URL=http://127.0.0.1:8089/v1, or ANTHROPIC_BASE_URL=http://127.0.0.1:8089

    Example: proofward proxy --gateway https://127.0.0.1:8443 --dev
    """
    from proofward_gateway.proxy.run import Ready, run

    def ready(what: Ready) -> None:
        checks = what.attested.appraisal.checks
        for check in checks:
            note(as_json, str(check))
        emit(
            as_json,
            {"event": "ready", "url": what.url, "keyset": what.attested.keyset.digest},
            [f"ready: OPENAI_BASE_URL={what.url}/v1 ANTHROPIC_BASE_URL={what.url}; stop with Ctrl-C"],
        )
        sys.stdout.flush()

    with reporting(as_json, serves=True):
        from proofward_gateway.proxy.settings import settings_of

        run(
            settings_of(
                gateway,
                pins=pins or [],
                upstream_pins=upstream_pins or [],
                folder=proofs,
                development=dev,
                allow_unverified=allow_unverified,
                weights=weights or [],
                genesis=genesis,
                spec=spec,
                require_stake=require_stake,
            ),
            port,
            ready,
        )
