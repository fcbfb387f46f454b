"""An emulated hub behind an emulated BlueZ on a private bus, with methods that inject faults.

bleak's own backend runs against it unchanged. Run it in an event loop of its own (with `serve`, in a process or
a thread) where a test blocks the agent's loop.
"""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import Field

from edge_agent.errors import UsageError
from edge_agent.hub.emulator.bluez import FAILED, IN_PROGRESS, LinkHolder, ReceivedWrite
from edge_agent.hub.emulator.bus import PrivateBus
from edge_agent.hub.emulator.device import EmulatedHub, OutputRefusal
from edge_agent.hub.emulator.methods import METHOD_NAMES, Faults
from edge_agent.hub.emulator.protocol import drive_elsewhere
from edge_agent.hub.emulator.radio import LinkTiming
from edge_agent.hub.emulator.sensors import MOTOR_PORT
from edge_agent.hub.emulator.server import BluezServer
from edge_agent.hub.lwp3 import Alert, DeviceType

# What an order takes: control.py checks it, and its help prints the first example or the default.
Percent = Annotated[float, Field(ge=0, le=100, examples=[20])]
PercentPerSecond = Annotated[float, Field(ge=-100, le=100, examples=[0.5])]
Seconds = Annotated[float, Field(ge=0, le=3600, examples=[0.2])]
Millivolts = Annotated[int, Field(ge=0, le=20_000, examples=[7200])]
Milliamperes = Annotated[int, Field(ge=0, le=20_000)]
PortNumber = Annotated[int, Field(ge=0, le=255)]
DeviceNumber = Annotated[int, Field(ge=1, le=65_535)]
ErrorName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$", max_length=255)]
ErrorText = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]


class BluezEmulator:
    """Serves one hub while it is entered. All methods must be called in the loop that entered it.

    Args:
        hub: the hub to serve; a City hub with train motor and light by default.
        bus: the bus to serve it on, not entered yet; one in a temporary folder by default.
        clock: monotonic seconds, for the timestamps of `writes` and of the motor's watchers.
        timing: what link and radio take; as measured on a real Bluetooth stack by default.
    """

    def __init__(
        self,
        hub: EmulatedHub | None = None,
        *,
        bus: PrivateBus | None = None,
        clock: Callable[[], float] = time.monotonic,
        timing: LinkTiming | None = None,
    ) -> None:
        self.hub = hub or EmulatedHub()
        self.bus = bus or PrivateBus()
        self.clock = clock
        self.server = BluezServer(self.hub, self.bus, clock, timing or LinkTiming())
        self.stack = self.server.stack
        self._exit = AsyncExitStack()

    @property
    def bus_address(self) -> str:
        """Value of DBUS_SYSTEM_BUS_ADDRESS for a client of this emulator."""
        return self.bus.address

    @property
    def address(self) -> str:
        """The hub's Bluetooth address."""
        return self.hub.profile.address

    @property
    def writes(self) -> list[ReceivedWrite]:
        """The newest writes that reached the hub, oldest first."""
        return list(self.stack.writes)

    async def __aenter__(self) -> Self:
        """Start bus and BlueZ; raises FatalError without a dbus-daemon."""
        async with AsyncExitStack() as stack:
            await self.server.enter(stack)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    def drop_link(self) -> None:
        """Drop the radio link; BlueZ signals it."""
        self.stack.drop_link()

    def vanish(self) -> None:
        """Take the hub out of range and remove its objects."""
        self.stack.vanish()

    def lose_radio(self) -> None:
        """Take the hub out of range: nothing passes any more, and the link ends at its supervision timeout."""
        self.stack.lose_radio()

    def stall(self, on: bool = True) -> None:
        """Carry nothing on a link that lives: writes are accepted, and delivered late, as one burst."""
        self.stack.radio.stall(on=on)

    def set_radio(self, interval_s: float = 0.05, loss: float = 0.0) -> None:
        """Set the connection interval, and the share of connection events that carry nothing."""
        self.stack.radio.timing = replace(self.stack.radio.timing, interval_s=interval_s, loss=loss)

    def lock_up(self, on: bool = True) -> None:
        """Make the hub take writes and do nothing: its motor goes on as it was, the link stays."""
        self.hub.locked_up = on

    def refuse(self, on: bool = True) -> None:
        """Make the hub answer each output command with a generic error."""
        self.hub.refusal = OutputRefusal.ERROR if on else OutputRefusal.NONE

    def discard(self, on: bool = True) -> None:
        """Make the hub discard each output command, and say so in its feedback."""
        self.hub.refusal = OutputRefusal.DISCARDED if on else OutputRefusal.NONE

    def drive_elsewhere(self, power_percent: int = 60) -> None:
        """Drive the motor by a handset or another program; the hub sends the feedback to everybody."""
        self.stack.notify(drive_elsewhere(self.hub, power_percent, self.clock()))

    def appear(self) -> None:
        """Bring the hub back into range, switched on."""
        self.stack.in_range = True
        self.stack.advertise()

    def hold(self, holder: str = LinkHolder.ELSEWHERE) -> None:
        """Let another machine (`elsewhere`), another program of this one (`here`) or `nobody` hold the hub."""
        if holder not in tuple(LinkHolder):
            raise UsageError(f"unknown holder {holder!r}", remedy=f"choose one of {', '.join(LinkHolder)}")
        self.stack.hold(LinkHolder(holder))

    def remove_adapter(self) -> None:
        """Unplug the Bluetooth adapter."""
        self.stack.remove_adapter()

    def add_adapter(self) -> None:
        """Plug the Bluetooth adapter in again."""
        self.stack.add_adapter()

    def power_adapter(self, on: bool = False) -> None:
        """Switch Bluetooth off, or on again."""
        self.stack.power(on=on)

    async def kill_bluetoothd(self) -> None:
        """Kill bluetoothd: its name leaves the bus without a signal of its own."""
        await self.server.kill_bluetoothd()

    async def start_bluetoothd(self) -> None:
        """Start bluetoothd again; it knows no device until the next scan."""
        await self.server.start_bluetoothd()

    def freeze_bluetoothd(self, on: bool = True) -> None:
        """Stop bluetoothd as SIGSTOP does, or let it go on: it then does what it was asked meanwhile."""
        if on:
            self.server.freeze()
        else:
            self.server.thaw()

    async def kill_bus(self) -> None:
        """Kill the D-Bus daemon, and with it every connection to it."""
        await self.server.kill_bus()

    async def start_bus(self) -> None:
        """Start the D-Bus daemon again, and BlueZ on it."""
        await self.server.start_bus()

    def hang(self, method: str = "WriteValue") -> None:
        """Make a D-Bus method do nothing and never reply; a lost link fails the calls that hang."""
        self._add_faults(method, hung=self._faults.hung | {method})

    def mute(self, method: str = "WriteValue") -> None:
        """Make a D-Bus method work but never reply."""
        self._add_faults(method, mute=self._faults.mute | {method})

    def busy(self, method: str = "WriteValue") -> None:
        """Make a D-Bus method reply InProgress from now on."""
        self.fail(method, IN_PROGRESS, "In Progress")

    def fail(self, method: str = "Connect", error: ErrorName = FAILED, text: ErrorText = "Operation failed") -> None:
        """Make a D-Bus method reply an error from now on."""
        self._add_faults(method, errors={**self._faults.errors, method: (error, text)})

    def slow(self, delay_s: Seconds, method: str = "WriteValue") -> None:
        """Delay a D-Bus method."""
        self._add_faults(method, delays_s={**self._faults.delays_s, method: delay_s})

    def silence(self, on: bool = True) -> None:
        """Suppress notifications: no feedback, no alert, no button."""
        self.stack.silent = on

    def behave(self) -> None:
        """Remove the faults of methods, radio and hub; calls that hang keep hanging."""
        self.server.methods.faults = Faults()
        self.server.thaw()
        self.stack.silent = False
        self.stack.radio.stall(on=False)
        self.hub.locked_up = False
        self.hub.refusal = OutputRefusal.NONE

    def press_button(self, pressed: bool = True) -> None:
        """Press the green button, or release it."""
        self.stack.notify(self.hub.press_button(pressed=pressed))

    def raise_alert(self, alert: str = "low_voltage", raised: bool = True) -> None:
        """Raise an alert, or clear it: low_voltage, high_current, low_signal or over_power."""
        named = {known.name.lower(): known for known in Alert}
        if alert not in named:
            raise UsageError(f"unknown alert {alert!r}", remedy=f"choose one of {', '.join(named)}")
        self.stack.notify(self.hub.set_alert(named[alert], raised=raised))

    def set_battery(self, percent: Percent) -> None:
        """Set the battery's charge; at 0 the hub announces it and switches off."""
        self.stack.notify(self.hub.set_battery(percent))

    def drain(self, percent_per_s: PercentPerSecond) -> None:
        """Drain the battery from now on."""
        self.hub.drain_percent_per_s = percent_per_s

    def feed(
        self, voltage_mv: Millivolts, current_ma: Milliamperes | None = None, percent: Percent | None = None
    ) -> None:
        """Set what the voltage and current sensors measure."""
        self.stack.notify(self.hub.feed(voltage_mv, current_ma, percent))

    def plug(self, port: PortNumber = MOTOR_PORT, device_type: DeviceNumber = DeviceType.TRAIN_MOTOR) -> None:
        """Plug in a device."""
        self.stack.notify(self.hub.plug(port, device_type))

    def unplug(self, port: PortNumber = MOTOR_PORT) -> None:
        """Unplug a device."""
        self.stack.notify(self.hub.unplug(port))

    def run_on(self, on: bool = True) -> None:
        """Choose what the motor does when the link is lost: run on, as with Pybricks firmware, or stop."""
        self.hub.runs_on = on

    def babble(self, raw: bytes) -> None:
        """Notify arbitrary bytes."""
        self.stack.notify_raw(raw)

    def status(self) -> dict[str, Any]:
        """Return the state, ready for JSON."""
        return {
            "connected": self.stack.connected,
            "linked": self.stack.linked,
            "queued": self.stack.radio.queued,
            "links": self.stack.links,
            "listeners": self.stack.subscribers,
            "scanners": self.stack.scanners,
            "motor": self.hub.motor.kind.value,
            "power_percent": self.hub.motor.power_percent,
            "light_percent": self.hub.light_percent,
            "colour": self.hub.colour.name.lower(),
            "battery_percent": round(self.hub.battery.percent),
        }

    @property
    def _faults(self) -> Faults:
        return self.server.methods.faults

    def _add_faults(self, method: str, **changes: Any) -> None:
        if method not in METHOD_NAMES:
            raise UsageError(
                f"BlueZ has no method {method!r}", remedy=f"choose one of {', '.join(sorted(METHOD_NAMES))}"
            )
        self.server.methods.faults = replace(self._faults, **changes)
