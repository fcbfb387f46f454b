"""Figures of the mirrors to brokers and of the outbox, in one form for all of them.

Knows what is worth telling. Knows nothing of brokers: the figures are handed in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from edge_agent.observers.metrics.registry import Histogram, Values, counter, gauge


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
    """What the outbox holds and has let go of, each by kind of message (`safety`, `telemetry`, `image`)."""

    rows: Mapping[str, int] = field(default_factory=dict)
    stored_bytes: Mapping[str, int] = field(default_factory=dict)
    evicted: Mapping[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    oldest_age_s: float | None = None
    durable: bool = True
    stuck: bool = False
    commit_s: float = 0.0


def mirror_metrics(read: Callable[[], Mapping[str, MirrorFigures]]) -> Iterator[Metric]:
    """Yield the figures of every mirror, by its name."""
    now = read()

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


def outbox_metrics(read: Callable[[], OutboxFigures]) -> Iterator[Metric]:
    """Yield the figures of the outbox."""
    now = read()

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


LAG_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class DropCounts:
    """Frames that were taken but not understood, and writes that failed.

    `stale` were replaced by newer ones or too old, `invalid` could not be used, `repeated` came twice from the camera.
    """

    stale: int
    invalid: int
    repeated: int
    failed_writes: int


def run_metrics(read: Callable[[], DropCounts], lag: Histogram) -> Iterator[Metric]:
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
