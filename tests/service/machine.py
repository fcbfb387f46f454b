"""A machine of its own for tests, with a systemd that really runs: new namespaces over this machine's files.

What is written in it goes to memory and is gone with it. Needs root, and what boot.sh calls. The hub is emulated: its
D-Bus is the machine's system bus.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.events import CommandKind
from edge_agent.hub.emulator import BluezEmulator, MotorSetting
from tests.support.emulator_thread import EmulatorThread

CHECKOUT = Path(__file__).resolve().parents[2]
CONFIG = CHECKOUT / "config"
UNIT = "edge-agent.service"
PATIENCE_S = 120.0
"""Nothing here waits for longer, however slow the machine is."""

PYTHON = "/srv/venv/bin/python"
"""The Python of this run, with its packages, as the machine sees it."""

_NAMESPACES = ("--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--net", "--kill-child")
_DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_OWN_CGROUP = """
for top in /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -f $top/cgroup.procs ] || continue
    own=$top/edge-agent-test-$$
    mkdir $own && echo $$ >$own/cgroup.procs && break
done
exec unshare "$@"
"""
"""The machine's cgroups are below one of its own, not among those of the machine around it."""

_INSTALL = """
cp /srv/checkout/config/systemd/edge-agent.service /etc/systemd/system/
systemd-sysusers /srv/checkout/config/sysusers.d/edge-agent.conf
systemd-tmpfiles --create /srv/checkout/config/tmpfiles.d/edge-agent.conf
"""
_BOOT = Path(__file__).with_name("boot.sh")


class NoMachineError(Exception):
    """No systemd can run here, and why."""


class MachineBus:
    """The machine's system bus, in place of an emulator's own."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.address = f"unix:path={socket}"

    async def __aenter__(self) -> "MachineBus":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


@dataclass
class Machine:
    """A machine that has booted. `motor` is what reached the hub, with the monotonic time."""

    leader: int
    bluez: EmulatorThread | None = None
    motor: list[tuple[float, MotorSetting]] = field(default_factory=list)

    def run(self, *command: str, check: bool = True, stdin: str | None = None) -> str:
        """Run a command in it, as root; returns what it printed."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", *command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stderr}{done.stdout}"
        return done.stdout + done.stderr

    def write(self, path: str, text: str) -> None:
        """Write a file in it, readable by all."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1" && chmod 644 "$1"', "sh", path, stdin=text)

    def install(self) -> None:
        """Install the service: unit, user and folders as they ship; the program can be stalled."""
        self.run("sh", "-ec", _INSTALL)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        prefix = Path(sys.prefix)
        if prefix.is_relative_to(CHECKOUT):
            prefix = Path("/srv/checkout") / prefix.relative_to(CHECKOUT)
        packages = prefix / "lib"
        self.write("/srv/venv/pyvenv.cfg", "home = /srv/python/bin\ninclude-system-site-packages = false\n")
        self.run(
            "sh",
            "-ec",
            f"mkdir /srv/venv/bin; ln -s {packages} /srv/venv/lib; ln -s /srv/python/bin/{version} {PYTHON}",
        )
        self.program(f'exec {PYTHON} -P -m tests.service.stall "$@"')
        self.systemctl("daemon-reload")

    def program(self, script: str) -> None:
        """Make a shell script the program `edge-agent`."""
        words = "export PYTHONPATH=/srv/checkout LD_LIBRARY_PATH=/srv/python/lib PYTHONDONTWRITEBYTECODE=1"
        self.write("/usr/bin/edge-agent", f"#!/bin/sh\n{words}\n{script}\n")
        self.run("chmod", "755", "/usr/bin/edge-agent")

    def configure(self, **environment: str) -> None:
        """Set what the service's environment file holds."""
        self.write("/etc/edge-agent/environment", "".join(f"{name}={value}\n" for name, value in environment.items()))

    def systemctl(self, *words: str, check: bool = True) -> str:
        return self.run("systemctl", *words, check=check)

    def shows(self, *names: str) -> list[str]:
        """Read properties of the service."""
        told = dict(line.split("=", 1) for line in self.systemctl("show", UNIT).splitlines() if "=" in line)
        return [told.get(name, "") for name in names]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something; raises AssertionError with the journal's end when it does not happen."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up_s, f"waited in vain: {what}\n{self.journal()}"
            time.sleep(0.1)

    def journal(self) -> str:
        """Return the last lines of the service's journal, for people."""
        return self.run("journalctl", "-u", UNIT, "--no-pager", "-n", "40", "-o", "cat", check=False)

    def lines(self) -> list[dict[str, Any]]:
        """Return the service's journal, a mapping of fields for each line."""
        told = self.run("journalctl", "-u", UNIT, "--no-pager", "-o", "json", check=False)
        return [json.loads(line) for line in told.splitlines() if line.startswith("{")]

    def strike(self, number: str) -> float:
        """Send a signal to the service's process and tell when."""
        (pid,) = self.shows("MainPID")
        at_s = time.monotonic()
        self.run("kill", f"-{number}", pid)
        return at_s

    def status_says(self, *words: str) -> bool:
        """Tell whether the status line has all these words in it."""
        (told,) = self.shows("StatusText")
        return all(word in told for word in words)

    def hub(self, act: Callable[[BluezEmulator], object]) -> None:
        """Have the emulated hub do something."""
        assert self.bluez is not None
        self.bluez.call(act)

    def braked_after(self, at_s: float) -> float | None:
        """Tell when brake bytes reached the hub after a moment."""
        return next((t for t, to in self.motor if t >= at_s and to.kind is CommandKind.BRAKE), None)

    def driven_after(self, at_s: float) -> bool:
        """Tell whether a power reached the hub after a moment."""
        return any(t >= at_s and to.kind is CommandKind.DRIVE for t, to in self.motor)


@contextmanager
def machine() -> Iterator[Machine]:
    """Boot a machine, and switch it off; raises NoMachineError where that cannot be had here."""
    missing = [name for name in ("unshare", "nsenter", "setpriv", "ip", "systemctl") if shutil.which(name) is None]
    if missing or not Path("/lib/systemd/systemd").exists():
        raise NoMachineError(f"no systemd can run here: {', '.join(missing) or 'it'} is missing")
    with tempfile.TemporaryDirectory(prefix="edge-agent-stage-") as name:
        folder = Path(name)
        (folder / "stage").mkdir()
        (folder / "bus").mkdir()
        (folder / "bus").chmod(0o755)
        boot = subprocess.Popen(
            [
                *_DIE_WITH_US,
                "sh",
                "-c",
                _OWN_CGROUP,
                "sh",
                *_NAMESPACES,
                _BOOT,
                folder / "stage",
                CHECKOUT,
                folder / "bus",
                sys.base_prefix,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            up = _booted(boot)
            with EmulatorThread(BluezEmulator(bus=MachineBus(folder / "bus" / "system_bus_socket"))) as bluez:
                bluez.call(lambda emulator: emulator.run_on())
                bluez.call(lambda emulator: emulator.hub.watch(lambda to, at_s: up.motor.append((at_s, to))))
                up.bluez = bluez
                yield up
        finally:
            boot.kill()
            boot.communicate(timeout=PATIENCE_S)
            _remove_cgroups(boot.pid)


def _remove_cgroups(pid: int) -> None:
    """Remove what is left of the machine's cgroups, the innermost first."""
    for top in Path("/sys/fs/cgroup").glob(f"**/edge-agent-test-{pid}"):
        for folder in (*sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True), top):
            for _ in range(50):  # the last processes may still be on their way out
                with suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.1)


def _booted(boot: "subprocess.Popen[str]") -> Machine:
    """Wait until systemd answers."""
    give_up_s = time.monotonic() + PATIENCE_S
    while boot.poll() is None and time.monotonic() < give_up_s:
        children = Path(f"/proc/{boot.pid}/task/{boot.pid}/children").read_text().split()
        if children:
            up = Machine(int(children[0]))
            if up.run("systemctl", "is-system-running", check=False).strip() == "running":
                return up
        time.sleep(0.05)
    boot.kill()
    reason = (boot.communicate()[0] or "it does not come up").strip().splitlines()[-1]
    raise NoMachineError(f"no systemd can run here: {reason}")
