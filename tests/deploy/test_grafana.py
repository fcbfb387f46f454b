"""The dashboards as Grafana loads them: panels beside each other, queries that Prometheus reads, metrics that exist."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from edge_agent.events import GuardState
from tests.deploy.kustomize import documents
from tests.deploy.promtool import ROOT, matchers_in, metrics_in, recorded_in, rules, trouble_with
from tests.deploy.test_prometheus import rendered

FOLDER = ROOT / "config/grafana"
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/: ids of units
UNITS = {"none", "short", "s", "bytes", "percentunit", "hertz", "ops", "volt", "amp", "dBm"}

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what shows something: every panel but the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: dict[str, Any]) -> list[str]:
    found = [target["expr"] for panel in panels(board) for target in panel.get("targets", [])]
    return found + [each["expr"] for each in board["annotations"]["list"]]


def plain(query: str) -> str:
    """Put values in for Grafana's variables."""
    return query.replace("$__rate_interval", "5m").replace("$train", "train-1")


@boards
def test_ids_are_unique_and_panels_do_not_overlap(board: dict[str, Any]) -> None:
    assert not [number for number, count in Counter(panel["id"] for panel in board["panels"]).items() if count > 1]
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (a, b)


@boards
def test_panel_says_what_it_shows_in_a_unit_with_ascending_thresholds(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        first, *rest = [step["value"] for step in defaults["thresholds"]["steps"]]
        assert first is None, "the lowest step has no bound"
        assert rest == sorted(rest)
        if {"min", "max"} <= defaults.keys():
            assert all(defaults["min"] <= bound <= defaults["max"] for bound in rest), panel["title"]


@boards
def test_data_come_from_the_chosen_source_only(board: dict[str, Any]) -> None:
    sources = [each for each in board["templating"]["list"] if each["name"] == "datasource"]
    assert [(each["type"], each["query"]) for each in sources] == [("datasource", "prometheus")]
    for panel in panels(board):
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel.get("targets", []))
        names = [target["refId"] for target in panel.get("targets", [])]
        assert len(names) == len(set(names))


@boards
def test_every_variable_is_declared(board: dict[str, Any]) -> None:
    declared = {each["name"] for each in board["templating"]["list"]}
    used = {name for query in queries(board) for name in re.findall(r"\$(\w+)", query)} - {"__rate_interval"}
    assert used <= declared
    assert declared - {"datasource"} <= used


@boards
def test_every_query_can_be_read_by_prometheus(board: dict[str, Any], tmp_path: Path) -> None:
    assert not trouble_with([plain(query) for query in queries(board)], tmp_path)


def test_query_that_is_none_is_noticed(tmp_path: Path) -> None:
    assert "parse error" in trouble_with(["rate(edge_agent_frames_captured_total[5m]"], tmp_path)


@boards
def test_every_query_reads_what_the_agent_renders_or_a_rule_records(board: dict[str, Any]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    states = {state.value for state in GuardState}
    for query in queries(board):
        text = plain(query)
        assert metrics_in(text) <= rendered(), query
        assert recorded_in(text) <= recorded, query
        assert metrics_in(text) | recorded_in(text), query
        assert {value for label, value in matchers_in(text) if label == "state"} <= states


@boards
def test_link_leads_to_a_dashboard_that_is_there(board: dict[str, Any]) -> None:
    there = {each["uid"] for each in BOARDS.values()}
    assert set(re.findall(r"/d/([\w-]+)", json.dumps(board))) <= there


def test_every_recorded_series_is_read_by_somebody() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    read = {name for board in BOARDS.values() for query in queries(board) for name in recorded_in(query)}
    assert recorded <= read | {name for rule in rules() for name in recorded_in(rule["expr"])}


def test_dashboards_are_those_that_the_cluster_gets() -> None:
    (settings,) = documents(FOLDER / "kustomization.yaml")
    assert {name for each in settings["configMapGenerator"] for name in each["files"]} == {
        f"{name}.json" for name in BOARDS
    }
