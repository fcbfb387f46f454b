"""Asks Prometheus's own tool about rules, queries and their outcome."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
RULES = [ROOT / "config/prometheus/recording.yaml", ROOT / "config/prometheus/alerts.yaml"]

_METRIC = re.compile(r"(?<![\w:])((?:edge_agent|process)_[a-z0-9_]+|up)(?![\w:]|\s*\()")
_RECORDED = re.compile(r"\b(?:train|fleet):[a-z0-9_:]+")
_MATCHER = re.compile(r'(\w+)\s*(?:=~?|!=)\s*"([^"]*)"')


def load(path: Path) -> Any:
    """Return a YAML file as plain values."""
    return YAML(typ="safe", pure=True).load(path)


def dump(value: Any, path: Path) -> Path:
    """Write plain values as YAML."""
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(value, file)
    return path


def rules() -> list[dict[str, Any]]:
    """Return every alert and recording rule."""
    return [rule for path in RULES for group in load(path)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by their names."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def promtool(*words: str | Path) -> tuple[int, str]:
    """Run promtool; return its exit code and everything that it said."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def trouble_with(expressions: Iterable[str], folder: Path) -> str:
    """Let promtool parse queries; return what it has against them, nothing where all are fine."""
    made = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(expressions)]
    code, said = promtool("check", "rules", dump({"groups": [{"name": "queries", "rules": made}]}, folder / "q.yaml"))
    return said if code else ""


def metrics_in(expression: str) -> set[str]:
    """Name the agent's own metrics in a query."""
    return set(_METRIC.findall(_MATCHER.sub("", expression)))


def recorded_in(expression: str) -> set[str]:
    """Name the recorded series in a query."""
    return set(_RECORDED.findall(expression))


def matchers_in(expression: str) -> set[tuple[str, str]]:
    """Return the labels that a query asks for, with their values."""
    found = _MATCHER.findall(expression)
    return {(label, value) for label, values in found for value in values.split("|") if "$" not in value}
