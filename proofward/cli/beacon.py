"""`proofward beacon`: randomness that no author of a block can bend."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.output import DEFAULT_CHAIN, ChainOption, JsonOption, SignerOption, emit, hex0x, reporting
from proofward.errors import Refused
from proofward.files import TooLong, read_stream, read_whole

app = typer.Typer(no_args_is_help=True, help="drand's pulses on the chain: post one, look at one.")


@app.command()
def post(
    pulse: Annotated[str, typer.Argument(metavar="FILE|-", help="A drand server's JSON; - is stdin.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Post a pulse; the chain checks its signature, and anyone may be the one who brings it.

    Example: curl -s https://api.drand.sh/v2/beacons/quicknet/rounds/latest | proofward beacon post -
    """
    from proofward.chain import governance
    from proofward.chain.pallets import drand

    with reporting(as_json):
        found = drand.read_pulse(_read(pulse, drand.MAX_PULSE))
        block = governance.send(chain, signer, drand.post(found))
        emit(
            as_json,
            {"round": found.round, "randomness": hex0x(found.randomness), "block": block},
            [f"round {found.round}: {hex0x(found.randomness)}, on the chain in block {block}"],
        )


@app.command()
def show(
    round_number: Annotated[
        int | None,
        typer.Argument(metavar="[ROUND]", min=1, help="Default: the one for what is committed to now."),
    ] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Whose pulses count on the chain, when a round is made, and its randomness once it was posted.

    Example: proofward beacon show 21000000 --chain ws://127.0.0.1:9944
    """
    from proofward.chain import SubstrateClient
    from proofward.chain.pallets import drand
    from proofward.errors import NotFound

    with reporting(as_json), SubstrateClient.connect(chain) as client:
        head = client.finalised_head()
        network = drand.network(client, head.hash)
        if network is None:
            raise NotFound("this chain counts no pulses; its governance may name a network")
        number = round_number or network.round_after(int(client.query("Timestamp", "Now", at=head.hash)))
        value = drand.randomness(client, number, head.hash)
        made = datetime.fromtimestamp(network.time_of(number) / 1000, UTC).isoformat(timespec="seconds")
        trust = {
            drand.Source.QUICKNET: "the League of Entropy's quicknet",
            drand.Source.LOCAL: "LOCAL: everybody has its secret key, and no pulse of it is random",
            drand.Source.OTHER: f"a network whose key this program does not know ({hex0x(network.key)})",
        }[network.source]
        emit(
            as_json,
            {
                "source": str(network.source),
                "key": hex0x(network.key),
                "round": number,
                "made": made,
                "randomness": None if value is None else hex0x(value),
                "block": head.number,
            },
            [
                f"pulses of {trust}",
                f"round {number}, made at {made}: {'not on the chain' if value is None else hex0x(value)}",
            ],
        )


def _read(pulse: str, most: int) -> bytes:
    try:
        return read_stream(sys.stdin.buffer, most) if pulse == "-" else read_whole(Path(pulse), most)
    except TooLong as error:
        raise Refused(f"this is no pulse: {error}", code="usage") from None
