"""The faults that are tried on the real stack: how each is injected, and how the world is put right again."""

import fcntl
import functools
import os
import re
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import bluez, service
from .order import order
from .service import NotHeldError, run, until

CAMERA_NODE = Path("/dev/video0")
VIDIOC_S_CTRL = 0xC008561C
"""linux/videodev2.h: set a control, {number, value}."""

VIVID = Path("/sys/bus/platform/drivers/vivid")
RADIO, CAMERA, SERVICE = "Bluetooth", "Camera", "The service"


def nothing() -> None:
    """Nothing is to be put right."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. `inject` returns the monotonic seconds at which the fault began; `heal` ends it `lasts_s` later."""

    section: str
    name: str
    train: str
    bound_ms: float
    inject: Callable[[], float]
    heal: Callable[[], object] = nothing
    lasts_s: float = 3.5


def _told(words: str) -> Callable[[], float]:
    return lambda: float(order(words)["at_s"])


def _at(action: Callable[[], object]) -> Callable[[], float]:
    def inject() -> float:
        at_s = time.monotonic()
        action()
        return at_s

    return inject


def _heal(words: str) -> Callable[[], object]:
    return lambda: order(words)


def _on_bus(action: Callable[[bluez.Bus], object]) -> Callable[[], object]:
    return lambda: action(bluez.Bus())


def _signal_bluetoothd(number: signal.Signals) -> None:
    os.kill(bluez.bluetoothd(), number)


def _bluetoothd_back() -> None:
    run("systemctl", "reset-failed", "bluetooth.service", check=False)
    run("systemctl", "restart", "bluetooth.service")
    until(lambda: "Powered: yes" in run("bluetoothctl", "show", check=False), "BlueZ has the adapter", every_s=0.5)


def _plugged() -> None:
    order("plug")
    until(lambda: "Powered: yes" in run("bluetoothctl", "show", check=False), "BlueZ has the adapter", every_s=0.5)


def _control(name: str, value: int) -> Callable[[], object]:
    return lambda: set_control(name, value)


def set_control(name: str, value: int) -> None:
    """Set a control of the camera by the name that v4l2-ctl gives it; starting that program would take too long."""
    number = controls().get(name)
    if number is None:
        raise NotHeldError(f"the camera has no control {name}")
    with CAMERA_NODE.open("rb", buffering=0) as camera:
        fcntl.ioctl(camera, VIDIOC_S_CTRL, struct.pack("=Ii", number, value))


@functools.cache
def controls() -> dict[str, int]:
    """Return the number of each control."""
    listed = run("v4l2-ctl", "--device", str(CAMERA_NODE), "--list-ctrls")
    return {name: int(number, 16) for name, number in re.findall(r"^ *(\w+) (0x[0-9a-f]+) \(", listed, re.MULTILINE)}


def _vivid(action: str) -> Callable[[], object]:
    return lambda: (VIVID / action).write_text("vivid.0")


def _strike(number: signal.Signals) -> Callable[[], float]:
    return lambda: service.strike(number)


FAULTS: tuple[Fault, ...] = (
    Fault(RADIO, "hub out of range", "LINK_LOST; the hub stops by itself", 800, _told("out"), _heal("in")),
    Fault(RADIO, "radio silent, link up; then a burst of what waited", "brakes", 800, _told("mute"), _heal("in")),
    Fault(RADIO, "hub's program hangs, link up", "drops the link", 800, _told("stall"), _heal("flow")),
    Fault(RADIO, "hub answers nothing, but obeys", "brakes", 800, _told("silence"), _heal("flow")),
    Fault(RADIO, "hub ends the link", "LINK_LOST", 300, _told("kick")),
    Fault(RADIO, "hub switched off", "LINK_LOST", 300, _told("off"), _heal("on")),
    Fault(RADIO, "adapter pulled", "LINK_LOST; the hub stops by itself", 800, _told("unplug"), _plugged),
    Fault(
        *(RADIO, "Bluetooth switched off", "LINK_LOST", 300, _at(_on_bus(bluez.power_off))),
        _on_bus(lambda bus: bluez.power(bus, on=True)),
    ),
    Fault(RADIO, "another program disconnects", "LINK_LOST when BlueZ says so", 3000, _at(_on_bus(bluez.disconnect))),
    Fault(
        RADIO, "another program removes the device", "LINK_LOST when BlueZ says so", 3000, _at(_on_bus(bluez.remove))
    ),
    Fault(
        *(RADIO, "bluetoothd stands still for 1.6 s", "no drive after it goes on", 2400),
        *(_at(lambda: _signal_bluetoothd(signal.SIGSTOP)), lambda: _signal_bluetoothd(signal.SIGCONT), 1.6),
    ),
    Fault(
        *(RADIO, "bluetoothd killed", "LINK_LOST; the kernel drops the link", 2300),
        *(_at(lambda: _signal_bluetoothd(signal.SIGKILL)), _bluetoothd_back),
    ),
    Fault(RADIO, "motor unplugged and plugged in", "LINK_LOST", 800, _told("motor-off"), _heal("motor-on")),
    Fault(RADIO, "alert: low voltage", "brakes", 300, _told("alert low_voltage"), _heal("calm low_voltage")),
    Fault(RADIO, "alert: over-current", "brakes", 300, _told("alert high_current"), _heal("calm high_current")),
    Fault(RADIO, "green button", "brakes", 300, _told("press")),
    Fault(CAMERA, "unplugged (driver unbound)", "brakes", 550, _at(_vivid("unbind")), _vivid("bind")),
    Fault(
        *(CAMERA, "no picture comes any more", "brakes", 550, _at(_control("percentage_of_dropped_buffers", 100))),
        _control("percentage_of_dropped_buffers", 0),
    ),
    Fault(CAMERA, "frozen picture", "brakes", 550, _at(_control("osd_text_mode", 2)), _control("osd_text_mode", 0)),
    Fault(SERVICE, "SIGTERM", "brakes first, ends", 200, _strike(signal.SIGTERM)),
    Fault(SERVICE, "`systemctl stop`", "brakes first, ends", 300, _at(lambda: run("systemctl", "stop", service.UNIT))),
    Fault(SERVICE, "SIGKILL", "`hub brake` brakes; back, disarmed", 1000, _strike(signal.SIGKILL)),
    Fault(SERVICE, "SIGSTOP", "the watchdog kills it, `hub brake` brakes", 3500, _strike(signal.SIGSTOP), nothing, 5.0),
)
"""Bounds: 450 ms for the camera, 200 for an alert, 100 for SIGTERM as on the emulated hub, and two connection
intervals of 50 ms; 800 where a silent link has to be noticed and dropped; what the kernel takes for bluetoothd."""
