"""`proofward model price|retire|remove|fetch`: an entry after it was published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.amounts import shown, units
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

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Id or name.")]


def price(
    model: ModelArgument,
    amount: Annotated[str, typer.Argument(help="Least price of a job, in UNIT.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Change a model's least price; jobs that were submitted keep theirs.

    Example: proofward model price breast-cancer-mlp 1.5 --signer publisher.key
    """
    from proofward.publisher import entries

    plancks = units(amount)
    with reporting(as_json):
        record = entries.set_price(chain, signer, model, plancks)
        emit(
            as_json,
            {"model": record.id, "price": record.price},
            [f"{hex0x(record.id)} costs {shown(record.price)} or more"],
        )


def retire(
    model: ModelArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Take no new jobs for a model; those in its queue may still be done.

    Example: proofward model retire breast-cancer-mlp --signer publisher.key
    """
    from proofward.publisher import entries

    with reporting(as_json):
        record = entries.retire(chain, signer, model)
        emit(
            as_json,
            {"model": record.id, "retired_at": record.retired_at},
            [
                f"{hex0x(record.id)} is retired since block {record.retired_at}; `proofward model remove` "
                f"gives its deposit of {shown(record.deposit)} back when no job can be open any more"
            ],
        )


def remove(
    model: ModelArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Take a retired model out of state; its publisher has the deposit back.

    Example: proofward model remove 0x1f… --signer publisher.key
    """
    from proofward.publisher import entries

    with reporting(as_json):
        deposit = entries.remove(chain, signer, model)
        emit(as_json, {"deposit": deposit}, [f"removed; {shown(deposit)} went back to the publisher"])


def fetch(
    model: ModelArgument,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make; default: the model's name and .proofward here.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--from", help="http(s):// address of a worker or publisher (may be repeated)."),
    ] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Get a model's public artefact from whoever serves it, and check it against the chain's record.

    Without --from the workers that serve the model are asked, at the endpoints that they registered.

    Example: proofward model fetch breast-cancer-mlp --out mlp.proofward
    """
    from proofward.client import fetching

    with reporting(as_json):
        found = fetching.fetch(chain, model, out, source or (), lambda line: note(as_json, line))
        emit(
            as_json,
            {"artifact": str(found.folder), "from": found.source, "manifest_hash": found.manifest_hash},
            [f"artefact {found.folder}, from {found.source}, is the one of {hex0x(found.model)}"],
        )


def add_to(models: typer.Typer) -> None:
    """Add the verbs to `proofward model`."""
    for name, verb in (("price", price), ("retire", retire), ("remove", remove), ("fetch", fetch)):
        models.command(name)(verb)
