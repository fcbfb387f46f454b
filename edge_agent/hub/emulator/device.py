"""Emulated City Hub: motor, lights, button, battery, ports, and the notifications that their changes cause.

Without I/O: `now_s` is any monotonic clock's, and methods return the messages that the hub notifies. protocol.py has
its answers to writes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from edge_agent.events import CommandKind
from edge_agent.hub import lwp3
from edge_agent.hub.emulator import sensors
from edge_agent.hub.emulator.sensors import Battery, HubProfile

LOW_BATTERY_PERCENT = 10.0
"""Charge below which the hub raises its low-voltage alert."""


@dataclass(frozen=True, slots=True)
class MotorSetting:
    """State of the motor: drives at `power_percent` (-100..100), brakes or coasts (both 0)."""

    kind: CommandKind = CommandKind.COAST
    power_percent: int = 0

    @classmethod
    def of(cls, power: int) -> "MotorSetting":
        """Decode the byte of an output command."""
        if power == lwp3.BRAKE:
            return cls(CommandKind.BRAKE)
        return cls(CommandKind.COAST) if power == lwp3.COAST else cls(CommandKind.DRIVE, power)


class OutputRefusal(StrEnum):
    """How the hub refuses output commands, if it does: with a generic error, or by discarding them."""

    NONE = "none"
    ERROR = "error"
    DISCARDED = "discarded"


OnMotor = Callable[[MotorSetting, float], None]
"""Called with monotonic seconds for each command to the motor, repeated ones too, and when a lost link stops it."""


def ignore_motor(setting: MotorSetting, now_s: float) -> None:
    """Do nothing."""


class EmulatedHub:
    """One hub, switched on and advertising.

    Args:
        profile: identity, devices and battery.
        on_motor: called for each change of the motor.
        runs_on: keep driving when the link is lost, as Pybricks firmware does; LEGO's own reportedly stops.

    `leaving` is set once the hub has announced that it disconnects: the caller then drops the link. While `locked_up`
    it takes writes and does nothing; `refusal` is how it refuses output commands.
    """

    def __init__(
        self, profile: HubProfile | None = None, *, on_motor: OnMotor = ignore_motor, runs_on: bool = False
    ) -> None:
        self.profile = profile or HubProfile()
        self.runs_on = runs_on
        self.name = self.profile.name
        self.ports = dict(self.profile.ports)
        self.motor = MotorSetting()
        self.light_percent = 0
        self.colour = lwp3.Colour.OFF
        self.button_pressed = False
        self.alerts: set[lwp3.Alert] = set()
        self.battery = Battery()
        self.drain_percent_per_s = 0.0
        self.leaving: lwp3.HubActionType | None = None
        self.locked_up = False
        self.refusal = OutputRefusal.NONE
        self._watchers: list[OnMotor] = [on_motor]
        self._advanced_s: float | None = None
        self.enabled_properties: set[lwp3.HubProperty] = set()
        self.enabled_alerts: set[lwp3.Alert] = set()
        self.formats: dict[int, lwp3.InputFormatSetup] = {}
        self._last_sent: dict[int, int] = {}

    @property
    def watchers(self) -> int:
        """How many callbacks watch the motor."""
        return len(self._watchers)

    def watch(self, on_motor: OnMotor) -> Callable[[], None]:
        """Add a callback for the motor; call the returned function to remove it."""
        self._watchers.append(on_motor)
        return lambda: self._watchers.remove(on_motor)

    def start_session(self) -> list[lwp3.Message]:
        """Start with a new subscriber: reset what earlier ones enabled, announce the devices."""
        self.leaving = None
        self.enabled_properties.clear()
        self.enabled_alerts.clear()
        self.formats.clear()
        self._last_sent.clear()
        return [self._announcement(port, kind) for port, kind in sorted(self.ports.items())]

    def link_lost(self, now_s: float) -> None:
        """Handle a lost link: the motor coasts, or runs on."""
        self.enabled_properties.clear()
        self.enabled_alerts.clear()
        self.formats.clear()
        if not self.runs_on and self.motor.kind is CommandKind.DRIVE:
            self.set_motor(MotorSetting(), now_s)

    def advance(self, now_s: float) -> list[lwp3.Message]:
        """Advance the time: the battery drains, changes are notified where enabled; a flat hub switches off."""
        elapsed_s = 0.0 if self._advanced_s is None else max(0.0, now_s - self._advanced_s)
        self._advanced_s = now_s
        if not self.drain_percent_per_s:
            return self.sensor_updates()
        return self._with_battery(self.battery.drained(self.drain_percent_per_s * elapsed_s))

    def set_battery(self, percent: float) -> list[lwp3.Message]:
        """Set the charge, as by changing the batteries."""
        return self._with_battery(replace(self.battery, percent=min(100.0, max(0.0, percent))))

    def feed(
        self, voltage_mv: int | None, current_ma: int | None = None, percent: float | None = None
    ) -> list[lwp3.Message]:
        """Set what the sensors measure; None returns to the values derived from the charge.

        `percent` is the matching charge; None keeps it.
        """
        kept = self.battery.percent if percent is None else percent
        fed = replace(self.battery, percent=kept, fed_voltage_mv=voltage_mv, fed_current_ma=current_ma)
        return self._with_battery(fed)

    def press_button(self, *, pressed: bool = True) -> list[lwp3.Message]:
        """Press or release the green button."""
        self.button_pressed = pressed
        return self._property_update(lwp3.HubProperty.BUTTON)

    def set_alert(self, alert: lwp3.Alert, *, raised: bool = True) -> list[lwp3.Message]:
        """Raise or clear an alert; a change is notified if the alert was enabled."""
        if raised == (alert in self.alerts):
            return []
        (self.alerts.add if raised else self.alerts.discard)(alert)
        return [lwp3.HubAlertUpdate(alert, raised)] if alert in self.enabled_alerts else []

    def plug(self, port: int, device_type: int) -> list[lwp3.Message]:
        """Plug a device into a port."""
        self.ports[port] = device_type
        return [self._announcement(port, device_type)]

    def unplug(self, port: int) -> list[lwp3.Message]:
        """Unplug a device."""
        if self.ports.pop(port, None) is None:
            return []
        return [lwp3.PortDetached(port)]

    def properties(self) -> dict[lwp3.HubProperty, Any]:
        """Return all properties that can be requested."""
        return {
            lwp3.HubProperty.NAME: self.name,
            lwp3.HubProperty.BUTTON: self.button_pressed,
            lwp3.HubProperty.FIRMWARE_VERSION: self.profile.firmware,
            lwp3.HubProperty.HARDWARE_VERSION: self.profile.hardware,
            lwp3.HubProperty.RSSI: self.profile.rssi_dbm,
            lwp3.HubProperty.BATTERY_PERCENT: round(self.battery.percent),
            lwp3.HubProperty.BATTERY_TYPE: 0,
            lwp3.HubProperty.MANUFACTURER: "LEGO System A/S",
            lwp3.HubProperty.RADIO_FIRMWARE_VERSION: "2_02_01",
            lwp3.HubProperty.PROTOCOL_VERSION: 0x0300,
            lwp3.HubProperty.SYSTEM_TYPE: self.profile.system_type,
            lwp3.HubProperty.NETWORK_ID: 0,
            lwp3.HubProperty.MAC_ADDRESS: self.profile.address,
        }

    def _announcement(self, port: int, device_type: int) -> lwp3.Message:
        return lwp3.PortAttached(port, device_type, self.profile.hardware, self.profile.firmware)

    def set_motor(self, setting: MotorSetting, now_s: float) -> None:
        """Set the motor and call the watchers."""
        self.motor = setting
        self.battery = replace(self.battery, load=abs(setting.power_percent) / 100)
        for watcher in self._watchers:
            watcher(setting, now_s)

    def _with_battery(self, battery: Battery) -> list[lwp3.Message]:
        before, self.battery = self.battery, battery
        messages: list[lwp3.Message] = []
        if round(before.percent) != round(battery.percent):
            messages += self._property_update(lwp3.HubProperty.BATTERY_PERCENT)
        low = battery.percent < LOW_BATTERY_PERCENT
        if low != (before.percent < LOW_BATTERY_PERCENT):
            messages += self.set_alert(lwp3.Alert.LOW_VOLTAGE, raised=low)
        if battery.percent == 0 and self.leaving is None:
            self.leaving = lwp3.HubActionType.WILL_SWITCH_OFF
            messages.append(lwp3.HubAction(self.leaving))
        return messages + self.sensor_updates()

    def _property_update(self, subject: lwp3.HubProperty) -> list[lwp3.Message]:
        return (
            [lwp3.HubPropertyUpdate(subject, self.properties()[subject])] if subject in self.enabled_properties else []
        )

    def sensor_updates(self) -> list[lwp3.Message]:
        """Return the values of sensors that moved by their delta since they were last sent."""
        messages: list[lwp3.Message] = []
        for port, setup in self.formats.items():
            raw = sensors.raw_value(self.ports.get(port, 0), self.battery, self.profile)
            last = self._last_sent.get(port)
            if setup.notify and (last is None or abs(raw - last) >= max(1, setup.delta)):
                self._last_sent[port] = raw
                messages.append(lwp3.PortValue(port, raw.to_bytes(2, "little")))
        return messages
