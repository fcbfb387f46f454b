"""Starts the hub on the air as a process of its own, and waits until BlueZ has the adapter."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .service import run, until

LOG = Path("/run/air.log")


@contextmanager
def air() -> Iterator[None]:
    """Have a hub on the air."""
    with LOG.open("w") as log:
        there = subprocess.Popen([sys.executable, "-m", "device.air"], stdout=log, stderr=log)
    try:
        until(lambda: "ready" in LOG.read_text(), "the hub is on the air")
        until(lambda: "Powered: yes" in run("bluetoothctl", "show", check=False), "BlueZ has the adapter", every_s=0.5)
        time.sleep(1)
        yield
    finally:
        there.kill()
        there.wait()
