"""Effect of the MQTT mirror on the train: capture-to-command latency with broker faults, and without a mirror.

`python -m tests.soak.mqtt_jitter --seconds 600` measures each kind of fault for ten minutes, in blocks of 10 s
interleaved with blocks without a mirror. Frames are published too. The train is the model of tests/soak/jitter.py.
`flood` is a healthy broker with a thousand commands a second to the train, and a stop every half second.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from edge_agent.config import MqttSettings
from edge_agent.control.commands import Command, Verb
from edge_agent.events import CommandResult, Event
from edge_agent.observers.mqtt.mirror import MqttMirror
from edge_agent.runtime.queues import Fanout
from tests.observers.mqtt.rig import DEVICE, quick
from tests.soak.jitter import BLOCK_S, drive
from tests.support import events as make
from tests.support.commands import RecordingExecutor, command_handler, done
from tests.support.mosquitto import Mosquitto
from tests.support.proxy import Proxy

TROUBLES = ("healthy", "refused", "black-holed", "frozen", "flapping", "flood")


class Timed(MqttMirror):
    """A mirror that measures the loop time of each append, and the latency of each stop."""

    def __init__(self, append_ms: list[float], stop_ms: list[float], config: MqttSettings) -> None:
        executor = RecordingExecutor()
        executor.result = self._note
        super().__init__(config, DEVICE, report_fault=lambda _: None, commands=command_handler(executor))
        self._append_ms = append_ms
        self._stop_ms = stop_ms

    def _note(self, command: Command) -> CommandResult:
        if command.verb is Verb.STOP:
            self._stop_ms.append((time.time() - float(command.reason)) * 1000)
        return done(command)

    def append(self, event: Event) -> None:
        begun_s = time.thread_time()
        super().append(event)
        self._append_ms.append((time.thread_time() - begun_s) * 1000)


@contextlib.asynccontextmanager
async def in_trouble(kind: str, broker: Mosquitto, proxy: Proxy) -> AsyncIterator[None]:
    """Keep one kind of fault of the link for the length of the block."""
    stop = threading.Event()
    helper = threading.Thread(target=_flap, args=(proxy, stop), daemon=True)
    flooder: asyncio.subprocess.Process | None = None
    match kind:
        case "flapping":
            helper.start()
        case "flood":
            program = ("-m", "tests.soak.mqtt_flood", str(broker.port))
            flooder = await asyncio.create_subprocess_exec(sys.executable, *program)
        case "refused":
            await asyncio.to_thread(proxy.refuse)
        case "black-holed":
            await asyncio.to_thread(proxy.black_hole)
        case "frozen":
            broker.freeze()
    try:
        yield
    finally:
        stop.set()
        broker.thaw()
        if helper.ident is not None:
            await asyncio.to_thread(helper.join)
        if flooder is not None:
            flooder.kill()
            await flooder.wait()
        await asyncio.to_thread(proxy.mend)


def _flap(proxy: Proxy, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        proxy.refuse()
        if stop.wait(1.0):
            return
        proxy.mend()


async def trial(folder: Path, seconds_s: float, troubles: Sequence[str]) -> dict[str, Any]:
    """Measure every kind of fault for `seconds_s`, interleaved with as much time without a mirror."""
    latencies: dict[str, list[float]] = defaultdict(list)
    append_ms: list[float] = []
    stop_ms: list[float] = []
    frames: list[Event] = [make.frame(number) for number in range(50)]
    with Mosquitto(folder) as broker, Proxy(broker.port) as proxy:
        for _ in range(max(1, round(seconds_s / BLOCK_S))):
            for kind in troubles:
                await drive(Fanout(), frames, latencies["without"])
                fanout: Fanout[Event] = Fanout()
                mirror = Timed(append_ms, stop_ms, quick(broker.port if kind == "flood" else proxy.port, images=True))
                task = asyncio.create_task(mirror.run(fanout.subscribe("mqtt", 256)))
                async with in_trouble(kind, broker, proxy):
                    await drive(fanout, frames, latencies[kind])
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    stops = _percentiles(stop_ms) | {"max": round(max(stop_ms), 3), "n": len(stop_ms)} if stop_ms else None
    return _summary(latencies, append_ms) | {"stop_in_flood_ms": stops}


def _summary(latencies: dict[str, list[float]], append_ms: list[float]) -> dict[str, Any]:
    p99 = {kind: float(np.percentile(each, 99)) for kind, each in latencies.items()}
    per_frame = np.add.reduceat(append_ms, range(0, len(append_ms), 3))  # three events a frame
    return {
        "capture_to_command_ms": {kind: _percentiles(each) | {"n": len(each)} for kind, each in latencies.items()},
        "p99_above_without_ms": {kind: round(value - p99["without"], 2) for kind, value in p99.items()},
        "loop_cpu_ms_per_frame": _percentiles(list(per_frame)),
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{rank}": round(float(np.percentile(values, rank)), 3) for rank in (50, 95, 99)}


def main() -> None:
    """Run and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="seconds for each kind of fault")
    parser.add_argument("--only", nargs="*", choices=TROUBLES, default=TROUBLES)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(trial(Path(folder), options.seconds, options.only)), indent=2))


if __name__ == "__main__":
    main()
