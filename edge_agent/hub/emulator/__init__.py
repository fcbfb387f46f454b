"""Emulated hub: D-Bus calls and control commands come in, notifications and motor settings go out.

`device` and `protocol` are the hub; `bluez`, `methods` and `objects` are an emulated BlueZ, which `server` puts on a
private `bus`. Everything runs in one event loop: the caller's, or that of a thread of its own (`EmulatorThread`).
Product code: people without a train run the agent against it, and so do the tests.
"""

from edge_agent.hub.emulator.bluez import LinkHolder, ReceivedWrite
from edge_agent.hub.emulator.bus import PrivateBus
from edge_agent.hub.emulator.control import (
    EMULATOR_COMMANDS,
    control_socket,
    describe,
    execute,
    send_command,
    serve,
)
from edge_agent.hub.emulator.device import EmulatedHub, MotorSetting, OnMotor
from edge_agent.hub.emulator.emulator import BluezEmulator
from edge_agent.hub.emulator.remote import RemoteMotor, control_path, emulator_on_system_bus
from edge_agent.hub.emulator.sensors import LIGHT_PORT, MOTOR_PORT, HubProfile
from edge_agent.hub.emulator.thread import EmulatorThread

__all__ = [
    "EMULATOR_COMMANDS",
    "LIGHT_PORT",
    "MOTOR_PORT",
    "BluezEmulator",
    "EmulatedHub",
    "EmulatorThread",
    "HubProfile",
    "LinkHolder",
    "MotorSetting",
    "OnMotor",
    "PrivateBus",
    "ReceivedWrite",
    "RemoteMotor",
    "control_path",
    "control_socket",
    "describe",
    "emulator_on_system_bus",
    "execute",
    "send_command",
    "serve",
]
