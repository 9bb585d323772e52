"""`proofward federation …` over a chain: a study from its announcement to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.amounts import finite
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
from proofward_federation.verbs.options import StudyArgument, study_of

StudyId = Annotated[str, typer.Argument(metavar="ID", help="The study's id, as `announce` prints it.")]
AccuracyArgument = Annotated[
    Path, typer.Argument(metavar="ACCURACY.JSON", help="What `statement accuracy` wrote.")
]


def serve(
    study: StudyArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Keeps the rounds; gets transcript.json, and model.onnx and card.json, or counts.csv.",
        ),
    ],
    signer: SignerOption,
    listen: Annotated[str, typer.Option(help="HOST:PORT for the hospitals.")] = "127.0.0.1:8790",
    provider: Annotated[str, typer.Option(help="Where the enclave's quotes come from.")] = "simulator",
    linger: Annotated[
        float,
        typer.Option(
            min=0, max=3_600, callback=finite, help="Seconds to wait for updates that were committed to."
        ),
    ] = 10.0,
    wait: Annotated[
        float,
        typer.Option(
            min=1, callback=finite, help="Seconds to wait until the study is on the chain and has its sites."
        ),
    ] = 3_600.0,
    every: Annotated[
        int,
        typer.Option(min=1, help="Blocks from one round of a study of counts to the next: a week of 2 s."),
    ] = 302_400,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """As the aggregator: register its enclave, wait for the study, run its rounds, write model and card.

    A study of counts has a round every so many blocks, and counts.csv instead, written anew after each sum.
    Started again it goes on after the last published sum. It needs Flower and OpenDP (`make federation`).

    Example: proofward federation serve study.json --out run --signer aggregator.key --listen 0.0.0.0:8790
    """
    from proofward.chain.accounts import keypair_of
    from proofward_federation.network.card import summary
    from proofward_federation.network.serving import Serving, tally
    from proofward_federation.network.serving import serve as run

    with reporting(as_json):
        asked, tell = study_of(study), lambda line: note(as_json, line)
        serving = Serving(chain, keypair_of(signer), out, listen, provider, linger, wait, tell)
        if asked.kind == "counts":
            sums = tally(asked, serving, every=every)
            emit(as_json, {"sums": sums}, [f"{out}: counts.csv, transcript.json; {sums} sums"])
            return
        card = run(asked, serving)
        told = summary(card)
        emit(as_json, told, [f"{out}: model.onnx, card.json, transcript.json; epsilon {card.epsilon:.3f}"])


def announce(
    study: StudyArgument,
    aggregator: Annotated[str, typer.Option(help="Account of the worker whose enclave sums.")],
    site: Annotated[list[str], typer.Option(help="Account of a hospital to invite (repeatable).")],
    signer: SignerOption,
    blocks: Annotated[int, typer.Option(min=2, help="Blocks from now in which rounds may begin.")] = 43_200,
    window: Annotated[int, typer.Option(min=2, max=14_400, help="Blocks that sites have to commit.")] = 300,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Most rounds, those without a sum too."),
    ] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """As a researcher: put a study on the chain, and invite its hospitals. A deposit is held until its end.

    Example: proofward federation announce study.json --aggregator 5F… --site 5D… --site 5H… --signer me.key
    """
    import secrets

    from proofward.chain import SubstrateClient
    from proofward.chain.accounts import address, keypair_of
    from proofward.chain.pallets import federation as pallet
    from proofward.chain.pallets.attestation import batch
    from proofward.protocol.federation import study_id
    from proofward_federation.network.ledger import plan_of

    with reporting(as_json):
        asked, keypair, nonce = study_of(study), keypair_of(signer), secrets.token_bytes(32)
        name = study_id(bytes(keypair.public_key), nonce)
        invited = [address(one) for one in site]
        with SubstrateClient.connect(chain) as client:
            end = client.finalised_head().number + blocks
            plan = plan_of(asked, rounds=rounds or asked.rounds + 1, window=window, end=end)
            calls = [pallet.create(nonce, address(aggregator), plan)]
            calls += [pallet.invite(name, one) for one in invited]
            receipt = client.submit(batch(calls), keypair)
        values = {"study": name, "block": receipt.block, "end": end, "invited": len(invited)}
        emit(as_json, values, [f"study {hex0x(name)}, {len(invited)} sites invited, until block {end}"])


def take_part(
    folder: Annotated[Path, typer.Argument(help="With site.toml, a table of records, consents.json.")],
    study: Annotated[str, typer.Option(help="The study's id.")],
    aggregator: Annotated[str, typer.Option(help="http:// or https:// address of the aggregator's host.")],
    signer: SignerOption,
    software: Annotated[
        str | None,
        typer.Option(
            "--measurement",
            help="The aggregator's software (32 bytes, hexadecimal); default: this one's, simulated.",
        ),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Most nano-rho for this study; default: what it may spend.")
    ] = None,
    dev: DevOption = False,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """As a hospital: register its rules and consents, join a study, answer its rounds until it is over.

    Records stay; what leaves is a commitment, a proof of length, and an update that is sealed to the enclave,
    whose quote is looked at here: a simulated one is believed with --dev alone.

    Example: proofward federation take-part cleveland --study 0x… --aggregator http://sum:8790 --signer c.key
    """
    from proofward.chain import SubstrateClient
    from proofward.chain.accounts import keypair_of
    from proofward_federation.measure import simulated_measurement
    from proofward_federation.network.hospital import Hospital
    from proofward_federation.network.ledger import announced

    with reporting(as_json):
        name = _bytes32(study)
        wanted = simulated_measurement() if software is None else _bytes32(software)
        with SubstrateClient.connect(chain) as client:
            hospital = Hospital(
                client,
                keypair_of(signer),
                folder,
                name,
                url=aggregator,
                measurement=wanted,
                development=dev,
                tell=lambda line: note(as_json, line),
            )
            hospital.enter(budget or announced(client, name).plan.budget)
            hospital.run()
            values = {"study": name, "answered": hospital.answered, "refused": hospital.refused}
        emit(as_json, values, [f"{len(hospital.answered)} rounds answered, {len(hospital.refused)} not"])


def status(study: StudyId, chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False) -> None:
    """What the chain holds of a study: terms, budgets, sites, rounds.

    Example: proofward federation status 0x…
    """
    from proofward.chain import SubstrateClient
    from proofward.chain.accounts import ss58
    from proofward.chain.pallets import federation as pallet
    from proofward_federation.network.ledger import announced

    with reporting(as_json), SubstrateClient.connect(chain) as client:
        found = announced(client, _bytes32(study))
        rounds = pallet.rounds(client, found)
        lines = [
            f"rule {hex0x(found.plan.rule)}, {found.plan.dimension} parameters, by {ss58(found.aggregator)}",
            f"{found.spent / 1e9:.6f} of {found.plan.budget / 1e9:.6f} rho spent in {found.next} rounds",
        ]
        for one in found.members:
            state = "takes part" if one.active else "left" if one.budget else "invited"
            lines.append(f"site {ss58(one.site)}: {state}, {one.spent} of {one.budget} nano-rho")
        for each in rounds:
            ending = "waits" if each.ending is None else type(each.ending).__name__.lower()
            lines.append(f"round {each.number}: {len(each.committed)} committed, {ending}")
        values = {
            "study": found.id,
            "rule": found.plan.rule,
            "spent": found.spent,
            "budget": found.plan.budget,
            "sites": [
                {"account": ss58(one.site), "budget": one.budget, "spent": one.spent, "active": one.active}
                for one in found.members
            ],
            "rounds": [
                {
                    "number": each.number,
                    "committed": len(each.committed),
                    "ending": None if each.ending is None else type(each.ending).__name__.lower(),
                }
                for each in rounds
            ],
        }
        emit(as_json, values, lines)


def close(
    study: StudyId, signer: SignerOption, chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False
) -> None:
    """As the researcher: end a study, whose deposit comes back; for anybody after its last block.

    Example: proofward federation close 0x… --signer me.key
    """
    from proofward.chain import SubstrateClient
    from proofward.chain.accounts import keypair_of
    from proofward.chain.pallets import federation as pallet

    with reporting(as_json), SubstrateClient.connect(chain) as client:
        receipt = client.submit(pallet.close(_bytes32(study)), keypair_of(signer))
        emit(as_json, {"block": receipt.block}, [f"closed in block {receipt.block}"])


def post_accuracy(
    proof: AccuracyArgument,
    signer: SignerOption,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """As a hospital: put the root and the count of a proof of accuracy on the chain, under its account.

    Example: proofward federation post-accuracy accuracy.json --signer hospital.key
    """
    from proofward.chain import SubstrateClient
    from proofward.chain.accounts import keypair_of
    from proofward.statements.accuracy import load
    from proofward_federation.network.posted import post

    with reporting(as_json), SubstrateClient.connect(chain) as client:
        proved = load(proof)
        block = post(client, keypair_of(signer), proved)
        emit(as_json, {"block": block, "root": proved.root}, [f"root 0x{proved.root} is in block {block}"])


def posted(
    proof: AccuracyArgument,
    site: Annotated[str, typer.Option(help="The hospital's account.")],
    since: Annotated[int, typer.Option(min=1, help="The block from which on others are looked for.")],
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Whether a hospital posted this proof's root, by when, and no other for the same model.

    The proof itself is `proofward statement verify`'s. Exit code 1 when a check does not hold.

    Example: proofward federation posted accuracy.json --site 5F… --since 4711
    """
    from proofward.chain import SubstrateClient
    from proofward.chain.accounts import address
    from proofward.statements.accuracy import load
    from proofward_federation.network.posted import checks

    with reporting(as_json), SubstrateClient.connect(chain) as client:
        found = checks(client, load(proof), address(site), since=since)
        holds = all(one.ok is True for one in found)
        told = [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in found]
        emit(as_json, {"posted": holds, "checks": told}, [*map(str, found)])
        if not holds:
            raise typer.Exit(1)


def _bytes32(text: str) -> bytes:
    from proofward_federation.errors import FederationError

    try:
        found = bytes.fromhex(text.removeprefix("0x"))
        if len(found) == 32:
            return found
    except ValueError:
        pass
    raise FederationError(f"{text!r} is not 0x and 64 hexadecimal digits", code="bad-study")
