"""Events and the counts of a run come in, metrics in Prometheus's exposition formats go out.

Events are folded in the event loop; everything else is read in the thread that answers a scrape. Each run has a
registry of its own. Names follow Prometheus's conventions: base units, `_total` for counters.
"""

from edge_agent.observers.metrics.collectors import (
    DropCounts,
    MirrorFigures,
    OutboxFigures,
    ScrapeCollector,
    drop_metrics,
    lag_histogram,
    mirror_metrics,
    new_registry,
    observer_metrics,
    outbox_metrics,
    render,
)
from edge_agent.observers.metrics.train import TrainMetrics

__all__ = [
    "DropCounts",
    "MirrorFigures",
    "OutboxFigures",
    "ScrapeCollector",
    "TrainMetrics",
    "drop_metrics",
    "lag_histogram",
    "mirror_metrics",
    "new_registry",
    "observer_metrics",
    "outbox_metrics",
    "render",
]
