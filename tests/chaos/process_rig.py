"""Test rig with the agent in a process of its own, for faults of a process, and a stand-in for the service manager."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.events import CommandKind
from edge_agent.hub.emulator import BluezEmulator, MotorSetting, control_path
from tests.support.emulator_thread import EmulatorThread

TIMEOUT_S = 60.0
CRUISING_S = 0.3
WATCHDOG_S = 2.0
"""WatchdogSec of the service."""

ROOT = Path(__file__).parents[2]


@dataclass
class ProcessRig:
    """An emulated hub and a folder, for any number of processes. `motor` holds every motor command and its time."""

    bluez: EmulatorThread
    folder: Path
    motor: list[tuple[float, MotorSetting]] = field(default_factory=list)

    def detach_simulation(self) -> None:
        """Make the hub look real: no simulated world attaches to it, so a train is not armed automatically."""
        control_path(self.bluez.emulator.bus.socket).unlink()

    def wait(self, condition: Callable[[], object], what: str) -> None:
        deadline_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline_s, f"timeout: {what}"
            time.sleep(0.002)

    def cruising(self) -> bool:
        """Return whether the train has been at full power for a while."""
        now_s = time.monotonic()
        recent = [to for t, to in self.motor if t > now_s - CRUISING_S]
        return len(recent) > 1 and all(to.kind is CommandKind.DRIVE and to.power_percent >= 50 for to in recent)

    def braked_s(self, since_s: float) -> float | None:
        return next((t for t, to in self.motor if t >= since_s and to.kind is CommandKind.BRAKE), None)

    def drives(self, since_s: float = 0.0) -> list[MotorSetting]:
        return [to for t, to in self.motor if t >= since_s and to.kind is CommandKind.DRIVE]


@contextmanager
def process_rig() -> Iterator[ProcessRig]:
    """Start an emulated hub whose motor runs on when the link is lost, which is the worse case."""
    with ExitStack() as stack:
        bluez = stack.enter_context(EmulatorThread(BluezEmulator()))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rig = ProcessRig(bluez, folder)
        bluez.call(lambda emulator: emulator.run_on())
        bluez.call(lambda emulator: emulator.hub.watch(lambda to, at_s: rig.motor.append((at_s, to))))
        yield rig


class Agent:
    """`edge-agent run --source sim --hub ble`, or `module`, in a process; killed at the end of the `with`."""

    def __init__(self, rig: ProcessRig, *words: str, module: str = "edge_agent", **environment: str) -> None:
        self._log = rig.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [sys.executable, "-m", module, "run", "--source", "sim", "--hub", "ble", *words]
        self._environment = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": rig.bluez.bus_address,
            "RUNTIME_DIRECTORY": str(rig.folder),
            "XDG_STATE_HOME": str(rig.folder),
            "EDGE_AGENT_LOG__FORMAT": "json",
            "EDGE_AGENT_DETECTOR__BACKEND": "none",
            "EDGE_AGENT_CONSOLE__ENABLED": "false",
            "EDGE_AGENT_CONSOLE__METRICS": "false",
            **environment,
        }

    def __enter__(self) -> "Agent":
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def log_text(self) -> str:
        return self._log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> float:
        """Send a signal; return when."""
        now_s = time.monotonic()
        self.process.send_signal(number)
        return now_s

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def limits(slack: float) -> dict[str, str]:
    """Return the environment that arms the train and multiplies its time limits by `slack`."""
    plain = {"LEASE": 300, "HUB_LEASE": 1000, "LATCH": 2000, "LOOP_STALL": 200}
    guard = {f"EDGE_AGENT_GUARD__{name}_MS": str(round(ms * slack)) for name, ms in plain.items()}
    return guard | {
        "EDGE_AGENT_GUARD__ARM": "always",
        "EDGE_AGENT_HUB__WRITE_TIMEOUT_MS": str(round(120 * slack)),
        "EDGE_AGENT_CAPTURE__MAX_AGE_MS": str(round(300 * slack)),
    }


def hub_brake(rig: ProcessRig) -> None:
    """Run what the service's ExecStopPost runs."""
    subprocess.run(
        [sys.executable, "-m", "edge_agent", "hub", "brake"],
        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": rig.bluez.bus_address},
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=TIMEOUT_S,
    )


class Manager:
    """A stand-in for the service manager: its notify socket, and a watchdog that kills a silent process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self._path), "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))}

    def close(self) -> None:
        self._socket.close()

    def await_ready(self) -> None:
        self._socket.settimeout(TIMEOUT_S)
        while b"READY=1" not in self._socket.recv(4096):
            pass

    def await_silence(self, meanwhile: Callable[[], object]) -> None:
        """Return when no datagram came for WATCHDOG_S; `meanwhile` is called after each one."""
        self._socket.settimeout(WATCHDOG_S)
        with suppress(TimeoutError):
            while self._socket.recv(4096):
                meanwhile()
