"""Figures of one run in Prometheus's form: names by its conventions, base units, a registry of their own.

Knows events and how figures are written. Knows nothing of HTTP, queues or where figures of other rooms come from: those
are handed in as functions.
"""

from edge_agent.metrics.mirrors import MirrorFigures, OutboxFigures, mirror_metrics, outbox_metrics
from edge_agent.metrics.registry import Registry
from edge_agent.metrics.run import LAG_BOUNDS_S, Dropped, observer_metrics, run_metrics
from edge_agent.metrics.train import TrainMetrics
from edge_agent.metrics.values import Histogram

__all__ = [
    "LAG_BOUNDS_S",
    "Dropped",
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
