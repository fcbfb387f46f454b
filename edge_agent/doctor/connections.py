"""Checks of the connections: logins to the brokers, the port of the page, and the Bluetooth adapter."""

import asyncio
import contextlib
import errno
import re
import secrets
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from edge_agent.config import Settings, read_secret
from edge_agent.config.control import HubSettings
from edge_agent.config.observers import KafkaSettings, MqttSettings
from edge_agent.doctor.check import CheckResult, fail, in_thread, ok, warn
from edge_agent.faults import KAFKA_REFUSED, KAFKA_UNREACHABLE
from edge_agent.observers.kafka.client import KafkaLinkError, client_arguments, connection_error, link_error
from edge_agent.observers.mqtt.client import MqttConnection
from edge_agent.observers.mqtt.errors import MqttLinkError
from edge_agent.runtime.timeouts import with_timeout

CONNECT_LIMIT_S = 3.0
LOGIN_LIMIT_S = 5.0
_CLIENT_ID = "edge-agent-doctor"
_DRIVES_ON = "the train drives without it"
SYSFS_BLUETOOTH = Path("/sys/class/bluetooth")
SYSTEM_BUS = Path("/run/dbus/system_bus_socket")
LOG_LIMIT_S = 3.0

# As btusb, btintel, btrtl and btqca of Linux 6 word it.
_FIRMWARE_LOST = re.compile(
    r"[Ff]irmware (?:file .* not found|load for .* failed)|[Ff]ailed to (?:load|send|download)\b.*(?:firmware|fw)"
    r"|Reading .* version .*failed|command (?:0x\w+ )?tx timeout"
)
_FIRMWARE_THERE = re.compile(r"Device booted|Firmware (?:loaded|timestamp|revision|already loaded)|fw version 0x")


async def check_mqtt(
    settings: MqttSettings, limit_s: float = CONNECT_LIMIT_S, *, default_id: bool = False
) -> CheckResult:
    """Log in to the MQTT broker; `default_id` is whether the train has the id that every train begins with."""
    if not settings.enabled:
        return ok("off")
    read_secret(settings.password, settings.password_file, "mqtt.password_file")
    read_secret(settings.command_token, settings.command_token_file, "mqtt.command_token_file")
    where = f"{settings.host}:{settings.port}"
    problem = await _connect(settings.host, settings.port, limit_s)
    if problem:
        return fail(f"{where}: {problem}", f"start the broker or correct mqtt.host and mqtt.port; {_DRIVES_ON}")
    # Under an id of its own: the broker would throw out an agent that runs with the train's.
    connection = MqttConnection(settings, f"edge-agent-doctor-{secrets.token_hex(2)}", None, asyncio.Queue)
    try:
        async with asyncio.timeout(LOGIN_LIMIT_S):
            await connection.open()
    except MqttLinkError as error:
        return fail(error.message, f"{error.remedy}; {_DRIVES_ON}")
    except TimeoutError:
        return fail(f"{where} does not answer our login", f"check mqtt.port and the broker's log; {_DRIVES_ON}")
    await connection.close()
    if default_id:
        remedy = "set train.id: two trains with one id throw each other off the broker"
        return warn(f"{where} admits us; the train has the default id", remedy)
    return ok(f"{where} admits us")


async def check_kafka(settings: KafkaSettings, limit_s: float = CONNECT_LIMIT_S) -> CheckResult:
    """Log in to each Kafka broker; one that answers is enough to start."""
    if not settings.enabled:
        return ok("off")
    servers = settings.bootstrap_servers
    answers = await asyncio.gather(*(_log_in(settings, server, limit_s) for server in servers))
    refusals = [answer for answer in answers if answer is not None]
    if not refusals:
        return ok(f"{servers[0]} admits us" if len(servers) == 1 else f"{len(servers)} admit us")
    message, remedies = "; ".join(error.message for error in refusals), dict.fromkeys(e.remedy for e in refusals)
    # What one broker of a cluster refuses, such as a password, the others do as well.
    if len(refusals) == len(servers) or any(error.kind is KAFKA_REFUSED for error in refusals):
        return fail(message, "; ".join((*remedies, _DRIVES_ON)))
    return warn(message, "start these brokers or remove them from kafka.bootstrap_servers")


async def _log_in(settings: KafkaSettings, server: str, limit_s: float) -> KafkaLinkError | None:
    """Return what prevents a login to one broker; None where it works. Raises ConfigError for an unusable file."""
    alone = settings.model_copy(update={"bootstrap_servers": (server,)})
    client_arguments(alone, _CLIENT_ID)
    host, _, port = server.rpartition(":")
    problem = await _connect(host.strip("[]"), int(port), limit_s)
    if problem:
        remedy = "start the brokers or correct kafka.bootstrap_servers"
        return KafkaLinkError(KAFKA_UNREACHABLE, f"{server}: {problem}", remedy)
    try:
        error = await with_timeout(connection_error(alone, _CLIENT_ID), LOGIN_LIMIT_S)
    except TimeoutError as slow:
        error = slow
    return None if error is None else link_error(error, alone, alone.topic)


async def _connect(host: str, port: int, limit_s: float) -> str:
    """Return what prevents a TCP connection; an empty string where it works."""
    try:
        async with asyncio.timeout(limit_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {limit_s:g} s"
    except socket.gaierror:
        return "unknown host name"
    except ConnectionRefusedError:
        return "nothing listens there"
    except OSError as error:
        return error.strerror or type(error).__name__
    writer.close()
    with contextlib.suppress(OSError):  # reset by the broker, which is therefore there
        await writer.wait_closed()
    return ""


async def check_console(settings: Settings) -> CheckResult:
    """Check that the page's port is free, and that somebody may send commands from it."""
    console = settings.console
    if not console.enabled:
        return ok("off")
    read_secret(console.token, console.token_file, "console.token_file")
    where = f"{console.host}:{console.port}"
    try:
        family = socket.AF_INET6 if ":" in console.host else socket.AF_INET
        socket.create_server((console.host, console.port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return warn(f"a program listens on {where}", "end it, or set console.port, unless it is the agent itself")
        problem = error.strerror or type(error).__name__
        return fail(f"cannot listen on {where}: {problem}", "correct console.host and console.port")
    if not console.is_read_only:
        return ok(f"{where} is free; commands need its {'token' if console.user_header is None else 'user or token'}")
    if console.is_local:
        return ok(f"{where} is free; a run in a terminal prints a link with a token, any other page is read-only")
    return warn(
        f"{where} is free; no token is set: the page can neither arm nor stop the train",
        "set console.token_file to a file that holds a token; docs/console.md says how to make one",
    )


def read_kernel_log() -> str:
    """Return what the kernel has said of Bluetooth since the start; empty where this user may not read it."""
    command = ["journalctl", "-k", "-b", "-q", "-o", "cat", "--no-pager", "-g", "Bluetooth"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=LOG_LIMIT_S, check=False).stdout  # noqa: S603 - no input
    except (OSError, subprocess.TimeoutExpired):
        return ""


def kernel_trouble(log: str) -> str:
    """Return the line that says that an adapter's firmware is missing or lost; empty unless it is the last word."""
    trouble = ""
    for line in log.splitlines():
        if _FIRMWARE_LOST.search(line):
            trouble = line.strip()
        elif _FIRMWARE_THERE.search(line):
            trouble = ""
    return trouble


async def check_hub(
    settings: HubSettings,
    sysfs: Path = SYSFS_BLUETOOTH,
    bus: Path = SYSTEM_BUS,
    kernel_log: Callable[[], str] = read_kernel_log,
) -> CheckResult:
    """Check what `hub.kind` needs."""
    if settings.kind == "mock":
        return ok("dry run: the mocked hub moves nothing")
    adapters = await in_thread(lambda: _adapters(sysfs))
    problem = _adapter_problem(adapters, kernel_trouble(await in_thread(kernel_log)))
    if problem is not None:
        return problem
    try:
        _, writer = await asyncio.open_unix_connection(bus)
    except PermissionError:
        return fail(
            f"no permission to use {bus}", "add the user to the group `bluetooth`, or let the container use the socket"
        )
    except OSError as error:
        remedy = "start dbus and bluetooth, or mount /run/dbus into the container"
        return fail(f"no D-Bus at {bus} ({error.strerror})", remedy)
    writer.close()
    with contextlib.suppress(OSError):  # closed by the bus, which is therefore there
        await writer.wait_closed()
    return ok(f"adapter {next(name for name, blocked in adapters.items() if not blocked)}")


def _adapter_problem(adapters: dict[str, bool], trouble: str) -> CheckResult | None:
    if not adapters:
        return fail("there is no Bluetooth adapter", "plug one in, or set hub.kind to mock")
    if trouble:
        return fail(
            f"the Bluetooth adapter has no firmware: the kernel says `{trouble}`",
            "after a suspend, plug it in again, or reload its driver (`modprobe -r btusb && modprobe btusb`); else "
            "install its firmware (linux-firmware, on Debian firmware-realtek, -iwlwifi or -atheros) and restart",
        )
    if all(adapters.values()):
        return fail(f"Bluetooth is switched off ({', '.join(adapters)})", "run `rfkill unblock bluetooth`")
    return None


def _adapters(sysfs: Path) -> dict[str, bool]:
    """Return by name whether each adapter is switched off."""
    found = sorted(path for path in sysfs.glob("hci*") if ":" not in path.name)  # hci0:11 is a connection
    return {path.name: _is_blocked(path) for path in found}


def _is_blocked(adapter: Path) -> bool:
    """Return whether rfkill blocks the adapter, in software or by a switch."""
    switches = [*adapter.glob("rfkill*/soft"), *adapter.glob("rfkill*/hard")]
    return any(switch.read_text(encoding="ascii").strip() == "1" for switch in switches)
