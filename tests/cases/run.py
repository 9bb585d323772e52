"""Models and tables as people have them: each is answered rightly, refused in one clear line, or wrong."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from proofward.publisher.build import Choices, artifact
from proofward.tables import TableError, arrange, read_table
from proofward.zkml import ZkmlError
from proofward.zkml.manifest import Feature

HERE = Path(__file__).parent
#: What a publisher who knows the model answers to the compiler's question.
TASKS = {"h07_multioutput_regression": "multi-target", "m08_array_feature_extractor": "regression"}
FEATURES = [Feature(name=name) for name in ("age", "bp", "chol", "st")]

Outcome = Literal["right", "refused", "wrong", "traceback"]


@dataclass(frozen=True)
class Result:
    """One case: how it ended, and why."""

    name: str
    outcome: Outcome
    detail: str


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
                choices=Choices(task=TASKS.get(name)),
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
            return _refusal(name, error)
        except Exception as error:  # noqa: BLE001 - what gets here is what the runner is looking for
            return Result(name, "traceback", f"{type(error).__name__}: {str(error)[:150]}")
    wanted = expected.get("decisions")
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


def _refusal(name: str, error: ZkmlError | TableError) -> Result:
    clear = "\n" not in error.message and "report the model" not in error.message and len(error.message) > 30
    return Result(name, "refused" if clear else "wrong", error.message)


def tables() -> Iterator[tuple[str, Path, list[list[float]] | None]]:
    """(name, file, its records in the order age, bp, chol, st; None where it must be refused)."""
    expected = json.loads((HERE / "tables.json").read_text())
    for name, rows in expected.items():
        yield name, HERE / "tables" / name, rows


def run_table(name: str, path: Path, expected: list[list[float]] | None) -> Result:
    """Read a table for a model of four named features."""
    try:
        found = arrange(read_table(path), FEATURES, 4).tolist()
    except TableError as error:
        if expected is not None:
            return Result(name, "refused", f"could be read: {error.message}")
        return _refusal(name, error)
    except Exception as error:  # noqa: BLE001 - what gets here is what the runner is looking for
        return Result(name, "traceback", f"{type(error).__name__}: {str(error)[:150]}")
    return Result(name, "right" if found == expected else "wrong", f"{found} for {expected}")


def main(wanted: list[str]) -> int:
    """Run all cases, or those whose names start with a word of `wanted`; 1 where any is wrong."""

    def chosen(name: str) -> bool:
        return not wanted or any(name.startswith(word) for word in wanted)

    results = [run_table(*case) for case in tables() if chosen(case[0])]
    results += [run_model(*case) for case in models() if chosen(case[0])]
    for result in results:
        print(f"{result.outcome:10} {result.name:36} {result.detail}")
    counts = Counter(result.outcome for result in results)
    order: tuple[Outcome, ...] = ("wrong", "traceback", "refused", "right")
    print(f"{len(results)} cases: " + ", ".join(f"{counts[one]} {one}" for one in order))
    return 1 if counts["wrong"] or counts["traceback"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
