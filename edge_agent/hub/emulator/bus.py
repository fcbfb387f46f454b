"""A D-Bus daemon of our own, on a socket of our own: a system bus that nobody else is on.

Knows how to start, kill and stop one. Knows nothing of Bluetooth. Raises FatalError when there is no daemon to start.
"""

import asyncio
import contextlib
import shutil
import socket
import tempfile
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.errors import FatalError, UsageError


def remove_stale_socket(path: Path) -> None:
    """Make sure that a socket can be bound at `path`; removes what a killed process left behind.

    Raises UsageError when somebody listens there, or when something else than a socket is in the way.
    """
    if not path.exists():
        return
    if not path.is_socket():
        raise UsageError(f"{path} is in the way and is no socket", remedy="remove it or name another path")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise UsageError(f"somebody listens at {path} already", remedy="end that emulator or name another path")


def bind_socket(path: Path) -> socket.socket:
    """Bind a socket at `path` that only this user may speak to; raises UsageError when that cannot be."""
    remove_stale_socket(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen at {path}", remedy="name a short path in a folder of yours") from error
    return listener


START_LIMIT_S = 10.0
"""A daemon answers within milliseconds; a machine under full load may take a while."""

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
    """A dbus-daemon and its folder, for as long as it is entered.

    Args:
        socket: path to listen on; by default in a temporary folder. At most some 100 characters, as any Unix socket.
        permitted: False to forbid clients to talk to BlueZ, as on a system where the user is in no Bluetooth group.
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

        Raises FatalError when it cannot be found or does not start, UsageError when somebody listens at the socket.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._remove_folder)
            stack.push_async_callback(self.stop)
            self._folder.mkdir(mode=0o700)
            await self.start()
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the daemon and remove its folder."""
        await self._exit.aclose()

    async def start(self) -> None:
        """Start the daemon, again if it was killed; same address."""
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
        if setpriv is not None:  # the daemon must not outlive us, not even when we are killed
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        await self._wait_for_address(self._process)

    async def stop(self) -> None:
        """Kill the daemon; it has nothing to lose."""
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
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_LIMIT_S):
                if await process.stdout.readline():
                    return
        await self.stop()
        last_line = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise FatalError(
            f"dbus-daemon did not start: {last_line}", remedy=f"see that {self.socket.parent} can be written to"
        )
