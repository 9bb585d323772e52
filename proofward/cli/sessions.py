"""`proofward session …`: for clients, and where it says so for publishers, workers and strangers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proofward.cli.amounts import finite, shown, units
from proofward.cli.models import IgnoreExtra, records_of
from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    DevOption,
    JsonOption,
    MeasurementOption,
    SignerOption,
    emit,
    hex0x,
    note,
    pins,
    reporting,
)

if TYPE_CHECKING:
    from proofward.chain import Call
    from proofward.chain.pallets.sessions import SessionRecord
    from proofward.client.session_audit import Ratio, WindowAudit
    from proofward.client.sessions import SessionOrder

app = typer.Typer(no_args_is_help=True, help="Sessions: thousands of inferences, each with a receipt.")

SessionArgument = Annotated[
    str, typer.Argument(metavar="SESSION", help="The session's id, 0x and 64 hex digits.")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Id or name.")]
ArtifactOption = Annotated[
    Path | None, typer.Option(help="The model's public artefact, if it is not where it was.")
]
StateOption = Annotated[
    Path | None, typer.Option(help="Where sessions' secrets are kept; default: $PROOFWARD_STATE.")
]
SampleOption = Annotated[
    float, typer.Option(callback=finite, help="Percent of the pages that the beacon has proved.")
]
WindowOption = Annotated[int, typer.Option(help="Blocks that the worker has for proofs, 5 to 600.")]
SinceOption = Annotated[int | None, typer.Option(help="A block before it was opened, when it is not yours.")]
RateOption = Annotated[
    float | None,
    typer.Option(callback=finite, help="Records a second that you will ask; a window too short is refused."),
]
BlocksOption = Annotated[int, typer.Option(help="Blocks of serving, from now on.")]
WorkerOption = Annotated[str | None, typer.Option(help="This worker; default: the cheapest.")]
PriceOption = Annotated[str | None, typer.Option("--max-price", help="In UNIT an inference, at most.")]


@app.command("allow")
def allow(
    model: ModelArgument,
    price: Annotated[str | None, typer.Option(help="The least price of an inference, in UNIT.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take no new sessions of this model.")] = False,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """As a model's publisher: open it to sessions, or close it to new ones.

    Example: proofward session allow breast-cancer-mlp --price 0.000001 --signer //Bob
    """
    from proofward.chain.pallets import sessions

    if (price is None) is not none:
        raise typer.BadParameter("give either --price or --none")
    floor = None if price is None else units(price)
    said = "no new sessions" if floor is None else f"sessions from {shown(floor)} an inference"
    _say_of_model(
        as_json, chain, signer, model, lambda found: sessions.allow(found, floor), said, price=floor
    )


@app.command("open")
def open_session(
    model: ModelArgument,
    artifact: Annotated[Path, typer.Option(help="The model's public artefact.")],
    escrow: Annotated[str | None, typer.Option(help="In UNIT; default: for 10,000 inferences.")] = None,
    sample: SampleOption = 1.0,
    window: WindowOption = 120,
    rate: RateOption = None,
    blocks: BlocksOption = 3600,
    max_price: PriceOption = None,
    worker: WorkerOption = None,
    measurement: MeasurementOption = None,
    signer: SignerOption = "//Alice",
    dev: DevOption = False,
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Open a session with a worker that offers one.

    Example: proofward session open breast-cancer-mlp --artifact build/models/mlp/public --sample 1 --dev
    """
    from proofward.client import Client
    from proofward.client.sessions import open_session

    with (
        reporting(as_json),
        nullcontext(_order(escrow, sample, window, rate, blocks, max_price, worker)) as order,
        Client(chain, signer, development=dev, state=state, measurements=pins(measurement)) as client,
    ):
        record = open_session(client, model, order, artifact, lambda text: note(as_json, text))
        emit(as_json, _plain(record), [hex0x(record.id)])


@app.command("run")
def run(
    model: ModelArgument,
    records: Annotated[
        str, typer.Option("--input", help="Records: CSV or JSON file, `-` for standard input.")
    ],
    out: Annotated[
        Path, typer.Option(help="Where the answers go, .csv or .parquet; one of this run goes on.")
    ],
    artifact: Annotated[Path, typer.Option(help="The model's public artefact.")],
    ignore_extra_columns: IgnoreExtra = False,
    sample: SampleOption = 1.0,
    window: WindowOption = 120,
    rate: RateOption = None,
    blocks: BlocksOption = 3600,
    max_price: PriceOption = None,
    worker: WorkerOption = None,
    measurement: MeasurementOption = None,
    signer: SignerOption = "//Alice",
    dev: DevOption = False,
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Answer a whole table through a session. Killed and run again, it goes on where it was and pays once.

    Example: proofward session run breast-cancer-mlp --input big.csv --out answers.parquet
    --artifact build/models/mlp/public --dev
    """
    from proofward.client import Client
    from proofward.client.session_run import Progress, run_table
    from proofward.zkml import load_public

    with (
        reporting(as_json),
        nullcontext(_order(None, sample, window, rate, blocks, max_price, worker)) as order,
        Client(chain, signer, development=dev, state=state, measurements=pins(measurement)) as client,
    ):
        table = records_of(records, load_public(artifact), ignore_extra_columns, as_json)
        last = [0]

        def told(now: Progress) -> None:
            if now.done - last[0] >= max(1, now.total // 20) or now.done == now.total:
                last[0] = now.done
                share = now.done / now.total
                line = f"{share:4.0%}  {now.done:,} of {now.total:,}  {now.rate:,.0f}/s"
                note(as_json, f"{line}  {shown(now.cost)} so far")

        report = run_table(
            client, model, table, out, order=order, artifact=artifact, progress=told,
            tell=lambda text: note(as_json, text),
        )  # fmt: skip
        rate = report.rows / report.seconds if report.seconds else 0.0
        value = {
            "sessions": list(report.sessions),
            "rows": report.rows,
            "resumed_at": report.resumed_at,
            "vouched": report.vouched,
            "seconds": report.seconds,
            "rate": rate,
            "cost": report.cost,
            "out": str(out),
        }
        lines = [f"{report.rows:,} answers in {out}, {rate:,.0f}/s, {shown(report.cost)}"]
        if not report.vouched:
            lines.append("not all of it is vouched for: run the same again to finish")
        lines += [f"session {hex0x(one)}" for one in report.sessions]
        emit(as_json, value, lines)
    raise typer.Exit(0 if report.vouched else 1)


@app.command("list")
def list_sessions(
    state: StateOption = None, chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False
) -> None:
    """List the sessions whose secrets are kept here, and whether each still runs.

    Example: proofward session list
    """
    from proofward.chain.pallets import sessions
    from proofward.client import Client
    from proofward.client.sessions import session_store

    with reporting(as_json), Client(chain, state=state) as client:
        found = {name: sessions.get(client.chain, name) for name in session_store(client).sessions()}
        rows = [{"session": name, "state": _state(record)} for name, record in found.items()]
        emit(as_json, rows, [f"{hex0x(name)}  {_state(record)}" for name, record in found.items()])


@app.command("show")
def show(session: SessionArgument, chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False) -> None:
    """Show a session that runs, and its open windows.

    Example: proofward session show 0x1f… --chain ws://127.0.0.1:9944
    """
    from proofward.chain.pallets import sessions
    from proofward.client import Client
    from proofward.client.ids import hash32
    from proofward.client.sessions import session as running

    with reporting(as_json), Client(chain) as client:
        record = running(client, hash32(session, "session"))
        windows = sessions.windows(client.chain, record)
        lines = [
            f"{hex0x(record.id)}: {record.records:,} inferences in {record.next} checkpoints, "
            f"{record.paid:,} paid, {record.room:,} more in escrow; ends at block {record.end}",
            *(
                f"  window {number}: {one.records:,} inferences, {one.pages} pages, "
                f"{len(one.owed)} proofs owed of {len(one.asked)}, due at block {one.due}"
                for number, one in windows.items()
            ),
        ]
        listed = {str(number): _plain(one) for number, one in windows.items()}
        emit(as_json, {**_plain(record), "windows": listed}, lines)


@app.command("audit")
def audit(
    session: SessionArgument,
    since: SinceOption = None,
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Say what a session is worth: committed, sampled, proved; and what forging it would have risked.

    Example: proofward session audit 0x1f…
    """
    from proofward.client import Client
    from proofward.client.session_audit import SHARES, audit
    from proofward.client.sessions import audit_terms

    with reporting(as_json), Client(chain, state=state) as client:
        terms = audit_terms(client, session, since)
        found = audit(client.chain, **terms)
        chances = {share: float(found.unseen(share)) for share in SHARES}
        ratios = {share: found.ratio(share) for share in SHARES}
        value = {
            "session": found.session,
            "end": found.end,
            "committed": found.committed,
            "pages": found.pages,
            "proved_pages": found.proved,
            "windows": [_plain(window) | {"unproved": list(window.unproved)} for window in found.windows],
            "unseen": chances,
            "loss_to_gain": {share: ratio and float(ratio.loss) for share, ratio in ratios.items()},
            "loss_to_gain_with_bond": {
                share: ratio and float(ratio.with_bond) for share, ratio in ratios.items()
            },
            "pays_below": {share: ratio and float(ratio.pays_below) for share, ratio in ratios.items()},
            "notes": list(found.notes),
        }
        lines = [
            f"{found.committed:,} committed in {found.pages:,} pages, {found.proved:,} pages proved; "
            f"the session: {found.end}",
            *(_window_line(window) for window in found.windows),
            "forged in one window, stays unseen (hypergeometric, the beacon's re-rolls included):",
            *(f"  {share:8} {chances[share]:.4%}{_ratio(ratios[share])}" for share in SHARES),
            *found.notes,
        ]
        emit(as_json, value, lines)
        sound = all(
            window.ours is not False and not window.unproved
            for window in found.windows
            if window.end == "paid"
        )
    raise typer.Exit(0 if sound else 1)


@app.command("bundle")
def bundle(
    session: SessionArgument,
    page: Annotated[int, typer.Argument(help="The page's number in the session.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    artifact: ArtifactOption = None,
    at: Annotated[int | None, typer.Option(help="As of this block; default: the finalised head.")] = None,
    since: SinceOption = None,
    state: StateOption = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Write a page's evidence into one file, which `proofward verify` checks without a chain.

    Example: proofward session bundle 0x1f… 1041 --out page.bundle
    """
    from proofward.client import Client
    from proofward.client.sessions import page_bundle
    from proofward.evidence.bundle import save_bundle

    with reporting(as_json), Client(chain, state=state) as client:
        found = page_bundle(client, session, page, artifact=artifact, at=at, since=since)
        save_bundle(found, out)
        value = {
            "session": found.session.id,
            "page": page,
            "window": found.window.number,
            "status": found.status,
            "forced": found.forced,
            "at": found.at,
            "out": str(out),
        }
        emit(as_json, value, [f"{out}: page {page}, {found.status} as of block {found.at}"])


@app.command("force")
def force(
    session: SessionArgument,
    window: Annotated[int, typer.Argument(help="The window's number.")],
    page: Annotated[int, typer.Argument(help="The page's number in the session.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Have a page proved, whatever the beacon says: a fee, which comes back if the proof does not.

    Example: proofward session force 0x1f… 3 1041 --signer //Charlie
    """
    from proofward.chain.pallets import sessions
    from proofward.client import Client
    from proofward.client.ids import hash32

    with reporting(as_json), Client(chain, signer) as client:
        name = hash32(session, "session")
        client.chain.submit(sessions.force(name, window, page), client.signer)
        fee = int(client.chain.constant(sessions.PALLET, "ForceFee"))
        emit(
            as_json,
            {"session": name, "window": window, "page": page, "fee": fee},
            [f"asked for, {shown(fee)}"],
        )


@app.command("top-up")
def top_up(
    session: SessionArgument,
    by: Annotated[str, typer.Option("--by", help="How much more goes into escrow, in UNIT.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Put more into a session's escrow; one that said `escrow-exhausted` goes on when it is used again.

    Example: proofward session top-up 0x1f… --by 0.5 --signer //Charlie
    """
    from proofward.client import Client
    from proofward.client.ids import hash32
    from proofward.client.sessions import top_up_session

    with reporting(as_json), Client(chain, signer) as client:
        amount = units(by)
        record = top_up_session(client, hash32(session, "session"), amount)
        emit(
            as_json,
            {"session": record.id, "by": amount, "escrow": record.escrow, "room": record.room},
            [f"{hex0x(record.id)}: {shown(amount)} more, {record.room:,} inferences are paid for"],
        )


@app.command("offers")
def offers(model: ModelArgument, chain: ChainOption = DEFAULT_CHAIN, as_json: JsonOption = False) -> None:
    """List the workers that offer sessions of a model, and on what terms; the cheapest first.

    Example: proofward session offers breast-cancer-mlp
    """
    from proofward.chain.pallets import sessions
    from proofward.client import Client
    from proofward.protocol.sessions import PARTS

    with reporting(as_json), Client(chain) as client:
        found = sessions.offers(client.chain, client.model(model).id)
        ordered = sorted(found.items(), key=lambda one: (one[1].terms.price, one[0]))
        rows = [{"worker": account, **_plain(offer)} for account, offer in ordered]
        lines = [
            f"{hex0x(account)}  {shown(offer.terms.price)} an inference, {offer.free} free, bond "
            f"{shown(offer.terms.bond)}, sampled {offer.terms.most_sampled / PARTS:.2%} at most, "
            f"windows of {offer.terms.least_window} blocks at least"
            for account, offer in ordered
        ]
        emit(as_json, rows, lines or ["no worker offers sessions of this model"])


@app.command("withdraw")
def withdraw(
    model: ModelArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """As a worker: take the offer of sessions of a model back, with its bonds. Sessions that run go on.

    Example: proofward session withdraw breast-cancer-mlp --signer worker.key
    """
    from proofward.chain.pallets import sessions

    _say_of_model(as_json, chain, signer, model, sessions.withdraw, "no new sessions of yours")


@app.command("report")
def report(
    file: Annotated[Path, typer.Argument(help="Two receipts of one page, as its client kept them.")],
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Show the chain that an enclave signed two pages of one number: half of its worker's stake.

    Example: proofward session report ~/.local/state/proofward/…/1f….double
    """
    from proofward.chain.pallets import sessions
    from proofward.client import Client
    from proofward.client.session_double import load_double
    from proofward.errors import Refused

    with reporting(as_json):
        found = load_double(file)
        found.check()
        with Client(chain, signer) as client:
            if found.genesis != client.chain.genesis.hex():
                raise Refused(f"{file} is of another chain, 0x{found.genesis}", code="no-evidence")
            receipt = client.chain.submit(found.call(), client.signer)
            event = receipt.find(sessions.PALLET, "Equivocated")
            worker, slashed = (event.fields["worker"], event.fields["slashed"]) if event else (None, 0)
            value = {
                "session": "0x" + found.session,
                "page": found.page,
                "worker": worker,
                "slashed": slashed,
            }
            emit(
                as_json, value, [f"page {found.page} was signed twice: {shown(slashed)} of the stake is gone"]
            )


@app.command("close")
def close(
    session: SessionArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """End the serving of a session now; what was vouched for is proved and paid.

    Example: proofward session close 0x1f… --signer //Charlie
    """
    from proofward.chain.pallets import sessions
    from proofward.client import Client
    from proofward.client.ids import hash32

    with reporting(as_json), Client(chain, signer) as client:
        name = hash32(session, "session")
        client.chain.submit(sessions.close(name), client.signer)
        emit(as_json, {"session": name}, [f"{hex0x(name)} ends now"])


@app.command("settle")
def settle(
    session: SessionArgument,
    signer: SignerOption = "//Alice",
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """End a session alone after its time: windows that are over are ended first. Anyone may.

    Example: proofward session settle 0x1f… --signer //Charlie
    """
    from proofward.chain.pallets import sessions
    from proofward.client import Client
    from proofward.client.ids import hash32

    with reporting(as_json), Client(chain, signer) as client:
        name = hash32(session, "session")
        ended = 0
        while (record := sessions.get(client.chain, name)) is not None and record.oldest < record.next:
            client.chain.submit(sessions.finish(name), client.signer)
            ended += 1
        if record is not None:
            client.chain.submit(sessions.settle(name), client.signer)
        emit(
            as_json,
            {"session": name, "windows": ended},
            [f"{hex0x(name)} has ended; {ended} windows with it"],
        )


def _say_of_model(
    as_json: bool,
    chain: str,
    signer: str,
    model: str,
    call: Callable[[bytes], Call],
    said: str,
    **more: object,
) -> None:
    """Make a call about a model as `signer`, and tell what holds of it from now on."""
    from proofward.client import Client

    with reporting(as_json), Client(chain, signer) as client:
        found = client.model(model).id
        client.chain.submit(call(found), client.signer)
        emit(as_json, {"model": found, **more}, [f"{hex0x(found)}: {said}"])


def _order(
    escrow: str | None,
    sample: float,
    window: int,
    rate: float | None,
    blocks: int,
    max_price: str | None,
    worker: str | None,
) -> SessionOrder:
    from proofward.chain import account
    from proofward.client.sessions import SessionOrder

    return SessionOrder(
        escrow=None if escrow is None else units(escrow),
        sample=sample / 100,
        window_blocks=window,
        rate=rate,
        blocks=blocks,
        max_price=None if max_price is None else units(max_price),
        worker=None if worker is None else account(worker),
    )


def _plain(record: Any) -> dict[str, Any]:
    from proofward.cli.render import plain

    found: dict[str, Any] = plain(record)
    return found


def _state(record: SessionRecord | None) -> str:
    return "ended" if record is None else f"runs until block {record.end}"


def _window_line(window: WindowAudit) -> str:
    ours = {True: ", of your records", False: ", NOT OF YOUR RECORDS", None: ""}[window.ours]
    beacon = (
        "no beacon yet"
        if window.beacon is None
        else f"beacon {hex0x(window.beacon)[:10]}… of {window.choices}"
    )
    missing = f", {len(window.unproved)} NOT PROVED" if window.unproved and window.end == "paid" else ""
    return (
        f"  window {window.number}: {window.records:,} inferences, {window.pages} pages; {beacon}, "
        f"{len(window.sampled)} sampled, {len(window.forced)} forced, {len(window.proved)} proved{missing}; "
        f"{window.end}{ours}"
    )


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return ""
    return (
        f"; seen, it loses {float(ratio.loss):,.0f} times what it gains, {float(ratio.with_bond):,.0f} with "
        f"its bond, which `waive` saves (pays below {float(ratio.pays_below):.2f})"
    )
