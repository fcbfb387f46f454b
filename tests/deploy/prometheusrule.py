"""Writes the rules of config/prometheus into the form that the Prometheus operator reads: `make rules`."""

from pathlib import Path
from typing import Any

from tests.deploy.promtool import ROOT, RULES, dump, load

TARGET = ROOT / "config/microshift/components/monitoring/prometheusrule.yaml"


def resource() -> dict[str, Any]:
    """Return the PrometheusRule with every group of rules."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "edge-agent", "labels": {"app.kubernetes.io/name": "edge-agent"}},
        "spec": {"groups": [group for path in RULES for group in load(path)["groups"]]},
    }


def write(target: Path = TARGET) -> None:
    """Write it, with a line that tells where it comes from."""
    dump(resource(), target)
    target.write_text("# Written by `make rules` from config/prometheus.\n" + target.read_text(encoding="utf-8"))


if __name__ == "__main__":
    write()
