"""A connection without Bluetooth: records writes, answers as a City Hub does, and fails on request."""

import asyncio
from collections.abc import Callable

from edge_agent.config.control import HubSettings
from edge_agent.hub.connection import Farewell
from edge_agent.hub.emergency import BrakeTarget
from edge_agent.hub.lwp3 import (
    DeviceType,
    Feedback,
    Malformed,
    Message,
    OutputCommand,
    OutputFeedback,
    PortAttached,
    PortFeedback,
    decode,
    encode,
)

SETTINGS = HubSettings(kind="ble", retry_initial_s=0.5, retry_max_s=8.0, keep_alive_ms=200, write_timeout_ms=150)
CITY_HUB = {0: DeviceType.TRAIN_MOTOR, 1: DeviceType.LIGHT, 50: DeviceType.RGB_LIGHT}


class FakeConnection:
    """Implements HubConnection. Each write checks `hang` and `refuse`."""

    def __init__(self, ports: dict[int, DeviceType] | None = None) -> None:
        self.target = BrakeTarget("AA:BB:CC:DD:EE:FF", "Train", "/hub", "/hub/characteristic")
        self.lost = asyncio.Event()
        self.reason = ""
        self.ports = CITY_HUB if ports is None else ports
        self.hang = False
        self.refuse: Exception | None = None
        self.confirms = True
        self.closed = False
        self.attempts: list[tuple[float, Message]] = []
        self.taken: list[tuple[float, Message]] = []
        self._on_notification: Callable[[bytes], None] | None = None

    @property
    def powers(self) -> list[int | None]:
        """What was written to the motor, brake as 127, oldest first."""
        return [message.power for _, message in self.taken if isinstance(message, OutputCommand) and message.port == 0]

    async def send(self, data: bytes) -> None:
        message = decode(data)
        assert not isinstance(message, Malformed), message
        now_s = asyncio.get_running_loop().time()
        self.attempts.append((now_s, message))
        if self.hang:
            await asyncio.Event().wait()
        if self.refuse is not None:
            raise self.refuse
        self.taken.append((now_s, message))
        if isinstance(message, OutputCommand) and self.confirms:
            done = PortFeedback(message.port, Feedback.COMPLETED | Feedback.IDLE)
            asyncio.get_running_loop().call_soon(self.notify, OutputFeedback((done,)))

    async def start_notify(self, on_notification: Callable[[bytes], None]) -> None:
        self._on_notification = on_notification
        for port, kind in self.ports.items():
            self.notify(PortAttached(port, kind))

    def notify(self, message: Message) -> None:
        """Send a notification from the hub."""
        if self._on_notification is not None and not self.lost.is_set():
            self._on_notification(encode(message))

    def notify_bytes(self, data: bytes) -> None:
        """Send raw bytes from the hub."""
        if self._on_notification is not None:
            self._on_notification(data)

    def drop(self, reason: str) -> None:
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    async def close(self, farewell: Farewell | None = None) -> None:
        self.drop("closed")
        self.closed = True
