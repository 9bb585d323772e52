"""No case is answered wrongly, and none ends in a traceback; those that were right stay right."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofward.tables import TableError, read_table, split_truth
from tests.cases import generated, larger, run
from tests.cases.generated.case import Case
from tests.cases.generated.run import run as run_made

#: The cases that must be answered; the others may be refused, in one clear line.
ANSWERED = set(json.loads((run.HERE / "answered.json").read_text()))
#: Of the models made in code these are tried here, one in so many; `make cases` tries them all.
ONE_IN = 14
#: A search of seconds each: left to `make cases`.
SLOW = ("graph_", "sk_mlp", "sk_voting_soft", "sk_bagging_logreg", "sk_stacking")


def test_tables(tmp_path: Path) -> None:
    for name, file, rows in run.tables(tmp_path):
        found = run.run_table(name, file, rows)
        assert found.outcome == ("refused" if rows is None else "right"), (name, found.detail)


@pytest.mark.parametrize("case", list(run.models()), ids=lambda case: str(case[0]))
def test_models(case: Any) -> None:
    found = run.run_model(*case)
    assert found.outcome == ("right" if case[0] in ANSWERED else "refused"), found.detail


@pytest.mark.filterwarnings("ignore")
def test_models_made_in_code() -> None:
    cases = generated.all_cases()
    quick = [case for case in cases if not case.name.startswith(SLOW)]
    tried = quick[::ONE_IN] + [case for case in cases if case.name.startswith("graph_file_")][::ONE_IN]
    for case in tried:
        found = run_made(case)
        assert found.outcome == ("right" if case.name in ANSWERED else "refused"), (case.name, found.detail)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        "sk_adaboost_three",
        "sk_voting_hard_two",
        "sk_ovr_forest",
        "sk_ovr_forest_labels",
        "graph_argmin_beside",
    ],
)
def test_votes_are_counted_and_a_label_that_the_scores_contradict_is_refused(name: str) -> None:
    found = run_made(next(case for case in generated.all_cases() if case.name == name))
    assert found.outcome == ("right" if name in ANSWERED else "refused"), found.detail


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["xgb_three_forest", "xgb_value_logistic", "lgb_binary_sigmoid", "lgb_three_ovr"]
)
def test_what_a_converter_changes_is_refused_where_the_library_is_asked(name: str) -> None:
    case = next(case for case in generated.all_cases() if case.name == name)
    asked = run_made(case)
    assert asked.outcome == "refused"
    assert "by the library and" in asked.detail
    blind = run_made(Case(name, lambda: replace(case.make(), library=None)))
    assert blind.outcome == "right", "as ONNX Runtime answers"


def test_sodium_and_numbered_features_can_stand_in_a_header(tmp_path: Path) -> None:
    for names, line in (("Na", "K", "Cl"), "140,4,100"), (("x[0]", "x[1]", "x[2]"), "1,2,3"):
        (tmp_path / "t.csv").write_text(",".join(names) + "\n" + line + "\n")
        read = read_table(tmp_path / "t.csv")
        assert (read.names, read.units) == (names, None)


def test_the_truth_may_spell_the_model_s_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,state\n1,well\n2,sick\n")
    for truth in (None, "state"):
        table = read_table(tmp_path / "t.csv", truth=truth, classes=("sick", "well"))
        assert table.values.tolist() == [[1, 1], [2, 0]]
    for truth, classes in ((None, ("ill", "well")), ("a", ("sick", "well")), (None, ("sick", "1"))):
        with pytest.raises(TableError, match="not a number"):
            read_table(tmp_path / "t.csv", truth=truth, classes=classes)


def test_an_index_beside_the_features_is_no_truth(tmp_path: Path) -> None:
    for head, first in (",a,b,sick", "0"), ("Unnamed: 0,a,b,sick", "7"), ("id,a,b,sick", "0"):
        (tmp_path / "t.csv").write_text(f"{head}\n" + "".join(f"{int(first) + i},1,2,1\n" for i in range(4)))
        with pytest.raises(TableError, match="no truth"):
            split_truth(read_table(tmp_path / "t.csv"), ["a", "b"], 2)


def test_there_are_as_many_as_said(tmp_path: Path) -> None:
    """At least 250 models and 80 tables."""
    assert len(generated.all_cases()) + len(list(run.models())) >= 250
    assert len(list(run.tables(tmp_path))) >= 80


def test_the_page_on_models_names_cases_that_end_as_it_says() -> None:
    page = (run.HERE.parents[1] / "docs" / "models.md").read_text()
    known = {case.name for case in generated.all_cases()} | {case[0] for case in run.models()}
    taken, refused = page.split("## Taken by the groth16 lane")[1].split("## Refused, and why")
    for part, right in ((taken, True), (refused.split("\n## ")[0], False)):
        rows = [line.split("|")[3] for line in part.splitlines() if line.startswith("|") and "`" in line]
        named = [name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)]
        assert len(named) >= 12
        for name in named:
            assert name in known, name
            assert (name in ANSWERED) is right, name


def test_larger_models_are_counted_or_refused_by_node_reason_and_what_to_do(tmp_path: Path) -> None:
    assert 36_000 < larger.rows("ecg_250") < 40_000
    table = {
        "ecg_1000": "12,000 values and a job carries 8,192: resample or crop",
        "resnet8_32_16": r"262,144 at most; node 'relu_\d+' alone has 16,384 activations: use fewer",
        "transformer": r"operator LayerNormalization \(node 'layernormalization_\d+'\) is not supported",
    }
    for name, says in table.items():
        told = larger.line(name, tmp_path, 24, 8)
        assert re.search(says, told), told
        assert "\n" not in told
