"""What is shown and alerted on is exported and documented; alerts and unit are judged by their own tools."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from proofward_node.metrics import OUTCOMES, WINDOW_OUTCOMES, Metrics
from proofward_node.reasons import Code

ROOT = Path(__file__).parents[2]
FILES = ROOT / "operations"
RULES, UNIT = FILES / "prometheus" / "proofward.rules.yml", FILES / "systemd" / "proofward-worker.service"
DASHBOARD = FILES / "grafana" / "worker.json"
METRIC = re.compile(r"\bproofward_[a-z_]+\b")
#: What OpenMetrics and histograms append to a name.
SUFFIX = re.compile(r"_(total|bucket|sum|count|created)$")
EXPOSURE = 1.2
"""What docs/operations.md states of the unit; lower is better."""


def exported() -> set[str]:
    return {family.name for family in Metrics().registry.collect()}


def named(text: str) -> set[str]:
    """Metrics in a text, without what is appended to their names."""
    return {SUFFIX.sub("", one) for one in METRIC.findall(text)}


def expressions() -> str:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    alerts = re.findall(r"^\s+expr: (.*)$", RULES.read_text(), re.MULTILINE)
    return "\n".join([*shown, *alerts])


def test_every_metric_is_exported_documented_and_shown() -> None:
    table = (ROOT / "docs" / "operators.md").read_text().split("## Metrics")[1].split("\n`/livez`")[0]
    documented = {name for row in table.splitlines() if row.startswith("|") for name in named(row)}
    assert documented == exported()
    used = named(expressions())
    assert used == exported(), "exported and neither shown nor alerted on, or the other way round"


def test_outcomes_and_reasons_that_are_asked_for_exist() -> None:
    text = expressions()
    for metric, known in (("jobs", OUTCOMES), ("session_windows", WINDOW_OUTCOMES)):
        asked = re.findall(rf'proofward_{metric}_total{{outcome=~?"([a-z|-]+)"', text)
        assert asked
        assert {one for outcome in asked for one in outcome.split("|")} <= set(known)
    for reason in re.findall(r'reason=~?"([a-z|-]+)"', text):
        assert set(reason.split("|")) <= {str(code) for code in Code}
    for row in (ROOT / "docs" / "operators.md").read_text().splitlines():
        if row.startswith("| `proofward_jobs_total"):
            assert set(re.findall(r"[a-z-]{4,}", row.split("|")[2])) == set(OUTCOMES)
        if row.startswith("| `proofward_session_windows_total"):
            told = re.sub(r"\(.*?\)", "", row.split("|")[2])
            assert set(re.findall(r"[a-z-]{4,}", told)) == set(WINDOW_OUTCOMES)


def test_every_outcome_is_there_from_the_start_so_that_the_first_one_is_an_increase() -> None:
    metrics = Metrics()
    for metric, outcomes in (("jobs", OUTCOMES), ("session_windows", WINDOW_OUTCOMES)):
        for outcome in outcomes:
            found = metrics.registry.get_sample_value(f"proofward_{metric}_total", {"outcome": outcome})
            assert found == 0, (metric, outcome)


def unknown(given: Any, understood: Any, place: str = "") -> list[str]:
    """Places of a document that are missing, or another value, in what its reader made of it."""
    if isinstance(given, dict) and isinstance(understood, dict):
        missing = [f"{place}/{name}" for name in given.keys() - understood.keys()]
        both = given.keys() & understood.keys()
        return missing + [
            one for name in both for one in unknown(given[name], understood[name], f"{place}/{name}")
        ]
    if isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        pairs = enumerate(zip(given, understood, strict=True))
        return [one for i, (ours, theirs) in pairs for one in unknown(ours, theirs, f"{place}/{i}")]
    return [] if given == understood else [place]


def test_grafanas_own_schema_knows_every_field_of_the_dashboard() -> None:
    """Grafana itself ignores a field that it does not know, and shows an empty panel."""
    register_default_plugins()

    def read(document: dict[str, Any]) -> list[str]:
        return unknown(document, json.loads(JSONEncoder().encode(Dashboard.from_json(document))))

    assert read(json.loads(DASHBOARD.read_text())) == []
    wrong = json.loads(DASHBOARD.read_text())
    wrong["panels"][0]["titel"] = wrong["panels"][0]["targets"][0]["expression"] = "up"
    assert sorted(read(wrong)) == ["/panels/0/targets/0/expression", "/panels/0/titel"]


def test_the_schema_is_of_the_grafana_that_is_started() -> None:
    image = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]["grafana"]["image"]
    assert image.rpartition(":")[2].rstrip("}") == version("grafana-foundation-sdk").partition("!")[2]


def test_the_dashboards_panels_lie_side_by_side() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    boxes = [panel["gridPos"] for panel in panels]
    assert all(box["x"] + box["w"] <= 24 for box in boxes)
    for one, other in combinations(boxes, 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)


def exposition() -> list[dict[str, str]]:
    """Series for promtool of all that a worker exports, with its own labels; each grows by one a minute."""
    metrics = Metrics()
    metrics.stage.labels("prove").observe(0.02)
    found = []
    for family in metrics.registry.collect():
        for one in family.samples:
            if not one.name.endswith("_created"):
                labels = {**one.labels, "instance": "w", "job": "proofward"}
                told = ", ".join(f'{name}="{value}"' for name, value in labels.items())
                start = 0 if math.isnan(one.value) else one.value
                found.append({"series": f"{one.name}{{{told}}}", "values": f"{start:g}+1x30"})
    return found


def test_every_panel_shows_figures_of_what_a_worker_exports(tmp_path: Path) -> None:
    """Prometheus itself judges each expression: its words, its labels, and that a figure comes out."""
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [
        target["expr"].replace("$instance", "w") for one in dashboard["panels"] for target in one["targets"]
    ]
    asked += [
        f'{metric}{{{label}="w"}}'
        for one in dashboard["templating"]["list"] if one["type"] == "query"
        for metric, label in re.findall(r"label_values\((\w+), (\w+)\)", one["query"]["query"])
    ]  # fmt: skip
    assert len(asked) > len(dashboard["panels"])
    assert not [one for one in asked if "$" in one]
    # `x == x` leaves out what is no number; nothing at all has no count.
    tests = [
        {
            "expr": f"count(({one}) == ({one})) > bool 0",
            "eval_time": "20m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for one in asked
    ]
    told = {"interval": "1m", "input_series": exposition(), "promql_expr_test": tests}
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [told]}))
    done = run(tool("promtool"), "test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do_and_is_tested() -> None:
    rules, tests = RULES.read_text(), (RULES.parent / "proofward.test.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) == len(set(alerts)) == rules.count("action:") == rules.count("severity:")
    assert not [alert for alert in alerts if f'alertname="{alert}"' not in tests]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(
            f"no {name} here (Debian: apt install {'prometheus' if name == 'promtool' else 'systemd'})"
        )
    return found


def test_the_alerts_fire_on_recorded_nights_and_on_no_others() -> None:
    promtool = tool("promtool")
    checked = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run(promtool, "test", "rules", str(RULES.parent / "proofward.test.yml"))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    config = run(promtool, "check", "config", str(RULES.parent / "prometheus.yml"))
    assert config.returncode == 0, config.stdout + config.stderr


def test_the_unit_is_one_and_as_confined_as_stated(tmp_path: Path) -> None:
    analyse = tool("systemd-analyze")
    unit = tmp_path / UNIT.name  # its program is not installed here
    unit.write_text(UNIT.read_text().replace("/opt/proofward/bin/proofward", "/bin/true"))
    verified = run(analyse, "verify", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    scored = run(analyse, "security", "--offline=true", "--no-pager", str(unit))
    level = re.search(r"exposure level for .*: ([\d.]+)", scored.stdout)
    assert level is not None, scored.stdout + scored.stderr
    assert float(level[1]) <= EXPOSURE
    assert f"{EXPOSURE}" in (ROOT / "docs" / "operations.md").read_text()
