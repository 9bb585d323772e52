"""`proofward explorer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.output import DEFAULT_CHAIN, ChainOption, JsonOption, emit, hex0x, reporting
from proofward.cli.verbs import Groups


def register(groups: Groups) -> None:
    """The entry point of group `proofward.cli`."""
    groups.root.command("explorer")(explorer)


def explorer(
    index: Annotated[Path, typer.Option(help="The index's SQLite file.")] = Path("build/explorer.sqlite"),
    host: Annotated[
        str, typer.Option(help="Address to listen on; it is read-only, and asks nobody who he is.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 8090,
    node: Annotated[
        str | None,
        typer.Option(
            help="The node that readers' browsers ask at first (ws:// or wss://). Default: --chain."
        ),
    ] = None,
    artifact: Annotated[
        list[Path] | None,
        typer.Option(
            "--artifact",
            "--artefact",
            help="Folder of a model's public artefact, for readers to verify with (repeatable).",
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            help="The chain's raw spec: readers' tabs then read the chain by proofs, as light clients."
        ),
    ] = None,
    boot_node: Annotated[
        list[str] | None,
        typer.Option(help="Peer of the tabs' light clients, /…/ws/p2p/ID, for the spec's (repeatable)."),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Begin the index anew.")] = False,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Serve the explorer: pages that verify a job again in the reader's own browser.

    A node must allow the site's origin (`proofward devnet --cors http://127.0.0.1:8090`).

    Example: proofward explorer --artifact build/models/mlp/public --spec build/network/spec.json
    """
    from proofward_explorer.run import Ready, Settings, explore

    def ready(what: Ready) -> None:
        begun = "from the first block" if what.block is None else f"from block {what.block + 1}"
        emit(
            as_json,
            {"event": "ready", "url": what.url, "genesis": what.genesis, "block": what.block},
            [f"ready: {what.url}, genesis {hex0x(what.genesis)}, indexing {begun}; stop with Ctrl-C"],
        )

    with reporting(as_json, serves=True):
        explore(
            Settings(
                chain, index, host, port, node, tuple(artifact or ()), rebuild, spec, tuple(boot_node or ())
            ),
            ready,
        )
