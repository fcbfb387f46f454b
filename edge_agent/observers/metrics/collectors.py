"""What a run knows of itself, read at each scrape and returned as prometheus_client's metric families.

Everything here is called in the thread that renders `/metrics`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

NAMESPACE = "edge_agent"

LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

Values = dict[tuple[str, ...], float]
"""Values by the values of their labels."""

_log = structlog.get_logger(__name__)

# A `_created` sample beside each counter and histogram would double their number, and no rule or dashboard reads one.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class DropCounts:
    """Frames that were taken but not understood, and writes that failed.

    `stale` were replaced by newer ones or too old, `invalid` could not be used, `repeated` came twice from the camera.
    """

    stale: int
    invalid: int
    repeated: int
    failed_writes: int


@dataclass(frozen=True, slots=True)
class MirrorFigures:
    """What one mirror has done since its start.

    `denied` are messages that the broker's rules forbid, `waiting` and `dropped` events, `images_dropped` pictures that
    newer ones replaced or for which there was no room. Commands are those that came in by this mirror.
    """

    connected: bool
    attempts: int
    failures: int
    published: int
    denied: int
    dropped: int
    images_dropped: int
    waiting: int
    commands_accepted: int = 0
    commands_refused: int = 0
    commands_discarded: int = 0


@dataclass(frozen=True, slots=True)
class OutboxFigures:
    """What the outbox holds and has dropped, each by kind of message (`safety`, `telemetry`, `image`)."""

    rows: Mapping[str, int] = field(default_factory=dict)
    stored_bytes: Mapping[str, int] = field(default_factory=dict)
    evicted: Mapping[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    oldest_age_s: float | None = None
    durable: bool = True
    stuck: bool = False
    commit_s: float = 0.0


class ScrapeCollector(Collector):
    """Collects what a function returns at each scrape.

    If the function fails, this is logged and only its own families are missing: the others are needed all the more.
    """

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Return the families as they are now."""
        try:
            return list(self._read())
        except Exception:  # noqa: BLE001 - whatever went wrong there
            _log.exception("a source of metrics has failed")
            return ()


def new_registry() -> CollectorRegistry:
    """Return a registry of one run, with the metrics of the process in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry, accept: str = "") -> tuple[bytes, str]:
    """Return the exposition and its content type, in the format that a scraper's Accept header asks for."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def counter(name: str, help_text: str, counts: Values, labels: Sequence[str] = ()) -> CounterMetricFamily:
    """Return the family of a counter that is kept elsewhere; `_total` is added to the name."""
    family = CounterMetricFamily(f"{NAMESPACE}_{name}", help_text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def gauge(name: str, help_text: str, values: Values, labels: Sequence[str] = ()) -> GaugeMetricFamily:
    """Return the family of a gauge that is kept elsewhere; without values it has no samples."""
    family = GaugeMetricFamily(f"{NAMESPACE}_{name}", help_text, labels=labels)
    for keys, value in values.items():
        family.add_metric(keys, value)
    return family


def lag_histogram(registry: CollectorRegistry | None = None) -> Histogram:
    """Return the histogram of how late the event loop wakes, in seconds."""
    description = "How late a sleeping task of the event loop woke."
    return Histogram(
        "event_loop_lag_seconds", description, namespace=NAMESPACE, registry=registry, buckets=LAG_BUCKETS_S
    )


def drop_metrics(now: DropCounts) -> Iterator[Metric]:
    """Yield what was dropped on the way from the camera to the hub."""
    dropped: Values = {("stale",): now.stale, ("invalid",): now.invalid, ("repeated",): now.repeated}
    yield counter("frames_dropped", "Frames that the detector did not get, or could not use.", dropped, ["reason"])
    yield counter("hub_failed_writes", "Writes to the hub that failed.", {(): now.failed_writes})


def observer_metrics(dropped: Mapping[str, int], waiting: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the state of the observers' queues, by the observer's name."""
    lost: Values = {(name,): float(count) for name, count in dropped.items()}
    held: Values = {(name,): float(count) for name, count in waiting.items()}
    yield counter("observer_dropped", "Events that an observer was too slow for.", lost, ["observer"])
    yield gauge("observer_waiting", "Events that wait for an observer.", held, ["observer"])


def mirror_metrics(now: Mapping[str, MirrorFigures]) -> Iterator[Metric]:
    """Yield the figures of every mirror, by its name."""

    def of(value: Callable[[MirrorFigures], float]) -> Values:
        return {(name,): float(value(figures)) for name, figures in now.items()}

    labels = ["mirror"]
    yield gauge("mirror_connected", "1 while the broker is connected.", of(lambda f: f.connected), labels)
    yield counter("mirror_connection_attempts", "Attempts to connect.", of(lambda f: f.attempts), labels)
    yield counter(
        "mirror_connection_failures", "Links that could not be made or broke.", of(lambda f: f.failures), labels
    )
    yield counter("mirror_published", "Messages that the broker took.", of(lambda f: f.published), labels)
    yield counter("mirror_denied", "Messages that the broker's rules forbid.", of(lambda f: f.denied), labels)
    yield counter("mirror_dropped", "Events that the broker will never get.", of(lambda f: f.dropped), labels)
    yield counter(
        "mirror_images_dropped", "Images that the broker will never get.", of(lambda f: f.images_dropped), labels
    )
    yield gauge("mirror_waiting", "Events that wait for the broker.", of(lambda f: f.waiting), labels)
    commands: Values = {
        (name, result): float(count)
        for name, f in now.items()
        for result, count in (
            ("accepted", f.commands_accepted),
            ("refused", f.commands_refused),
            ("discarded", f.commands_discarded),
        )
    }
    yield counter("remote_commands", "Commands that came in.", commands, ["mirror", "result"])


def outbox_metrics(now: OutboxFigures) -> Iterator[Metric]:
    """Yield the figures of the outbox."""

    def by_kind(values: Mapping[str, int]) -> Values:
        return {(kind,): float(value) for kind, value in values.items()}

    yield gauge("outbox_rows", "Messages that wait for the uplink.", by_kind(now.rows), ["kind"])
    yield gauge("outbox_bytes", "Size of what waits for the uplink.", by_kind(now.stored_bytes), ["kind"])
    yield counter("outbox_evicted", "Messages dropped for lack of room.", by_kind(now.evicted), ["kind"])
    yield counter("outbox_dead_letters", "Messages that no broker takes.", {(): now.dead_letters})
    oldest: Values = {} if now.oldest_age_s is None else {(): now.oldest_age_s}
    yield gauge("outbox_oldest_age_seconds", "Age of the oldest message that waits.", oldest)
    yield gauge("outbox_durable", "1 while the outbox is on disk.", {(): float(now.durable)})
    yield gauge("outbox_stuck", "1 while the disk takes nothing.", {(): float(now.stuck)})
    yield gauge("outbox_commit_duration_seconds", "Time that the last commit took.", {(): now.commit_s})
