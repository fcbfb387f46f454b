"""Build an engine in a child process, from the event loop, with progress.

A child that crashes, is killed or is asked to stop leaves nothing behind but complete files.
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

STOP_TIMEOUT_S = 1.0


class BuildProcessError(FatalError):
    """The child process did not build the engine; the message says why."""


async def build_in_process(
    request: BuildRequest,
    progress: Callable[[float, str], None] = lambda share, phase: None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Path, bool]:
    """Return the engine's file, and whether it was built by this call; raises BuildProcessError.

    `progress` receives the share done, 0..1, and the phase. Cancelling terminates the child, and kills it after
    STOP_TIMEOUT_S.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge_agent.perception.detector.tensorrt.build_worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=None if environ is None else dict(environ),
    )
    try:
        return await _follow_child(child, request, progress)
    finally:
        await _stop(child)


async def _follow_child(
    child: asyncio.subprocess.Process, request: BuildRequest, progress: Callable[[float, str], None]
) -> tuple[Path, bool]:
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None  # noqa: S101, PT018 - pipes
    with contextlib.suppress(ConnectionError):  # a child that is dead already is reported by its exit status
        child.stdin.write((json.dumps(asdict(request)) + "\n").encode())
        await child.stdin.drain()
    stderr = asyncio.create_task(child.stderr.read())
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
        raise BuildProcessError(_exit_reason(code, (await stderr)[-4000:]), remedy="see docs/engines.md")
    finally:
        stderr.cancel()


def _message(line: bytes) -> dict[str, Any]:
    """Parse one line of the child's output; empty for what a library printed in between."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _exit_reason(code: int, stderr: bytes) -> str:
    if code < 0:
        why = " (out of memory?)" if code == -9 else ""
        return f"the build was killed by signal {-code}{why}"
    lines = stderr.decode(errors="replace").strip().splitlines()
    return f"the build exited with status {code}: {lines[-1][:200] if lines else 'no message'}"


async def _stop(child: asyncio.subprocess.Process) -> None:
    """Terminate a child that still runs, and kill it when it does not stop in time."""
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
