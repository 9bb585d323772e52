"""`proofward federation …` and `proofward consent …`."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from proofward.cli.verbs import Groups
from proofward.publisher import cards

if TYPE_CHECKING:
    from proofward.chain import SubstrateClient
    from proofward.check import Check
    from proofward_federation.study import Study
    from proofward_federation.wallet import Held

CARD_FORMAT = "proofward/federation-card/v1"

federation = typer.Typer(
    name="federation",
    no_args_is_help=True,
    help="Studies of several hospitals: what a site lets, what it costs.",
)
consent = typer.Typer(
    name="consent", no_args_is_help=True, help="Which patients agree that their records are learnt from."
)


def register(groups: Groups) -> None:
    """The entry point of group `proofward.cli`."""
    federation.command("policy")(policy)
    federation.command("admit")(admit)
    federation.command("budget")(budget)
    federation.command("measurement")(measurement)
    federation.command("watch")(watch)
    federation.command("rehearse")(rehearse)
    federation.command("audit")(audit)
    federation.command("serve")(serve)
    federation.command("announce")(announce)
    federation.command("take-part")(take_part)
    federation.command("status")(status)
    federation.command("close")(close)
    federation.command("seal-records")(seal_records)
    federation.command("post-accuracy")(post_accuracy)
    federation.command("posted")(posted)
    consent.command("grant")(grant)
    consent.command("revoke")(revoke)
    consent.command("accept")(accept)
    consent.command("take-back")(take_back)
    consent.command("note")(note_down)
    consent.command("strike")(strike)
    consent.command("erase")(erase)
    consent.command("show")(show)
    consent.command("path")(path_of)
    consent.command("placed")(placed)
    groups.root.add_typer(federation, name="federation")
    groups.root.add_typer(consent, name="consent")
    cards.READERS[CARD_FORMAT] = _follow


PolicyArgument = Annotated[Path, typer.Argument(metavar="SITE.TOML", help="The site's own rules.")]
StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY.JSON", help="A study's canonical document.")]
RegisterOption = Annotated[
    Path, typer.Option("--register", help="The hospital's file of consents (mode 0600).")
]
HospitalArgument = Annotated[str, typer.Argument(metavar="HOSPITAL", help="As its site.toml names it.")]
HospitalOption = Annotated[str, typer.Option(help="This hospital, as its site.toml names it.")]
WalletOption = Annotated[Path, typer.Option("--wallet", help="The patient's file of keys (0600).")]
OutOption = Annotated[Path, typer.Option("--out", help="Where to write the credential.")]
CredentialArgument = Annotated[Path, typer.Argument(metavar="FILE", help="What the patient sent.")]
PurposeOption = Annotated[str, typer.Option(help="What the record may be used for.")]
DaysOption = Annotated[int, typer.Option(min=1, max=3_650, help="How long it counts.")]
RecordArgument = Annotated[
    str, typer.Argument(metavar="RECORD", help="The hospital's own number of the patient.")
]


def policy(path: PolicyArgument, as_json: JsonOption = False) -> None:
    """Read a site's rules, print their hash and the numbers that the chain holds it to.

    Example: proofward federation policy site.toml
    """
    from proofward.chain.accounts import ss58
    from proofward_federation.policy import SitePolicy

    with reporting(as_json):
        found = SitePolicy.load(path)
        values = {
            "name": found.name,
            "policy": found.hash,
            "yearly_nano_rho": found.yearly,
            "round_nano_rho": found.round,
            "cohort": found.cohort,
            "peers": {"least": found.least, "of": sorted(map(ss58, found.peers))},
            "purposes": sorted(found.purposes),
            "purpose_bits": found.purpose_bits,
        }
        emit(
            as_json,
            values,
            [
                f"{found.name}: policy {hex0x(found.hash)}",
                f"a year: {found.yearly / 1e9:.4f} rho; a round: at most {found.round / 1e9:.4f} rho",
                f"sums of {found.cohort} sites or more, for {', '.join(sorted(found.purposes))}",
                f"{found.least} or more of its {len(found.peers)} peers in each sum, by their signatures",
            ],
        )


def admit(path: PolicyArgument, study: StudyArgument, as_json: JsonOption = False) -> None:
    """Say whether a site with these rules takes part in a study, or which rule it breaks (exit code 1).

    Example: proofward federation admit site.toml study.json
    """
    from proofward_federation.policy import SitePolicy

    with reporting(as_json):
        found, asked = SitePolicy.load(path), _study(study)
        found.admit(asked)
        emit(
            as_json,
            {"admitted": True, "rule": asked.rule, "round_nano_rho": asked.rho},
            [f"{found.name} takes part in {asked.name!r}: {asked.rho / 1e9:.4f} rho a round"],
        )


def budget(
    study: StudyArgument,
    delta: Annotated[
        float, typer.Option(min=1e-12, max=1e-3, callback=finite, help="At which epsilon is told.")
    ] = 1e-5,
    as_json: JsonOption = False,
) -> None:
    """Print what a study's rounds cost, in rho and as epsilon.

    Example: proofward federation budget study.json
    """
    from proofward_federation.budget import epsilon_of

    with reporting(as_json):
        asked = _study(study)
        total = asked.rho * asked.rounds
        values = {
            "round_nano_rho": asked.rho,
            "rounds": asked.rounds,
            "total_nano_rho": total,
            "budget_nano_rho": asked.budget,
            "epsilon": epsilon_of(total, delta),
            "delta": delta,
        }
        emit(
            as_json,
            values,
            [
                f"a round: {asked.rho / 1e9:.6f} rho; {asked.rounds} rounds: {total / 1e9:.6f} rho",
                f"epsilon {epsilon_of(total, delta):.4f} at delta {delta:g}, for each record",
                f"the study's budget: {asked.budget / 1e9:.6f} rho, for {asked.budget // asked.rho} rounds",
            ],
        )


def watch(
    series: Annotated[
        Path, typer.Argument(metavar="COUNTS.CSV", help="Published counts: a row a week, a column a cell.")
    ],
    deviation: Annotated[
        float, typer.Option(min=0, callback=finite, help="Of the published noise, in ones.")
    ],
    threshold: Annotated[
        float, typer.Option(min=0.1, callback=finite, help="Deviations above the baseline.")
    ] = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Name the weeks, from 0, in which a published count is far above those before it (EARS C2).

    An alarm is a reason to look, not an outbreak; the first nine weeks have no baseline.

    Example: proofward federation watch counts.csv --deviation 4.8
    """
    from proofward.tables.reader import read_table
    from proofward_federation.outbreak import alarms

    with reporting(as_json):
        table = read_table(series)
        found = {
            table.column(place): alarms(table.values[:, place].tolist(), deviation, threshold)
            for place in range(table.columns)
        }
        lines = [f"{name}: {', '.join(map(str, weeks)) or 'nothing'}" for name, weeks in found.items()]
        emit(as_json, {"weeks": len(table.values), "alarms": found}, lines)


def rehearse(
    study: StudyArgument,
    sites: Annotated[
        list[Path],
        typer.Argument(help="Folders with site.toml, a table of records, consents.json (each a site)."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where to write transcript.json and model.json.")],
    as_json: JsonOption = False,
) -> None:
    """Run a whole study on this machine, without chain or network; its rounds, sums and proofs are real.

    It needs OpenDP (`make federation`: then as `build/federation/bin/python -m proofward.cli`).

    Example: proofward federation rehearse study.json sites/* --out run
    """
    import json

    from proofward.files import write_whole
    from proofward_federation.folder import read_site
    from proofward_federation.rehearsal import NOT_SHOWN
    from proofward_federation.rehearsal import rehearse as run

    with reporting(as_json):
        asked = _study(study)
        note(as_json, NOT_SHOWN)
        done = run(asked, [read_site(folder) for folder in sites], lambda line: note(as_json, line))
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        done.transcript.save(out / "transcript.json")
        model = {"rule": asked.rule.hex(), "weights": done.weights.tolist(), "not_shown": NOT_SHOWN}
        write_whole(out / "model.json", json.dumps(model, indent=1).encode())
        values = {"rounds": len(done.transcript.rounds), "refused": done.refused, "not_shown": NOT_SHOWN}
        emit(as_json, values, [f"{out}: transcript.json and model.json, {values['rounds']} rounds"])


def audit(
    transcript: Annotated[Path, typer.Argument(metavar="TRANSCRIPT.JSON", help="What `rehearse` wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Check a study's rounds offline: exact sums, proofs of length, signatures, the budget.

    Example: proofward federation audit run/transcript.json
    """
    from proofward_federation.transcript import Transcript
    from proofward_federation.transcript import audit as check

    with reporting(as_json):
        lines = check(Transcript.load(transcript))
        unchecked = (
            "not checked: whether the receipt key is an attested enclave's, whether noise came before "
            "updates, how many consents a site has; no chain was read"
        )
        emit(as_json, {"holds": True, "checks": lines, "unchecked": unchecked}, [*lines, unchecked])


StudyId = Annotated[str, typer.Argument(metavar="ID", help="The study's id, as `announce` prints it.")]


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
        asked, tell = _study(study), lambda line: note(as_json, line)
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
        asked, keypair, nonce = _study(study), keypair_of(signer), secrets.token_bytes(32)
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


AccuracyArgument = Annotated[
    Path, typer.Argument(metavar="ACCURACY.JSON", help="What `statement accuracy` wrote.")
]


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


def seal_records(
    folder: Annotated[
        Path, typer.Argument(help="A hospital's, with its table of records, which is removed.")
    ],
    as_json: JsonOption = False,
) -> None:
    """As a hospital: put its records into a vault, each record under a key of its own, to erase one by it.

    records.csv, .parquet or .json is removed once every record opens again; copies of it elsewhere are not.

    Example: proofward federation seal-records cleveland
    """
    import numpy as np

    from proofward_federation.errors import FederationError
    from proofward_federation.folder import read_table_of, table_of
    from proofward_federation.vault import Vault

    with reporting(as_json):
        table = table_of(folder)
        records = read_table_of(folder)
        Vault.seal(folder, records)
        try:
            found = Vault.load(folder).open()
            same = found.names == records.names and all(
                np.array_equal(found.columns[name], values, equal_nan=True)
                for name, values in records.columns.items()
            )
            if not same:
                raise FederationError(
                    "the vault does not give the records back: kept the table, and no vault", code="bad-vault"
                )
        except FederationError:
            Vault.remove(folder)
            raise
        table.unlink()
        emit(as_json, {"records": len(found.names)}, [f"{len(found.names)} records, each under its own key"])


def erase(
    record: RecordArgument,
    folder: Annotated[Path, typer.Option("--folder", help="The hospital's, with a vault.")],
    as_json: JsonOption = False,
) -> None:
    """As a hospital: destroy a record's key and strike its consent; no copy of the vault opens it again.

    What was published before keeps its noise and the record. A copy of the key file would open it.

    Example: proofward consent erase 4711 --folder cleveland
    """
    from proofward_federation.consents import Register
    from proofward_federation.errors import FederationError
    from proofward_federation.vault import Vault

    with reporting(as_json):
        Vault.load(folder).erase(record)
        with Register.changing(folder / "consents.json") as held, suppress(FederationError):
            held.revoke(record)  # unless there was none, or it was taken back before
        emit(as_json, {"record": record, "erased": True}, [f"{record}: its key is destroyed"])


def _bytes32(text: str) -> bytes:
    from proofward_federation.errors import FederationError

    try:
        found = bytes.fromhex(text.removeprefix("0x"))
        if len(found) == 32:
            return found
    except ValueError:
        pass
    raise FederationError(f"{text!r} is not 0x and 64 hexadecimal digits", code="bad-study")


def _follow(model: bytes, document: bytes, client: SubstrateClient | None) -> list[Check]:
    from proofward_federation.network.card import follow

    return follow(model, document, client)


def measurement(as_json: JsonOption = False) -> None:
    """Print the measurement that a simulated aggregator of the software installed here has in its quotes.

    It needs OpenDP (`make federation`: then as `build/federation/bin/python -m proofward.cli`).

    Example: proofward federation measurement
    """
    from proofward_federation.measure import simulated_measurement

    with reporting(as_json):
        found = simulated_measurement()
        emit(as_json, {"measurement": found, "level": "simulated"}, [hex0x(found)])


def grant(
    hospital: HospitalArgument,
    wallet: WalletOption,
    purpose: PurposeOption,
    out: OutOption,
    scope: Annotated[
        list[str] | None, typer.Option(help="What of the record (repeatable); all of it.")
    ] = None,
    days: DaysOption = 365,
    as_json: JsonOption = False,
) -> None:
    """As a patient: consent that a hospital uses one's record; the wallet is made when there is none.

    Example: proofward consent grant Cleveland --wallet me.json --purpose cardiology --out consent.sdjwt
    """
    from proofward.files import write_whole
    from proofward_federation.wallet import Wallet

    with reporting(as_json):
        held = Wallet.load(wallet) if wallet.exists() else Wallet.new()
        until = int(time.time()) + days * 86_400
        credential = held.grant(hospital, purpose, until=until, scope=scope or ["all"])
        held.save(wallet)
        write_whole(out, credential.encode())
        values = {"hospital": hospital, "purpose": purpose, "until": until, "issuer": held.issuer(hospital)}
        emit(as_json, values, [f"{out}: a consent for {hospital}, for {purpose}, of {days} days"])


def revoke(
    hospital: HospitalArgument,
    wallet: WalletOption,
    out: OutOption,
    purpose: Annotated[str | None, typer.Option(help="Only what was given for this; all of it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """As a patient: take back all that was given to a hospital, or what was given for one purpose.

    What was published before keeps its noise and the record; nobody can take it out again. The wallet keeps
    what was taken back, and gives its revocations out again when they are asked for again.

    Example: proofward consent revoke Cleveland --wallet me.json --out revocation.sdjwt
    """
    from proofward.files import write_whole
    from proofward_federation.wallet import Wallet

    with reporting(as_json):
        held = Wallet.load(wallet)
        revocations = held.revoke(hospital, purpose)
        write_whole(out, "\n".join(revocations).encode())
        held.save(wallet)
        emit(
            as_json, {"hospital": hospital, "revoked": len(revocations)}, [f"{out}: for {hospital} to follow"]
        )


def accept(
    record: RecordArgument,
    credential: CredentialArgument,
    register: RegisterOption,
    hospital: HospitalOption,
    as_json: JsonOption = False,
) -> None:
    """As a hospital: check a patient's consent, and take it into the register.

    Example: proofward consent accept 4711 consent.sdjwt --register consents.json --hospital Cleveland
    """
    from proofward_federation.consents import Register

    with reporting(as_json):
        with Register.changing(register, new=True) as held:
            taken = held.accept(record, hospital, _text(credential))
        emit(
            as_json, {"record": record, "purpose": taken.purpose, "until": taken.until}, [f"{record} agrees"]
        )


def take_back(
    credential: CredentialArgument,
    register: RegisterOption,
    hospital: HospitalOption,
    as_json: JsonOption = False,
) -> None:
    """As a hospital: follow a patient's revocations; no update made from now on has the record in it.

    Each is followed on its own. One of a consent that is not here is kept: it will not be taken in later.

    Example: proofward consent take-back revocation.sdjwt --register consents.json --hospital Cleveland
    """
    from proofward_federation.consents import Register
    from proofward_federation.errors import FederationError

    with reporting(as_json):
        faults: list[FederationError] = []
        found = []
        with Register.changing(register) as held:
            for one in _text(credential).split():
                try:
                    found.append(held.take_back(hospital, one))
                except FederationError as error:
                    faults.append(error)
        if faults:
            raise FederationError(
                f"{len(faults)} of {len(faults) + len(found)} revocations could not be followed, the others "
                f"were: {faults[0].message}",
                code=faults[0].code,
            )
        taken = [f"{one.record} agrees no more to {one.purpose}" for one in found if one is not None]
        unknown = found.count(None)
        told = f"{unknown} of no consent here: kept, so that none is taken in under it"
        emit(
            as_json,
            {"records": [one.record for one in found if one is not None], "unknown": unknown},
            [*taken, *([told] if unknown else [])],
        )


def note_down(
    record: RecordArgument,
    register: RegisterOption,
    purpose: PurposeOption,
    days: DaysOption = 365,
    as_json: JsonOption = False,
) -> None:
    """As a hospital: write down a consent given on paper; the register's word, not the patient's signature.

    Example: proofward consent note 4711 --register consents.json --purpose cardiology
    """
    from proofward_federation.consents import Register
    from proofward_federation.errors import FederationError
    from proofward_federation.study import PURPOSES

    with reporting(as_json):
        if purpose not in PURPOSES:
            raise FederationError(f"a purpose is one of {', '.join(PURPOSES)}", code="unknown-purpose")
        with Register.changing(register, new=True) as held:
            given = held.grant(record, purpose, int(time.time()) + days * 86_400)
        values = {"record": record, "purpose": purpose, "until": given.until}
        emit(as_json, values, [f"{record} agrees to {purpose}"])


def strike(record: RecordArgument, register: RegisterOption, as_json: JsonOption = False) -> None:
    """As a hospital: write down that a patient agrees no more, to nothing.

    Example: proofward consent strike 4711 --register consents.json
    """
    from proofward_federation.consents import Register

    with reporting(as_json):
        with Register.changing(register) as held:
            held.revoke(record)
        emit(as_json, {"record": record, "revoked": True}, [f"{record} agrees no more"])


def show(
    register: Annotated[
        Path | None, typer.Option("--register", help="As a hospital: its file of consents.")
    ] = None,
    purpose: Annotated[str | None, typer.Option(help="With --register: which consents to count.")] = None,
    wallet: Annotated[Path | None, typer.Option("--wallet", help="As a patient: one's own file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """As a patient, what was given to whom; as a hospital, the live consents for a purpose, and their root.

    Example: proofward consent show --wallet me.json
    """
    with reporting(as_json):
        if wallet is not None and register is None and purpose is None:
            _show_wallet(wallet, as_json)
        elif wallet is None and register is not None and purpose is not None:
            _show_register(register, purpose, as_json)
        else:
            raise typer.BadParameter("give --wallet, or --register with --purpose")


def _show_wallet(wallet: Path, as_json: bool) -> None:
    from proofward_federation.wallet import Wallet

    given = [(hospital, one) for hospital, kept in Wallet.load(wallet).given.items() for one in kept]
    values = {
        "given": [
            {
                "hospital": hospital,
                "purpose": one.purpose or None,
                "until": one.until or None,
                "handle": one.handle,
                "revoked": one.revoked,
            }
            for hospital, one in given
        ]
    }
    lines = [f"{hospital}: {_told(one)}, handle {one.handle[:16]}…" for hospital, one in given]
    emit(as_json, values, lines or ["nothing was given"])


def _told(one: Held) -> str:
    until = time.strftime("%Y-%m-%d", time.gmtime(one.until)) if one.until else "an unknown day"
    return f"{one.purpose or 'an unknown purpose'} until {until}{', taken back' if one.revoked else ''}"


def _show_register(register: Path, purpose: str, as_json: bool) -> None:
    from proofward_federation.consents import Register

    live = Register.load(register).live(purpose, int(time.time()))
    values = {"live": len(live.records), "told": live.most, "root": live.root}
    told = f"{len(live.records)} live; for all purposes at most {live.most}, which is told"
    emit(as_json, values, [told, f"root {hex0x(live.root)}"])


def path_of(
    record: RecordArgument,
    register: RegisterOption,
    out: Annotated[Path, typer.Option("--out", help="Where to write what the patient checks.")],
    as_json: JsonOption = False,
) -> None:
    """As a hospital: show a patient where each consent of the record stands in the tree, or that it does not.

    Example: proofward consent path 4711 --register consents.json --out places.json
    """
    from proofward_federation.consents import Register
    from proofward_federation.errors import FederationError
    from proofward_federation.placed import save
    from proofward_federation.placed import show as shown_of

    with reporting(as_json):
        held = Register.load(register)
        leaves = [one.leaf for one in held.tree(int(time.time()))]
        if not leaves:
            raise FederationError("nobody agrees to anything: there is no tree", code="no-consents")
        places = {one.leaf: shown_of(leaves, one.leaf) for one in held.of(record)}
        save(out, places)
        emit(as_json, {"record": record, "consents": len(places)}, [f"{out}: {len(places)} consents' places"])


def placed(
    hospital: HospitalArgument,
    wallet: WalletOption,
    places: Annotated[Path, typer.Option("--path", help="What the hospital's `consent path` wrote.")],
    site: Annotated[str, typer.Option(help="The hospital's account.")],
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """As a patient: whether one's consents are under the root that the hospital has on the chain.

    Exit code 1 when one that was taken back is in the tree still, or is not shown to be out of it.

    Example: proofward consent placed Cleveland --wallet me.json --path places.json --site 5F…
    """
    from proofward.chain import SubstrateClient
    from proofward.chain.accounts import address
    from proofward.chain.pallets import federation as pallet
    from proofward_federation.consents import leaf_of
    from proofward_federation.errors import FederationError
    from proofward_federation.placed import load, stands
    from proofward_federation.wallet import Wallet

    with reporting(as_json):
        given, shown = Wallet.load(wallet).given.get(hospital, []), load(places)
        if not given:
            raise FederationError(f"nothing was given to {hospital}", code="unknown-consent")
        with SubstrateClient.connect(chain) as client:
            found = pallet.site(client, address(site))
        if found is None or found.consents is None:
            raise FederationError(f"{site} has no tree of consents on the chain", code="not-registered")
        root, live = found.consents.root, found.consents.live
        states: list[tuple[Held, bool | None]] = []
        for one in given:
            leaf = leaf_of(bytes.fromhex(one.handle), one.purpose, one.until)
            states.append((one, stands(leaf, shown[leaf], root, live) if leaf in shown else None))
        words = {True: "is in the tree", False: "is not in the tree", None: "is not shown"}
        values = {
            "root": root,
            "block": found.consents.at,
            "consents": [
                {"handle": one.handle, "purpose": one.purpose, "revoked": one.revoked, "in_tree": state}
                for one, state in states
            ],
        }
        emit(as_json, values, [f"{_told(one)}: {words[state]}" for one, state in states])
        if any(one.revoked and state is not False for one, state in states):
            raise typer.Exit(1)


def _text(path: Path) -> str:
    from proofward_federation.errors import FederationError

    try:
        with path.open(encoding="utf-8") as file:
            return file.read(1 << 20).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FederationError(f"cannot read {path}: {error}", code="bad-credential") from None


def _study(path: Path) -> Study:
    from proofward.files import TooLong, read_whole
    from proofward_federation.errors import FederationError
    from proofward_federation.study import Study

    try:
        return Study.parse(read_whole(path, 1 << 18))
    except OSError as error:
        raise FederationError(f"cannot read {path}: {error.strerror}", code="bad-study") from None
    except TooLong as error:
        raise FederationError(f"{path} is no study: {error}", code="bad-study") from None
