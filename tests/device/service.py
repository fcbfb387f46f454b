"""The service as seen from inside the machine: start, stop, signals, status, journal, orders at its console."""

import json
import os
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

UNIT = "edge-agent.service"
TOKEN = "device"  # noqa: S105 - of a machine that nobody reaches
ENVIRONMENT = Path("/etc/edge-agent/environment")
OUT = Path("/srv/bench/out")
PATIENCE_S = 40.0


class NotHeldError(AssertionError):
    """The train or its service did not do what it must; the message says what instead."""


def run(*command: str, check: bool = True, limit_s: float = PATIENCE_S) -> str:
    """Run a command; return what it printed, errors included."""
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
    )
    if check and done.returncode:
        raise NotHeldError(f"{' '.join(command)}: exit {done.returncode}: {done.stdout.strip()[-200:]}")
    return done.stdout


def until(is_so: Callable[[], object], what: str, *, limit_s: float = PATIENCE_S, every_s: float = 0.1) -> float:
    """Wait until something is so, and return the monotonic seconds then."""
    give_up_s = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > give_up_s:
            raise NotHeldError(f"not within {limit_s:.0f} s: {what}; the status is: {status()}")
        time.sleep(every_s)
    return time.monotonic()


def show(name: str, unit: str = UNIT) -> str:
    """Return a property of a unit."""
    return run("systemctl", "show", "--value", "-p", name, unit).strip()


def status() -> str:
    """Return the status line of the service."""
    return f"{show('ActiveState')}, {show('StatusText')}"


def is_active() -> bool:
    """Tell whether the service is ready."""
    return show("ActiveState") == "active"


def restarts() -> int:
    """Return how often systemd has started it again."""
    return int(show("NRestarts"))


def main_pid() -> int:
    """Return the process of the agent; 0 if there is none."""
    return int(show("MainPID"))


def strike(number: signal.Signals) -> float:
    """Send the agent a signal; return the monotonic seconds then."""
    pid, at_s = main_pid(), time.monotonic()
    os.kill(pid, number)
    return at_s


def journal(since_s: float = 0.0) -> list[dict[str, Any]]:
    """Return what the service has logged since some monotonic seconds."""
    printed = run("journalctl", "-b", "-o", "json", "-u", UNIT)
    lines = [json.loads(line) for line in printed.splitlines()]
    return [line for line in lines if float(line["__MONOTONIC_TIMESTAMP"]) / 1e6 >= since_s]


def logged(text: str, since_s: float = 0.0) -> bool:
    """Tell whether a line or a field of the journal contains a text."""
    return any(text in str(value) for line in journal(since_s) for value in line.values())


def configure(settings: Mapping[str, str]) -> None:
    """Write the service's environment, and stop what runs with another one."""
    run("systemctl", "stop", UNIT)
    run("systemctl", "reset-failed", UNIT, check=False)
    ENVIRONMENT.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def order(verb: str, **more: object) -> dict[str, Any]:
    """Give the train an order at its console; return its answer."""
    body = {"verb": verb, "id": str(uuid.uuid4()), "issued_at": datetime.now(UTC).isoformat(), **more}
    request = urllib.request.Request(
        "http://127.0.0.1:8080/api/trains/train-1/commands",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))
    except OSError as error:
        return {"accepted": False, "error": str(error)}


def leave(name: str, text: str) -> None:
    """Leave a file for the outer machine, at once: this one may crash."""
    with (OUT / name).open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
