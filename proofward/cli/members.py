"""`proofward network members` and what a member of a consortium does: votes, keys, announced calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    JsonOption,
    SignerOption,
    emit,
    hex0x,
    reporting,
)

if TYPE_CHECKING:
    from proofward.chain import Call
    from proofward.chain.council import Agreement

vote = typer.Typer(
    no_args_is_help=True,
    help="Agree, as a member: each runs the same command, and the last one that is needed makes it so.",
)

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The member's address.")]
NoticeArgument = Annotated[int, typer.Argument(metavar="NOTICE", min=0, help="Its number: network members.")]
EndpointOption = Annotated[
    str, typer.Option(help="Where its node is met: a multiaddress or a URL, printable ASCII.")
]
UpgradeOption = Annotated[
    Path | None, typer.Option("--upgrade", help="The new runtime's wasm: its authorisation is the call.")
]
CallOption = Annotated[
    str | None, typer.Option("--call", help="Any other call, as 0x and its SCALE encoding.")
]


def add_to(network: typer.Typer) -> None:
    """Add the members' verbs to the group `network`."""
    for name, verb in (
        ("members", members),
        ("set-keys", set_keys),
        ("endpoint", endpoint),
        ("leave", leave),
        ("enact", enact),
        ("upgrade", upgrade),
    ):
        network.command(name)(verb)
    network.add_typer(vote, name="vote")


def members(chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False) -> None:
    """Who runs the chain, and which decisions wait for the end of their notice.

    Example: proofward network members --chain ws://127.0.0.1:9944
    """
    from proofward.cli.listings import consortium

    with reporting(as_json):
        found = consortium(chain)
        settings = found["settings"]
        lines = [
            f"{settings['kind'].lower()} chain at block {found['block']}: a notice is "
            f"{settings['notice_blocks']} blocks, a session {settings['session_blocks']}"
        ]
        for one in found["members"]:
            state = f"out since session {one['out_since']}" if one["out_since"] is not None else "votes"
            keys = "" if one["has_keys"] else ", no session keys"
            lines.append(f"{one['account']}  {state}{keys}  {one['endpoint']}")
        lines += [
            f"notice {one['number']}: {one['change']} "
            + ", ".join(f"{name} {value}" for name, value in one["details"].items())
            + f"; from block {one['due']} on"
            for one in found["notices"]
        ]
        emit(as_json, found, lines)


@vote.command()
def admit(
    account: AccountArgument,
    legal_name: Annotated[str, typer.Option(help="As it stands in the members' register; it is hashed.")],
    endpoint: EndpointOption,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Admit a member, after the notice; it sets its keys meanwhile. More than two thirds are needed.

    Example: proofward network vote admit 5F… --legal-name 'Hospital E' --endpoint /dns/e.example/tcp/30333
    """
    from proofward.chain.pallets import consortium
    from proofward.protocol import sha256

    with reporting(as_json):
        call = consortium.admit(_account(account), sha256(legal_name.encode()), _endpoint(endpoint))
        _agree(as_json, chain, signer, call, f"{account} is admitted")


@vote.command()
def remove(
    account: AccountArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Remove a member, after the notice. More than two thirds are needed.

    Example: proofward network vote remove 5F… --signer member.key
    """
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        _agree(as_json, chain, signer, consortium.remove(_account(account)), f"{account} is removed")


@vote.command()
def reinstate(
    account: AccountArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Let a member take part again that said two things at once. More than two thirds are needed.

    Example: proofward network vote reinstate 5F… --signer member.key
    """
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        _agree(as_json, chain, signer, consortium.reinstate(_account(account)), f"{account} takes part again")


@vote.command()
def replace(
    account: AccountArgument,
    successor: Annotated[str, typer.Argument(metavar="SUCCESSOR", help="The account that takes its place.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Put a member's place on another account, whose key was lost or taken. More than two thirds are needed.

    Example: proofward network vote replace 5F… 5G… --signer member.key
    """
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        call = consortium.replace(_account(account), _account(successor))
        _agree(as_json, chain, signer, call, f"{successor} takes the place of {account}")


@vote.command()
def announce(
    upgrade: UpgradeOption = None,
    call: CallOption = None,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Announce what is made with root's rights after the notice: an upgrade of the runtime, or another call.
    More than two thirds are needed. Everybody builds the runtime himself: another code is another motion.

    Example: proofward network vote announce --upgrade build/proofward_runtime.compact.compressed.wasm
    """
    from proofward.chain import governance
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        wanted = _announced(chain, upgrade, call)
        digest = governance.announced(chain, wanted)
        name = f"{wanted.pallet}.{wanted.name}"
        _agree(
            as_json, chain, signer, consortium.announce_call(digest), f"{name} ({hex0x(digest)}) is announced"
        )


@vote.command()
def withdraw(
    notice: NoticeArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Take back a decision that does not hold yet. A third is needed.

    Example: proofward network vote withdraw 7 --signer member.key
    """
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        _agree(as_json, chain, signer, consortium.withdraw(notice), f"notice {notice} is withdrawn")


@vote.command("recover-finality")
def recover_finality(
    best_finalised: Annotated[
        int, typer.Argument(min=0, help="The highest block that any of you has as final.")
    ],
    delay: Annotated[int, typer.Option(min=1, help="More blocks than may be undone.")] = 100,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Begin anew with finality that stands for good; docs/runbook.md comes first. More than two thirds are
    needed. It goes by the newest blocks, since none are final.

    Example: proofward network vote recover-finality 123456 --delay 100 --signer member.key
    """
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        call = consortium.recover_finality(delay, best_finalised)
        _agree(as_json, chain, signer, call, "finality begins anew with the next session", final=False)


def set_keys(
    node: Annotated[str, typer.Option(help="Your own node's ws:// address: it makes and keeps the keys.")],
    signer: SignerOption = "//Alice",
    chain: Annotated[str | None, typer.Option(envvar="PROOFWARD_CHAIN", help="Default: --node.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Have your own node make session keys, and put them on the chain; they hold two sessions later.

    Example: proofward network set-keys --node ws://127.0.0.1:9944 --signer member.key
    """
    from proofward.chain import accounts, governance

    with reporting(as_json):
        call = governance.new_session_keys(node, bytes(accounts.keypair_of(signer).public_key))
        block = governance.send(chain or node, signer, call)
        keys = call.args["keys"]
        emit(
            as_json,
            {"aura": keys["aura"], "grandpa": keys["grandpa"], "block": block},
            [f"aura {hex0x(keys['aura'])}, grandpa {hex0x(keys['grandpa'])}: on the chain in block {block}"],
        )


def endpoint(
    address: Annotated[str, typer.Argument(help="A multiaddress or a URL, printable ASCII.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """As a member: say where your node is met.

    Example: proofward network endpoint /dns/chain.hospital-a.example/tcp/30333 --signer member.key
    """
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        call = consortium.set_endpoint(_endpoint(address))
        _sent(as_json, chain, signer, call, f"your node is met at {address}")


def leave(
    signer: SignerOption = "//Alice", chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False
) -> None:
    """As a member: leave, after the notice.

    Example: proofward network leave --signer member.key
    """
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        _sent(
            as_json,
            chain,
            signer,
            consortium.leave(),
            "you leave after the notice: proofward network members",
        )


def enact(
    notice: NoticeArgument,
    upgrade: UpgradeOption = None,
    call: CallOption = None,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Have an announced call made, once its notice is over; anybody may.

    Example: proofward network enact 7 --upgrade proofward_runtime.compact.compressed.wasm --signer member.key
    """
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        wanted = consortium.enact(notice, _announced(chain, upgrade, call))
        _sent(as_json, chain, signer, wanted, f"the call of notice {notice} was made")


def upgrade(
    code: Annotated[Path, typer.Argument(metavar="WASM", help="The new runtime.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Put a runtime on the chain whose authorisation was enacted; anybody may.

    Example: proofward network upgrade proofward_runtime.compact.compressed.wasm --signer member.key
    """
    from proofward.chain import governance
    from proofward.chain.pallets import consortium

    with reporting(as_json):
        call = consortium.apply_upgrade(governance.read_code(code))
        _sent(as_json, chain, signer, call, "the runtime is on the chain, and holds from the next block on")


def _announced(chain: str, upgrade: Path | None, call: str | None) -> Call:
    from proofward.chain import governance
    from proofward.errors import Refused

    if (upgrade is None) == (call is None):
        raise Refused("give --upgrade WASM or --call 0x…, and not both", code="usage")
    if upgrade is not None:
        if not upgrade.is_file():
            raise Refused(f"{upgrade} is not there; give the runtime's file", code="usage")
        return governance.upgrade(upgrade)
    assert call is not None
    try:
        encoded = bytes.fromhex(call.removeprefix("0x"))
    except ValueError as error:
        raise Refused(f"--call takes 0x and hexadecimal digits: {error}", code="usage") from None
    return governance.read_call(chain, encoded)


def _account(text: str) -> bytes:
    from proofward.chain import accounts

    return accounts.named(text)


def _endpoint(text: str) -> str:
    from proofward.chain.pallets.consortium import MAX_ENDPOINT
    from proofward.errors import Refused

    if not (text and text.isascii() and text.isprintable() and len(text) <= MAX_ENDPOINT):
        raise Refused(f"an endpoint has 1 to {MAX_ENDPOINT} printable ASCII characters", code="usage")
    return text


def _agree(as_json: bool, chain: str, signer: str, call: Call, decided: str, *, final: bool = True) -> None:
    from proofward.chain import governance

    told(as_json, governance.agree(chain, signer, call, final=final), decided)


def told(as_json: bool, found: Agreement, decided: str, **more: object) -> None:
    """Say where a motion stands, or that `decided` is so."""
    from proofward.chain import accounts

    value = {
        **more,
        "motion": found.motion,
        "agreed": [accounts.ss58(one) for one in found.agreed],
        "needed": found.needed,
        "seats": found.seats,
        "until": found.until,
        "block": found.block,
    }
    if found.block is not None:
        line = f"{decided} since block {found.block}, by {len(found.agreed)} members"
    else:
        line = (
            f"agreed: {len(found.agreed)} of {found.needed} members that are needed, out of {found.seats}; "
            f"the others run the same command until block {found.until} (motion {hex0x(found.motion)})"
        )
    emit(as_json, value, [line])


def _sent(as_json: bool, chain: str, signer: str, call: Call, done: str) -> None:
    from proofward.chain import governance

    block = governance.send(chain, signer, call)
    emit(as_json, {"block": block}, [f"{done} (block {block})"])
