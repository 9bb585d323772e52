"""`proofward consent …`: a patient's wallet, a hospital's register."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    JsonOption,
    emit,
    hex0x,
    reporting,
)

if TYPE_CHECKING:
    from proofward_federation.wallet import Held

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


def _show_register(register: Path, purpose: str, as_json: bool) -> None:
    from proofward_federation.consents import Register

    live = Register.load(register).live(purpose, int(time.time()))
    values = {"live": len(live.records), "told": live.most, "root": live.root}
    told = f"{len(live.records)} live; for all purposes at most {live.most}, which is told"
    emit(as_json, values, [told, f"root {hex0x(live.root)}"])


def _told(one: Held) -> str:
    until = time.strftime("%Y-%m-%d", time.gmtime(one.until)) if one.until else "an unknown day"
    return f"{one.purpose or 'an unknown purpose'} until {until}{', taken back' if one.revoked else ''}"


def _text(path: Path) -> str:
    from proofward_federation.errors import FederationError

    try:
        with path.open(encoding="utf-8") as file:
            return file.read(1 << 20).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FederationError(f"cannot read {path}: {error}", code="bad-credential") from None
