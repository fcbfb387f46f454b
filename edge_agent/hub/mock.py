"""A hub that only records its calls, for `--dry-run` without a simulated train and for tests. Can inject failures."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from edge_agent.errors import RetryableError
from edge_agent.events import HubStatus
from edge_agent.ports import HubEvent

CONNECTED, DISCONNECTED, BUTTON, ALERT = "connected", "disconnected", "button_pressed", "alert"


@dataclass(frozen=True, slots=True)
class MockWrite:
    """One call: `kind` is drive, brake, light or show; `value` is percent or colour; `at_s` on the loop's clock."""

    kind: str
    value: int | str
    at_s: float


class MockHub:
    """Implements `ports.Hub` and keeps `log`, the newest 1,000 writes, oldest first.

    Args:
        latency_s: how long each write takes; 0 does not yield to the loop.
        battery_percent: charge that `status` reports; it never drains.
        voltage_mv: battery voltage that `status` reports.
        connected: False to enter without a link; `reconnect` establishes it later.
    """

    def __init__(
        self,
        *,
        name: str = "mock hub",
        latency_s: float = 0.0,
        battery_percent: int = 100,
        voltage_mv: int = 9_000,
        connected: bool = True,
    ) -> None:
        self.name = name
        self.log: deque[MockWrite] = deque(maxlen=1000)
        self._latency_s = latency_s
        self._link_at_entry = connected
        self._failures = 0
        self._revoked = False
        self._callbacks: list[Callable[[HubEvent], None]] = []
        self._status = HubStatus(
            connected=False, battery_percent=battery_percent, voltage_mv=voltage_mv, current_ma=0, name=name
        )

    async def __aenter__(self) -> Self:
        """Connect at once, unless built with `connected=False`; the first write is a brake."""
        if self._link_at_entry:
            await self.reconnect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Brake if connected, then disconnect; injected failures do not apply."""
        if self._status.connected:
            self._failures = 0
            await self.brake()
            self.drop_link("closed")

    def status(self) -> HubStatus:
        """Return the state."""
        return self._status

    def subscribe(self, callback: Callable[[HubEvent], None]) -> None:
        """Call `callback` for each HubEvent."""
        self._callbacks.append(callback)

    async def drive(self, power_percent: int) -> None:
        """Record a power, -100..100."""
        if not -100 <= power_percent <= 100:
            raise ValueError(f"power_percent {power_percent} is outside -100..100")
        if self._revoked:
            raise RetryableError("The train was braked from outside the loop", remedy="brake before driving on")
        self._status = replace(self._status, brake_confirmed=False)
        await self._write("drive", power_percent)

    async def brake(self) -> None:
        """Record a brake, which is confirmed at once."""
        await self._write("brake", 0)
        self._revoked = False
        self._status = replace(self._status, brake_confirmed=True)

    def emergency_brake(self) -> None:
        """Record a brake from any thread; powers are refused until a brake through the loop. See BleHub."""
        self._revoked = True
        self.log.append(MockWrite("brake", 0, time.monotonic()))  # a real event loop has the same clock

    def give_up(self, reason: str) -> None:
        """Lose the link, until `reconnect`."""
        self.drop_link(reason)

    async def light(self, brightness_percent: int) -> None:
        """Record a brightness, 0..100."""
        await self._write("light", brightness_percent)

    async def show(self, colour: str) -> None:
        """Record a colour."""
        await self._write("show", colour)

    def fail_next(self, count: int = 1) -> None:
        """Make the next `count` writes raise RetryableError and record nothing."""
        self._failures = count

    def drop_link(self, detail: str = "link lost") -> None:
        """Lose the link as a hub out of range does; writes fail until `reconnect`."""
        if self._status.connected:
            self._status = replace(self._status, connected=False, brake_confirmed=False)
            self._emit(HubEvent(DISCONNECTED, detail))

    async def reconnect(self) -> None:
        """Connect: brake first, then emit the event."""
        self._status = replace(self._status, connected=True)
        await self.brake()
        self._emit(HubEvent(CONNECTED, self.name))

    def press_button(self) -> None:
        """Press the green button."""
        self._emit(HubEvent(BUTTON))

    def raise_alert(self, alert: str) -> None:
        """Raise an alert by name, such as `low_voltage`; it stays in the status."""
        self._status = replace(self._status, alerts=self._status.alerts | {alert})
        self._emit(HubEvent(ALERT, alert))

    def _emit(self, event: HubEvent) -> None:
        for callback in tuple(self._callbacks):
            callback(event)

    async def _write(self, kind: str, value: int | str) -> None:
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        if not self._status.connected:
            raise RetryableError("The hub is not connected", remedy="wait for the link to come back")
        if self._failures:
            self._failures -= 1
            raise RetryableError("The hub did not take the write", remedy="try again", kind=kind)
        self.log.append(MockWrite(kind, value, asyncio.get_running_loop().time()))
