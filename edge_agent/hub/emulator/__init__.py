"""Emulated hub: D-Bus calls and control commands come in, notifications and motor settings go out.

`device` and `protocol` are the hub; `bluez`, `methods` and `objects` are an emulated BlueZ, which `server` puts on a
private `bus`. Everything runs in the caller's event loop.
Product code: people without a train run the agent against it, and so do the tests.
"""

from edge_agent.hub.emulator.bluez import LinkHolder as LinkHolder, ReceivedWrite as ReceivedWrite
from edge_agent.hub.emulator.bus import PrivateBus as PrivateBus
from edge_agent.hub.emulator.control import (
    EMULATOR_COMMANDS as EMULATOR_COMMANDS,
    control_socket as control_socket,
    describe as describe,
    execute as execute,
    send_command as send_command,
    serve as serve,
)
from edge_agent.hub.emulator.device import EmulatedHub as EmulatedHub, MotorSetting as MotorSetting, OnMotor as OnMotor
from edge_agent.hub.emulator.emulator import BluezEmulator as BluezEmulator
from edge_agent.hub.emulator.radio import IMMEDIATE as IMMEDIATE, LinkTiming as LinkTiming, Radio as Radio
from edge_agent.hub.emulator.remote import (
    RemoteMotor as RemoteMotor,
    control_path as control_path,
    emulator_on_system_bus as emulator_on_system_bus,
)
from edge_agent.hub.emulator.sensors import LIGHT_PORT as LIGHT_PORT, MOTOR_PORT as MOTOR_PORT, HubProfile as HubProfile
