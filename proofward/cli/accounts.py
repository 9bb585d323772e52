"""`proofward account new|show|balance|send|faucet`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proofward.cli.amounts import shown, units
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
    from proofward.chain import SubstrateClient
    from proofward.chain.extrinsic import Signer

app = typer.Typer(no_args_is_help=True, help="Keys, balances and transfers.")

AccountArgument = Annotated[
    str, typer.Argument(help="SS58 address, 0x and 64 hex digits, //Name, or a key file.")
]


@app.command("new")
def new(
    path: Annotated[Path, typer.Argument(help="The key file to make; it must not exist.")],
    as_json: JsonOption = False,
) -> None:
    """Make a key file (sr25519, a phrase of twelve words, mode 0600) and print its address.

    Whoever has the file has the account: keep a copy of it where nobody else reads.

    Example: proofward account new worker.key
    """
    from proofward.chain import accounts

    with reporting(as_json):
        account = accounts.new_key_file(path)
        emit(
            as_json,
            {"address": accounts.ss58(account), "account": account, "file": str(path)},
            [f"address {accounts.ss58(account)}", f"key     {path} (mode 0600; back it up)"],
        )


@app.command("show")
def show(account: AccountArgument, as_json: JsonOption = False) -> None:
    """Print an account's address and its 32 bytes; of a key file, without its secret.

    Example: proofward account show worker.key
    """
    from proofward.chain import accounts

    with reporting(as_json):
        found = accounts.named(account)
        emit(
            as_json,
            {"address": accounts.ss58(found), "account": found},
            [f"address {accounts.ss58(found)}", f"account {hex0x(found)}"],
        )


@app.command("balance")
def balance(
    account: AccountArgument, chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False
) -> None:
    """Print what an account has, and what of it is held for what.

    Example: proofward account balance //Alice
    """
    from proofward.chain import SubstrateClient, accounts
    from proofward.chain.pallets import balances

    with reporting(as_json), SubstrateClient.connect(chain) as client:
        found = accounts.named(account)
        at = client.finalised_head().hash
        money, holds = balances.get(client, found, at), balances.holds(client, found, at)
        emit(
            as_json,
            {"address": accounts.ss58(found), "free": money.free, "held": money.held, "holds": holds},
            [
                f"address {accounts.ss58(found)}",
                f"free    {shown(money.free)}",
                f"held    {shown(money.held)}",
                *(f"        {shown(amount)} for {reason}" for reason, amount in sorted(holds.items())),
            ],
        )


@app.command("send")
def send(
    to: AccountArgument,
    amount: Annotated[str, typer.Argument(help="In UNIT, such as 12.5.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Send UNIT from the signer's account; done when it is finalised.

    Example: proofward account send 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty 10 --signer my.key
    """
    from proofward.chain import SubstrateClient, accounts

    plancks = units(amount)
    with reporting(as_json), SubstrateClient.connect(chain) as client:
        _report(as_json, _send(client, accounts.keypair_of(signer), accounts.named(to), plancks))


@app.command("faucet")
def faucet(
    to: AccountArgument,
    amount: Annotated[str, typer.Option(help="In UNIT.")] = "1000",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Give an account UNIT on a development chain, from one of the keys that everybody has.

    Example: proofward account faucet worker.key --amount 200
    """
    from proofward.chain import SubstrateClient, accounts
    from proofward.errors import Refused

    plancks = units(amount)
    with reporting(as_json), SubstrateClient.connect(chain) as client:
        if client.chain_type != "Development":
            raise Refused(
                f"the chain at {chain} is {client.chain_type}: only development chains have a faucet"
            )
        _report(as_json, _send(client, accounts.dev_keypair("//Alice"), accounts.named(to), plancks))


def _send(client: SubstrateClient, keypair: Signer, to: bytes, plancks: int) -> dict[str, Any]:
    from proofward.chain import accounts
    from proofward.chain.pallets import balances

    receipt = client.submit(balances.transfer(to, plancks), keypair)
    receipt.raise_for_error()
    sender = bytes(keypair.public_key)
    return {
        "from": accounts.ss58(sender),
        "to": accounts.ss58(to),
        "amount": plancks,
        "block": receipt.block,
    }


def _report(as_json: bool, value: dict[str, Any]) -> None:
    line = f"{shown(value['amount'])} from {value['from']} to {value['to']} in block {value['block']}"
    emit(as_json, value, [line])
