"""One session on four real validators, from its opening to its end: blocks come when they come, and only what
is final counts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from proofward.client.session_audit import audit
from proofward.client.sessions import SessionOrder, audit_terms, page_bundle
from proofward.evidence.page import verify_page
from proofward.evidence.policy import Policy
from proofward.network.state import Network
from proofward_enclave.measure import simulated_measurement
from tests.e2e.session_scene import PRICE, Running, scene
from tests.evidence import compile_tiny

RECORDS = np.random.default_rng(1).uniform(-1, 1, (100, 3))


def test_a_session_is_opened_talked_paged_proved_and_closed_on_four_validators(
    network: Network, tmp_path: Path
) -> None:
    artifact = compile_tiny(tmp_path / "models" / "tiny", batch=16)
    chain = Running(network.node("rpc").url)
    with scene(chain, artifact, tmp_path) as stage:
        before = stage.owned()
        order = SessionOrder(sample=0.2, window_blocks=8, rate=1.0)
        with stage.client.session(stage.model, order=order) as session:
            answers = session.infer_many(RECORDS[:90])
            answers += [session.infer(record) for record in RECORDS[90:]]
            name, public = session.id, session.public
        assert session.counts.vouched == 100
        rows = public.quantize(RECORDS)
        parts = [artifact.infer(public.pad(rows[at : at + 16]))[: 100 - at] for at in range(0, 100, 16)]
        assert np.array_equal(np.array([one.outputs for one in answers]), np.concatenate(parts))
        stage.finished(name, 100)
        finished = stage.events("Finished", name)
        assert sum(event["records"] for event in finished) == 100
        assert sum(event["paid"] + event["royalty"] for event in finished) == 100 * PRICE
        assert stage.events("Settled", name)[0]["paid"] == 100
        after = stage.owned()
        assert after["client held"] == before["client held"]
        found = audit(stage.rpc, **audit_terms(stage.client, name.hex(), None))
        assert (found.committed, found.end) == (100, "settled")
        assert all(window.ours and window.sampled and not window.unproved for window in found.windows)
        page = min(page for event in stage.events("Proved", name) for page in event["pages"])
        bundle = page_bundle(stage.client, name.hex(), page)
        genesis = stage.rpc.genesis
    policy = Policy.for_development(genesis=genesis, measurements=frozenset({simulated_measurement()}))
    assert "(proved" in verify_page(bundle, policy).word
