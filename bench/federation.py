"""`python -m bench.federation`: four hospitals on this machine, beside Flower alone; writes
build/bench-federation.json.

The records are UCI heart disease as FLamby prepares it: 740 of four hospitals, two thirds to learn from. Our
rounds are the product's: policies, consents, sealed updates, the aggregator's code with OpenDP's noise; chain
and TEE are left out, and the report says so. Baselines in the same run: pooled learning, Flower's FedAvg and
FedYogi alone, Flower's FedAvg under its own central differential privacy, and NVFLARE's FedAvg where
`make bench-federation` could install it. Then the same over scikit-learn's breast cancer, split over four
sites, and rounds over the embedded chain on 2-s blocks.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import proofward_prover
from numpy.typing import NDArray

from bench.data import FloatArray, heart_hospitals
from bench.flare import ROUNDS, local_steps
from proofward.chain.keypair import Keypair
from proofward.protocol import Level, sha256
from proofward.protocol.requests import Params
from proofward_enclave.epochs import Epochs
from proofward_federation.budget import epsilon_of, nano_rho_of
from proofward_federation.consents import Register
from proofward_federation.enclave import Aggregator
from proofward_federation.engine import learn
from proofward_federation.noise import discrete_gaussian
from proofward_federation.outbreak import BASELINE, LAG, alarms
from proofward_federation.policy import SitePolicy
from proofward_federation.site import Records, RoundView, Site
from proofward_federation.study import Study
from proofward_federation.update import (
    Update,
    clip,
    is_short,
    logistic_parts,
    logistic_step,
    prove_short,
    standard,
    with_intercept,
)

EPSILON: Final = 8.0
EPSILONS: Final = (8.0, 2.0, 1.0)
DELTA: Final = 1e-5
UNITS: Final = 1 << 16
RATES: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
ETAS: Final = (0.03, 0.1, 0.3)
"""Of FedYogi's server."""
NAMES: Final = ("Cleveland", "Hungary", "VA Long Beach", "Switzerland")
MEDICINE: Final = {
    "age": (55, 10),
    "trestbps": (130, 20),
    "chol": (200, 100),
    "thalch": (140, 25),
    "oldpeak": (1, 1),
}
"""Centre and scale of heart disease's columns, round numbers of medicine; of a flag one half each."""
FLARE: Final = Path("build/nvflare/bin/python")
FLARE_SECONDS: Final = 600
GENESIS, STUDY, ACCOUNT, BLOCK = (sha256(name) for name in (b"genesis", b"study", b"aggregator", b"block"))


@dataclass(frozen=True)
class Hospital:
    """Records to learn from and records held out: x in the study's columns, y 0 or 1."""

    name: str
    train_x: FloatArray
    train_y: FloatArray
    test_x: FloatArray
    test_y: FloatArray


@dataclass(frozen=True)
class Source:
    """Four sites' records `(x, y)` by name; `pairs` are each column's centre and scale."""

    purpose: str
    columns: tuple[str, ...]
    tables: dict[str, tuple[FloatArray, FloatArray]]
    pairs: tuple[tuple[float, float], ...]


def heart() -> Source:
    """Four hospitals, as they are."""
    columns, tables = heart_hospitals()
    return Source(
        "cardiology", columns, tables, tuple(MEDICINE.get(column, (0.5, 0.5)) for column in columns)
    )


def breast_cancer() -> Source:
    """scikit-learn's, 569 records in four sites of 40, 30, 20 and 10 of a hundred. Its documentation prints
    the least and the most of each column: a third of the way between is the centre, a sixth the scale.
    """
    from sklearn.datasets import load_breast_cancer

    loaded = load_breast_cancer()
    x, y = loaded.data.astype(np.float64), loaded.target.astype(np.float64)
    order = np.random.default_rng(0).permutation(len(x))
    parts = np.split(order, [len(x) * share // 10 for share in (4, 7, 9)])
    tables = {name: (x[part], y[part]) for name, part in zip(NAMES, parts, strict=True)}
    low, range_ = x.min(axis=0), x.max(axis=0) - x.min(axis=0)
    pairs = tuple(zip(low + range_ / 3, range_ / 6, strict=True))
    return Source("oncology", tuple(map(str, loaded.feature_names)), tables, pairs)


def hospitals(source: Source, seed: int) -> list[Hospital]:
    """A random split of each hospital, two thirds to learn from."""
    draw = np.random.default_rng(seed)
    found = []
    for name, (x, y) in source.tables.items():
        order = draw.permutation(len(x))
        cut = len(x) * 2 // 3
        first, rest = order[:cut], order[cut:]
        found.append(Hospital(name, x[first], y[first], x[rest], y[rest]))
    return found


def study_of(source: Source, epsilon: float = EPSILON) -> Study:
    """Three rounds that cost `epsilon` at delta 1e-5."""
    clip_units = 2 * UNITS
    total = nano_rho_of(epsilon, DELTA) / 1e9
    deviation = int(clip_units * (ROUNDS / (2 * total)) ** 0.5) + 1
    return Study(
        name="heart",
        kind="logistic",
        purpose=source.purpose,
        columns=source.columns,
        centres=tuple(round(1000 * centre) for centre, _ in source.pairs),
        scales=tuple(max(1, round(1000 * scale)) for _, scale in source.pairs),
        target="num",
        units=UNITS,
        clip=clip_units,
        deviation=deviation,
        cohort=3,
        rounds=ROUNDS,
        budget=nano_rho_of(epsilon, DELTA),
        rate=4_000,
        researcher="researcher",
    )


def key_of(name: str) -> Keypair:
    """A hospital's account."""
    return Keypair.of_seed(sha256(name.encode()))


def policy_of(name: str, study: Study) -> SitePolicy:
    """Rules that let this study and no looser one."""
    lines = f"""
[site]
name = {json.dumps(name)}
[privacy]
clip = {study.clip / study.units}
noise = {int(study.deviation / study.clip * 1000) / 1000}
cohort = {study.cohort}
peers = {study.cohort - 1}
epsilon_a_year = {EPSILON}
delta = {DELTA}
level = "simulated"
[allow]
purposes = [{json.dumps(study.purpose)}]
columns = {json.dumps(list(study.columns))}
targets = ["num"]
researchers = ["researcher"]
peers = {json.dumps([key_of(one).ss58_address for one in NAMES])}
"""
    return SitePolicy.parse(lines.encode())


class Federation:
    """Sites and an aggregator of one study, in this process; a round is the product's but for the chain."""

    def __init__(self, study: Study, found: list[Hospital]) -> None:
        self.study = study
        epochs = Epochs()
        self.epoch = epochs.begin(GENESIS, ACCOUNT, 1)
        self.aggregator = Aggregator(epochs, discrete_gaussian)
        self.sites = [self._site(hospital) for hospital in found]
        self.number = 0
        self.seconds: list[float] = []
        self.seen: list[bytes] = []
        """All that leaves the sites: what an aggregator's host can look at."""

    def _site(self, hospital: Hospital) -> Site:
        names = tuple(f"{hospital.name}-{number}" for number in range(len(hospital.train_x)))
        register = Register()
        for name in names:
            register.grant(name, self.study.purpose, 2_000_000_000)
        columns = {column: hospital.train_x[:, place] for place, column in enumerate(self.study.columns)}
        records = Records(names, {**columns, "num": hospital.train_y})
        policy = policy_of(hospital.name, self.study)
        key = key_of(hospital.name)
        return Site(key.public_key, key.sign, policy, records, register, time.time)

    def exchange(self, weights: FloatArray) -> FloatArray:
        """One round."""
        begun = time.perf_counter()
        asked = {"study": STUDY, "number": self.number}
        opened = self.aggregator.open(
            Params(
                {
                    **asked,
                    "document": self.study.document(),
                    "genesis": GENESIS,
                    "account": ACCOUNT,
                    "at": 1,
                    "block": BLOCK,
                }
            )
        )
        answers = []
        for site in self.sites:
            view = RoundView(
                genesis=GENESIS,
                study=STUDY,
                rule=self.study.rule,
                number=self.number,
                noise=opened["noise"],
                policy=site.policy.hash,
                spent=self.number * self.study.rho,
                hpke_key=self.epoch.hpke.public,
                level=Level.SIMULATED,
                members=frozenset(one.account for one in self.sites),
            )
            answer = site.answer(self.study, view, weights)
            told = {"commitment": answer.commitment, "consents": answer.consents, "sealed": answer.sealed}
            self.aggregator.take(Params({**asked, "site": site.account, **told}))
            answers.append(answer)
            self.seen += [answer.commitment, answer.sealed, answer.proof]
        result = self.aggregator.close(
            Params(
                {
                    **asked,
                    "sites": b"".join(site.account for site in self.sites),
                    "commitments": b"".join(answer.commitment for answer in answers),
                    "cohorts": bytes(len(self.sites)),
                    "absent": b"",
                }
            )
        )
        self.number += 1
        self.seconds.append(time.perf_counter() - begun)
        return logistic_step(weights, result["values"], self.study)


def accuracy(weights: FloatArray, study: Study, x: FloatArray, y: FloatArray) -> float:
    """Share of records on whose right side the model is."""
    return float(((with_intercept(standard(x, study)) @ weights > 0) == (y > 0.5)).mean())


@dataclass(frozen=True)
class Stacked:
    """What each site learns from in several splits: `(splits, records, columns)`, `(splits, records)`.

    FedAvg and FedYogi treat each number by itself, so one run of theirs is one of each split and rate.
    """

    sites: tuple[tuple[FloatArray, FloatArray], ...]
    rates: tuple[float, ...]

    @classmethod
    def of(cls, splits: list[list[Hospital]], study: Study, rates: tuple[float, ...] = RATES) -> Stacked:
        """From the splits' hospitals."""
        sites = []
        for parts in zip(*splits, strict=True):
            inputs = np.stack([with_intercept(standard(one.train_x, study)) for one in parts])
            sites.append((inputs, np.stack([one.train_y for one in parts])))
        return cls(tuple(sites), rates)

    @property
    def start(self) -> FloatArray:
        """Zero weights, (splits, rates, columns)."""
        splits, _, columns = self.sites[0][0].shape
        return np.zeros((splits, len(self.rates), columns))


def flower(stacked: Stacked, strategy: Any) -> FloatArray:
    """Weights (splits, rates, columns) of a strategy of Flower's, five local steps a round; in clear."""
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

    from proofward_federation.engine import SealedGrid

    class Clear(SealedGrid):
        def send_and_receive(self, messages: Any, *, timeout: float | None = None) -> Any:
            replies = []
            for message, (inputs, target) in zip(list(messages), stacked.sites, strict=False):
                weights = message.content.array_records["arrays"].to_numpy_ndarrays()[0]
                after = local_steps(weights, inputs, target, stacked.rates)
                metrics = MetricRecord({"num-examples": float(inputs.shape[1])})
                content = RecordDict({"arrays": ArrayRecord([after]), "metrics": metrics})
                replies.append(Message(content, reply_to=message))
            return replies

    logging.getLogger("flwr").setLevel(logging.ERROR)
    grid = Clear(len(stacked.sites), lambda weights: weights)
    result = strategy.start(grid=grid, initial_arrays=ArrayRecord([stacked.start]), num_rounds=ROUNDS)
    assert result.arrays is not None
    weights: FloatArray = result.arrays.to_numpy_ndarrays()[0]
    return weights


def central_privacy(found: list[Hospital], study: Study, rate: float, seed: int) -> FloatArray:
    """Flower's FedAvg under its own central differential privacy, at a noise multiplier that costs the same
    rho over the rounds; its unit is a whole hospital, since that is what its clipping bounds.
    """
    from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg

    np.random.seed(seed)
    noise = (ROUNDS / (2 * study.budget / 1e9)) ** 0.5
    inner = FedAvg(fraction_evaluate=0.0)
    strategy = DifferentialPrivacyServerSideFixedClipping(inner, noise, 1.0, len(found))
    weights: FloatArray = flower(Stacked.of([found], study, (rate,)), strategy)[0, 0]
    return weights


def nvflare(stacked: Stacked) -> tuple[FloatArray | None, dict[str, Any]]:
    """NVFLARE's FedAvg in its simulator, and how long it took; None, and why, where it is not installed."""
    if not FLARE.exists():
        return None, {"left_out": f"{FLARE} is missing: `make bench-federation` installs it where it can"}
    with tempfile.TemporaryDirectory(prefix="proofward-flare-") as folder:
        given, learnt = Path(folder) / "given.npz", Path(folder) / "learnt.npz"
        arrays = {"rates": np.array(stacked.rates)}
        for place, (inputs, target) in enumerate(stacked.sites):
            arrays |= {f"inputs-{place}": inputs, f"target-{place}": target}
        np.savez(given, **arrays)  # type: ignore[arg-type]
        script = shutil.copy(Path(__file__).with_name("flare.py"), folder)  # a job takes its script from here
        command = [str(FLARE.absolute()), script, str(given), str(learnt)]
        begun = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=FLARE_SECONDS, check=False, env={}
        )
        if done.returncode:
            return None, {"left_out": (done.stderr or done.stdout).strip().splitlines()[-1]}
        seconds = time.perf_counter() - begun
        with np.load(learnt) as file:
            return file["weights"], {
                "job_s": round(float(file["seconds"]), 1),
                "process_s": round(seconds, 1),
            }


def baselines(source: Source, seeds: int) -> dict[str, Any]:
    """What protects nothing, over the same splits: held-out accuracy. Steps and server rates are those that
    do best on the held-out records: an advantage that they would not have.
    """
    from flwr.serverapp.strategy import FedAvg, FedYogi
    from sklearn.linear_model import LogisticRegression

    study = study_of(source)
    splits = [hospitals(source, seed) for seed in range(seeds)]
    stacked = Stacked.of(splits, study)
    pooled = np.zeros((seeds, 1, len(source.columns) + 1))
    for place, found in enumerate(splits):
        x, y = (np.concatenate([getattr(one, part) for one in found]) for part in ("train_x", "train_y"))
        fitted = LogisticRegression(max_iter=2000).fit(standard(x, study), y)
        pooled[place, 0] = np.append(fitted.coef_[0], fitted.intercept_[0])
    yogi = [flower(stacked, FedYogi(fraction_evaluate=0.0, eta=eta)) for eta in ETAS]
    begun = time.perf_counter()
    average = flower(stacked, FedAvg(fraction_evaluate=0.0))
    took = time.perf_counter() - begun
    flare, told = nvflare(stacked)
    rivals = {"pooled": pooled, "flower's FedAvg": average, "flower's FedYogi": np.concatenate(yogi, axis=1)}
    if flare is not None:
        rivals["NVFLARE's FedAvg"] = flare
        told["largest difference from flower's"] = float(np.abs(flare - average).max())
    return {
        "accuracy": {name: _best(weights, splits, study) for name, weights in rivals.items()},
        "flower_job_s": round(took, 2),
        "nvflare": told,
    }


def _best(weights: FloatArray, splits: list[list[Hospital]], study: Study) -> dict[str, float]:
    """Of the rates in (splits, rates, columns), the best one's spread over the splits."""
    scores = np.array(
        [
            [pooled_accuracy(one, found, study) for one in row]
            for row, found in zip(weights, splits, strict=True)
        ]
    )
    return _spread(scores[:, scores.mean(axis=0).argmax()].tolist())


def pooled_accuracy(weights: FloatArray, found: list[Hospital], study: Study) -> float:
    """Over the held-out records of all hospitals."""
    x, y = (np.concatenate([getattr(one, part) for one in found]) for part in ("test_x", "test_y"))
    return accuracy(weights, study, x, y)


def learning(source: Source, seeds: int, epsilon: float) -> dict[str, Any]:
    """Held-out accuracy of what protects something, mean and spread over random splits."""
    study = study_of(source, epsilon)
    splits = [hospitals(source, seed) for seed in range(seeds)]
    ours = np.zeros((seeds, 1, len(source.columns) + 1))
    central = np.zeros((seeds, len(RATES), len(source.columns) + 1))
    seconds: list[float] = []
    each: dict[str, list[float]] = {}
    for seed, found in enumerate(splits):
        federation = Federation(study, found)
        ours[seed, 0] = learn(ours[seed, 0], federation.exchange, nodes=len(found), rounds=ROUNDS)
        seconds += federation.seconds
        for place, rate in enumerate(RATES):
            central[seed, place] = central_privacy(found, study, rate, seed)
        for one in found:
            each.setdefault(one.name, []).append(accuracy(ours[seed, 0], study, one.test_x, one.test_y))
    return {
        "splits": seeds,
        "records": int(sum(len(one.train_x) + len(one.test_x) for one in splits[0])),
        "epsilon": round(epsilon_of(study.rho * ROUNDS, DELTA), 4),
        "delta": DELTA,
        "unit_of_privacy": "one record (ours); one hospital (flower's central DP)",
        "accuracy": {
            "ours": _best(ours, splits, study),
            "flower's central DP": _best(central, splits, study),
        },
        "ours_by_hospital": {name: _spread(values) for name, values in each.items()},
        "round_seconds_median": round(statistics.median(seconds), 4),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": round(statistics.mean(values), 4), "deviation": round(statistics.pstdev(values), 4)}


def inversion() -> dict[str, Any]:
    """How many records an aggregator that reads updates recovers, from single-record and whole updates.

    The attack is closed form: a record's gradient of a linear model with intercept is its features times its
    error, and the intercept's is the error. A record counts as recovered when all its features are within a
    thousandth of their scale. The sealed aggregator's host has commitments, ciphertext and the noisy sum.
    """
    source = heart()
    found, study = hospitals(source, 0), study_of(source)
    zero = np.zeros(len(source.columns) + 1)
    records = np.vstack([one.train_x for one in found])
    inputs = standard(records, study)
    target = np.concatenate([one.train_y for one in found])

    def recovered(gradient: FloatArray, truth: FloatArray) -> bool:
        if abs(gradient[-1]) < 1e-9:
            return False
        return bool(np.abs(gradient[:-1] / gradient[-1] - truth).max() < 1e-3)

    def gradients(x: FloatArray, y: FloatArray) -> FloatArray:
        errors: FloatArray = (0.5 - y)[:, None] * with_intercept(x)
        return errors

    single = [recovered(row, x) for row, x in zip(gradients(inputs, target), inputs, strict=True)]
    whole = []
    for one in found:
        x = standard(one.train_x, study)
        total = gradients(x, one.train_y).sum(axis=0)
        whole += [recovered(total, row) for row in x]
    federation = Federation(study, found)
    learn(zero, federation.exchange, nodes=len(found), rounds=1)
    numbers = {float(value) for value in np.unique(np.round(inputs, 6)) if abs(value) > 1e-3}
    seen = b"".join(federation.seen)
    plain = sum(np.float64(value).tobytes() in seen for value in numbers)
    # the noisy sum, read as if it were one record's
    parts = [clip(logistic_parts(one.train_x, one.train_y, zero, study), study).sum(axis=0) for one in found]
    noisy = np.sum(parts, axis=0) + np.array(discrete_gaussian(study.dimension, study.deviation))
    from_sum = [recovered(noisy[:-1] / study.units, row) for row in inputs]
    return {
        "records": len(inputs),
        "plain, an update of one record": _share(single),
        "plain, a hospital's whole update, passive": _share(whole),
        "sealed, from the noisy sum": _share(from_sum),
        "sealed, feature values found in what left the sites": plain,
    }


def _share(found: list[bool]) -> float:
    return round(sum(found) / len(found), 4)


def membership(models: int, epsilon: float, *, baseline: bool = True) -> dict[str, Any]:
    """LiRA (Carlini et al. 2022), the online attack: for each record a Gaussian of its score in models that
    learnt it and in models that did not; the models beside the attacked one are the attacker's.

    Each model learns a random half of all 740 records; scores are logits of the true class. AUC over all
    records and models, the true-positive rate at a false-positive rate of 0.1 %. A model's scores share its
    noise, so the interval is of the mean over models of each one's AUC (Student's t, 95 %).
    """
    source = heart()
    study = study_of(source, epsilon)
    x = np.vstack([table[0] for table in source.tables.values()])
    y = np.concatenate([table[1] for table in source.tables.values()])
    inputs = with_intercept(standard(x, study))
    signs = 2 * y - 1
    draw = np.random.default_rng(1)

    def private(chosen: FloatArray) -> FloatArray:
        weights = np.zeros(inputs.shape[1])
        for _ in range(ROUNDS):
            total = clip(logistic_parts(x[chosen], y[chosen], weights, study), study).sum(axis=0)
            total = total + np.array(discrete_gaussian(study.dimension, study.deviation))
            weights = logistic_step(weights, [int(value) for value in total], study)
        return weights

    def clear(chosen: FloatArray) -> FloatArray:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1e6, max_iter=5000).fit(inputs[chosen][:, :-1], y[chosen])
        return np.append(model.coef_[0], model.intercept_[0])

    def attacked(train: Callable[[FloatArray], FloatArray]) -> dict[str, Any]:
        # each record in half of the models
        inside = np.argsort(draw.random((models, len(x))), axis=0) < models // 2
        scores = np.array([signs * (inputs @ train(row)) for row in inside])
        ratios = _ratios(scores, inside, draw)
        return _roc(ratios.ravel(), inside.ravel()) | _by_model(ratios, inside)

    found = {"models": models, "records": len(x), "ours": attacked(private)}
    return found | ({"without noise, hardly regularised": attacked(clear)} if baseline else {})


def _ratios(scores: FloatArray, inside: NDArray[np.bool_], draw: np.random.Generator) -> FloatArray:
    """Log ratios of two Gaussians of one variance, (models, records), each model judged by all but one other.

    Without the attacked model its own group would be one smaller than the other, and its variance the worse
    estimated: with few models that alone tells members from strangers, the wrong way round. So one of the
    other group, drawn at random, is left out too.
    """
    models, records = scores.shape
    order = np.argsort(draw.random(scores.shape), axis=0)
    members = np.take_along_axis(inside, order, axis=0)
    partner = np.empty_like(order)
    for record in range(records):
        one, other = order[members[:, record], record], order[~members[:, record], record]
        partner[one, record], partner[other, record] = other, one
    across = np.take_along_axis(scores, partner, axis=0)
    mine, theirs = np.where(inside, scores, across), np.where(inside, across, scores)
    count = models // 2 - 1

    def moments(mask: NDArray[np.bool_], left: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean = ((scores * mask).sum(axis=0) - left) / count
        squares = ((scores**2 * mask).sum(axis=0) - left**2) / count
        return mean, np.maximum(squares - mean**2, 0) + 1e-9

    (a, v), (b, w) = moments(inside, mine), moments(~inside, theirs)
    found: FloatArray = ((scores - b) ** 2 - (scores - a) ** 2) / (v + w)
    return found


def _by_model(ratios: FloatArray, inside: NDArray[np.bool_]) -> dict[str, Any]:
    from scipy.stats import t
    from sklearn.metrics import roc_auc_score

    each = np.array([roc_auc_score(told, ratio) for told, ratio in zip(inside, ratios, strict=True)])
    half = float(t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
    mean = float(each.mean())
    return {"auc_of_a_model": round(mean, 4), "interval": [round(mean - half, 4), round(mean + half, 4)]}


def _roc(scores: FloatArray, truth: NDArray[np.bool_]) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    threshold = np.quantile(scores[~truth], 0.999)
    return {
        "auc": round(float(roc_auc_score(truth, scores)), 4),
        "tpr_at_0.1%_fpr": round(float((scores[truth] > threshold).mean()), 5),
    }


def proofs() -> dict[str, Any]:
    """Times in milliseconds, medians: what sites and aggregator compute for exactness and length."""
    found: dict[str, Any] = {}
    for dimension, repeats in ((641, 5), (100_000, 3)):
        study = study_of(heart())
        values = np.random.default_rng(0).integers(-(1 << 20), 1 << 20, (4, dimension)).tolist()
        updates = [Update.of(row, 300) for row in values]
        total = [sum(column) for column in zip(*values, strict=True)]

        def aggregate(updates: list[Update] = updates) -> tuple[bytes, bytes]:
            blinding = proofward_prover.blinding_sum([update.blinding for update in updates])
            return proofward_prover.vector_sum([update.commitment for update in updates]), blinding

        commitment, blinding = aggregate()
        open_sum = partial(proofward_prover.vector_commit, total, blinding)
        assert open_sum() == commitment
        wide = _wide(study, dimension)
        most = 1 + int(max(sum(v * v for v in row) for row in values) ** 0.5) // study.clip
        proof = prove_short(updates[0], wide, most, b"bench")
        assert is_short(updates[0].commitment, wide, most, b"bench", proof)

        first, row = updates[0], values[0]
        found[str(dimension)] = {
            "a site's commitment": _timed(partial(Update.of, row, 300), repeats),
            "the aggregator's proof of an exact sum of 4": _timed(aggregate, repeats),
            "verifying it": _timed(open_sum, 15),
            "verifying it, of the processor": _timed(open_sum, 15, time.process_time),
            "a site's proof of length": _timed(partial(prove_short, first, wide, most, b"bench"), repeats),
            "verifying it, off the chain": _timed(
                partial(is_short, first.commitment, wide, most, b"bench", proof), repeats
            ),
            "its bytes": len(proof),
        }
    return found


def outbreak(runs: int) -> dict[str, Any]:
    """Weeks until an alarm in a simulated series of one region and one syndrome, clear and with the noise of
    epsilon 1 a week; and the share of quiet weeks with a false alarm. No surveillance data installs here.

    Quiet weeks are Poisson of 40; an outbreak of `size` adds size, 2 size, 4 size in its first weeks.
    """
    draw = np.random.default_rng(5)
    deviation = (1 / (2 * nano_rho_of(1.0, DELTA) / 1e9)) ** 0.5
    quiet = 30
    found: dict[str, Any] = {"epsilon_a_week": 1.0, "noise_deviation": round(deviation, 2), "runs": runs}
    for size in (10, 20, 40):
        delays: dict[str, list[int]] = {"clear": [], "noisy": []}
        false: dict[str, list[float]] = {"clear": [], "noisy": []}
        for _ in range(runs):
            growth = [size * 2**week for week in range(6)]
            clear = draw.poisson(np.array([40.0] * quiet + [40.0 + extra for extra in growth])).astype(float)
            noise = np.array(discrete_gaussian(len(clear), round(deviation * 1_000))) / 1_000
            for name, series, known in (("clear", clear, 0.0), ("noisy", clear + noise, deviation)):
                raised = alarms(series.tolist(), known)
                delays[name].append(next((week - quiet for week in raised if week >= quiet), len(growth)))
                false[name].append(sum(week < quiet for week in raised) / (quiet - BASELINE - LAG))
        found[f"first week adds {size}"] = {
            name: {
                "days_to_detect_mean": round(7 * statistics.mean(delays[name]), 2),
                "false_alarms_a_week": round(statistics.mean(false[name]), 4),
            }
            for name in delays
        }
    return found


def rounds_on_blocks() -> dict[str, Any]:
    """`bench.rounds`, in a process of its own: Flower's import counts."""
    command = [sys.executable, "-m", "bench.rounds"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _timed(act: Callable[[], Any], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    times = []
    for _ in range(repeats):
        begun = clock()
        act()
        times.append(clock() - begun)
    return round(1000 * statistics.median(times), 2)


def _wide(study: Study, dimension: int) -> Any:
    """The study's bound over another number of parameters than its columns give."""

    class Wide:
        clip = study.clip

    wide = Wide()
    wide.dimension = dimension  # type: ignore[attr-defined]
    return wide


def main() -> None:
    """Run all, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--models", type=int, default=256)
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "left_out": "chain and TEE: the aggregator's code runs in this process, its level would be simulated",
        "load_before": os.getloadavg(),
        "rounds_on_2_s_blocks": rounds_on_blocks(),
        "proofs_ms": proofs(),
        "baselines": baselines(heart(), arguments.splits),
        "learning": [learning(heart(), arguments.splits, epsilon) for epsilon in EPSILONS],
        "breast_cancer": {
            "baselines": baselines(breast_cancer(), arguments.splits),
            "learning": [learning(breast_cancer(), arguments.splits, epsilon) for epsilon in EPSILONS[:2]],
        },
        "inversion": inversion(),
        "membership": {
            f"{epsilon:g}": membership(arguments.models, epsilon, baseline=epsilon == EPSILONS[0])
            for epsilon in EPSILONS
        },
        "outbreak": outbreak(400),
        "load_after": os.getloadavg(),
    }
    text = json.dumps(report, indent=1)
    print(text)
    path = Path("build/bench-federation.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n")


if __name__ == "__main__":
    main()
