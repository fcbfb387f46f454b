"""The real process under a stand-in for systemd that goes by the unit's lines: for machines where none can run."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.chaos.process_rig import ProcessRig, limits, process_rig

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


def unit() -> dict[str, str]:
    """Read the service's own lines; of keys that come several times the last counts."""
    lines = (ROOT / "config" / "systemd" / "edge-agent.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


class Double:
    """Starts, watches, kills, brakes and starts again, as the unit says. Call `until` to let time pass."""

    def __init__(self, rig: ProcessRig) -> None:
        self._unit, self._rig = unit(), rig
        self.ready, self.status, self.starts, self.results = False, "", 0, list[int]()
        self._fed_s = 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(rig.folder / "notify"))
        self._socket.settimeout(0.05)
        self._watchdog_s = float(self._unit["WatchdogSec"].removesuffix("s"))
        self._environment = {
            **os.environ,
            **limits(6.0),
            "DBUS_SYSTEM_BUS_ADDRESS": rig.bluez.bus_address,
            "NOTIFY_SOCKET": str(rig.folder / "notify"),
            "WATCHDOG_USEC": str(round(self._watchdog_s * 1e6)),
            "RUNTIME_DIRECTORY": str(rig.folder),
            "STATE_DIRECTORY": str(rig.folder),
            "EDGE_AGENT_CAPTURE__SOURCE": "sim",
            "EDGE_AGENT_HUB__KIND": "ble",
            "EDGE_AGENT_DETECTOR__BACKEND": "none",
            "EDGE_AGENT_CONSOLE__ENABLED": "false",
            "EDGE_AGENT_CONSOLE__METRICS": "false",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def _command(self, key: str) -> list[str]:
        """Return a command of the unit, with the program that is under test in the place of the installed one."""
        words = shlex.split(self._unit[key].removeprefix("-"))
        assert words[0] == "/usr/bin/edge-agent"
        return [sys.executable, "-m", "tests.service.stall", *words[1:]]

    def start(self, **environment: str) -> None:
        self._environment |= environment
        self.starts, self.ready = self.starts + 1, False
        self.process = subprocess.Popen(self._command("ExecStart"), env=self._environment, cwd=ROOT)

    def until(self, condition: Callable[[], object], what: str) -> None:
        give_up_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up_s, f"waited in vain: {what}; it says: {self.status}"
            self._look()

    def _look(self) -> None:
        """Hear what it says, end it where it falls silent, and deal with its end."""
        with suppress(TimeoutError):
            told = dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())
            self.status = told.get("STATUS", self.status)
            if "READY" in told or "WATCHDOG" in told:
                self.ready, self._fed_s = self.ready or "READY" in told, time.monotonic()
        if self.process is None:
            return
        if self.ready and time.monotonic() - self._fed_s > self._watchdog_s:
            self.process.send_signal(getattr(signal, self._unit["WatchdogSignal"]))
            self.process.wait(PATIENCE_S)
        if (result := self.process.poll()) is not None:
            self.results.append(result)
            self.process = None
            subprocess.run(self._command("ExecStopPost"), env=self._environment, cwd=ROOT, check=False)
            if self._unit["Restart"] == "on-failure" and result not in (0, int(self._unit["RestartPreventExitStatus"])):
                self.start()

    def close(self) -> None:
        self._socket.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)


@pytest.fixture
def manager() -> Iterator[tuple[Double, ProcessRig]]:
    with process_rig() as rig, closing(Double(rig)) as double:
        rig.detach_simulation()
        rig.bluez.call(lambda emulator: emulator.vanish())
        yield double, rig


def test_agent_is_ready_with_the_hub_and_a_stalled_one_is_ended_braked_and_disarmed(
    manager: tuple[Double, ProcessRig],
) -> None:
    double, rig = manager
    double.start(EDGE_AGENT_GUARD__ARM="always")
    double.until(
        lambda: double.status.startswith("init: ") and "hub" in double.status, "it says that the hub is missing"
    )
    assert not double.ready
    rig.bluez.call(lambda emulator: emulator.appear())
    double.until(lambda: double.ready and rig.drives(), "ready, armed and driving")

    assert double.process is not None
    at_s = time.monotonic()
    double.process.send_signal(signal.SIGUSR1)  # blocks the loop; its threads go on
    double.until(lambda: double.starts == 2, "ended and started again")
    assert double.results == [-signal.SIGKILL]
    braked_s = rig.braked_s(at_s)
    assert braked_s is not None
    double.until(lambda: double.status.startswith("disarmed: waits to be armed"), "it waits for a person")
    assert rig.drives(braked_s) == []


def test_bad_configuration_is_not_tried_again(manager: tuple[Double, ProcessRig]) -> None:
    double, _ = manager
    double.start(EDGE_AGENT_CAPTURE__FPS="many")
    double.until(lambda: double.results, "it ends")
    assert (double.results, double.starts) == ([78], 1)
    double.until(lambda: "EDGE_AGENT_CAPTURE__FPS" in double.status, "the status line says why")
