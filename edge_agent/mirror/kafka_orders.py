"""Orders that come to the train through Kafka: brought from topics to callbacks in the event loop.

Knows how to go on listening. Knows nothing of what an order means, or whether it may be obeyed: each comes with its
age, and who obeys decides. Only what is sent after the start is heard, so nothing old is replayed at a restart.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer

from edge_agent.backoff import Backoff
from edge_agent.config import Kafka
from edge_agent.mirror.bounded import bounded, let_go
from edge_agent.mirror.kafka_client import client_arguments
from edge_agent.mirror.loop_thread import LoopThread
from edge_agent.wire import compat

_ABANDON_S = 1.0
_CLOSE_S = 3.0
_FRESH_MS = 5000.0


@dataclass(frozen=True, slots=True)
class Order:
    """A message of a topic of orders. `age_ms` is by the wall clocks of sender and train: compare it with care."""

    topic: str
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes = field(repr=False)
    age_ms: float


class KafkaOrders:
    """Listens to topics for as long as it runs, in a thread and a loop of its own.

    Args:
        settings: how to reach Kafka.
        train_id: names us in the brokers' logs.
        handlers: what to call in the event loop with each order of a topic.
        wall: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        settings: Kafka,
        *,
        train_id: str,
        handlers: Mapping[str, Callable[[Order], None]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.listening = False
        self.heard = 0
        self._settings = settings
        self._client_id = f"edge-agent-{train_id}-orders"
        self._handlers = dict(handlers)
        self._wall = wall
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = LoopThread("kafka-orders", self._listen_for_ever, lambda: None)

    async def run(self) -> None:
        """Listen until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._loop = None
            self._thread.cancel()

    def join(self, timeout_s: float = _CLOSE_S) -> bool:
        """Wait for the thread's end after `run`; False when it takes longer."""
        return self._thread.join(timeout_s)

    async def _listen_for_ever(self) -> None:
        backoff = Backoff(self._settings.retry_max_s)
        while True:
            before = asyncio.all_tasks()
            consumer: Any = None
            try:
                consumer = self._make()
                await bounded(consumer.start(), self._settings.send_timeout_s)
                backoff.reset()
                self.listening = True
                while True:
                    self._deliver(await consumer.getone())
            except Exception:  # noqa: BLE001, S110 - whatever it is, the link does not work: the uplink tells which way
                pass
            finally:
                self.listening = False
                if consumer is not None:
                    # Where stop hangs, the sockets are still to be closed; there is no public way to them.
                    await let_go((consumer.stop, consumer._client.close), before, _ABANDON_S)
            await asyncio.sleep(backoff.next_s())

    def _make(self) -> Any:
        arguments = client_arguments(self._settings, self._client_id)
        return AIOKafkaConsumer(*self._handlers, **arguments, auto_offset_reset="latest", enable_auto_commit=False)

    def _deliver(self, message: Any) -> None:
        """Bring an order into the event loop."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        age_ms = max(0.0, self._wall() * 1000 - message.timestamp)
        order = Order(message.topic, message.key, tuple(message.headers), message.value or b"", age_ms)
        self.heard += 1
        loop.call_soon_threadsafe(self._handlers[message.topic], order)


def capture_handler(obey: Callable[[compat.CaptureOrder], None]) -> Callable[[Order], None]:
    """Return the handler of the original's `train-command-capture`: a stop always, a start only while it is fresh."""

    def handle(order: Order) -> None:
        wish = compat.read_capture_order(order.value)
        if wish is not None and (wish.command == "stop" or order.age_ms <= _FRESH_MS):
            obey(wish)

    return handle
