"""A run in the terminal: each fault with its reason and remedy, the log above the status, the table at the end."""

import io
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
from contextlib import ExitStack, suppress
from fcntl import ioctl
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from rich.console import Console
from rich.live import Live

from edge_agent import faults
from edge_agent.agent import RunView
from edge_agent.cli.terminal import SHOWN_ACTIONS, print_report, status
from edge_agent.control.guard import Permit
from edge_agent.events import Fault, GuardState, Severity
from edge_agent.faults import FaultKind, observer_failed
from edge_agent.report import Mission, RunInfo, RunStats, as_json
from edge_agent.runtime import log
from tests.test_fault_codes import documented_rows

CATALOGUE = {kind.code: kind for kind in vars(faults).values() if isinstance(kind, FaultKind)}
WIDTHS = (80, 120)
LATCHED = Permit(GuardState.FAULT_LATCHED, None, "emergency stop")
RUNNING = Permit(GuardState.RUNNING, 40, "no sign asks for anything else")


def view(*active: Fault, permit: Permit = RUNNING) -> RunView:
    stats = RunStats(started_s=0.0, processed=123_456, dropped=789)
    stats.to_prediction.add(1234.0)
    control, driver = SimpleNamespace(permit=permit), SimpleNamespace(power_percent=-100)
    given = (stats, control, driver, Mission, lambda: 1234.0, lambda: list(active), lambda: 86_400.0)
    return RunView(*cast("tuple[Any, ...]", given))


def shown(run: RunView, width: int, height: int = 24) -> list[str]:
    """Return the lines that a terminal of this size shows."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, height=height)
    lines = console.render_lines(status(run, console), pad=False)
    return ["".join(segment.text for segment in line) for line in lines]


def words(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("code", sorted(documented_rows()))
def test_each_fault_shows_its_reason_and_remedy_whole(code: str, width: int) -> None:
    what, remedy = documented_rows()[code]  # longer than what a room says
    kind = CATALOGUE.get(code) or observer_failed(code.removesuffix("_failed"))
    fault = Fault(code, what, f"{kind.remedy}; {remedy}", kind.severity, 1.0)
    lines = shown(view(fault), width)
    assert f"{code}: {' '.join(what.split())} {' '.join(fault.remedy.split())}" in words(lines)
    assert max(map(len, lines)) <= width
    assert "…" not in words(lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_figures_are_whole(width: int) -> None:
    for figure in ("86400.0 s", "power -100 %", "1234 mm/s", "123456 frames", "dropped 789"):
        assert figure in words(shown(view(), width))


def test_latched_train_says_why_and_how_it_goes_on() -> None:
    stop = Fault("emergency_stop", "emergency stop", faults.EMERGENCY_STOP.remedy, Severity.STOP, 1.0)
    text = words(shown(view(stop, permit=LATCHED), 80))
    assert "fault latched" in text
    assert "find out why, then re-arm" in text
    assert "re-arm, then arm and drive" in text
    assert text.count("emergency stop") == 1, "the reason is not said twice"


def test_every_current_fault_is_listed_and_what_has_no_room_is_named() -> None:
    many = [Fault(code, f"what {code} means", f"how {code} ends", Severity.INFO, 1.0) for code in sorted(CATALOGUE)]
    high, low = words(shown(view(*many), 80, height=500)), shown(view(*many), 80, height=24)
    for fault in many:
        assert f"{fault.message} {fault.remedy}" in high
        assert fault.code in words(low)
    assert len(low) < 24


def test_message_cannot_command_the_terminal() -> None:
    fault = Fault("mqtt_refused", "the broker says \x1b[2J[red]no[/nonsense]", "a\nb", Severity.INFO, 1.0)
    text = "\n".join(shown(view(fault), 80))
    assert "\x1b" not in text
    assert "[2J[red]no[/nonsense]" in text


def test_log_appears_above_the_live_status(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    before = structlog.get_config()
    try:
        log.configure("info", "auto")
        console = Console(stderr=True, force_terminal=True, width=80)
        with Live(console=console, auto_refresh=False) as live:
            live.update(status(view(), console), refresh=True)
            structlog.get_logger().warning("the password is wrong\x1b[2J; " + "correct it " * 20, code="mqtt_refused")
        written = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    finally:
        structlog.configure(**before)
    assert words([written]).count("correct it") == 20
    assert written.index("the password is wrong") < written.rindex("running")
    assert "\x1b[2J" not in written.split("the password is wrong")[1].split("mqtt_refused")[0]


def test_real_run_shows_reason_and_remedy_in_a_terminal_of_80_columns() -> None:
    """The whole program in a pseudo-terminal; the console's default port is taken, by us or by somebody else."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", 8080)))
        text = words([_in_terminal("run", "--dry-run", "--seed", "3", "--duration", "3")])
    for line in (
        "console_port_taken: another program listens on 127.0.0.1:8080: no page, metrics or health checks",
        "end that program, or set console.port to another port",
        "[warning ] another program listens on 127.0.0.1:8080",
    ):
        assert line in text, text
    assert "Console, with the right" not in text, "the link would lead to the other program"


def _in_terminal(*arguments: str) -> str:
    """Return what a call of the program shows in a terminal of 80 columns and 24 lines, without colours."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    call = [sys.executable, "-m", "edge_agent", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    environment["TERM"] = "xterm"
    output = b""
    with subprocess.Popen(call, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        with suppress(OSError):  # Linux's answer when the last process has closed the terminal
            while data := os.read(ours, 65536):
                output += data
    os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())


def _report(**changes: Any) -> str:
    stats = RunStats(started_s=0.0)
    info = RunInfo("run", "train-1", "sim", "none", "none", "0" * 64)
    report = as_json(info, stats, Mission(), 10.0, "the source has ended") | changes
    console = Console(file=io.StringIO(), width=80)
    print_report(report, console)
    return words(
        [line.strip("│ ") for line in cast("io.StringIO", console.file).getvalue().replace("│", " ").split("\n")]
    )


def test_report_groups_faults_by_their_code() -> None:
    told = [
        {"t_s": float(n), "code": code, "severity": "stop", "message": f"[ssl: {n}] was said", "remedy": "mend it"}
        for n, code in enumerate(["blind", "mqtt_refused", "blind", "blind"])
    ]
    text = _report(faults=told, faults_total=4)
    assert "fault 0.00 s blind (3 times, the last at 3.00 s): [ssl: 3] was said; mend it" in text
    assert "fault 1.00 s mqtt_refused: [ssl: 1] was said; mend it" in text


def test_report_shows_the_last_signs_and_counts_all() -> None:
    actions = [{"t_s": float(n), "sign": "stop", "action": "stop", "power_percent": None} for n in range(30)]
    text = _report(actions=actions, actions_total=1030)
    assert f"the last {SHOWN_ACTIONS} of 1030" in text
    assert "9.00 s stop" not in text.replace("29.00", "").replace("19.00", "")
    assert "10.00 s stop: stop" in text
    assert "29.00 s stop: stop" in text
