"""`python -m bench.day`: a day's worth of inferences, 100,000 in one run, accounts compared to the unit.

A table of records goes through `proofward.client.session_run` into a CSV file, as `proofward session run` has
it, on the embedded chain; a worker proves what the beacon picks. When the session has ended, what client,
worker and publisher own must be what they owned before, less their fees, with the price of each inference
moved; and the client's own pages must be what the chain paid for. A page of each kind (committed, sampled,
proved, forced) is then written into a file and verified without the chain. Writes build/bench-day.json;
exits 1 where an account or a verdict differs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.sessions import CHECKPOINT_BLOCKS, WINDOW_BLOCKS, finish
from proofward.chain import accounts
from proofward.chain.pallets import balances, sessions
from proofward.client.session_audit import audit
from proofward.client.session_run import Progress, run_table
from proofward.client.sessions import SessionOrder, audit_terms, page_bundle
from proofward.devnet.chains import Devnet
from proofward.evidence.bundle import save_bundle
from proofward.evidence.page import load_page, verify_page
from proofward.evidence.policy import Policy
from proofward.zkml import CompileOptions, Evaluation, compile_model
from proofward.zkml.quantiser import AffineQuantiser
from proofward_demo.data import train
from proofward_enclave.measure import simulated_measurement
from tests.e2e.session_scene import PRICE, PUBLISHER, Scene, scene


def day(count: int, share: float, out: Path) -> bool:
    """Run, settle, compare, write; whether all agrees."""
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as kept:
        folder = Path(name)
        model = next(one for one in train() if one.kind == "mlp")
        artifact = compile_model(
            model.onnx, model.calibration, folder / "models" / "mlp", name="mlp",
            evaluation=Evaluation(model.records, model.truth),
            options=CompileOptions(lane="groth16", batch=16),
        )  # fmt: skip
        quantiser = artifact.manifest.input.quantiser
        assert isinstance(quantiser, AffineQuantiser)
        records = model.records[quantiser.taken(model.records)]
        table = records[np.arange(count) % len(records)]
        with Devnet() as chain, scene(chain, artifact, folder, CHECKPOINT_BLOCKS) as stage:
            who = {
                "client": stage.client.account,
                "worker": stage.account,
                "publisher": bytes(accounts.dev_keypair(PUBLISHER).public_key),
            }
            first, before = stage.rpc.finalised_head().number, {k: _owned(stage, v) for k, v in who.items()}
            order = SessionOrder(sample=share, window_blocks=WINDOW_BLOCKS)
            report = run_table(
                stage.client, stage.model, table, folder / "answers.csv",
                order=order, artifact=artifact.path, progress=_told,
            )  # fmt: skip
            (session,) = report.sessions
            found: dict[str, Any] = {
                "cores": os.cpu_count(),
                "load": os.getloadavg()[0],
                "records": report.rows,
                "seconds": report.seconds,
                "a_second": report.rows / report.seconds,
                "vouched": report.vouched,
            }
            forced = _force_last(stage, session)
            finish(stage, session)
            head = stage.rpc.finalised_head().number
            fees = {k: _fees(stage, v, first + 1, head) for k, v in who.items()}
            finished = stage.events("Finished", session)
            royalty = sum(event["royalty"] for event in finished)
            # of the forced page, which was proved
            extra = int(stage.rpc.constant(sessions.PALLET, "ForceFee"))
            moved = {
                "client": -count * PRICE - extra,
                "worker": count * PRICE - royalty + extra,
                "publisher": royalty,
            }
            apart = {k: _owned(stage, v) - (before[k] - fees[k] + moved[k]) for k, v in who.items()}
            terms = audit_terms(stage.client, session.hex(), None)
            audited = audit(stage.client.chain, **terms)
            found |= {
                "windows": len(finished),
                "pages_proved": sum(len(event["pages"]) for event in stage.events("Proved", session)),
                "paid": moved["worker"] + royalty - extra,
                "forced": extra,
                "fees": fees,
                "apart": apart,
                "audit": {"committed": audited.committed, "end": audited.end},
                "answers": sum(1 for _ in (folder / "answers.csv").open()) - 1,
            }
            kinds = _kinds(stage, session, forced, Path(kept))
            genesis = stage.rpc.genesis
        # Chain and worker are gone: what is left is the files.
        found["offline"] = {kind: _verified(path, genesis) for kind, path in kinds.items()}
    agrees = not any(apart.values()) and found["answers"] == count == audited.committed
    agrees = agrees and all(
        f"({kind}" in found["offline"][kind] for kind in ("committed", "sampled", "proved")
    )
    agrees = agrees and all(word.startswith("accepted") for word in found["offline"].values())
    print(json.dumps(found | {"agrees": agrees}, indent=1, default=str))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found | {"agrees": agrees}, indent=1, default=str) + "\n")
    return agrees


def _force_last(stage: Scene, session: bytes) -> int:
    """Have the last page of the newest window proved, whatever the beacon says; its number."""
    stage.until(lambda: (now := sessions.get(stage.rpc, session)) is not None and now.next > now.oldest)
    record = sessions.get(stage.rpc, session)
    assert record is not None
    number, page = record.next - 1, record.pages - 1
    stage.client.send(f"force:{session.hex()}:{page}", sessions.force(session, number, page))
    return page


def _kinds(stage: Scene, session: bytes, forced: int, folder: Path) -> dict[str, Path]:
    """A file for a page of each kind; the sampled one as of the block in which it was drawn."""
    drawn = next(
        number
        for number in range(1, stage.rpc.finalised_head().number + 1)
        if any(
            one.name == "Drawn" and one.fields["session"] == session
            for one in stage.rpc.events(stage.rpc.block_hash(number))
        )
    )
    first = stage.events("Drawn", session)[0]["number"]
    pages = stage.events("Checkpointed", session)[first]["pages"]
    proved = {page for event in stage.events("Proved", session) for page in event["pages"]}
    picked = min(page for page in range(pages) if page in proved)
    plain = next(page for page in range(pages) if page not in proved)
    wanted = {
        "committed": (plain, None),
        "sampled": (picked, drawn),
        "proved": (picked, None),
        "forced": (forced, None),
    }
    files = {}
    for kind, (page, at) in wanted.items():
        files[kind] = folder / f"{kind}.bundle"
        save_bundle(page_bundle(stage.client, session.hex(), page, at=at), files[kind])
    return files


def _verified(path: Path, genesis: bytes) -> str:
    policy = Policy.for_development(genesis=genesis, measurements=frozenset({simulated_measurement()}))
    return verify_page(load_page(path), policy).word


def _owned(stage: Scene, account: bytes) -> int:
    """Plancks of an account: what it can spend, and what is held from it."""
    return stage.rpc.balance(account) + sum(balances.holds(stage.rpc, account).values())


def _fees(stage: Scene, account: bytes, first: int, last: int) -> int:
    paid = 0
    for number in range(first, last + 1):
        for event in stage.rpc.events(stage.rpc.block_hash(number)):
            if event.name == "TransactionFeePaid" and bytes(event.fields["who"]) == account:
                paid += int(event.fields["actual_fee"]) + int(event.fields["tip"])
    return paid


_SAID = [0.0]


def _told(progress: Progress) -> None:
    if time.monotonic() - _SAID[0] > 10:
        _SAID[0] = time.monotonic()
        print(f"{progress.done} of {progress.total}, {progress.rate:.0f} a second", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.day", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--share", type=float, default=0.01, help="of the pages that are proved")
    parser.add_argument("--out", type=Path, default=Path("build/bench-day.json"))
    given = parser.parse_args()
    raise SystemExit(0 if day(given.records, given.share, given.out) else 1)
