"""A link without Bluetooth: keeps what is written, answers as a small hub does, fails as told."""

import asyncio
from collections.abc import Callable

from edge_agent.config.control import HubSettings
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
    """Implements Connection. `hang` and `refuse` are looked at by each attempt to write."""

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
        self._heard: Callable[[bytes], None] | None = None

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
            asyncio.get_running_loop().call_soon(self.tell, OutputFeedback((done,)))

    async def listen(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        for port, kind in self.ports.items():
            self.tell(PortAttached(port, kind))

    def tell(self, message: Message) -> None:
        """Have the hub notify."""
        if self._heard is not None and not self.lost.is_set():
            self._heard(encode(message))

    def tell_bytes(self, data: bytes) -> None:
        """Have the hub notify anything."""
        if self._heard is not None:
            self._heard(data)

    def drop(self, reason: str) -> None:
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    async def close(self) -> None:
        self.drop("closed")
        self.closed = True
