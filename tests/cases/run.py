"""Models and tables as people have them: each is answered rightly, refused in one clear line, or wrong."""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from proofward.publisher.build import artifact
from proofward.tables import TableError, arrange, read_table
from proofward.zkml import CompileOptions, ZkmlError
from proofward.zkml.manifest import Task
from tests.cases import generated, written
from tests.cases.generated.run import run as run_made
from tests.cases.result import Outcome, Result, refusal

HERE = Path(__file__).parent
#: What a publisher who knows the model answers to the compiler's question.
TASKS: dict[str, Task] = {
    "h07_multioutput_regression": "multi-target",
    "m08_array_feature_extractor": "regression",
}


#: What ONNX Runtime says where the one who made the case did not write it down.
DECISIONS = {"b09_two_inputs": [2, 2]}


def models() -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """(name, folder, expected) of every model."""
    for folder in sorted((HERE / "models").iterdir()):
        if (folder / "expect.json").is_file():
            yield folder.name, folder, json.loads((folder / "expect.json").read_text())


def run_model(name: str, folder: Path, expected: dict[str, Any]) -> Result:
    """Compile a model as its publisher would, and infer its records as a client would."""
    held = folder / "held.csv"
    with tempfile.TemporaryDirectory() as out:
        try:
            made = artifact(
                folder / "model.onnx",
                folder / "cal.csv",
                held if held.is_file() else None,
                out=Path(out) / "artefact",
                options=CompileOptions(task=TASKS.get(name)),
            )
            public = made.public
            shape = public.manifest.input
            x = arrange(
                read_table(folder / "rec.csv"),
                shape.features,
                shape.quantiser.features,
                allow_missing=shape.missing,
            )
            got = [public.decide(made.infer(public.quantize(row[None])))[0] for row in x]
            made.close()
        except (ZkmlError, TableError) as error:
            return refusal(name, error.message)
        except Exception as error:  # noqa: BLE001 - what gets here is what the runner is looking for
            return Result(name, "traceback", f"{type(error).__name__}: {str(error)[:150]}")
    wanted = expected.get("decisions") or DECISIONS.get(name)
    if wanted is None:
        return Result(name, "wrong", f"ONNX Runtime gives no answer here, and we give {got}")
    spread = made.manifest.output.decision == "value"
    return Result(name, "right" if _same(got, wanted, spread) else "wrong", f"{got} for {wanted}")


def _same(got: list[Any], wanted: list[Any], values: bool) -> bool:
    ours, theirs = np.array(got, dtype=np.float64), np.array(wanted, dtype=np.float64)
    if ours.shape != theirs.shape:
        return False
    return bool(
        np.abs(ours - theirs).max() <= 0.05 * max(1e-9, np.ptp(theirs)) if values else (ours == theirs).all()
    )


def tables(folder: Path) -> Iterator[tuple[str, Path, list[list[float]] | None]]:
    """(name, file, its records in the order age, bp, chol, st; None where it must be refused)."""
    expected = json.loads((HERE / "tables.json").read_text())
    for name, rows in expected.items():
        yield name, HERE / "tables" / name, rows
    for name, (content, found) in written.tables().items():
        (folder / name).write_bytes(content)
        yield name, folder / name, found


def run_table(name: str, path: Path, expected: list[list[float]] | None) -> Result:
    """Read a table for a model of four named features."""
    try:
        found = arrange(read_table(path), written.FEATURES, 4)
    except TableError as error:
        if expected is not None:
            return Result(name, "wrong", f"could be read: {error.message}")
        return refusal(name, error.message)
    except Exception as error:  # noqa: BLE001 - what gets here is what the runner is looking for
        return Result(name, "traceback", f"{type(error).__name__}: {str(error)[:150]}")
    same = expected is not None and np.array_equal(found, np.array(expected))
    return Result(name, "right" if same else "wrong", f"{found.tolist()} for {expected}")


def main(wanted: list[str]) -> int:
    """Run all cases, or those whose names start with a word of `wanted`; 1 where any is wrong, 2 where
    none is so named.
    """

    def chosen(name: str) -> bool:
        return not wanted or any(name.startswith(word) for word in wanted)

    counts: dict[str, Counter[str]] = {"tables": Counter(), "models": Counter()}

    def show(kind: str, result: Result) -> None:
        print(f"{result.outcome:10} {result.name:36} {result.detail}", flush=True)
        counts[kind][result.outcome] += 1

    warnings.simplefilter("ignore")  # the converters' own
    with tempfile.TemporaryDirectory() as folder:
        for table in tables(Path(folder)):
            if chosen(table[0]):
                show("tables", run_table(*table))
    for model in models():
        if chosen(model[0]):
            show("models", run_model(*model))
    for case in generated.all_cases():
        if chosen(case.name):
            show("models", run_made(case))
    if not any(found.total() for found in counts.values()):
        print(f"no case begins with {' or '.join(wanted)}", file=sys.stderr)
        return 2
    order: tuple[Outcome, ...] = ("wrong", "traceback", "refused", "right")
    for kind, found in counts.items():
        print(f"{found.total()} {kind}: " + ", ".join(f"{found[one]} {one}" for one in order))
    return 1 if any(found["wrong"] or found["traceback"] for found in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
