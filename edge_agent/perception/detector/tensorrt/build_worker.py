"""Build one engine and cache it: the child process of build_process.

A process of its own, because a build takes minutes, gigabytes and the interpreter lock, and may crash. Protocol: one
JSON object on stdin, a BuildRequest; then one a line on stdout, `progress` while it works, finally `built` or `error`.
"""

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.errors import EdgeAgentError, FatalError
from edge_agent.perception.detector.tensorrt.bindings import Bindings, gpu_platform, load_bindings
from edge_agent.perception.detector.tensorrt.builder import build
from edge_agent.perception.detector.tensorrt.cache import EngineCache
from edge_agent.perception.detector.tensorrt.selection import open_source


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build: the float32 model, the precision, and the cache folder; `rebuild` ignores a cached engine."""

    model: str
    precision: str
    folder: str
    needs_manifest: bool = False
    rebuild: bool = False


ProgressCallback = Callable[[dict[str, Any]], bool]
"""Sends a message; returns whether to continue."""


def build_engine(request: BuildRequest, send: ProgressCallback, bindings: Bindings) -> tuple[Path, bool]:
    """Return the engine's file, and whether it was built by this call; raises EdgeAgentError with the reason."""
    trt = bindings.trt
    source = open_source(Path(request.model), request.precision, needs_manifest=request.needs_manifest)
    key = source.key(gpu_platform(bindings))
    cache = EngineCache(Path(request.folder))
    send({"progress": 0.0, "phase": "waiting for another build"})
    with cache.building(key, source.engine_info.model):
        found = None if request.rebuild else cache.find(key, source.engine_info.model)
        if found is not None:
            return found, False
        began_s = time.monotonic()
        built = build(
            trt,
            source.content,
            source.profile,
            timings=cache.timings(),
            progress=lambda phase, share: send({"progress": round(share, 4), "phase": phase}),
        )
        took_s = round(time.monotonic() - began_s, 1)
        path = cache.store(
            built.engine, replace(source.engine_info, key=key, built_unix_s=time.time(), built_in_s=took_s)
        )
        if built.timings:
            with suppress(FatalError):  # the engine is stored; only the next build takes longer
                cache.store_timings(built.timings)
    return path, True


def main() -> int:
    """Run the request on stdin."""
    os.nice(10)
    # PR_SET_PDEATHSIG of linux/prctl.h: stop when the parent is killed.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent, which then stops this process
    sent_s = 0.0

    def send(message: dict[str, Any]) -> bool:
        nonlocal sent_s
        now_s = time.monotonic()
        if "progress" in message and now_s - sent_s < 0.2:
            return True
        sent_s = now_s
        try:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:  # the parent is gone: stop building
            return False
        return True

    try:
        path, fresh = build_engine(BuildRequest(**json.loads(sys.stdin.readline())), send, load_bindings())
    except EdgeAgentError as error:
        send({"error": error.message, "remedy": error.remedy, "kind": type(error).__name__})
        return error.exit_code
    send({"built": str(path), "fresh": fresh})
    return 0


if __name__ == "__main__":
    sys.exit(main())
