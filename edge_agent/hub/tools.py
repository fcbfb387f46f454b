"""Implementation of the `hub` commands: list hubs, describe one, drive for a while, decode a recording."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from edge_agent.errors import RetryableError
from edge_agent.hub.ble import BleHub
from edge_agent.hub.bluez_monitor import BluezMonitor
from edge_agent.hub.discovery import DiscoveredHub, check_adapters, connected_hubs, read_objects, scan
from edge_agent.hub.errors import NO_HUB, hub_error
from edge_agent.hub.lwp3 import DeviceType, HubModel, Malformed, decode
from edge_agent.hub.recording import Direction, HubLogRecord
from edge_agent.ports import HubEvent

SETTLE_S = 1.0
"""Time within which a hub that was just connected has sent its name, firmware, battery and sensors."""

BEAT_S = 0.05


async def list_hubs(limit_s: float) -> list[DiscoveredHub]:
    """List the hubs that are connected to this machine or advertise within `limit_s`; raises RetryableError if none."""
    monitor = BluezMonitor()
    try:
        await monitor.open()
        objects = await read_objects(monitor)
    finally:
        await monitor.close()
    check_adapters(objects)
    linked = connected_hubs(objects)
    advertising = await scan(limit_s)
    addresses = {one.address for one in linked}
    hubs = [*linked, *(one for one in advertising if one.address not in addresses)]
    if not hubs:
        raise hub_error(NO_HUB)
    return sorted(hubs, key=lambda one: (not one.connected, -(one.rssi_dbm or -127)))


async def describe(hub: BleHub, limit_s: float) -> HubModel:
    """Connect and wait until the hub has sent its properties; raises RetryableError."""
    await hub.wait_connected(limit_s)
    deadline_s = asyncio.get_running_loop().time() + SETTLE_S
    # Polled, because an event for each notification is not worth having.
    while not _is_known(_model(hub)) and asyncio.get_running_loop().time() < deadline_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return _model(hub)


def _model(hub: BleHub) -> HubModel:
    if hub.session is None:
        raise hub.problem or hub_error(NO_HUB)
    return hub.session.model


def _is_known(model: HubModel) -> bool:
    values = (model.name, model.firmware, model.battery_percent, model.rssi_dbm, model.system_type)
    sensors = model.port_of(DeviceType.VOLTAGE_SENSOR) is None or model.voltage_mv is not None
    return sensors and None not in values


async def drive_for(hub: BleHub, power_percent: int, seconds: float, beat: Callable[[], bool] = bool) -> str:
    """Drive a connected hub for some seconds, then brake; return what ended the drive.

    The green button, an alert or a lost link ends it at once. `beat` is called every 50 ms, and ends it by True: the
    program stood still.
    """
    ended = asyncio.Event()
    causes: list[str] = []

    def on_event(event: HubEvent) -> None:
        if event.kind in ("button_pressed", "alert", "disconnected"):
            causes.append(f"{event.kind.replace('_', ' ')} {event.detail}".strip())
            ended.set()

    hub.subscribe(on_event)
    deadline_s = asyncio.get_running_loop().time() + seconds
    try:
        await hub.drive(power_percent)
        while not ended.is_set() and asyncio.get_running_loop().time() < deadline_s:
            if beat():
                causes.append("the program stood still")
                break
            await asyncio.sleep(BEAT_S)
    finally:
        await _brake_until_confirmed(hub)
    return causes[0] if causes else "time is up"


async def _brake_until_confirmed(hub: BleHub) -> None:
    """Brake until the hub confirms it or the link is lost."""
    for _ in range(10):
        try:
            await hub.brake()
        except RetryableError:
            return
        await asyncio.sleep(BEAT_S)
        if hub.status().brake_confirmed:
            return


def decode_recording(records: Iterable[HubLogRecord]) -> tuple[list[dict[str, Any]], HubModel]:
    """Decode a recording: a dictionary per message, and the model of the hub at its end."""
    model = HubModel()
    lines = []
    for record in records:
        message = decode(record.data)
        if isinstance(message, Malformed):
            text = f"malformed: {message.detail}"
        else:
            text = repr(message)
            if record.direction is Direction.SENT:
                model = model.with_command(message, record.t_ms / 1000)
        if record.direction is Direction.RECEIVED:
            model = model.with_notification(message)
        lines.append({"t_ms": record.t_ms, "dir": str(record.direction), "hex": record.data.hex(), "message": text})
    return lines, model
