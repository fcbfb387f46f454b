"""Time from the start of a process to its first command: the agent, and bare imports with a session and one run."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from edge_agent.bench.brokers import free_port
from edge_agent.bench.scene import Pictures
from edge_agent.errors import RetryableError

_TIMEOUT_S = 120.0

_BARE = """
import sys, cv2, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = int(sys.argv[3]), 1
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = onnxruntime.InferenceSession(open(sys.argv[1], "rb").read(), options, providers=["CPUExecutionProvider"])
source = session.get_inputs()[0]
image = cv2.resize(cv2.imread(sys.argv[2]), (source.shape[3], source.shape[2]))
blob = numpy.ascontiguousarray(image[None, :, :, ::-1].transpose(0, 3, 1, 2), dtype=numpy.float32) / 255
session.run(None, {source.name: blob})
print("done", flush=True)
"""
"""The least that any program needs: the three libraries, the model, a picture, one run."""


def picture_folder(folder: Path, pictures: Pictures) -> Path:
    """Write pictures as a source that lasts a minute at 10 a second; returns the folder."""
    source = folder / "pictures"
    source.mkdir(exist_ok=True)
    for index in range(600):
        path = source / f"{index:03d}.jpg"
        if index < len(pictures):
            cv2.imwrite(str(path), pictures[index])
        elif not path.exists():
            path.hardlink_to(source / f"{index % len(pictures):03d}.jpg")
    return source


def bare_start_s(model: Path, picture: Path, threads: int) -> float:
    """Return the seconds from the start of Python to the end of the first bare run."""
    return _until("done", [sys.executable, "-c", _BARE, str(model), str(picture), str(threads)], dict(os.environ))


def agent_environment(source: Path, state: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an `edge-agent run` that is measured; `more` adds to it, such as settings."""
    settings = {
        "EDGE_AGENT_CAPTURE__SOURCE": str(source),
        "EDGE_AGENT_STATE__DIRECTORY": str(state),
        "EDGE_AGENT_CONSOLE__PORT": str(free_port()),
        "EDGE_AGENT_LOG__LEVEL": "info",
        "EDGE_AGENT_LOG__FORMAT": "json",
        # A pause of a busy machine is to be measured, not to end the drive.
        "EDGE_AGENT_GUARD__LATCH_MS": "60000",
        "EDGE_AGENT_GUARD__LOOP_STALL_MS": "2000",
    }
    return {**os.environ, **settings, **more}


def agent_start_s(
    source: Path, state: Path, more: Mapping[str, str], program: Sequence[str] = ("-m", "edge_agent")
) -> float:
    """Return the seconds from the start of `edge-agent run` until the train begins to drive.

    `more` adds to its environment, such as settings; `program` is what Python runs as `edge-agent`.
    """
    command = [sys.executable, *program, "run", "--dry-run", "--duration", "60"]
    # In the guard's log line; the motor's first power is written in the same step of the loop.
    return _until('"state": "running"', command, agent_environment(source, state, more))


def _until(text: str, command: list[str], environment: Mapping[str, str]) -> float:
    """Return the seconds until a line contains `text`; raises RetryableError with the last line where none does."""
    began_s = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - a fixed command
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    timer = threading.Timer(_TIMEOUT_S, process.kill)
    timer.start()
    last = "nothing"
    try:
        for line in process.stdout or ():
            if text in line:
                return time.monotonic() - began_s
            last = line.strip() or last
    finally:
        timer.cancel()
        process.kill()
        process.communicate()
    raise RetryableError(f"the process never printed '{text}', but: {last[:200]}", remedy="start it by hand")
