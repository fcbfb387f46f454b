"""Everything about the unit, under a systemd that is PID 1; no hub is needed.

`python3 -m device.unit` inside the machine.
"""

import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import TimeoutExpired

from . import service
from .service import UNIT, NotHeldError, is_active, logged, restarts, run, show, strike, until
from .table import Row, to_json

SECTION = "The unit"

PATIENT: Mapping[str, str] = {
    "EDGE_AGENT_GUARD__LEASE_MS": "2000",
    "EDGE_AGENT_GUARD__LATCH_MS": "20000",
    "EDGE_AGENT_GUARD__LOOP_STALL_MS": "2000",
    "EDGE_AGENT_CAPTURE__MAX_AGE_MS": "2000",
    "EDGE_AGENT_CAPTURE__FPS": "4",
}
"""The outer machine may be busy, and this is no test of pace."""

MOCKED: Mapping[str, str] = {
    **PATIENT,
    "EDGE_AGENT_HUB__KIND": "mock",
    "EDGE_AGENT_CAPTURE__SOURCE": "sim",
    "EDGE_AGENT_DETECTOR__BACKEND": "none",
    "EDGE_AGENT_SIM__TIME_LIMIT_S": "36000",
    "EDGE_AGENT_CONSOLE__TOKEN": service.TOKEN,
}

Check = Callable[[], float | None]


def starts() -> float:
    """Start it; return the milliseconds until systemd is told that it is ready."""
    service.configure(MOCKED)
    began_s = time.monotonic()
    run("systemctl", "start", UNIT)
    took_s = time.monotonic() - began_s
    _must(is_active(), f"it is {service.status()}")
    until(lambda: show("StatusText"), "a status line")
    return took_s * 1000


def sandbox() -> None:
    """Check the score of systemd-analyze, and what the kernel says about the process."""
    score = re.search(r"Overall exposure level[^:]*: ([0-9.]+)", run("systemd-analyze", "security", "--no-pager", UNIT))
    _must(score is not None and float(score[1]) <= 2.0, f"exposure {score and score[1]}")
    process = Path(f"/proc/{service.main_pid()}")
    facts = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    _must(int(facts["CapBnd"], 16) == 0 and int(facts["CapEff"], 16) == 0, "it has capabilities")
    _must(facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2", "privileges or system calls are not restricted")
    mounts = {words[1]: words[3] for line in (process / "mounts").read_text().splitlines() if (words := line.split())}
    _must("ro" in mounts["/"].split(","), "it may write to the system")


def reload_() -> None:
    """Reload: the sign rules are read, in the same process."""
    before, since_s = service.main_pid(), time.monotonic()
    run("systemctl", "reload", UNIT)
    until(lambda: logged("sign_rules_read", since_s), "the rules are read")
    _must(service.main_pid() == before, "another process")


def killed() -> float:
    """Send SIGKILL: `hub brake` runs, the service is back by itself, disarmed."""
    return _comes_back(signal.SIGKILL)


def stopped() -> float:
    """Send SIGSTOP: the watchdog kills it, and the same follows."""
    return _comes_back(signal.SIGSTOP)


def _comes_back(number: signal.Signals) -> float:
    until(is_active, "it is up")
    starts_before, braked_before = restarts(), show("ExecStopPost")
    at_s = strike(number)
    braked_s = until(lambda: _ended(show("ExecStopPost"), braked_before), "ExecStopPost has run")
    until(lambda: restarts() > starts_before and is_active(), "it is back")
    until(lambda: "disarmed" in service.status(), "it is disarmed")
    _must(logged("after_crash", at_s), "the log does not say that it died before")
    return (braked_s - at_s) * 1000


def _ended(now: str, before: str) -> bool:
    """Tell whether a command of the unit has run once more: systemd prints when it began and ended."""
    return now != before and "stop_time=[n/a]" not in now and "stop_time=" in now


def brake_without_bluetooth() -> float:
    """Run `hub brake` where the kernel knows no Bluetooth: one line with the reason, at once."""
    began_s = time.monotonic()
    printed = run("edge-agent", "hub", "brake", check=False)
    took_s = time.monotonic() - began_s
    _must("There is no Bluetooth adapter" in printed, f"it says: {printed.strip()}")
    return took_s * 1000


def stop() -> float:
    """Stop it with a mocked hub; return the milliseconds until systemd has."""
    until(is_active, "it is up")
    began_s = time.monotonic()
    run("systemctl", "stop", UNIT)
    took_s = time.monotonic() - began_s
    _must(show("Result") == "success", f"the result is {show('Result')}")
    _must(not Path("/run/edge-agent/running").exists(), "the crash mark is still there")
    return took_s * 1000


def bluetooth_masked() -> None:
    """Mask bluetooth.service: the unit starts all the same, and the status line says what is missing."""
    _real_hub_line("mask", "unmask")


def bluetooth_disabled() -> None:
    """Disable it: the same."""
    _real_hub_line("disable", "enable")


def _real_hub_line(undo: str, redo: str) -> None:
    run("systemctl", undo, "--now", "bluetooth.service", limit_s=120)
    try:
        service.configure({**MOCKED, "EDGE_AGENT_HUB__KIND": "ble"})
        run("systemctl", "start", "--no-block", UNIT)
        until(lambda: "luetooth" in show("StatusText"), "the status line says what is missing")
        line = show("StatusText")
        _must("There is no Bluetooth adapter" in line or "bluetoothd is not running" in line, f"it says: {line}")
        _must(restarts() == 0, "it was started again")
    finally:
        service.configure(MOCKED)
        run("systemctl", redo, "bluetooth.service", limit_s=120)


def bad_setting() -> None:
    """Set what cannot be: exit 78, and no second start."""
    service.configure({**MOCKED, "EDGE_AGENT_GUARD__LEASE_MS": "soon"})
    run("systemctl", "start", UNIT, check=False)
    until(lambda: show("ActiveState") == "failed", "it has failed")
    _must(show("ExecMainStatus") == "78", f"the exit status is {show('ExecMainStatus')}")
    time.sleep(4)
    _must(show("ActiveState") == "failed" and restarts() == 0, "it was started again")
    service.configure(MOCKED)


CHECKS: tuple[tuple[str, str, float | None, Check], ...] = (
    ("start with a mocked hub", "ready", 30_000, starts),
    ("sandbox", "exposure at most 2.0; no capability; the system cannot be written to", None, sandbox),
    ("reload", "reads the sign rules, same process", None, reload_),
    ("SIGKILL", "`hub brake` runs, ms until it has; then it is back, disarmed", None, killed),
    ("SIGSTOP", "the watchdog kills it, ms until `hub brake` has run; then it is back, disarmed", None, stopped),
    ("`hub brake`, no Bluetooth in the kernel", "says that there is no adapter", 1500, brake_without_bluetooth),
    ("stop with a mocked hub", "ends in order; no crash mark", 2000, stop),
    ("bluetooth.service masked", "the status line says what is missing", None, bluetooth_masked),
    ("bluetooth.service disabled", "the status line says what is missing", None, bluetooth_disabled),
    ("bad setting", "exit 78, no restart", None, bad_setting),
)


def main() -> int:
    """Run every check, print and write its row; return 1 if one was not held."""
    rows = []
    for name, train, bound_ms, check in CHECKS:
        try:
            row = Row(SECTION, name, train, bound_ms, (check(),))
        except (NotHeldError, TimeoutExpired) as error:
            row = Row(SECTION, name, train, bound_ms, (), (str(error),))
        print(" | ".join((*row.cells(), *row.failures)))
        rows.append(row)
    service.leave("unit.json", to_json(rows))
    return int(any(row.held < row.runs for row in rows))


def _must(so: bool, otherwise: str) -> None:
    if not so:
        raise NotHeldError(otherwise)


if __name__ == "__main__":
    sys.exit(main())
