"""Where the sources of figures come together, for one run; nothing is global.

Knows Prometheus's formats. Knows nothing of HTTP.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

_log = structlog.get_logger(__name__)

MetricsSource = Callable[[], Iterable[Metric]]
"""Gives figures; called in the thread that renders them."""


class Registry:
    """Collects the figures of every source that was added."""

    def __init__(self) -> None:
        self._sources: list[MetricsSource] = []
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def add(self, source: MetricsSource) -> None:
        """Collect from `source` too."""
        self._sources.append(source)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of all sources; one that fails is left out and told in the log."""
        for source in self._sources:
            try:
                yield from list(source())
            except Exception:  # noqa: BLE001 - the other figures are needed all the more then
                _log.exception("a source of metrics has failed")

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the figures as text and its content type, as a scraper's `accept` header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


PREFIX = "edge_agent_"

Values = dict[tuple[str, ...], float]
"""Values by the values of their labels."""


class Counter:
    """Counts, apart for each combination of labels."""

    def __init__(self) -> None:
        self._counts: Values = {}

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count."""
        self._counts[labels] = self._counts.get(labels, 0.0) + amount

    def read(self) -> Values:
        """Return what was counted, by labels."""
        return dict(self._counts)


class Histogram:
    """Counts durations in buckets.

    Args:
        bounds: upper ends of the buckets, in seconds, ascending; the last bucket, without an end, is added.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count a duration; a negative one counts as none."""
        duration_s = max(0.0, duration_s)
        self._counts[bisect_left(self._bounds, duration_s)] += 1
        self._sum_s += duration_s

    def metric(self, name: str, description: str) -> Metric:
        """Return it in Prometheus's form."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), list(self._counts), strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), float(total)))
        return HistogramMetricFamily(PREFIX + name, description, buckets=buckets, sum_value=self._sum_s)


def counter(name: str, description: str, counts: Values, labels: Sequence[str] = ()) -> Metric:
    """Return counts in Prometheus's form; it adds `_total` to the name."""
    family = CounterMetricFamily(PREFIX + name, description, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def gauge(name: str, description: str, values: Values, labels: Sequence[str] = ()) -> Metric:
    """Return values in Prometheus's form."""
    family = GaugeMetricFamily(PREFIX + name, description, labels=labels)
    for keys, value in values.items():
        family.add_metric(keys, value)
    return family


def single(name: str, description: str, value: float | None) -> Metric:
    """Return one value in Prometheus's form; a metric without samples where there is none."""
    return gauge(name, description, {} if value is None else {(): value})


def info(description: str, facts: Mapping[str, str]) -> Metric:
    """Return facts in Prometheus's form: `edge_agent_info` with a label for each."""
    return InfoMetricFamily(PREFIX.rstrip("_"), description, value=dict(facts))
