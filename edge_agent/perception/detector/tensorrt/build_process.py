"""Has an engine made in a child process, and tells how it goes.

Knows processes. Knows nothing of TensorRT: a child that crashes, is killed or is asked to stop leaves nothing behind
but what it had finished.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_agent.errors import FatalError
from edge_agent.perception.detector.tensorrt.build_worker import BuildRequest

STOP_PATIENCE_S = 1.0
_MODULE = "edge_agent.perception.detector.tensorrt.build_worker"
_KEPT_STDERR = 4000


class BuildProcessError(FatalError):
    """The child process did not make the engine; the message says why."""


async def build_in_process(
    order: BuildRequest,
    progress: Callable[[float, str], None] = lambda share, phase: None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Path, bool]:
    """Return the engine's file, and whether it was built just now; raises MakingError.

    Cancelling ends the child: it is asked to stop, and killed when it does not do so within a second.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        _MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=None if environ is None else dict(environ),
    )
    try:
        return await _follow_child(child, order, progress)
    finally:
        await _end(child)


async def _follow_child(
    child: asyncio.subprocess.Process, order: BuildRequest, progress: Callable[[float, str], None]
) -> tuple[Path, bool]:
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None  # noqa: S101, PT018 - pipes
    with contextlib.suppress(ConnectionError):  # a child that is dead already says so by its exit
        child.stdin.write((json.dumps(asdict(order)) + "\n").encode())
        await child.stdin.drain()
    complaints = asyncio.create_task(child.stderr.read())
    last: dict[str, Any] = {}
    try:
        async for line in child.stdout:
            message = _message(line)
            if "progress" in message:
                progress(float(message["progress"]), str(message.get("phase", "")))
            elif message:
                last = message
        code = await child.wait()
        if "built" in last and code == 0:
            return Path(last["built"]), bool(last["fresh"])
        if "error" in last:
            raise BuildProcessError(last["error"], remedy=last.get("remedy", ""), kind=last.get("kind", ""))
        raise BuildProcessError(_exit_reason(code, (await complaints)[-_KEPT_STDERR:]), remedy="see docs/engines.md")
    finally:
        complaints.cancel()


def _message(line: bytes) -> dict[str, Any]:
    """Read one line of the child's; what a library prints in between is no message."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _exit_reason(code: int, stderr: bytes) -> str:
    if code < 0:
        why = " (out of memory?)" if code == -9 else ""
        return f"the build was killed by signal {-code}{why}"
    words = stderr.decode(errors="replace").strip().splitlines()
    return f"the build ended with {code}: {words[-1][:200] if words else 'it said nothing'}"


async def _end(child: asyncio.subprocess.Process) -> None:
    """End a child that still runs, whatever it is doing."""
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(STOP_PATIENCE_S):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
