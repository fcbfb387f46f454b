"""Runs a module in a process of its own, for what may hang or end the process that does it."""

import subprocess
import sys


def run_trial(module: str, argument: str, timeout_s: float) -> int | None:
    """Return the exit code of `python -m module argument`, negative for a signal; None where it takes too long."""
    command = [sys.executable, "-m", module, argument]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=timeout_s).returncode  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        return None
