"""`edge-agent hub`: find, inspect, drive, brake and calibrate a hub, or emulate one."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from edge_agent.cli.options import ConfigOption, JsonOption, ProfileOption
from edge_agent.cli.output import show

if TYPE_CHECKING:
    from edge_agent.config import HubSettings as Settings
    from edge_agent.hub.ble import BleHub
    from edge_agent.hub.calibration import CalibrationRound

T = TypeVar("T")

app = typer.Typer(
    help="A hub on the table: find, inspect, drive, brake, calibrate or emulate it.", no_args_is_help=True
)

AddressOption = Annotated[str | None, typer.Option("--address", help="Only the hub with this Bluetooth address.")]
NameOption = Annotated[str | None, typer.Option("--name", help="Only the hub with this name.")]
LogOption = Annotated[
    Path | None,
    typer.Option("--hub-log", metavar="FILE", help="Record the bytes in both directions, for `hub replay`."),
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=1, max=300, metavar="S", help="Give up connecting after S seconds.")
]


@app.command(epilog="Example: edge-agent hub scan --seconds 10")
def scan(
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=300, help="How long to scan, in seconds.")] = 5.0,
    as_json: JsonOption = False,
) -> None:
    """List hubs in range and hubs connected to this machine. Press a hub's green button to make it advertise."""
    from edge_agent.hub.tools import list_hubs

    hubs = [
        {
            "address": hub.address,
            "name": hub.name,
            "kind": hub.kind,
            "rssi_dbm": hub.rssi_dbm,
            "state": "held by another program" if hub.held else "connected" if hub.connected else "advertising",
            "usable": hub.is_supported and not hub.held,
        }
        for hub in asyncio.run(list_hubs(seconds))
    ]
    show({"hubs": hubs}, as_json, [tuple(hubs[0]), *(tuple(hub.values()) for hub in hubs)])


@app.command(epilog="Example: edge-agent hub info --json")
def info(
    address: AddressOption = None,
    name: NameOption = None,
    hub_log: LogOption = None,
    timeout: TimeoutOption = 20.0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Connect and print what the hub reports about itself. The motor is braked first."""
    from edge_agent.hub.lwp3 import DeviceType
    from edge_agent.hub.tools import describe

    async def look(hub: BleHub) -> dict[str, Any]:
        model = await describe(hub, timeout)
        known = {device.value: device.name.lower() for device in DeviceType}
        ports = {str(port): known.get(kind, f"0x{kind:02x}") for port, kind in sorted(model.ports.items())}
        malformed = sum(hub.session.decoder.malformed.values()) if hub.session else 0
        properties = {key: getattr(model, key) for key in _PROPERTIES}
        return {**properties, "motor_port": model.motor_port, "light_port": model.light_port, "ports": ports} | {
            "alerts": sorted(alert.name.lower() for alert in model.alerts),
            "malformed_messages": malformed,
        }

    facts = _with_hub(look, _settings(address, name, config, profile), hub_log, timeout)
    show(facts, as_json, [("what", "value"), *facts.items()])


_PROPERTIES = (
    *("name", "address", "firmware", "hardware", "battery_percent"),
    *("voltage_mv", "current_ma", "rssi_dbm", "button_pressed"),
)


@app.command(epilog="Example: edge-agent hub drive 40 --seconds 3", context_settings={"ignore_unknown_options": True})
def drive(
    power: Annotated[
        int,
        typer.Argument(
            min=-100, max=100, help="Motor power in percent, without the settings' limits; negative: backwards."
        ),
    ],
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=60, help="How long to drive, in seconds.")] = 2.0,
    address: AddressOption = None,
    name: NameOption = None,
    hub_log: LogOption = None,
    timeout: TimeoutOption = 20.0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Drive for some seconds, then brake. The green button, Ctrl-C, an alert or a lost link brakes at once."""
    from edge_agent.control.watchdog import Watchdog
    from edge_agent.hub.tools import drive_for

    async def go(hub: BleHub) -> dict[str, Any]:
        await hub.wait_connected(timeout)
        with Watchdog(brake=hub.emergency_brake) as watchdog:
            ended_by = await drive_for(hub, power, seconds, watchdog.beat)
        confirmed = hub.status().brake_confirmed
        return {"power_percent": power, "ended_by": ended_by, "brake_confirmed": confirmed, "stalls": watchdog.stalls()}

    result = _with_hub(go, _settings(address, name, config, profile), hub_log, timeout)
    show(result, as_json, list(result.items()))


@app.command(epilog="Example: edge-agent hub brake")
def brake(address: AddressOption = None, as_json: JsonOption = False) -> None:
    """Brake every hub connected through BlueZ, or drop its link. Works whatever program drives the hub."""
    from edge_agent.hub.emergency import brake_all, report

    raise typer.Exit(report(brake_all(address), as_json=as_json, address=address))


@app.command(epilog="Example: edge-agent hub calibrate --output config/profiles/my-train.yaml")
def calibrate(
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The profile to write.")] = Path(
        "hub-calibration.yaml"
    ),
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=20, help="How many times to measure.")] = 3,
    step: Annotated[float, typer.Option("--step", min=0.01, max=5, metavar="S", help="Seconds at each power.")] = 0.8,
    address: AddressOption = None,
    name: NameOption = None,
    hub_log: LogOption = None,
    timeout: TimeoutOption = 20.0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Measure the least power that moves the train: press the green button or Enter as soon as it starts."""
    from edge_agent.cli.options import check_writable
    from edge_agent.hub.calibration import calibrate as measure, enter_key, write_profile

    check_writable(output, "calibration")
    settings = _settings(address, name, config, profile)

    def report(number: int, result: CalibrationRound) -> None:
        typer.echo(f"round {number}: moved at {result.power_percent} percent, {result.voltage_mv or '?'} mV", err=True)

    async def go(hub: BleHub) -> tuple[CalibrationRound, ...]:
        await hub.wait_connected(timeout)
        moved = asyncio.Event()
        typer.echo("Press the green button or Enter each time the train starts to move.", err=True)
        async with enter_key(sys.stdin, moved):
            return await measure(hub, rounds, moved, report, step)

    percent = write_profile(output, _with_hub(go, settings, hub_log, timeout), settings)
    result = {"min_power_percent": percent, "nominal_voltage_mv": settings.nominal_voltage_mv, "written": str(output)}
    show(result, as_json, list(result.items()))


@app.command(epilog="Example: edge-agent hub replay session.jsonl")
def replay(
    log: Annotated[Path, typer.Argument(metavar="FILE", help="A file written with --hub-log.")],
    as_json: JsonOption = False,
) -> None:
    """Print the messages of a recording."""
    from edge_agent.hub.recording import read_log
    from edge_agent.hub.tools import decode_recording

    lines, model = decode_recording(read_log(log))
    known = {"name": model.name, "motor_port": model.motor_port, "light_port": model.light_port}
    rows = [("ms", "", "message"), *((line["t_ms"], line["dir"], line["message"]) for line in lines)]
    show({"messages": lines, "hub": known}, as_json, rows)


@app.command(epilog="Example: edge-agent hub emulate --control /tmp/hub.sock")
def emulate(
    bus: Annotated[
        Path | None, typer.Option("--bus", metavar="SOCKET", help="Socket of the D-Bus; default: in a new folder.")
    ] = None,
    control: Annotated[
        Path | None, typer.Option("--control", metavar="SOCKET", help="Socket on which to take fault commands.")
    ] = None,
) -> None:
    """Run an emulated City Hub on a private D-Bus until Ctrl-C. The first line printed is the bus address."""
    from edge_agent.hub.emulator import BluezEmulator, PrivateBus, serve

    def ready(address: str) -> None:
        typer.echo(f"DBUS_SYSTEM_BUS_ADDRESS={address}")
        typer.echo("Set this variable for the agent: edge-agent run --source sim --hub ble", err=True)
        if control is not None:
            typer.echo(f"Inject faults with: edge-agent hub order {control} drop-link", err=True)

    _until_signal(serve(BluezEmulator(bus=PrivateBus(bus)), control=control, on_ready=ready))


@app.command(epilog="Example: edge-agent hub order /tmp/hub.sock set-battery percent=20")
def order(
    control: Annotated[Path, typer.Argument(metavar="SOCKET", help="The emulated hub's --control.")],
    what: Annotated[str, typer.Argument(metavar="ORDER", help="`help` lists them, `status` prints the hub's state.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Arguments of the order.")] = None,
) -> None:
    """Inject faults into an emulated hub: drop the link, hang, drain its battery, press its button and more."""
    from edge_agent.hub.emulator import describe, send_command

    if what == "help":
        for name, text in describe().items():
            typer.echo(f"{name:<44} {text}")
        return
    typer.echo(json.dumps(send_command(control, what, **dict(map(_argument, arguments or ())))))


def _argument(text: str) -> tuple[str, Any]:
    """Parse KEY=VALUE; the value is parsed as JSON where possible, else it is text."""
    from edge_agent.errors import UsageError

    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(f"'{text}' is not KEY=VALUE", remedy="write it like percent=20")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _settings(address: str | None, name: str | None, config: Path | None, profile: str | None) -> Settings:
    from edge_agent.config import load

    overrides: dict[str, object] = {"hub.kind": "ble", "hub.address": address, "hub.name": name}
    return load(config, overrides, profile=profile).settings.hub


def _with_hub(act: Callable[[BleHub], Awaitable[T]], settings: Settings, hub_log: Path | None, timeout_s: float) -> T:
    """Run `await act(hub)` on a hub that is being connected; it is braked and disconnected whatever happens.

    `timeout_s` is how long `act` waits for the link. A search ends before that, so that its error is what is reported.
    """
    from edge_agent.hub.ble import SEARCH_S, BleHub
    from edge_agent.hub.recording import HubLog

    async def run() -> T:
        async with AsyncExitStack() as stack:
            log = None
            if hub_log is not None:
                log = HubLog(hub_log)
                stack.callback(log.close)
            hub = BleHub(settings, log=log, search_s=min(SEARCH_S, timeout_s / 2))
            return await act(await stack.enter_async_context(hub))

    return _until_signal(run())


def _until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; SIGTERM ends it as Ctrl-C does, so that the train is braked first."""
    import signal

    async def guarded() -> T:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise typer.Exit(143) from None
