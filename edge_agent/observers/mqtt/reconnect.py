"""The loop that connects to the broker, runs a session, and starts again after each failure, until the mirror ends.

Everything here belongs to the mirror's thread, but for `ReconnectLoop.stats`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from aiomqtt import Message

from edge_agent.config import MqttSettings
from edge_agent.faults import MQTT_FAILED, MQTT_UNREACHABLE, FaultKind, FaultReporter
from edge_agent.observers.mqtt import home_assistant
from edge_agent.observers.mqtt.client import MqttConnection
from edge_agent.observers.mqtt.commands import MAX_PER_S, CommandQueue, MqttCommands, ReceivedCommand
from edge_agent.observers.mqtt.errors import DenialReporter, MqttLinkError
from edge_agent.observers.mqtt.messages import MqttMessageBuilder, OutgoingMessage
from edge_agent.observers.mqtt.send_queue import EventEncoder, SendQueue
from edge_agent.observers.mqtt.session import Echo, MqttCounts, MqttSession
from edge_agent.runtime.backoff import Backoff
from edge_agent.runtime.timeouts import cancel_all

_log = structlog.get_logger(__name__)

STEADY_S = 5.0
"""A link that breaks sooner is a failure, like an attempt to connect that fails."""

TELEMETRY_S = 1.0
"""The period of telemetry; as its QoS is 1, it also detects a frozen broker."""

_DRAIN_S = 0.5
_CANCEL_S = 0.2


@dataclass(frozen=True, slots=True)
class MqttLinkStats:
    """Figures of the link since the start; `discarded` commands were never read."""

    connected: bool = False
    attempts: int = 0
    failures: int = 0
    published: int = 0
    too_large: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    accepted: int = 0
    refused: int = 0
    discarded: int = 0


class ReconnectLoop:
    """Connects, runs a session, and starts again with a growing delay when it has failed.

    Args:
        settings: how to reach the broker.
        device: names the train.
        encoder: makes messages of the events.
        send_queue: where messages wait.
        messages: builds messages.
        commands: handles received commands; None takes none.
        faults: reports faults of the link.
        wall: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: home_assistant.HomeAssistantDevice,
        encoder: EventEncoder,
        send_queue: SendQueue,
        messages: MqttMessageBuilder,
        *,
        commands: MqttCommands | None,
        faults: FaultReporter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._device = device
        self._encoder = encoder
        self._send_queue = send_queue
        self._wall = wall
        self._messages = messages
        self._faults = faults
        self._denials = DenialReporter(faults, settings.home_assistant.discovery_prefix)
        self._counts = MqttCounts()
        self._commands = commands
        self._echo = Echo(messages.topic("echo/set"), self._denials.denied) if commands else None
        self._inbox, self._stop_inbox = (
            CommandQueue(
                self._read, self._discard, self._flooded, max_per_s=commands.max_per_s if commands else MAX_PER_S
            )
            for _ in range(2)
        )
        self._session: MqttSession | None = None
        self._connected = False
        self._short_lived = self._shared_id = self._steady = False
        self._until_steady: asyncio.TimerHandle | None = None
        self._attempts = self._failures = 0

    def stats(self) -> MqttLinkStats:
        """Return the figures; from any thread."""
        counts, commands = self._counts, self._commands
        return MqttLinkStats(
            connected=self._connected,
            attempts=self._attempts,
            failures=self._failures,
            published=counts.published,
            too_large=counts.too_large,
            waiting=len(self._send_queue),
            dropped=dict(self._send_queue.dropped),
            accepted=commands.accepted if commands else 0,
            refused=commands.refused if commands else 0,
            discarded=counts.discarded,
        )

    async def run(self) -> None:
        """Keep a session with the broker until cancelled."""
        backoff = Backoff(self._settings.retry_max_s)
        telemetry = asyncio.create_task(self._publish_telemetry())
        try:
            while True:
                await self._run_session(backoff)
                await asyncio.sleep(backoff.next_s())
        finally:
            telemetry.cancel()
            await cancel_all(asyncio.all_tasks() - {asyncio.current_task()}, _CANCEL_S)

    async def _run_session(self, backoff: Backoff) -> None:
        """Connect once and publish until the link breaks; when cancelled, publish what waits and disconnect."""
        self._attempts += 1
        self._inbox.reconnected()
        self._stop_inbox.reconnected()
        client_id = self._settings.client_id or f"edge-agent-{self._device.train_id}"
        will = self._messages.availability(online=False)
        connection = MqttConnection(self._settings, client_id, will, lambda: self._inbox)
        stops: MqttConnection | None = None
        opened = self._steady = False
        try:
            await connection.open()
            opened = True
            stops = await self._open_for_stops(f"{client_id}-stop")
            self._session = self._make_session(connection, stops, backoff)
            await self._session.run()
        except MqttLinkError as error:
            short = opened and not self._steady and not error.too_large
            self._shared_id = self._shared_id or (short and stops is not None and not self._connected)
            self._fail_link(error, client_id, short=short)
        except asyncio.CancelledError:
            if self._connected and self._session is not None:
                await self._drain(self._session)
            raise
        except Exception:  # noqa: BLE001 - a defect must not end the mirror for the rest of the run
            _log.exception("mqtt_link_failed")
            self._fail(MQTT_FAILED, "the mirror to MQTT has failed; it tries again", "report this, with the log")
        finally:
            self._connected, self._session = False, None
            if self._until_steady is not None:
                self._until_steady.cancel()
            await asyncio.gather(*(each.close() for each in (connection, stops) if each is not None))

    async def _open_for_stops(self, client_id: str) -> MqttConnection | None:
        """Return a second connection for stops, None where they have to come by the first."""
        # A broker that derives the client id from the user's name lets the second take the place of the first.
        if self._commands is None or self._shared_id:
            return None
        stops = MqttConnection(self._settings, client_id, None, lambda: self._stop_inbox)
        try:
            await stops.open()
        except MqttLinkError as error:
            _log.warning("mqtt_stops_not_separate", error=error.message)
            return None
        return stops

    def _steady_s(self) -> float:
        """Return how long a link must last to count as one that works."""
        # Of two agents of one id each lives for as long as the other one waits.
        return max(STEADY_S, 2 * self._settings.retry_max_s) if self._short_lived else STEADY_S

    def _on_steady(self, backoff: Backoff) -> None:
        self._steady = True
        self._short_lived = self._shared_id = False
        self._faults.clear(MQTT_UNREACHABLE)  # or whichever fault the link had
        backoff.reset()

    def _fail_link(self, error: MqttLinkError, client_id: str, *, short: bool) -> None:
        """Report a failure; where links break again and again, also that another client may have our id."""
        again, self._short_lived = self._short_lived, self._short_lived or short or error.taken_over
        if short and self._shared_id and not again:
            _log.warning("mqtt_stops_not_separate", error=error.message)
            self._failures += 1
        elif short and again and not error.taken_over:
            remedy = f"look in the broker's log for another client with the id {client_id}"
            self._fail(error.kind, f"{error.message}, again and again", remedy)
        else:
            self._fail(error.kind, error.message, error.remedy)

    async def _drain(self, session: MqttSession) -> None:
        self._encoder.drain()
        with contextlib.suppress(MqttLinkError, TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await session.drain()

    def _fail(self, kind: FaultKind, message: str, remedy: str) -> None:
        self._failures += 1
        self._faults.report(kind, message, remedy)

    def _make_session(self, connection: MqttConnection, stops: MqttConnection | None, backoff: Backoff) -> MqttSession:
        def on_up() -> None:
            self._connected = True
            loop = asyncio.get_running_loop()
            self._until_steady = loop.call_later(self._steady_s(), self._on_steady, backoff)

        commands = self._commands
        topics = dict(commands.topics()) if commands else {}
        stop_topics = {**commands.stop_topics(), self._echo.topic: 1} if commands and self._echo else {}
        if self._settings.home_assistant.enabled:
            topics[home_assistant.birth_topic(self._settings.home_assistant)] = 0
        return MqttSession(
            connection,
            self._send_queue,
            stops=stops,
            image=self._encoder.image,
            topics=topics,
            stop_topics=stop_topics,
            echo=self._echo,
            birth=self._birth_messages,
            shed=commands.sheddable_topics() if commands else {},
            before_resubscribe=self._inbox.assume_flood,
            receive=self._receive,
            up=on_up,
            report_denied=self._denials.denied,
            counts=self._counts,
        )

    def _birth_messages(self) -> list[OutgoingMessage]:
        """Return the device for Home Assistant where that is enabled, availability, and the newest state."""
        home = self._settings.home_assistant
        structured = self._settings.version != "5"
        messages = [self._messages.availability(online=True)]
        if home.enabled:
            messages.insert(0, home_assistant.discovery(home, self._device, self._messages, structured=structured))
        if self._encoder.state is not None:
            messages.append(self._encoder.state)
        return messages

    def _read(self, message: Message) -> ReceivedCommand | None:
        if self._echo is not None:
            self._echo.receive(message)  # here and not in its turn: behind a flood of stops it would come too late
        return self._commands.read(message) if self._commands else None

    def _flooded(self) -> None:
        if self._session is not None:
            self._session.on_flood()

    def _discard(self, count: int) -> None:
        self._counts.discarded += count

    def _receive(self, message: Message) -> bool:
        home = self._settings.home_assistant
        if home.enabled and message.topic.value == home_assistant.birth_topic(home):
            if message.payload == home_assistant.BIRTH and self._session is not None:
                self._session.republish_birth()
            return False
        return self._commands is not None and self._commands.handle(message)

    async def _publish_telemetry(self) -> None:
        """Publish telemetry every second while the link is up."""
        while True:
            await asyncio.sleep(TELEMETRY_S)
            data = self._encoder.telemetry(TELEMETRY_S)
            if self._connected:
                self._send_queue.put_telemetry(self._messages.telemetry(data, self._encoder.context(), self._wall()))
