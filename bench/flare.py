"""NVFLARE's FedAvg over the sites of `bench.federation`: its own simulator, in an environment of its own.

`python bench/flare.py GIVEN.npz LEARNT.npz` reads for each site inputs `(splits, records, columns)` and
targets `(splits, records)`, and rates; it writes weights `(splits, rates, columns)` after the rounds, and
seconds. All are learnt in one job: an average has nothing to do with the numbers beside it.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 5
ROUNDS = 3


def local_steps(weights: Any, inputs: Any, target: Any, rates: Any) -> Any:
    """`weights` `(splits, rates, columns)` after a site's gradient steps of each rate."""
    for _ in range(STEPS):
        scores = np.einsum("snc,src->srn", inputs, weights)
        errors = 1 / (1 + np.exp(-scores)) - target[:, None, :]
        gradients = np.einsum("srn,snc->src", errors, inputs) / inputs.shape[1]
        weights = weights - np.asarray(rates)[None, :, None] * gradients
    return weights


def train(given: Path) -> None:
    """A site's script, which the simulator runs."""
    flare = importlib.import_module("nvflare.client")
    key = importlib.import_module("nvflare.app_common.np.constants").NPConstants.NUMPY_KEY
    flare.init()
    place = int(flare.get_site_name().rpartition("-")[2]) - 1
    with np.load(given) as file:
        inputs, target, rates = file[f"inputs-{place}"], file[f"target-{place}"], file["rates"]
    while flare.is_running():
        model = flare.receive()
        if model is None:
            return
        after = local_steps(np.array(model.params[key]), inputs, target, rates)
        weight = {"NUM_STEPS_CURRENT_ROUND": inputs.shape[1]}
        flare.send(flare.FLModel(params={key: after}, meta=weight))


def run(given: Path, learnt: Path) -> None:
    """The job, each site a thread of the simulator."""
    recipe_of = importlib.import_module("nvflare.app_common.np.recipes.fedavg").NumpyFedAvgRecipe
    simulator = importlib.import_module("nvflare.recipe").SimEnv
    with np.load(given) as file:
        sites = sum(name.startswith("inputs-") for name in file.files)
        splits, _, columns = file["inputs-0"].shape
        start = np.zeros((splits, len(file["rates"]), columns))
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        recipe = recipe_of(
            name="sites",
            model=start.tolist(),
            min_clients=sites,
            num_rounds=ROUNDS,
            train_script=str(Path(__file__).resolve()),
            train_args=f"{given} - --site",
        )
        begun = time.perf_counter()
        recipe.execute(simulator(num_clients=sites, workspace_root=folder))
        seconds = time.perf_counter() - begun
        (model,) = Path(folder).rglob("models/server.npy")
        np.savez(learnt, weights=np.load(model), seconds=seconds)


def main() -> None:
    """A job, or with `--site` one of its sites."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("given", type=Path)
    parser.add_argument("learnt", type=Path)
    parser.add_argument("--site", action="store_true")
    arguments = parser.parse_args()
    if arguments.site:
        train(arguments.given.resolve())
    else:
        run(arguments.given.resolve(), arguments.learnt)


if __name__ == "__main__":
    main()
