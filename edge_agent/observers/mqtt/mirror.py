"""The mirror to MQTT as a sink of the train: hands events over to a thread of its own and starts and ends it.

An event costs the train's loop one append to a queue; commands reach it through the CommandHandler.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.config import MqttSettings
from edge_agent.control.commands import CommandHandler
from edge_agent.events import Event, Frame, TrainState
from edge_agent.faults import MQTT_FAILED, FaultReport, FaultReporter
from edge_agent.observers.metrics import MirrorFigures
from edge_agent.observers.mqtt.commands import MAX_PER_S, MqttCommands
from edge_agent.observers.mqtt.home_assistant import HomeAssistantDevice
from edge_agent.observers.mqtt.messages import IMAGE, MqttMessageBuilder
from edge_agent.observers.mqtt.payloads import ReplyData
from edge_agent.observers.mqtt.reconnect import MqttLinkStats, ReconnectLoop
from edge_agent.observers.mqtt.send_queue import ORIGINAL, EventEncoder, SendQueue
from edge_agent.ports import EventSource
from edge_agent.runtime.queues import ThreadQueue
from edge_agent.runtime.threads import LoopThread

END_S = 1.5
"""At the end of a run, publishing what waits may take this long; then the broker is left to publish the last will."""

_MAX_IMAGES = 4


@dataclass(frozen=True, slots=True)
class MqttStats:
    """Figures of the mirror; events and images that are `lost` never reached its thread."""

    link: MqttLinkStats
    lost: int
    lost_images: int

    @property
    def dropped(self) -> int:
        """Count the events that the broker never got."""
        return self.lost + sum(count for kind, count in self.link.dropped.items() if kind not in _IMAGE_KINDS)

    @property
    def images_dropped(self) -> int:
        """Count the images that newer ones replaced before the broker got them."""
        return self.lost_images + sum(count for kind, count in self.link.dropped.items() if kind in _IMAGE_KINDS)


_IMAGE_KINDS = frozenset({IMAGE, ORIGINAL})


class MqttMirror:
    """A Sink that mirrors to MQTT.

    Args:
        settings: how to reach the broker.
        device: names the train.
        report_fault: called in the train's loop with each fault of the mirror.
        commands: handles received commands; None takes none.
        max_commands_per_s: more commands than this in a second are a flood.
        compat: also speak the original demo's topics.
        speed_mm_s: returns the train's speed, in mm/s, where it is known.
        wall: the wall clock, in seconds since 1970.
    """

    name = "mqtt"

    def __init__(
        self,
        settings: MqttSettings,
        device: HomeAssistantDevice,
        *,
        report_fault: Callable[[FaultReport], None],
        commands: CommandHandler | None = None,
        max_commands_per_s: int = MAX_PER_S,
        compat: bool = False,
        speed_mm_s: Callable[[], float | None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._report_in_loop = report_fault
        self._faults = FaultReporter(self._report_fault, time.monotonic)  # used in the mirror's thread
        self._speed_mm_s = speed_mm_s
        self._wall = wall
        self._images, self._compat = settings.images, compat
        self._images_until_s = -float("inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = False
        self._ended = asyncio.Event()
        self._events: ThreadQueue[Event] = ThreadQueue(self._wake, max_bulky=_MAX_IMAGES)
        send_queue = SendQueue(settings.queue_size)
        first_sequence = round(wall() * 1_000_000)  # so that the numbers grow across restarts
        messages = MqttMessageBuilder(settings, device.train_id)
        self._encoder = EventEncoder(
            self._events,
            send_queue,
            messages,
            train_id=device.train_id,
            first_sequence=first_sequence,
            image_wanted=self._image_wanted,
            compat=compat,
        )

        self._link = ReconnectLoop(
            settings,
            device,
            self._encoder,
            send_queue,
            messages,
            commands=self._commands(settings, commands, send_queue, messages, max_commands_per_s),
            faults=self._faults,
            wall=wall,
        )
        self._thread = LoopThread("mqtt", self._run_thread, self._failed)

    def _commands(
        self,
        settings: MqttSettings,
        handler: CommandHandler | None,
        send_queue: SendQueue,
        messages: MqttMessageBuilder,
        max_per_s: int,
    ) -> MqttCommands | None:
        if handler is None or not settings.commands:
            return None

        def reply(topic: str, data: ReplyData, correlation_data: bytes | None) -> None:
            send_queue.reply(messages.reply(topic, data, self._encoder.context(), self._wall(), correlation_data))

        return MqttCommands(
            handler,
            messages.topic("")[:-1],
            max_per_s=max_per_s,
            reply=reply,
            send_images_for=self._send_images_for,
            wall=self._wall,
        )

    async def run(self, events: EventSource) -> None:
        """Mirror until cancelled; then publish what waits and disconnect, within END_S."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        try:
            while True:
                self.append(await events.get())
        finally:
            for _ in range(len(events)):
                self.append(await events.get())
            await self._end()

    def append(self, event: Event) -> None:
        """Hand over one event; never waits."""
        now_s = self._loop.time() if self._loop is not None else 0.0
        self._encoder.offset_s = self._wall() - now_s
        if isinstance(event, Frame):
            self._encoder.frames += 1
            if self._compat or self._image_wanted():
                self._events.put(event, bulky=True)
            return
        if isinstance(event, TrainState):
            self._encoder.speed_mm_s = self._speed_mm_s()
        self._events.put(event)

    def stats(self) -> MqttStats:
        """Return the figures; from any thread, without waiting."""
        return MqttStats(self._link.stats(), self._events.lost, self._events.lost_bulky)

    def figures(self) -> MirrorFigures:
        """Return the figures in the form of all mirrors."""
        stats = self.stats()
        link = stats.link
        return MirrorFigures(
            connected=link.connected,
            attempts=link.attempts,
            failures=link.failures,
            published=link.published,
            denied=link.too_large,
            dropped=stats.dropped,
            images_dropped=stats.images_dropped,
            waiting=link.waiting,
            commands_accepted=link.accepted,
            commands_refused=link.refused,
            commands_discarded=link.discarded,
        )

    async def _end(self) -> None:
        self._ending = True
        self._thread.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self._ended.wait()
        self._loop = None

    async def _run_thread(self) -> None:
        """Run in the thread; notify the train's loop at the end."""
        try:
            if not self._ending:  # a cancellation before the thread has begun would be lost
                await self._link.run()
        finally:
            self._in_loop(self._ended.set)

    def _wake(self) -> None:
        self._thread.call(self._encoder.drain)

    def _image_wanted(self) -> bool:
        return self._images or time.monotonic() < self._images_until_s

    def _send_images_for(self, duration_s: float) -> None:
        self._images_until_s = time.monotonic() + duration_s

    def _report_fault(self, report: FaultReport) -> None:
        """Report a fault in the train's loop; called in the mirror's thread."""
        self._in_loop(lambda: self._report_in_loop(report))

    def _failed(self) -> None:
        self._faults.report(MQTT_FAILED, "the mirror to MQTT has failed; see the log")

    def _in_loop(self, function: Callable[[], object]) -> bool:
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(function)
        except RuntimeError:  # closed meanwhile
            return False
        return True
