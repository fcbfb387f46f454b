"""The rules by Prometheus's own words, by the agent's real metrics, and by the operator's handbook."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edge_agent.observers.metrics import render
from tests.deploy.promtool import ROOT, alerts, matchers_in, metrics_in, promtool, recorded_in, rules
from tests.observers.metrics.test_metrics import ONE_OF_EACH, everything, samples

SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "edge_agent").rglob("*.py")))
RULE_IDS = [rule.get("alert") or rule["record"] for rule in rules()]


@cache
def rendered() -> frozenset[str]:
    """Return the names of all samples that the agent renders, and of the gauges that have none just now."""
    registry = everything(*ONE_OF_EACH)
    gauges = re.findall(r"^# TYPE (\w+) gauge$", render(registry)[0].decode(), re.MULTILINE)
    return frozenset({name.split("{")[0] for name in samples(registry)} | {"up", *gauges})


def test_settings_and_rules_are_accepted_by_prometheus() -> None:
    code, said = promtool("check", "config", ROOT / "config/prometheus/prometheus.yaml")
    assert code == 0, said


@pytest.mark.parametrize("rule", rules(), ids=RULE_IDS)
def test_rule_reads_only_metrics_that_the_agent_renders(rule: dict[str, Any]) -> None:
    recorded = {each["record"] for each in rules() if "record" in each}
    assert metrics_in(rule["expr"]) <= rendered()
    assert recorded_in(rule["expr"]) <= recorded
    assert metrics_in(rule["expr"]) | recorded_in(rule["expr"]), "reads something"


@pytest.mark.parametrize("rule", rules(), ids=RULE_IDS)
def test_rule_asks_for_labels_that_the_agent_sets(rule: dict[str, Any]) -> None:
    for label, value in matchers_in(rule["expr"]) - {("job", "edge-agent")}:
        assert f'"{value}"' in SOURCE, f"nothing in edge_agent/ says {label}={value}"


@pytest.mark.parametrize("name", alerts())
def test_alert_tells_severity_summary_and_remedy(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ +(.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == name.lower()
    assert anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_runbook_names_no_alert_that_is_gone() -> None:
    handbook = Path(ROOT / "docs/operate.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^#+ +(EdgeAgent\w+)$", handbook, re.MULTILINE)) <= set(alerts())
