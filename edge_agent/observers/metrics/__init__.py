"""Events and the counts of a run come in, metrics in Prometheus's exposition formats go out.

Events are folded in the event loop; everything else is read in the thread that answers a scrape. Each run has a
registry of its own. Names follow Prometheus's conventions: base units, `_total` for counters.
"""

from edge_agent.observers.metrics.collectors import (
    DropCounts as DropCounts,
    MirrorFigures as MirrorFigures,
    OutboxFigures as OutboxFigures,
    ScrapeCollector as ScrapeCollector,
    drop_metrics as drop_metrics,
    lag_histogram as lag_histogram,
    mirror_metrics as mirror_metrics,
    new_registry as new_registry,
    observer_metrics as observer_metrics,
    outbox_metrics as outbox_metrics,
    render as render,
)
from edge_agent.observers.metrics.train import TrainMetrics as TrainMetrics
