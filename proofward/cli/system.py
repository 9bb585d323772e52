"""`proofward devnet` and `proofward doctor`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.output import Exit, JsonOption, emit, hex0x, note, reporting


class Node(StrEnum):
    """What runs the development chain."""

    EMBEDDED = "embedded"
    OMNI_NODE = "omni-node"


def devnet(
    node: Annotated[
        Node, typer.Option(help="The embedded chain, or polkadot-omni-node with the same spec.")
    ] = Node.EMBEDDED,
    port: Annotated[int, typer.Option(help="0 takes a free port.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    data: Annotated[Path | None, typer.Option(help="Keep the chain in this folder across restarts.")] = None,
    block_time: Annotated[int, typer.Option(help="Milliseconds between blocks when nothing waits.")] = 1000,
    spec: Annotated[Path | None, typer.Option(help="Another raw chain spec.")] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            help="Origin whose web pages may ask the embedded chain, such as https://example.org; repeatable."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a development chain in the foreground, until SIGINT or SIGTERM.

    Without --data it is gone when it stops, and the next one has another genesis hash.

    Example: proofward devnet --data build/devnet
    """
    from proofward.devnet.chains import Devnet, LocalChain, OmniNode
    from proofward.devnet.foreground import serve

    with reporting(as_json):
        chain: LocalChain
        if node is Node.EMBEDDED:
            chain = Devnet(data, port=port, host=host, block_time_ms=block_time, spec=spec, cors=cors or ())
        elif host != "127.0.0.1":
            raise typer.BadParameter("omni-node listens on 127.0.0.1 only", param_hint="--host")
        elif cors:
            raise typer.BadParameter("omni-node allows its own list of origins", param_hint="--cors")
        else:
            chain = OmniNode(data, port=port, block_time_ms=block_time, spec=spec)

        def ready() -> None:
            value = {
                "event": "ready",
                "node": node.value,
                "url": chain.url,
                "genesis": chain.genesis,
                "type": "Development",
            }
            emit(
                as_json,
                value,
                [f"ready: {node.value} development chain at {chain.url}, genesis {hex0x(chain.genesis)}"],
            )

        serve(chain, ready)


def doctor(
    chain: Annotated[str | None, typer.Option(help="Look at this chain too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what Proofward needs on this machine, and say what to do about what is missing.

    Example: proofward doctor --chain ws://127.0.0.1:8000
    """
    from proofward.cli.doctor import examine

    with reporting(as_json):
        findings = examine(chain)
        good = all(one.ok for one in findings if one.needed)
        value = {
            "ok": good,
            "findings": [
                {"name": one.name, "ok": one.ok, "detail": one.detail, "fix": one.fix, "needed": one.needed}
                for one in findings
            ],
        }
        lines = []
        for one in findings:
            mark = "ok     " if one.ok else ("MISSING" if one.needed else "absent ")
            lines.append(f"{mark}  {one.name:18} {one.detail}" + (f": {one.fix}" if one.fix else ""))
        emit(as_json, value, lines)
        if not good:
            note(as_json, "something that is needed is missing")
    raise typer.Exit(Exit.OK if good else Exit.REFUSED)
