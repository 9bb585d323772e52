"""`python -m bench` measures everything; `python -m bench accuracy` only what the integers lose.

python -m bench                          # make bench: five interleaved rounds, about twelve minutes
python -m bench --models mlp,trees --no-baseline
python -m bench accuracy                 # a table of accuracies, in Markdown
"""

from __future__ import annotations

import os

os.environ["RAYON_NUM_THREADS"] = "2"  # before ezkl or the prover starts its pool

import argparse
import json
import platform
import tempfile
from pathlib import Path
from typing import Any

from bench import extras, lanes, targets
from bench.models import ACCURACY, BENCH
from proofward.protocol.bounds import MAX_BATCH
from proofward.zkml import load_artifact


def bench(names: list[str], rounds: int, baseline: bool, out: Path) -> None:
    """Measure, print, and write the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = [BENCH[each]() for each in names]
        report: dict[str, Any] = {
            "models": lanes.run(models, rounds, folder, baseline),
            "rounds": rounds,
            "machine": {"cores": os.cpu_count(), "cpu": platform.processor() or platform.machine()},
        }
        if "mlp" in names:
            model = models[names.index("mlp")]
            lanes.say("mlp: throughput, batch verification, gas")
            single, batch = load_artifact(folder / "mlp-groth16-1"), lanes.compiled(model, folder, MAX_BATCH)
            report |= extras.throughput(single, batch)
            report["batch_verify_ms"] = extras.batch_verification(single)
            report["gas"] = extras.gas(single, batch)
    report["targets"] = targets.verdicts(report)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")
    for name, found in report["models"].items():
        ratio = f", ezkl {found['baseline_ms']:.0f} ms, ratio {found['ratio']:.1f}" if found["ratio"] else ""
        if lane := found.get("ezkl_lane"):
            ratio += f"; our ezkl lane {lane['prove_ms']:.0f} ms, ratio {lane['ratio']:.1f}"
        if peer := found.get("gnark"):
            ratio += (
                f"; gnark {peer['prove_ms']:.1f} ms for {peer['rows']} rows without commitments, ratio "
                f"{peer['ratio']:.2f}, at the same rows {peer['ratio_a_row']:.2f}"
            )
        print(
            f"{name}: {found['prove_ms']:.1f} ms, {found['constraints']} constraints, accuracy "
            f"{found['accuracy_integer']:.4f} (float {found['accuracy_float']:.4f}){ratio}"
        )
    print("\n".join(report["targets"]))


def accuracy(out: Path) -> None:
    """A table: each model's float and integer accuracy on its held-out records."""
    rows = []
    print("| model | records | float | integers | refused | constraints |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for make in ACCURACY:
            model = make()
            manifest = lanes.compiled(model, Path(name)).manifest
            found, constraints = manifest.accuracy, (manifest.constraints or {})["total"]
            refused = found.report.refused if found.report is not None else 0
            rows.append(
                {
                    "model": model.title,
                    "records": found.records,
                    "float": found.float_,
                    "integer": found.integer,
                    "refused": refused,
                    "constraints": constraints,
                }
            )
            print(
                f"| {model.title} | {found.records} | {found.float_:.4f} | {found.integer:.4f} | {refused} | "
                f"{constraints:,} |",
                flush=True,
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["bench", "accuracy"], default="bench")
    parser.add_argument("--models", default=",".join(BENCH), help="of " + ", ".join(BENCH))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-baseline", action="store_true", help="leave ezkl out")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    if given.what == "accuracy":
        accuracy(given.out or Path("build/accuracy.json"))
        return
    names = given.models.split(",")
    if not set(names) <= set(BENCH) or given.rounds < 1:
        parser.error(f"--models takes {', '.join(BENCH)}; --rounds at least 1")
    bench(names, given.rounds, not given.no_baseline, given.out or Path("build/bench.json"))


if __name__ == "__main__":
    main()
