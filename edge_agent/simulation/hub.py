"""The simulated hub: implements ports.Hub on a World, with the faults of a real one."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

from edge_agent.errors import RetryableError
from edge_agent.events import HubStatus
from edge_agent.ports import HubEvent
from edge_agent.simulation.world import World


class SimHub:
    """A simulated hub; the `sim_` methods inject faults.

    Args:
        write_s: duration of a write; about 15 ms for a Bluetooth write without response.
        time_limit_s: timeout of a write.
        reconnect_s: time after which a lost link is restored; None for never.
        halt_on_loss: stop the motor when the link is lost, as LEGO's firmware does; other firmware does not.
    """

    name = "sim"

    def __init__(
        self,
        world: World,
        *,
        write_s: float = 0.015,
        time_limit_s: float = 0.5,
        reconnect_s: float | None = None,
        halt_on_loss: bool = True,
    ) -> None:
        self.world = world
        self.writes: deque[tuple[float, str, int]] = deque(maxlen=10_000)
        self.light_percent = 0
        self.colour = "off"
        self._write_s = write_s
        self._time_limit_s = time_limit_s
        self._reconnect_s = reconnect_s
        self._halt_on_loss = halt_on_loss
        self._connected = False
        self._hanging = False
        self._pressed = False
        self._braked = False
        self._revoked = False
        self._alerts: frozenset[str] = frozenset()
        self._callbacks: list[Callable[[HubEvent], None]] = []
        self._return: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Brake if connected, and disconnect."""
        if self._return is not None:
            self._return.cancel()
        if self._connected:
            self._advance()
            self._note("brake", 0)
            self.world.brake()
        self._connected = False

    def status(self) -> HubStatus:
        """Return the status; battery and voltage are those of the world's last step."""
        world = self.world
        # The hub's alert comes below 5.8 V (chosen: slightly below 1 V per cell, which counts as empty).
        return HubStatus(
            connected=self._connected,
            battery_percent=round(world.battery_percent),
            voltage_mv=round(1000 * world.voltage_v),
            current_ma=round(1000 * world.current_a),
            rssi_dbm=-50 if self._connected else None,
            alerts=self._alerts | ({"low_voltage"} if world.voltage_v < 5.8 else frozenset()),
            button_pressed=self._pressed,
            brake_confirmed=self._braked,
            name=self.name,
        )

    def subscribe(self, callback: Callable[[HubEvent], None]) -> None:
        """Call `callback` in the loop for each event."""
        self._callbacks.append(callback)

    async def drive(self, power_percent: int) -> None:
        """Set the motor's power in percent; raises RetryableError while disconnected or braked from outside."""
        if self._revoked:
            raise RetryableError("the train was braked from outside the loop", remedy="brake before driving on")
        self._braked = False
        await self._write("drive", power_percent)
        self.world.set_power(power_percent)

    async def brake(self) -> None:
        """Brake the motor; the simulated hub confirms immediately."""
        await self._write("brake", 0)
        self.world.brake()
        self._braked, self._revoked = True, False

    def emergency_brake(self) -> None:
        """Brake from any thread, at the world's current time; `drive` is refused until `brake`."""
        self._revoked = True
        if self._connected:
            self.world.brake()

    def give_up(self, reason: str) -> None:
        """Drop the link."""
        self.sim_disconnect()

    async def light(self, brightness_percent: int) -> None:
        """Set the head light."""
        await self._write("light", brightness_percent)
        self.light_percent = brightness_percent

    async def show(self, colour: str) -> None:
        """Set the hub's own light."""
        await self._write("show", 0)
        self.colour = colour

    def sim_disconnect(self) -> None:
        """Drop the link."""
        if not self._connected:
            return
        self._advance()
        self._connected = False
        if self._halt_on_loss:
            self.world.coast()
        self._emit("disconnected")
        if self._reconnect_s is not None:
            self._return = asyncio.get_running_loop().call_later(self._reconnect_s, self._connect)

    def sim_press_button(self) -> None:
        """Press and release the green button."""
        self._pressed = True
        self._emit("button_pressed")
        self._pressed = False

    def sim_raise_alert(self, alert: str) -> None:
        """Raise an alert: `low_voltage`, `high_current`, `low_signal`, `over_power`."""
        self._alerts |= {alert}
        self._emit("alert", alert)

    def sim_clear_alerts(self) -> None:
        """Clear all alerts."""
        self._alerts = frozenset()

    def sim_hang(self, hanging: bool = True) -> None:
        """Make writes hang until their timeout."""
        self._hanging = hanging

    def _connect(self) -> None:
        self._advance()
        self._connected = True
        self._note("brake", 0)
        self.world.brake()
        self._emit("connected")

    def _advance(self) -> float:
        now_s = asyncio.get_running_loop().time()
        self.world.advance(now_s)
        return now_s

    def _note(self, kind: str, value: int) -> None:
        self.writes.append((asyncio.get_running_loop().time(), kind, value))

    def _emit(self, kind: str, detail: str = "") -> None:
        for callback in self._callbacks:
            callback(HubEvent(kind, detail))

    async def _write(self, kind: str, value: int) -> None:
        """Wait for the duration of a write and advance the world to its arrival."""
        if not self._connected:
            raise RetryableError("the simulated hub is not connected", remedy="wait for the link", hub=self.name)
        if self._hanging:
            await asyncio.sleep(self._time_limit_s)
            raise RetryableError("the simulated hub does not answer", remedy="drop the link", hub=self.name)
        await asyncio.sleep(self._write_s)
        if not self._connected:
            raise RetryableError("the simulated hub disconnected during a write", remedy="wait for the link")
        self._advance()
        self._note(kind, value)
