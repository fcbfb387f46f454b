"""Runs the five processes of `original.py` with a broker, and measures when each picture's command arrives."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_agent.bench import stats
from edge_agent.bench.blocks import Block
from edge_agent.bench.original import ROLES
from edge_agent.bench.scene import Pictures
from edge_agent.errors import RetryableError

_WARM_TICKS = 10
_TIMEOUT_S = 60.0


def five_block(
    folder: Path, port: int, pictures: Pictures, seconds: float, *, fps: float, model: Path | None = None
) -> Block:
    """Run the five for `seconds` at `fps`, longer if nothing is answered by then; with a stub detector or `model`.

    Raises RetryableError when one of them does not start.
    """
    stored = folder / "pictures.npy"
    if not stored.exists():
        np.save(stored, np.stack(pictures))
    arguments = ["--port", str(port), "--fps", str(fps), "--pictures", str(stored)]
    if model is not None:
        arguments += ["--model", str(model)]
    with contextlib.ExitStack() as stack:
        processes = {role: stack.enter_context(_started(role, arguments)) for role in ROLES}
        for role, process in processes.items():
            _await_ready(role, process)
        done_s: dict[int, float] = {}
        threading.Thread(target=_record, args=(processes["controller"], done_s), daemon=True).start()
        start_s = time.monotonic() + 0.2
        _send_start(processes["capture"], start_s)
        time.sleep(max(0.0, start_s + _WARM_TICKS / fps - time.monotonic()))
        before_s = sum(_cpu_s(process) for process in processes.values())
        time.sleep(max(0.0, start_s + seconds - time.monotonic()))
        _await_one(done_s)
        cpu_s = sum(_cpu_s(process) for process in processes.values()) - before_s
        answered = dict(done_s)
    last = max(answered, default=0)
    latency = stats.from_ticks(answered, _WARM_TICKS, last, start_s, 1 / fps) * 1000
    frames = sum(tick >= _WARM_TICKS for tick in answered)
    cpu_ms = cpu_s * 1000 / frames if frames else float("nan")
    return Block(latency, cpu_ms, frames / (seconds - _WARM_TICKS / fps), len(latency), 0.0)


@contextlib.contextmanager
def _started(role: str, arguments: list[str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(  # noqa: S603 - a fixed command
        [sys.executable, "-m", "edge_agent.bench.original", role, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _await_ready(role: str, process: "subprocess.Popen[str]") -> None:
    timer = threading.Timer(_TIMEOUT_S, process.kill)
    timer.start()
    line = process.stdout.readline() if process.stdout is not None else ""
    timer.cancel()
    if line.strip() != "ready":
        raise RetryableError(f"the process '{role}' does not start", remedy="run it by hand and read its output")


def _await_one(done_s: dict[int, float]) -> None:
    """Wait until one picture after the warm-up is answered, on a machine too busy to do so within the block."""
    end_s = time.monotonic() + _TIMEOUT_S
    while max(done_s, default=0) < _WARM_TICKS and time.monotonic() < end_s:
        time.sleep(0.05)


def _send_start(process: "subprocess.Popen[str]", start_s: float) -> None:
    if process.stdin is not None:
        process.stdin.write(f"{start_s!r}\n")
        process.stdin.flush()


def _record(process: "subprocess.Popen[str]", done_s: dict[int, float]) -> None:
    with contextlib.suppress(ValueError):  # closed at the end of the block
        for line in process.stdout or ():
            tick, at_s = line.split()
            done_s.setdefault(int(tick), float(at_s))


def _cpu_s(process: "subprocess.Popen[str]") -> float:
    """Return the CPU seconds of a process, from /proc."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    ticks_a_second = 100  # the same on every Linux, for user space
    return (int(fields[11]) + int(fields[12])) / ticks_a_second
