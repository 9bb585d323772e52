"""A whole study on one machine, before hospitals run it between them: the aggregator's process, the sites'
code with their own files, Flower. No chain, no network, and a quote that is simulated: it says so.

A site is a folder with `site.toml`, `records.csv` (a column `record` of its own numbers of patients) and
`consents.json`. A site that refuses, or dies, is left out by name; a round with too few sites ends the study.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from proofward.errors import ProofwardError
from proofward.processes import bound_to_parent
from proofward.protocol import Level, sha256
from proofward.protocol.enclave import HEADER_LENGTH, Request, content_length, parse_reply
from proofward.protocol.federation import study_id
from proofward.tables.reader import read_table
from proofward_federation.consents import Register
from proofward_federation.errors import EngineMissing, FederationError
from proofward_federation.policy import SitePolicy
from proofward_federation.site import Records, RoundView, Site
from proofward_federation.study import Study
from proofward_federation.transcript import Part, Told, Transcript
from proofward_federation.update import Floats, logistic_step

START_SECONDS: Final = 60.0
CALL_SECONDS: Final = 120.0
NOT_SHOWN: Final = (
    "a rehearsal: no chain holds budgets or consents, the quote is simulated, all is one machine"
)
GENESIS: Final = sha256(b"proofward/rehearsal/v1")
ACCOUNT: Final = sha256(b"proofward/rehearsal-aggregator/v1")


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """`refused`: by round, what each site that is not in it said."""

    weights: Floats
    transcript: Transcript
    refused: list[dict[str, str]] = field(default_factory=list)


def read_site(folder: Path) -> Site:
    """A hospital's folder. Raises FederationError, TableError."""
    policy = SitePolicy.load(folder / "site.toml")
    table = read_table(folder / "records.csv")
    names = table.names or ()
    if "record" not in names:
        raise FederationError(f"{folder}/records.csv has no column `record`", code="bad-records")
    columns: dict[str, Floats] = {name: table.values[:, place] for place, name in enumerate(names)}
    numbers = columns.pop("record")
    if not np.array_equal(numbers, np.trunc(numbers)) or len(set(numbers.tolist())) != len(numbers):
        raise FederationError(
            f"{folder}/records.csv: `record` is a whole number of its own in each row", code="bad-records"
        )
    records = Records(tuple(str(int(number)) for number in numbers), columns)
    register = Register.load(folder / "consents.json")
    return Site(sha256(policy.name.encode()), policy, records, register, time.time)


def rehearse(
    study: Study, sites: Sequence[Site], tell: Callable[[str], None] = lambda _line: None
) -> Rehearsed:
    """Run a study's rounds. Raises FederationError when a round has too few sites, EnclaveError."""
    try:
        from proofward_federation.engine import learn
    except ImportError as error:
        raise EngineMissing.of((error.name or "flwr").partition(".")[0]) from None

    if len({site.account for site in sites}) != len(sites):
        raise FederationError("two sites have one name: a site is counted once", code="site-twice")
    with _aggregator() as call:
        run = _Run(study, sites, call, tell)
        start = np.zeros(len(study.columns) + 1)
        if study.kind == "logistic":
            weights = learn(start, run.exchange, nodes=len(sites), rounds=study.rounds)
        else:
            weights = np.zeros(0)
            for _ in range(study.rounds):
                run.exchange(weights)
    return Rehearsed(weights, run.transcript(), run.refused)


Call = Callable[..., dict[str, Any]]


class _Run:
    def __init__(self, study: Study, sites: Sequence[Site], call: Call, tell: Callable[[str], None]) -> None:
        self._study, self._sites, self._call, self._tell = study, sites, call, tell
        self._name = study_id(ACCOUNT, study.rule)
        self._block = sha256(b"no block")
        self._keys = call("begin_epoch", genesis=GENESIS, account=ACCOUNT, epoch=1, block_hash=self._block)
        self._told: list[Told] = []
        self._spent: dict[bytes, int] = {}
        self.refused: list[dict[str, str]] = []

    def transcript(self) -> Transcript:
        return Transcript(
            GENESIS.hex(),
            self._name.hex(),
            self._study.document().hex(),
            self._keys["receipt_key"].hex(),
            tuple(self._told),
        )

    def exchange(self, weights: Floats) -> Floats:
        """One round."""
        number = len(self._told)
        asked = {"study": self._name, "number": number}
        opened = self._call(
            "open_round",
            **asked,
            document=self._study.document(),
            genesis=GENESIS,
            account=ACCOUNT,
            at=0,
            block=self._block,
        )
        parts: list[Part] = []
        refused: dict[str, str] = {}
        for site in self._sites:
            try:
                parts.append(self._part(site, asked, opened["noise"], weights))
            except ProofwardError as error:
                refused[site.policy.name] = f"{error.code}: {error.message}"
                self._tell(f"round {number}: without {site.policy.name}: {error.message}")
        self.refused.append(refused)
        result = self._call(
            "close_round",
            **asked,
            sites=b"".join(bytes.fromhex(part.site) for part in parts),
            commitments=b"".join(bytes.fromhex(part.commitment) for part in parts),
            absent=b"",
        )
        self._told.append(
            Told(
                number=number,
                at=0,
                block=self._block.hex(),
                noise=opened["noise"].hex(),
                opening=opened["signature"].hex(),
                parts=tuple(parts),
                absent=(),
                values=tuple(result["values"]),
                blinding=result["blinding"].hex(),
                signature=result["signature"].hex(),
            )
        )
        self._tell(f"round {number}: the sum of {len(parts)} sites, {self._study.rho / 1e9:.6f} rho")
        if self._study.kind != "logistic":
            return weights
        return logistic_step(weights, result["values"], self._study)

    def _part(self, site: Site, asked: dict[str, Any], noise: bytes, weights: Floats) -> Part:
        view = RoundView(
            genesis=GENESIS,
            study=self._name,
            rule=self._study.rule,
            number=asked["number"],
            noise=noise,
            policy=site.policy.hash,
            spent=self._spent.get(site.account, 0),
            hpke_key=self._keys["hpke_key"],
            level=Level.SIMULATED,
        )
        answer = site.answer(self._study, view, weights)
        # spent when it leaves, whatever comes of it
        self._spent[site.account] = self._spent.get(site.account, 0) + self._study.rho
        told = {"commitment": answer.commitment, "consents": answer.consents, "sealed": answer.sealed}
        self._call("take_update", **asked, site=site.account, **told)
        return Part(
            site.account.hex(),
            answer.commitment.hex(),
            answer.consents.hex(),
            answer.most,
            answer.proof.hex(),
        )


@contextmanager
def _aggregator() -> Iterator[Call]:
    """The aggregator's process, and how to call it."""
    with tempfile.TemporaryDirectory(prefix="proofward-") as folder:
        path = Path(folder) / "aggregator.sock"
        command = [sys.executable, "-m", "proofward_federation.service", "--socket", str(path)]
        process = subprocess.Popen(
            bound_to_parent([*command, "--provider", "simulator"]), stderr=subprocess.DEVNULL
        )
        try:
            end = time.monotonic() + START_SECONDS
            while not path.exists():
                if process.poll() is not None or time.monotonic() > end:
                    raise FederationError(
                        "the aggregator's process does not start: run `make federation` first",
                        code="aggregator-down",
                    )
                time.sleep(0.02)
            yield lambda method, **params: _called(path, method, params)
        finally:
            process.terminate()
            process.wait()


def _called(path: Path, method: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(CALL_SECONDS)
            peer.connect(str(path))
            peer.sendall(Request(1, method, params).frame())
            stream = peer.makefile("rb")
            return parse_reply(stream.read(content_length(stream.read(HEADER_LENGTH))), 1)
    except (OSError, IndexError, ValueError) as error:
        raise FederationError(
            f"the aggregator does not answer {method}: {error}", code="aggregator-down"
        ) from None
