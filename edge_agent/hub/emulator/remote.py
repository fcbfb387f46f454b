"""Client of an emulated hub's control socket: reads its motor, sets its sensors.

A thread reads the motor, so that a stalled event loop neither loses nor delays a command.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections import deque
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from edge_agent.errors import RetryableError
from edge_agent.events import CommandKind
from edge_agent.hub.emulator.device import MotorSetting

CONNECT_LIMIT_S = 2.0


def control_path(bus: Path) -> Path:
    """Return the control socket of the emulator that serves a private bus."""
    return bus.with_name(f"{bus.name}.hub")


def emulator_on_system_bus() -> Path | None:
    """Return the control socket of the emulator that serves the system bus; None for any other bus."""
    for address in os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", "").split(";"):
        transport, _, options = address.partition(":")
        path = dict(option.partition("=")[::2] for option in options.split(",")).get("path")
        if transport == "unix" and path and control_path(Path(unquote(path))).is_socket():
            return control_path(Path(unquote(path)))
    return None


class RemoteMotor:
    """Connects an emulated hub to the simulation that its motor moves. Enter it to connect."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._commands: deque[tuple[MotorSetting, float]] = deque(maxlen=10_000)
        self._closing = False
        self._watch_socket = socket.socket(socket.AF_UNIX)
        self._lines = self._watch_socket.makefile("rb")
        self._feed_socket = socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._read_loop, name="remote-motor", daemon=True)

    def __enter__(self) -> Self:
        """Connect, and wait for the motor's current state; raises RetryableError if no emulator is listening."""
        try:
            for one in (self._watch_socket, self._feed_socket):
                one.settimeout(CONNECT_LIMIT_S)
                one.connect(str(self._control))
            self._watch_socket.sendall(_line({"order": "watch"}))
            self._append(self._lines.readline())
            self._watch_socket.settimeout(None)
        except (OSError, ValueError) as error:
            self._close()
            raise RetryableError(
                f"no emulated hub is listening at {self._control}", remedy="start one with `edge-agent hub emulate`"
            ) from error
        self._feed_socket.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._watch_socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(2.0)
        self._close()

    def drain(self) -> list[tuple[MotorSetting, float]]:
        """Return the motor's settings since the last call, oldest first, each with its time in monotonic seconds.

        When the emulator ends, its motor coasts.
        """
        commands = []
        while self._commands:
            commands.append(self._commands.popleft())
        return commands

    def feed(self, voltage_mv: int, current_ma: int, percent: float) -> None:
        """Set what the hub's sensors measure. Never blocks: values that cannot be sent now are dropped."""
        order = {"order": "feed", "voltage_mv": voltage_mv, "current_ma": current_ma, "percent": percent}
        with contextlib.suppress(OSError):
            self._feed_socket.send(_line(order))
            self._feed_socket.recv(65536)  # discard the replies

    def _read_loop(self) -> None:
        try:
            for line in self._lines:
                self._append(line)
        except (OSError, ValueError):
            pass  # the emulator was killed in the middle of a line
        if not self._closing:
            self._commands.append((MotorSetting(), time.monotonic()))

    def _append(self, line: bytes) -> None:
        fields = json.loads(line)
        self._commands.append((MotorSetting(CommandKind(fields["motor"]), fields["power_percent"]), fields["at_s"]))

    def _close(self) -> None:
        self._lines.close()
        self._watch_socket.close()
        self._feed_socket.close()


def _line(fields: dict[str, object]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
