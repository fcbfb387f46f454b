"""An emulated hub as a Bluetooth peripheral: a hub's behaviour, an emulated BlueZ and a private D-Bus to serve it on.

Product code: people without a train run the agent against it, and the test suite does too.
"""

from edge_agent.hub.emulator.bluez import Write
from edge_agent.hub.emulator.bus import PrivateBus
from edge_agent.hub.emulator.control import control_socket, serve, tell
from edge_agent.hub.emulator.device import EmulatedHub, MotorSetting, OnMotor
from edge_agent.hub.emulator.emulator import BluezEmulator
from edge_agent.hub.emulator.faults import Holder
from edge_agent.hub.emulator.orders import ORDERS, describe, obey
from edge_agent.hub.emulator.remote import RemoteMotor, control_beside, emulator_on_system_bus
from edge_agent.hub.emulator.sensors import LIGHT_PORT, MOTOR_PORT, HubProfile
from edge_agent.hub.emulator.thread import EmulatorThread

__all__ = [
    "LIGHT_PORT",
    "MOTOR_PORT",
    "ORDERS",
    "BluezEmulator",
    "EmulatedHub",
    "EmulatorThread",
    "Holder",
    "HubProfile",
    "MotorSetting",
    "OnMotor",
    "PrivateBus",
    "RemoteMotor",
    "Write",
    "control_beside",
    "control_socket",
    "describe",
    "emulator_on_system_bus",
    "obey",
    "serve",
    "tell",
]
