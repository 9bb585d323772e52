"""`proofward devnet` and `proofward doctor`."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proofward.cli.output import Exit, JsonOption, emit, hex0x, note, reporting

if TYPE_CHECKING:
    from proofward.devnet.chains import LocalChain


class Node(StrEnum):
    """What runs the development chain."""

    EMBEDDED = "embedded"
    OMNI_NODE = "omni-node"


def devnet(
    node: Annotated[
        Node, typer.Option(help="The embedded chain, or polkadot-omni-node with the same spec.")
    ] = Node.EMBEDDED,
    port: Annotated[int, typer.Option(help="0 takes a free port.")] = 9944,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    data: Annotated[Path | None, typer.Option(help="Keep the chain in this folder across restarts.")] = None,
    block_time: Annotated[int, typer.Option(help="Milliseconds between blocks when nothing waits.")] = 1000,
    spec: Annotated[Path | None, typer.Option(help="Another raw chain spec.")] = None,
    eth_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Speak Ethereum's JSON-RPC on this port too; 0 takes a free port."
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            help="Origin whose web pages may ask the embedded chain and its Ethereum endpoint, such as "
            "https://example.org; repeatable."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a development chain in the foreground, until SIGINT or SIGTERM.

    Without --data it is gone when it stops, and the next one has another genesis hash.

    Example: proofward devnet --data build/devnet --eth-port 8545
    """
    from proofward.devnet.chains import Devnet, OmniNode
    from proofward.devnet.foreground import serve

    with reporting(as_json, serves=True):
        chain: LocalChain
        if node is Node.EMBEDDED:
            chain = Devnet(data, port=port, host=host, block_time_ms=block_time, spec=spec, cors=cors or ())
        elif host != "127.0.0.1":
            raise typer.BadParameter("omni-node listens on 127.0.0.1 only", param_hint="--host")
        elif cors:
            raise typer.BadParameter("omni-node allows its own list of origins", param_hint="--cors")
        else:
            chain = OmniNode(data, port=port, block_time_ms=block_time, spec=spec)

        endpoint: _WithEthereum | None = None
        if eth_port is not None:
            index = None if data is None else data / "ethereum.sqlite"
            endpoint = _WithEthereum(chain, host=host, port=eth_port, origins=cors or (), index=index)

        funded = _funded()

        def ready() -> None:
            value = {
                "event": "ready",
                "node": node.value,
                "url": chain.url,
                "genesis": chain.genesis,
                "type": "Development",
                "accounts": {name: account for name, account, _ in funded},
            }
            lines = [
                f"ready: {node.value} development chain at {chain.url}, genesis {hex0x(chain.genesis)}",
                *(f"  {name:10} {account}  {what}" for name, account, what in funded),
                "  everybody has these keys: use them on development chains only",
            ]
            if endpoint is not None:
                value["eth_url"] = endpoint.url
                lines.append(f"ready: Ethereum JSON-RPC at {endpoint.url}, HTTP and WebSocket")
            emit(as_json, value, lines)

        serve(endpoint or chain, ready)


_ETHEREUM = {
    "Alith": "0xf24FF3a9CF04c71Dbc94D0b566f7A27B94566cac",
    "Baltathar": "0x3Cd0A705a2DC65e5b1E1205896BaA2be8A07c6e0",
}
"""Ethereum accounts of a development genesis; Frontier's documentation publishes their private keys."""


def _funded() -> list[tuple[str, str, str]]:
    """Name, address and use of the accounts that a development chain begins with."""
    from proofward.chain import accounts

    found = []
    for name in ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"):
        address = accounts.ss58(accounts.address(f"//{name}"))
        found.append((f"//{name}", address, "1,000,000 UNIT" + (", sudo" if name == "Alice" else "")))
    return found + [(name, address, "1,000,000 UNIT, Ethereum") for name, address in _ETHEREUM.items()]


class _WithEthereum:
    """A chain and its Ethereum endpoint, which starts after it and stops before it."""

    def __init__(self, chain: LocalChain, **options: Any) -> None:
        self._chain = chain
        self._options = options
        self._open = ExitStack()
        self.url = ""

    @property
    def running(self) -> bool:
        return self._chain.running

    def failure(self) -> Exception:
        return self._chain.failure()

    def start(self) -> None:
        """Raises ChainError: also when packages are missing, or the port is taken."""
        try:
            from proofward.chain.ethereum.server import EthServer
        except ImportError as error:
            from proofward.chain import ChainError

            raise ChainError(
                f"the Ethereum endpoint needs more packages ({error.name}): pip install 'proofward[web3]'",
                code="web3-missing",
            ) from error
        self._chain.start()
        try:
            client = self._open.enter_context(self._chain.connect())
            self.url = self._open.enter_context(EthServer(client, **self._options)).url
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._open.close()
        self._chain.stop()


def doctor(
    chain: Annotated[str | None, typer.Option(help="Look at this chain too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what Proofward needs on this machine, and say what to do about what is missing.

    Example: proofward doctor --chain ws://127.0.0.1:9944
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
