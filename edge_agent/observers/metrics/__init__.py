"""Figures of one run in Prometheus's form: names by its conventions, base units, a registry of their own.

Knows events and how figures are written. Knows nothing of HTTP, queues or where figures of other rooms come from: those
are handed in as functions.
"""

from edge_agent.observers.metrics.registry import Histogram, Registry
from edge_agent.observers.metrics.runtime import (
    LAG_BOUNDS_S,
    DropCounts,
    MirrorFigures,
    OutboxFigures,
    mirror_metrics,
    observer_metrics,
    outbox_metrics,
    run_metrics,
)
from edge_agent.observers.metrics.train import TrainMetrics

__all__ = [
    "LAG_BOUNDS_S",
    "DropCounts",
    "Histogram",
    "MirrorFigures",
    "OutboxFigures",
    "Registry",
    "TrainMetrics",
    "mirror_metrics",
    "observer_metrics",
    "outbox_metrics",
    "run_metrics",
]
