"""The aggregator's own process, over its socket, with its quote and OpenDP's noise."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import proofward_prover
import pytest

from proofward.processes import bound_to_parent
from proofward.protocol import Level, verify_possession, worker_report_data
from proofward.protocol.enclave import HEADER_LENGTH, EnclaveError, Request, content_length, parse_reply
from proofward.protocol.federation import Aggregate, Opening, values_hash
from proofward.protocol.keys import verify_signature
from proofward_federation.site import RoundView
from tests.federation.world import ACCOUNT, BLOCK, GENESIS, KEYS, STUDY, UNITS, site_of, study_of

pytest.importorskip("opendp", reason="make federation installs OpenDP")


class Process:
    def __init__(self, path: Path) -> None:
        self._path = path

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(60)
            peer.connect(str(self._path))
            peer.sendall(Request(1, method, params).frame())
            stream = peer.makefile("rb")
            return parse_reply(stream.read(content_length(stream.read(HEADER_LENGTH))), 1)


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "a.sock"
        command = [sys.executable, "-m", "proofward_federation.service"]
        started = subprocess.Popen(
            bound_to_parent([*command, "--socket", str(path), "--provider", "simulator"]),
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 60
        while not path.exists():
            assert started.poll() is None, "the aggregator left"
            assert time.monotonic() < end, "the aggregator did not start"
            time.sleep(0.05)
        yield Process(path)
        started.terminate()
        assert started.wait(30) == 0


def test_a_round_over_the_socket(process: Process) -> None:
    study = study_of()
    keys = process.call("begin_epoch", genesis=GENESIS, account=ACCOUNT, epoch=1, block_hash=BLOCK)
    binding = worker_report_data(
        genesis=GENESIS,
        account=ACCOUNT,
        hpke_key=keys["hpke_key"],
        receipt_key=keys["receipt_key"],
        epoch=1,
        block_hash=BLOCK,
    )
    verify_possession(binding, keys["possession"], keys["receipt_key"])
    assert binding in keys["quote"], "the quote is over a worker's binding, as every worker's"
    asked = {"study": STUDY, "number": 0}
    opened = process.call(
        "open_round",
        **asked,
        document=study.document(),
        genesis=GENESIS,
        account=ACCOUNT,
        at=7,
        block=BLOCK,
    )
    opening = Opening(GENESIS, STUDY, study.rule, 0, 7, BLOCK, opened["noise"])
    verify_signature(keys["receipt_key"], opening.message(), opened["signature"])
    sites, answers = [site_of(place, until=1 << 40) for place in range(2)], []
    for site in sites:
        view = RoundView(
            genesis=GENESIS,
            study=STUDY,
            rule=study.rule,
            number=0,
            noise=opened["noise"],
            policy=site.policy.hash,
            spent=0,
            hpke_key=keys["hpke_key"],
            level=Level.SIMULATED,
            members=frozenset(key.public_key for key in KEYS),
        )
        answer = site.answer(study, view, np.zeros(3))
        told = {"commitment": answer.commitment, "consents": answer.consents, "sealed": answer.sealed}
        assert process.call("take_update", **asked, site=site.account, **told) == {}
        answers.append(answer)
    chosen = {
        "sites": b"".join(site.account for site in sites),
        "commitments": b"".join(answer.commitment for answer in answers),
        "cohorts": bytes(len(sites)),
        "absent": b"",
    }
    result = process.call("close_round", **asked, **chosen)
    total = proofward_prover.vector_sum([opened["noise"], *(answer.commitment for answer in answers)])
    assert proofward_prover.vector_commit(result["values"], result["blinding"]) == total
    said = Aggregate(GENESIS, STUDY, 0, total, values_hash(result["values"]), ())
    verify_signature(keys["receipt_key"], said.message(), result["signature"])
    # 40 records add at most 40 clips; noise of three clips is there, and not a multiple of it
    assert 0 < max(map(abs, result["values"])) < 60 * UNITS
    with pytest.raises(EnclaveError) as refused:
        process.call("close_round", **asked, **chosen)
    assert refused.value.code == "unknown-round"


def test_what_is_no_request_is_refused(process: Process) -> None:
    for method, code in (("work", "unknown-method"), ("open_round", "malformed-request")):
        with pytest.raises(EnclaveError) as refused:
            process.call(method)
        assert refused.value.code == code
    with pytest.raises(EnclaveError) as refused:
        process.call("begin_epoch", genesis=GENESIS, account=ACCOUNT, epoch=0, block_hash=BLOCK)
    assert refused.value.code == "stale-epoch"
