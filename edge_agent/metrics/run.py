"""Figures of the process itself: frames that never got to the detector, the loop's lag, the observers' queues.

Knows what is worth telling. Knows nothing of tasks: the figures are handed in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import Metric

from edge_agent.metrics.values import Histogram, Values, counter, gauge

LAG_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Frames that were taken but not understood, and writes that failed.

    `stale` were replaced by newer ones or too old, `invalid` could not be used, `repeated` came twice from the camera.
    """

    stale: int
    invalid: int
    repeated: int
    failed_writes: int


def run_metrics(read: Callable[[], Dropped], lag: Histogram) -> Iterator[Metric]:
    """Yield what the pipeline's tally knows and events do not tell."""
    now = read()
    dropped: Values = {("stale",): now.stale, ("invalid",): now.invalid, ("repeated",): now.repeated}
    yield counter("frames_dropped", "Frames that the detector did not get, or could not use.", dropped, ["reason"])
    yield counter("hub_failed_writes", "Writes to the hub that failed.", {(): now.failed_writes})
    yield lag.metric("event_loop_lag_seconds", "How late a sleeping task of the event loop woke.")


def observer_metrics(
    dropped: Callable[[], Mapping[str, int]], waiting: Callable[[], Mapping[str, int]] = dict
) -> Iterator[Metric]:
    """Yield how the queues of the observers are, by the observer's name."""
    lost: Values = {(name,): float(count) for name, count in dropped().items()}
    held: Values = {(name,): float(count) for name, count in waiting().items()}
    yield counter("observer_dropped", "Events that an observer was too slow for.", lost, ["observer"])
    yield gauge("observer_waiting", "Events that wait for an observer.", held, ["observer"])
