"""A private dbus-daemon on a Unix socket, in place of the system bus."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from edge_agent.errors import FatalError, UsageError


def remove_stale_socket(path: Path) -> None:
    """Remove a socket that a killed process left at `path`.

    Raises UsageError if a process listens there, or if the path is not a socket.
    """
    if not path.exists():
        return
    if not path.is_socket():
        raise UsageError(f"{path} is in the way and is not a socket", remedy="remove it or choose another path")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise UsageError(f"another process is listening at {path}", remedy="end that emulator or choose another path")


def bind_socket(path: Path) -> socket.socket:
    """Bind a socket at `path` that only this user can connect to; raises UsageError if that fails."""
    remove_stale_socket(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen at {path}", remedy="choose a short path in a folder you can write to"
        ) from error
    return listener


_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>{denial}
  </policy>
</busconfig>
"""

_DENIAL = """
    <deny send_destination="org.bluez"/>"""


class PrivateBus:
    """A dbus-daemon and its folder, while it is entered.

    Args:
        socket: path to listen on; by default in a temporary folder. About 100 characters at most, as any Unix socket.
        permitted: False to deny clients access to BlueZ, as for a user outside the group `bluetooth`.
    """

    def __init__(self, socket: Path | None = None, *, permitted: bool = True) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"edge-agent-bus-{uuid.uuid4().hex[:12]}"
        self.socket = socket or self._folder / "bus"
        self._log = self._folder / "log"
        self._permitted = permitted
        self._exit = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """The address for DBUS_SYSTEM_BUS_ADDRESS."""
        return f"unix:path={self.socket}"

    @property
    def pid(self) -> int | None:
        """Process of the daemon, None while there is none."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
        """Start the daemon.

        Raises FatalError if it cannot be found or does not start, UsageError if a process listens at the socket.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._remove_folder)
            stack.push_async_callback(self.stop)
            self._folder.mkdir(mode=0o700)
            await self.start()
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the daemon and remove its folder."""
        await self._exit.aclose()

    async def start(self) -> None:
        """Start the daemon, or restart it at the same address."""
        program = shutil.which("dbus-daemon")
        if program is None:
            raise FatalError(
                "dbus-daemon is not installed", remedy="install the package dbus-daemon (dbus on Debian 11)"
            )
        config = self._folder / "bus.conf"
        config.write_text(_CONFIG.format(socket=self.socket, denial="" if self._permitted else _DENIAL))
        remove_stale_socket(self.socket)
        command = [program, f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"]
        setpriv = shutil.which("setpriv")
        # The daemon must not outlive this process, not even if it is killed.
        if setpriv is not None:
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        await self._wait_for_address(self._process)

    async def stop(self) -> None:
        """Kill the daemon; it has no state to save."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
        self._remove_socket()

    def _remove_socket(self) -> None:
        self.socket.unlink(missing_ok=True)

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _wait_for_address(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - stdout=PIPE above
        with contextlib.suppress(TimeoutError):
            # Time limit of the start. A daemon takes milliseconds, on a machine under full load much longer.
            async with asyncio.timeout(10.0):
                if await process.stdout.readline():
                    return
        await self.stop()
        last_line = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise FatalError(
            f"dbus-daemon did not start: {last_line}", remedy=f"check that {self.socket.parent} is writable"
        )
