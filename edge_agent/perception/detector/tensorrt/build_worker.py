"""Makes one engine and keeps it; the program of the child process that `forge` starts.

A process of its own, because a build takes minutes, gigabytes and the interpreter, and may crash: it costs the train
nothing. Reads one JSON object on stdin, writes one a line on stdout: `progress` while it works, then `built` or
`error`. Knows how the steps follow each other. Knows nothing of who asked.
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

_NICENESS = 10
_PR_SET_PDEATHSIG = 1  # prctl(2) of Linux
_PROGRESS_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What is to be made: the float32 model, the precision, and the folder that keeps engines."""

    model: str
    precision: str
    folder: str
    needs_manifest: bool = False
    anew: bool = False


ProgressCallback = Callable[[dict[str, Any]], bool]
"""Takes a message; answers whether to go on."""


def build_engine(order: BuildRequest, tell: ProgressCallback, bindings: Bindings) -> tuple[Path, bool]:
    """Return the engine's file, and whether it was built just now; raises EdgeAgentError with the reason."""
    trt = bindings.trt
    source = open_source(Path(order.model), order.precision, needs_manifest=order.needs_manifest)
    key = source.key(gpu_platform(bindings))
    cache = EngineCache(Path(order.folder))
    tell({"progress": 0.0, "phase": "waiting for another build"})
    with cache.building(key, source.about.model):
        found = None if order.anew else cache.find(key, source.about.model)
        if found is not None:
            return found, False
        began_s = time.monotonic()
        built = build(
            trt,
            source.content,
            source.profile,
            timings=cache.timings(),
            progress=lambda phase, share: tell({"progress": round(share, 4), "phase": phase}),
        )
        took_s = round(time.monotonic() - began_s, 1)
        path = cache.store(built.engine, replace(source.about, key=key, built_unix_s=time.time(), built_in_s=took_s))
        if built.timings:
            with suppress(FatalError):  # the engine is there; only the next build takes longer
                cache.keep_timings(built.timings)
    return path, True


def main() -> int:
    """Carry out the order on stdin."""
    os.nice(_NICENESS)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # whoever wanted the engine may be killed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent, which then ends us
    told_s = 0.0

    def tell(message: dict[str, Any]) -> bool:
        nonlocal told_s
        now_s = time.monotonic()
        if "progress" in message and now_s - told_s < _PROGRESS_EVERY_S:
            return True
        told_s = now_s
        try:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:  # the parent is gone: nobody wants the engine any more
            return False
        return True

    try:
        path, fresh = build_engine(BuildRequest(**json.loads(sys.stdin.readline())), tell, load_bindings())
    except EdgeAgentError as error:
        tell({"error": error.message, "remedy": error.remedy, "kind": type(error).__name__})
        return error.exit_code
    tell({"built": str(path), "fresh": fresh})
    return 0


if __name__ == "__main__":
    sys.exit(main())
