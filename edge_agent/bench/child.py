"""An agent in a process of its own, so that its memory and CPU time are its own.

`python -m edge_agent.bench.child SECONDS FPS [KEY=JSON ...]` runs an agent with pictures from memory, a detector that
answers at once (or, with `--real`, the one shipped) and the given settings. It prints a line of JSON a second (time,
resident MiB, CPU seconds, frames), and at the end one with the latencies.
"""

import argparse
import asyncio
import json
import sys
import time

import numpy as np

from edge_agent.agent import RunOptions, RunView, run
from edge_agent.agent.monitors import resident_mib
from edge_agent.bench.result import bench_settings
from edge_agent.bench.scene import MemoryCamera, StubDetector
from edge_agent.config import load_rules
from edge_agent.runtime import event_loop, log


def main() -> None:
    """Run one agent and print its figures."""
    parser = argparse.ArgumentParser(description="Run one agent and print its figures.")
    parser.add_argument("seconds", type=float)
    parser.add_argument("fps", type=float)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--pictures")
    options = parser.parse_args()
    log.configure("error", "console")
    changes = {key: json.loads(value) for key, _, value in (one.partition("=") for one in options.settings)}
    settings = bench_settings({**changes, "capture.fps": options.fps})
    camera = MemoryCamera(np.load(options.pictures), options.fps, watched=False)
    report = event_loop.run(
        run(
            RunOptions(
                settings,
                load_rules(settings.policy.rules),
                watch=_print_figures,
                duration_s=options.seconds,
                camera=camera,
                detector=None if options.real else StubDetector,
            )
        )
    )
    _print({"latency_ms": report["latency_ms"]["capture_to_command"], "frames": report["frames"]})


async def _print_figures(view: RunView) -> None:
    began_s = time.monotonic()
    while True:
        await asyncio.sleep(1.0)
        _print(
            {
                "t_s": round(time.monotonic() - began_s, 3),
                "rss_mib": resident_mib(),
                "cpu_s": time.process_time(),
                "frames": view.stats.processed,
            }
        )


def _print(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
