"""The mirror to Kafka: copies every event into the outbox, from which the uplink sends it to the cluster.

It costs the event loop one append per event; encoding and the disk, and the network, have a thread each.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.config import KafkaSettings
from edge_agent.events import Event, Frame
from edge_agent.faults import OUTBOX_LOST, FaultReport, FaultReporter
from edge_agent.observers.kafka.encoder import RecordEncoder, compression_dictionary
from edge_agent.observers.kafka.uplink import Uplink, UplinkStats
from edge_agent.observers.metrics import MirrorFigures, OutboxFigures
from edge_agent.observers.outbox.outbox import Outbox, budget_of
from edge_agent.observers.outbox.record import RecordKind
from edge_agent.observers.outbox.status import OutboxStats
from edge_agent.observers.outbox.writer import OutboxUnavailableError
from edge_agent.ports import EventSource
from edge_agent.runtime.threads import in_daemon_thread

_CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class MirrorStats:
    """Statistics of the outbox and the uplink, and what never got into the outbox because the disk was stuck."""

    outbox: OutboxStats
    uplink: UplinkStats
    lost_events: int
    lost_images: int
    waiting: int


class KafkaMirror:
    """A Sink that mirrors to Kafka, at least once, in order, through outages and restarts.

    Args:
        settings: how to reach Kafka, and the outbox's budgets.
        train_id: names the train in events and keys.
        path: the outbox's SQLite file; see `outbox_path`.
        report_fault: called in the event loop with each fault of the mirror.
        compat: also speak the original demo's `train-monitoring`.
        wall: the wall clock, in seconds since 1970.
    """

    name = "kafka"

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        train_id: str,
        path: Path,
        report_fault: Callable[[FaultReport], None],
        compat: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._report_in_loop = report_fault
        self._wall = wall
        self._images = settings.images or compat
        self._loop: asyncio.AbstractEventLoop | None = None
        self._offset_s = 0.0
        self._faults = FaultReporter(report_fault, time.monotonic)
        self._lost_reported = (0, 0)
        self._outbox: Outbox[Event] = Outbox(
            path,
            budget_of(settings),
            RecordEncoder(settings, train_id, lambda: self._offset_s, compat=compat),
            dictionary=compression_dictionary(settings, train_id),
            faults=FaultReporter(self._report_fault, time.monotonic),
        )
        self._drain_s = settings.outbox.drain_at_end_s
        self._uplink = Uplink(
            settings,
            self._outbox,
            f"edge-agent-{train_id}",
            faults=FaultReporter(self._report_fault, time.monotonic),
        )

    async def run(self, events: EventSource) -> None:
        """Mirror until cancelled; then commit what is queued to the outbox, and send what time allows to Kafka."""
        self._loop = asyncio.get_running_loop()
        self._outbox.start(self._uplink.wake)
        self._uplink.start()
        try:
            while True:
                self.append(await events.get())
        finally:
            await self._append_queued(events)
            await self._end()

    def append(self, event: Event) -> None:
        """Hand one event to the outbox; never waits."""
        bulky = isinstance(event, Frame)
        if bulky and not self._images:
            return
        now_s = self._loop.time() if self._loop is not None else 0.0
        self._offset_s = self._wall() - now_s
        if not self._outbox.put(event, bulky=bulky):
            self._report_lost()

    def stats(self) -> MirrorStats:
        """Return the statistics; from any thread, without waiting."""
        lost_events, lost_images = self._outbox.lost
        return MirrorStats(self._outbox.stats, self._uplink.stats, lost_events, lost_images, self._outbox.waiting)

    def figures(self) -> MirrorFigures:
        """Return the metrics that all mirrors have."""
        now = self.stats()
        waiting = sum(count.rows for kind, count in now.outbox.counts.items() if kind is not RecordKind.IMAGE)
        evicted = {kind: count.evicted for kind, count in now.outbox.counts.items()}
        evicted_images = evicted.pop(RecordKind.IMAGE, 0)
        return MirrorFigures(
            connected=now.uplink.connected,
            attempts=now.uplink.attempts,
            failures=now.uplink.failures,
            published=now.uplink.sent,
            denied=now.uplink.dead,
            dropped=now.lost_events + now.outbox.failed + now.uplink.dropped + sum(evicted.values()),
            images_dropped=now.lost_images + evicted_images,
            waiting=waiting + now.waiting,
        )

    def outbox_figures(self) -> OutboxFigures:
        """Return the metrics of the outbox."""
        outbox = self._outbox.stats
        counts = {kind.value: count for kind, count in outbox.counts.items()}
        return OutboxFigures(
            rows={kind: count.rows for kind, count in counts.items()},
            stored_bytes={kind: count.bytes for kind, count in counts.items()},
            evicted={kind: count.evicted for kind, count in counts.items()},
            dead_letters=sum(count.dead for count in counts.values()),
            oldest_age_s=None if outbox.oldest_ms is None else max(0.0, self._wall() - outbox.oldest_ms / 1000),
            durable=outbox.durable,
            stuck=bool(outbox.stuck_by),
            commit_s=outbox.commit_ms / 1000,
        )

    async def _append_queued(self, events: EventSource) -> None:
        """Append what is still in the queue: the last brake belongs in the log too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):  # a queue that is not empty answers without waiting
                while True:
                    self.append(await events.get())

    async def _end(self) -> None:
        """Shut down within outbox.drain_at_end_s and a few seconds, whatever the disk and the network do."""
        await in_daemon_thread(self._close, "mirror-close")
        self._loop = None

    def _close(self) -> None:
        with contextlib.suppress(OutboxUnavailableError, TimeoutError):
            self._outbox.flush().result(_CLOSE_S)
        self._uplink.finish()
        if not self._uplink.join(self._drain_s):
            self._uplink.stop(_CLOSE_S)
        self._outbox.close(_CLOSE_S)

    def _report_fault(self, report: FaultReport) -> None:
        """Pass a report of one of the threads to the event loop."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._report_in_loop, report)

    def _report_lost(self) -> None:
        events, images = self._outbox.lost
        before = self._lost_reported
        message = f"{events - before[0]} events and {images - before[1]} frames were lost: the outbox does not keep up"
        if self._faults.report(OUTBOX_LOST, message):
            self._lost_reported = (events, images)
