"""An agent in a process of its own, for what must not be mixed with the benchmark's own memory.

`python -m edge_agent.bench.child SECONDS FPS [KEY=JSON ...]` runs an agent with pictures from memory, a detector that
answers at once (or, with `--real`, the one that ships) and the settings given, and prints a JSON line a second: time,
resident MiB, CPU seconds, frames; then one with the latencies. Knows nothing of what is made of them.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_agent.agent import RunOptions, RunView, run
from edge_agent.agent.monitors import resident_mib
from edge_agent.bench import stats
from edge_agent.bench.result import bench_settings
from edge_agent.bench.scene import MemoryCamera, StubDetector
from edge_agent.config import load_rules
from edge_agent.runtime import event_loop as loop
from edge_agent.runtime import log

_PERIOD_S = 1.0


def main() -> None:
    """Run one agent and tell of it."""
    parser = argparse.ArgumentParser(description="One agent, watched from inside.")
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
    report = loop.run(
        run(
            RunOptions(
                settings,
                load_rules(settings.policy.rules),
                watch=_tell,
                duration_s=options.seconds,
                camera=camera,
                detector=None if options.real else StubDetector,
            )
        )
    )
    _print({"latency_ms": report["latency_ms"]["capture_to_command"], "frames": report["frames"]})


async def _tell(vista: RunView) -> None:
    began_s = time.monotonic()
    while True:
        await asyncio.sleep(_PERIOD_S)
        _print(
            {
                "t_s": round(time.monotonic() - began_s, 3),
                "rss_mib": resident_mib(),
                "cpu_s": time.process_time(),
                "frames": vista.stats.processed,
            }
        )


def _print(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()


@dataclass(frozen=True, slots=True)
class ChildReport:
    """What an agent in a process of its own told: a line a second, and its report of latencies."""

    lines: tuple[dict[str, Any], ...]
    latency_ms: Mapping[str, float | None]

    def column(self, key: str) -> stats.Block:
        """Return one figure of all lines."""
        return np.array([line[key] for line in self.lines], np.float64)
