"""The end of a run: one reason, an immediate brake, and a deadline after which the process exits."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.config import Settings
from edge_agent.runtime.resources import state_dir


class Shutdown:
    """Ends a run on request; the first reason counts.

    Args:
        brake: sets the driver's target to a brake, at once.
        within_s: the process exits this long after the request, even if a thread hangs.
    """

    def __init__(self, brake: Callable[[str], None], within_s: float) -> None:
        self._brake = brake
        self._within_s = within_s
        self._requested = asyncio.Event()
        self._deadline: threading.Timer | None = None
        self.reason = ""

    def request(self, reason: str) -> None:
        """Brake now and let the run end."""
        if self.reason:
            return
        self.reason = reason
        self._brake(reason)
        self._requested.set()
        self._deadline = threading.Timer(self._within_s, _exit_process, (reason,))
        self._deadline.daemon = True
        self._deadline.start()

    async def wait(self) -> None:
        """Wait for the request."""
        await self._requested.wait()

    def complete(self) -> None:
        """Cancel the deadline: everything has ended in order."""
        if self._deadline is not None:
            self._deadline.cancel()

    @contextmanager
    def on_signals(self, *, hangup: bool) -> Iterator[None]:
        """End the run on SIGINT and SIGTERM, and with `hangup` on SIGHUP, which a closed terminal sends."""
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangup else ())]
        for number in numbers:
            loop.add_signal_handler(number, self.request, signal.Signals(number).name)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def ends_at_hangup() -> bool:
    """Return whether SIGHUP means that the run's terminal was closed: it has one, and nohup does not protect it."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as nohup sets it
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _exit_process(reason: str) -> None:
    sys.stderr.write(f"edge-agent: still busy after {reason}; the process ends now\n")
    sys.stderr.flush()
    os._exit(1)


_NAME = "running"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")
_CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))


class CrashMarker:
    """A file, locked during a run, that stays behind after one that did not end in order.

    It is in the service manager's runtime folder (RUNTIME_DIRECTORY). Without one it is in the state folder, where a
    train is real and arms itself (`guard.arm: always`). After a reboot it counts no more, wherever it is. `crashed` is
    true when the previous process died; `reason` is why the train must not arm itself, "" where it may.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._environment = environment
        runtime = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
        self._folder = Path(runtime) if runtime else None
        self._temporary = False
        if not runtime and settings.guard.arm == "always" and settings.hub.kind == "ble":
            self._folder = settings.state.directory or state_dir(environment)
            self._temporary = _ends_with_container(self._folder, environment)
        self._locked: TextIOWrapper | None = None
        self._ended_well = False
        self.crashed = False
        self.reason = ""

    def __enter__(self) -> Self:
        """Look for the file of the previous process, and make our own."""
        if self._folder is not None:
            try:
                self._make(self._folder / _NAME)
            except BlockingIOError:
                self.reason = f"another agent runs with the folder {self._folder}"
            except OSError as error:
                self.reason = f"a crash cannot be noted in {self._folder} ({error.strerror})"
            if self._temporary and not self.reason:
                self.reason = f"a crash cannot be noted: {self._folder} ends with the container, mount a volume there"
        return self

    def _make(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        file = path.open("a+", encoding="ascii")
        try:
            # The kernel releases the lock however the process ends: a file without one was left by a dead process.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.seek(0)
            boot_id = _boot_id()
            self.crashed = existed and file.read() in ("", boot_id)
            file.truncate(0)
            file.write(boot_id)
            file.flush()
        except OSError:
            file.close()
            raise
        self._locked = file
        if self.crashed:
            self.reason = "the previous process died"

    def ended_well(self) -> None:
        """Note that the run ended in order: the next one may arm the train as the settings say."""
        self._ended_well = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file after a run that ended in order."""
        if self._locked is not None:
            if self._ended_well:
                with contextlib.suppress(OSError):
                    Path(self._locked.name).unlink(missing_ok=True)
            self._locked.close()

    def without_auto_arm(self, settings: Settings) -> Settings:
        """Return the settings; where there is a `reason` the train waits for a person to arm it."""
        if not self.reason:
            return settings
        return settings.model_copy(update={"guard": settings.guard.model_copy(update={"arm": "never"})})


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _ends_with_container(folder: Path, environment: Mapping[str, str]) -> bool:
    """Return whether a folder is in a container, and neither in a volume nor on the host's disk."""
    names = ("container", "KUBERNETES_SERVICE_HOST")
    if not (any(name in environment for name in names) or any(path.exists() for path in _CONTAINER_FILES)):
        return False
    mount, kind = Path("/"), ""
    for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        # proc(5): the fifth field is the mount point; the type follows a hyphen of its own.
        fields, _, source = line.partition(" - ")
        point = Path(fields.split(" ")[4])
        if folder.absolute().is_relative_to(point) and len(point.parts) >= len(mount.parts):
            mount, kind = point, source.split(" ")[0]
    return mount == Path("/") or kind in {"tmpfs", "ramfs"}
