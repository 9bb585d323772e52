"""Four hospitals learn one model over the chain; then it is sold like any other.

`python -m proofward_demo.federated`, by `make demo-federation`. Real parts: the embedded chain, an
aggregator's enclave and four hospitals as processes of their own, 492 records with a consent each, a worker,
its proofs. Three rounds: in the second one hospital is killed and a patient's revocation counts; in the third
one hospital has nothing left and one lies; the aggregator's host tries each sum with one unit more, and a
fourth round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from proofward.amounts import UNIT
from proofward.chain import SubstrateClient, dev_keypair, ss58
from proofward.chain.pallets import attestation, balances, federation, workers
from proofward.client import Client
from proofward.devnet.chains import Devnet, free_port
from proofward.errors import ProofwardError
from proofward.files import write_whole
from proofward.protocol import SYSTEM_RANDOM
from proofward.protocol.federation import NANO
from proofward.statements import accuracy
from proofward.zkml import load_public
from proofward_demo.hearts import Floats, hospitals
from proofward_demo.processes import Worker
from proofward_demo.report import Report
from proofward_demo.run import DemoFailed
from proofward_enclave.measure import simulated_measurement as of_workers
from proofward_federation.budget import nano_rho_of
from proofward_federation.consents import Register
from proofward_federation.measure import simulated_measurement as of_aggregators
from proofward_federation.network.posted import checks, post
from proofward_federation.study import Study
from proofward_federation.wallet import Wallet

EPSILON, DELTA, ROUNDS, UNITS = 8.0, 1e-5, 3, 1 << 16
SUDO, RESEARCHER, AGGREGATOR, WORKER, ASKER = "//Alice", "//Bob", "//Dave", "//Worker", "//Asker"
SITES: Final = {
    "Cleveland": "//Charlie",
    "Hungary": "//Eve",
    "VA Long Beach": "//Ferdie",
    "Switzerland": "//Switzerland",
}
REVOKES, OVERSPENDS, LIES, DIES = SITES
ENDOWMENT: Final = 1_000 * UNIT
WAIT_SECONDS: Final = 90.0
CONSTANTS: Final = {
    "age": (55, 10),
    "trestbps": (130, 20),
    "chol": (200, 100),
    "thalch": (140, 25),
    "oldpeak": (1, 1),
}
"""Centre and scale of the columns: round numbers of medicine, nobody's data."""


@dataclass
class Process:
    """A process of the demo, its standard error kept line by line."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        """Start it."""
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
        return self

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self.process is None else self.process.poll()

    def lines(self, words: str) -> list[str]:
        """Lines that say this."""
        text = self.log.read_text() if self.log.exists() else ""
        return [line for line in text.splitlines() if words in line]

    def stop(self) -> None:
        """End it and all that it started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass
class Told:
    """The report's own part."""

    rounds: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)


class FederationDemo:
    """One run; `url` of a development chain, None starts one."""

    def __init__(self, url: str | None, out: Path, report: Report, stack: ExitStack) -> None:
        self.url, self.out, self.report, self.stack = url, out, report, stack
        self.folder = out.parent.resolve() / "demo-federation"
        self.told = Told()
        self.columns, self.records = hospitals()
        self.held: dict[str, tuple[Floats, Floats]] = {}
        self.processes: dict[str, Process] = {}
        self.card: dict[str, Any] = {}
        self.job: dict[str, Any] = {}

    def run(self) -> None:
        """All of it. Raises DemoFailed, ProofwardError."""
        self.start_chain()
        self.write_hospitals()
        self.announce()
        self.learn()
        self.check_rounds()
        self.serve_model()

    def say(self, who: str, what: str, block: int | None = None) -> None:
        """One line."""
        self.report.step(who, what, block)

    # ---- chain, money, allowed software -----------------------------------------------------------

    def start_chain(self) -> None:
        """With an account for everybody, and both enclaves' software allowed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        if self.url is None:
            self.url = self.stack.enter_context(Devnet()).url
        self.chain = self.stack.enter_context(SubstrateClient.connect(self.url))
        self.say("chain", f"{self.chain.node}, genesis 0x{self.chain.genesis.hex()[:8]}… at {self.url}")
        poor = [uri for uri in (*SITES.values(), WORKER, ASKER) if self.chain.balance(_account(uri)) == 0]
        allowed = [
            attestation.sudo(attestation.allow_measurement(measured, label))
            for measured, label in ((of_aggregators(), "aggregator"), (of_workers(), "worker"))
        ]
        money = [balances.transfer(_account(uri), ENDOWMENT) for uri in poor]
        receipt = self.chain.submit(attestation.batch([*allowed, *money]), dev_keypair(SUDO))
        self.say("chain", "software of aggregator and worker allowed by sudo", receipt.block)

    # ---- hospitals --------------------------------------------------------------------------------

    def write_hospitals(self) -> None:
        """Each a folder: rules, two thirds of its records, consents; the last third is held out."""
        self.study = self._study()
        (self.folder / "study.json").write_bytes(self.study.document())
        draw = np.random.default_rng(7)
        self.patients: dict[str, Wallet] = {}
        for name, (x, y) in self.records.items():
            order = draw.permutation(len(x))
            cut = len(x) * 2 // 3
            self.held[name] = (x[order[cut:]], y[order[cut:]])
            folder = self._site(name)
            folder.mkdir()
            (folder / "site.toml").write_text(self._rules(name))
            rows = np.column_stack([np.arange(cut), x[order[:cut]], y[order[:cut]]])
            _write_table(folder / "records.csv", ("record", *self.columns, "num"), rows)
            self._consents(name, cut).save(folder / "consents.json")
        self.say("hospitals", "four folders: 492 records with a consent each, 248 held out")

    def _consents(self, name: str, records: int) -> Register:
        """Each patient's own, signed in a wallet; of the many all but three are put together at once."""
        until = int(time.time()) + 86_400
        register = Register()
        for record in range(records):
            if record >= 3:
                register.grant(str(record), self.study.purpose, until)
                continue
            wallet = Wallet.new()
            register.accept(str(record), name, wallet.grant(name, self.study.purpose, until=until))
            self.patients[f"{name}/{record}"] = wallet
        return register

    def _study(self) -> Study:
        pairs = [CONSTANTS.get(column, (0.5, 0.5)) for column in self.columns]
        clip = 2 * UNITS
        total = nano_rho_of(EPSILON, DELTA)
        deviation = int(clip * (ROUNDS * NANO / (2 * total)) ** 0.5) + 1
        found = Study(
            name="heart disease",
            kind="logistic",
            purpose="cardiology",
            columns=self.columns,
            centres=tuple(round(1000 * centre) for centre, _ in pairs),
            scales=tuple(round(1000 * scale) for _, scale in pairs),
            target="num",
            units=UNITS,
            clip=clip,
            deviation=deviation,
            cohort=2,
            rounds=ROUNDS,
            budget=total,
            rate=4_000,
            researcher=ss58(_account(RESEARCHER)),
        )
        return found

    def _rules(self, name: str) -> str:
        return f"""[site]
name = {json.dumps(name)}
[privacy]
clip = {self.study.clip / self.study.units}
noise = {int(self.study.deviation / self.study.clip * 1000) / 1000}
cohort = 2
peers = 1
epsilon_a_year = {EPSILON}
delta = {DELTA}
level = "simulated"
[allow]
purposes = ["cardiology"]
columns = {json.dumps(list(self.columns))}
targets = ["num"]
researchers = [{json.dumps(self.study.researcher)}]
peers = {json.dumps([ss58(_account(uri)) for other, uri in SITES.items() if other != name])}
"""

    # ---- the study ----------------------------------------------------------------------------------

    def announce(self) -> None:
        """Start the aggregator, and put the study on the chain once it is registered."""
        port = free_port()
        self.door = f"http://127.0.0.1:{port}"
        self._start(
            "aggregator",
            *("-m", "proofward_demo.rogues", "adds", str(self.folder / "study.json")),
            *(str(self.folder / "run"), f"127.0.0.1:{port}", AGGREGATOR, str(self.url)),
        )
        self._until(lambda: bool(self._lines("aggregator", "listens on")), "the aggregator to register")
        worker = workers.get(self.chain, _account(AGGREGATOR))
        assert worker is not None
        self.say(
            "aggregator",
            f"its enclave is registered by a quote: {worker.level.label}, 0x{worker.measurement.hex()[:8]}…",
            worker.registered_at,
        )
        sites = [part for uri in SITES.values() for part in ("--site", uri)]
        said = self._cli(
            *("federation", "announce", str(self.folder / "study.json"), "--aggregator", AGGREGATOR),
            *(*sites, "--signer", RESEARCHER, "--window", "60", "--rounds", "4"),
        )
        self.name = bytes.fromhex(said["study"].removeprefix("0x"))
        self.say(
            "researcher", f"announced study 0x{self.name.hex()[:8]}…, invited 4 hospitals", said["block"]
        )

    def learn(self) -> None:
        """Three rounds."""
        for name in (REVOKES, OVERSPENDS):
            budget = self.study.rho * (2 if name == OVERSPENDS else ROUNDS)
            self._start(
                name,
                *("-m", "proofward.cli", "federation", "take-part", str(self._site(name))),
                *("--study", self.name.hex(), "--aggregator", self.door, "--signer", SITES[name]),
                *("--budget", str(budget), "--dev", "--chain", str(self.url)),
            )
        for name, fault, number in ((LIES, "lies", 2), (DIES, "dies", 1)):
            self._rogue(name, fault, number)
        self._revoke()
        self._until(lambda: self._published(0), "the first round")
        self.say("aggregator", "round 0: the sum of four hospitals; the chain opened it", self._block(0))
        self._until(lambda: self.processes[DIES].code == -signal.SIGKILL, "a hospital to die")
        self.say(DIES, "killed (SIGKILL) between its commitment and its delivery of round 1")
        self._until(lambda: self._published(1), "the second round")
        self.say("aggregator", f"round 1: the sum of three, {DIES} named as absent", self._block(1))
        self._rogue(DIES, "dies", -1)
        self._until(lambda: self._published(2), "the third round")
        self.say("aggregator", f"round 2: without {LIES}, by name", self._block(2))
        aggregator = self.processes["aggregator"]
        self._until(lambda: aggregator.code is not None, "the aggregator to write the model")
        if aggregator.code != 0:
            raise DemoFailed(f"the aggregator failed: {aggregator.lines('error')}")

    def _rogue(self, name: str, fault: str, number: int) -> None:
        arguments = (fault, str(number), str(self._site(name)), self.name.hex(), self.door, SITES[name])
        self._start(name, "-m", "proofward_demo.rogues", *arguments, str(self.url))

    def _revoke(self) -> None:
        """A patient revokes, and the hospital follows once it has committed in the first round."""
        wallet, paper = self.folder / "patient.json", self.folder / "revocation.sdjwt"
        self.patients[f"{REVOKES}/0"].save(wallet)
        self._cli("consent", "revoke", REVOKES, "--wallet", str(wallet), "--out", str(paper), chain=False)
        site = _account(SITES[REVOKES])

        def committed() -> bool:
            one = federation.round_of(self.chain, self.name, 0)
            return one is not None and any(each.site == site for each in one.committed)

        self._until(committed, f"{REVOKES} to commit in round 0")
        with Register.changing(self._site(REVOKES) / "consents.json") as register:
            register.take_back(REVOKES, paper.read_text())
        self.say("patient", f"took a consent to {REVOKES} back: from the next tree on")

    def check_rounds(self) -> None:
        """What the chain has of it all."""
        record = federation.study(self.chain, self.name)
        assert record is not None
        rounds = federation.rounds(self.chain, record)
        names = {_account(uri): name for name, uri in SITES.items()}
        for one in rounds:
            present = sorted(names[each.site] for each in one.present)
            committed = sorted(names[each.site] for each in one.committed)
            self.told.rounds.append({"round": one.number, "committed": committed, "sum_of": present})
        wanted = [set(SITES), set(SITES) - {DIES}, {REVOKES, DIES}]
        if [set(one["sum_of"]) for one in self.told.rounds] != wanted:
            raise DemoFailed(f"the sums are of others than they should be: {self.told.rounds}")
        roots = [
            next(each.consents for each in one.committed if names[each.site] == REVOKES) for one in rounds[:2]
        ]
        if roots[0] == roots[1]:
            raise DemoFailed("a revocation changed nothing")
        trees = " -> ".join(f"{root.hex()[:8]}…" for root in roots)
        self._refused("a record whose patient took the consent back", "tree", trees)
        for where, words, fault in (
            (OVERSPENDS, "SiteOverspends", "a hospital's round beyond its budget"),
            (LIES, "wrong-commitment", "an update that is not the committed one"),
            (LIES, "is not the one that the site committed to", "an update that is not the committed one"),
            ("aggregator", "one unit more: WrongSum", "a sum with one unit more in one parameter"),
            ("aggregator", "StudyOverspends", "a round beyond the study's budget"),
        ):
            for line in self._lines(where, words)[:1]:
                self._refused(fault, "enclave" if where == LIES else "pallet", line[:160])
        faults = {one["fault"] for one in self.told.refused}
        if len(faults) != 5:
            raise DemoFailed(f"not every fault was refused: {sorted(faults)}")
        self.say(
            "chain", f"{record.spent / NANO:.6f} of {record.plan.budget / NANO:.6f} rho spent, and no more"
        )

    def _refused(self, fault: str, where: str, error: str) -> None:
        self.told.refused.append({"fault": fault, "where": where, "error": error})
        self.say(where, f"refused {fault}")

    # ---- the model, as any other --------------------------------------------------------------------

    def serve_model(self) -> None:
        """Publish, ask, verify, audit."""
        run = self.folder / "run"
        _write_table(self.folder / "calibration.csv", self.columns, _made_up(self.columns, 4_000))
        pooled = np.vstack([np.column_stack(self.held[name]) for name in SITES])
        _write_table(self.folder / "held.csv", (*self.columns, "num"), pooled)
        artifact = self.folder / "models" / "heart"
        said = self._cli(
            *("model", "publish", str(run / "model.onnx"), "--out", str(artifact), "--name", "heart"),
            *("--calibration", str(self.folder / "calibration.csv"), "--lane", "groth16"),
            *("--accuracy-bound", "0.02", "--max-disagreement", "0.03"),
            *("--evaluation", str(self.folder / "held.csv"), "--signer", RESEARCHER),
        )
        self.say("researcher", f"published the model {said['model'][:10]}…, lane {said['lane']}")
        # what needs neither the other goes on beside it
        auditing = self._begin(
            *("model", "audit", str(run / "model.onnx"), "--artifact", str(artifact / "public")),
            *("--model", said["model"], "--card", str(run / "card.json")),
        )
        self._ask(said["model"], artifact)
        self._accuracy(artifact)
        audit = self._ended(auditing, codes=(0, 8))
        wrong = [check for check in audit["checks"] if check["ok"] is False]
        names = {check["name"] for check in audit["checks"] if check["ok"]}
        if wrong or not {"model is the card's", "rounds on the chain", "aggregator"} <= names:
            raise DemoFailed(f"the audit does not lead back to the rounds: {wrong or sorted(names)}")
        self.say("auditor", f"from the model back to the commitments on the chain: {audit['verdict']}")
        card = json.loads((run / "card.json").read_text())
        self.card = {key: card[key] for key in ("epsilon", "delta", "records", "level", "measurement")}
        self.audit = audit

    def _ask(self, model: str, artifact: Path) -> None:
        sockets = Path(tempfile.mkdtemp(prefix="proofward-"))
        self.stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        assert self.url is not None
        worker = Worker(
            "worker", WORKER, self.folder / "worker", sockets, self.url, artifact.parent, RESEARCHER
        )
        self.stack.callback(worker.stop)
        worker.start()
        wanted = bytes.fromhex(model.removeprefix("0x"))
        self._until(
            lambda: wanted in workers.serving(self.chain, _account(WORKER)), "the worker to serve the model"
        )
        client = self.stack.enter_context(
            Client(
                self.url, ASKER, development=True, artifacts=[artifact.parent], state=self.folder / "client"
            )
        )
        x, y = self.held["Switzerland"]
        job = client.submit(wanted, x[0], recipients=[_account(WORKER)])
        outcome = client.wait(job, timeout=WAIT_SECONDS)
        if outcome.state != "accepted":
            raise DemoFailed(f"the job ended {outcome.state}: {worker.log_tail()}")
        answer, verdict = client.open(job), client.verify(job)
        if not verdict.accepted:
            raise DemoFailed("the job fails its own verification: " + "; ".join(map(str, verdict.checks)))
        risk = 1 / (1 + float(np.exp(-answer.values[0, 0])))
        self.job = {"id": str(job), "risk": risk, "truth": int(y[0]), "checks": len(verdict.checks)}
        self.say(
            "contract", f"accepted a proof of the federated model's answer: risk {risk:.3f}", outcome.block
        )

    def _accuracy(self, artifact: Path) -> None:
        """`k of n`, by hospital and pooled: proved by who holds the records, verified from the proof."""
        public = load_public(artifact)
        program = accuracy.program_of(artifact, public)
        for name in (*SITES, "pooled"):
            short = name.split()[0].lower()
            rows = [self.held[each] for each in (SITES if name == "pooled" else (name,))]
            x, y = (np.concatenate(parts) for parts in zip(*rows, strict=True))
            salt = SYSTEM_RANDOM(32)
            test_set = accuracy.quantised(public, x, y, salt)
            keys = self.folder / f"keys-{short}"
            made = accuracy.prove_accuracy(public, accuracy.key_for(program, public, len(y), keys), test_set)
            made.save(
                self.folder / f"accuracy-{short}.json",
                salt=(self.folder / f"accuracy-{short}.salt", salt),
            )
            read = accuracy.load(self.folder / f"accuracy-{short}.json")
            root = bytes.fromhex(made.root)
            checks = accuracy.checks(read, public, program, keys, development=True, own_key=False, root=root)
            if any(check.ok is False for check in checks):
                raise DemoFailed(f"the proof of {name}'s accuracy does not hold: {checks}")
            interval = accuracy.clopper_pearson(made.right, made.records)
            block = self._posted(name, read)
            self.told.accuracy.append(
                {
                    "hospital": name,
                    "right": made.right,
                    "records": made.records,
                    "interval": interval,
                    "root": made.root,
                    "setup": "dev",
                    "block": block,
                }
            )
            self.say(name, f"proves: {made.words}", block)

    def _posted(self, name: str, proved: accuracy.Accuracy) -> int:
        """The block in which a hospital, or the researcher for all, stands for this root and no other."""
        keypair = dev_keypair(SITES.get(name, RESEARCHER))
        block = post(self.chain, keypair, proved)
        found = checks(self.chain, proved, bytes(keypair.public_key), since=max(1, block - 200))
        if not all(one.ok for one in found):
            raise DemoFailed(f"the chain has not {name}'s one root: {found}")
        return block

    # ---- processes ----------------------------------------------------------------------------------

    def _site(self, name: str) -> Path:
        return self.folder / name.split()[0].lower()

    def _start(self, name: str, *arguments: str) -> None:
        log = self.folder / f"{name.split()[0].lower()}.log"
        process = Process(name, [sys.executable, *arguments], log).start()
        self.stack.callback(process.stop)
        self.processes[name] = process

    def _lines(self, name: str, words: str) -> list[str]:
        return self.processes[name].lines(words)

    def _cli(self, *arguments: str, chain: bool = True) -> Any:
        """A verb of the product, its JSON."""
        return self._ended(self._begin(*arguments, chain=chain))

    def _begin(self, *arguments: str, chain: bool = True) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "proofward.cli", *arguments, "--json"]
        if chain:
            command += ["--chain", str(self.url)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.stack.callback(process.kill)
        return process

    def _ended(self, process: subprocess.Popen[str], *, codes: tuple[int, ...] = (0,)) -> Any:
        out, err = process.communicate(timeout=300)
        if process.returncode not in codes:
            verb = " ".join(str(word) for word in process.args[3:5])  # type: ignore[index]
            raise DemoFailed(f"{verb} failed: {(err or out)[-800:]}")
        return json.loads(out)

    def _until(self, ready: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not ready():
            for name, process in self.processes.items():
                if process.code not in (None, 0, -signal.SIGKILL):
                    raise DemoFailed(f"waiting for {what}: {name} ended: {process.log.read_text()[-800:]}")
            if time.monotonic() > end:
                raise DemoFailed(f"waited {WAIT_SECONDS:g} s for {what}; see the logs in {self.folder}")
            time.sleep(0.1)

    def _published(self, number: int) -> bool:
        one = federation.round_of(self.chain, self.name, number)
        return one is not None and isinstance(one.ending, federation.Published)

    def _block(self, number: int) -> int | None:
        lines = self._lines("aggregator", f"round {number}: the sum")
        return int(lines[-1].rsplit(" ", 1)[1].rstrip(")")) if lines else None


def _account(uri: str) -> bytes:
    return bytes(dev_keypair(uri).public_key)


def _made_up(columns: tuple[str, ...], count: int) -> Floats:
    """Records of nobody, to quantise by: numbers around the study's constants, one flag of each group."""
    draw = np.random.default_rng(1)
    made = np.zeros((count, len(columns)))
    groups: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        if column not in CONSTANTS:
            groups.setdefault(column.split("_")[0], []).append(place)
            continue
        centre, scale = CONSTANTS[column]
        made[:, place] = np.clip(draw.normal(centre, scale, count), centre - 5 * scale, centre + 5 * scale)
        made[:2, place] = centre - 5 * scale, centre + 5 * scale
    for flags in groups.values():
        made[np.arange(count), draw.choice(flags, count)] = 1
    return made.round(1)


def _write_table(path: Path, columns: tuple[str, ...], rows: Floats) -> None:
    lines = [",".join(columns), *(",".join(f"{value:g}" for value in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def main() -> int:
    """Exit code 0, or 1 when a step failed."""
    parser = argparse.ArgumentParser(prog="python -m proofward_demo.federated", description=__doc__)
    parser.add_argument("--chain", help="use this development chain instead of an embedded one")
    parser.add_argument("--out", type=Path, default=Path("build/demo-federation.json"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    report, began = Report(sys.stdout), time.monotonic()
    try:
        with ExitStack() as stack:
            demo = FederationDemo(arguments.chain, arguments.out, report, stack)
            demo.run()
    except ProofwardError as error:
        print(f"error: demo-federation: {error.message}", file=sys.stderr)
        return 1
    document = {
        "study": "0x" + demo.name.hex(),
        "rounds": demo.told.rounds,
        "refused": demo.told.refused,
        "card": demo.card,
        "job": demo.job,
        "audit": demo.audit,
        "accuracy": demo.told.accuracy,
        "seconds": round(time.monotonic() - began, 1),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.out, f"{json.dumps(document, indent=2)}\n".encode(), mode=0o666)
    print(f"\nwritten to {arguments.out}, {document['seconds']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
