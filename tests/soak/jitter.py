"""Effect of the Kafka mirror on the train: capture-to-command latency with uplink or disk faults, and without a mirror.

`python -m tests.soak.jitter --seconds 600` measures each kind of fault for ten minutes, in blocks of 10 s interleaved
with blocks without a mirror. The train is a model of the pipeline: every 100 ms a frame goes to a worker thread, its
prediction to the loop, and a command follows; everything is published.
"""

import argparse
import asyncio
import contextlib
import json
import sqlite3
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edge_agent.events import Event
from edge_agent.faults import FaultReport
from edge_agent.observers.kafka.mirror import KafkaMirror
from edge_agent.observers.outbox.store import OutboxStore
from edge_agent.runtime.queues import Fanout, pace
from tests.observers.kafka.rig import settings
from tests.support import events as make
from tests.support.kafka_brokers import Tansu, tansu_behind_proxy
from tests.support.proxy import Proxy

BLOCK_S = 10.0
INFERENCE_S = 0.014
DISK_TROUBLES = ("outbox locked", "disk full", "fsync 500 ms")
TROUBLES = ("healthy", "refused", "black-holed", "frozen", "flapping", *DISK_TROUBLES)


class Timed(KafkaMirror):
    """A mirror that measures the loop time of each append."""

    def __init__(self, append_ms: list[float], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._append_ms = append_ms

    def append(self, event: Event) -> None:
        begun_s = time.perf_counter()
        super().append(event)
        self._append_ms.append((time.perf_counter() - begun_s) * 1000)


async def drive(fanout: Fanout[Event], frames: list[Event], latencies_ms: list[float]) -> None:
    """Run the model of the pipeline for one block."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + BLOCK_S
    async for tick in pace(0.1):
        taken_s = loop.time()
        if taken_s >= until_s:
            return
        frame = make.frame(1) if not frames else frames[tick.index % len(frames)]
        fanout.publish(frame)
        await loop.run_in_executor(None, time.sleep, INFERENCE_S)
        fanout.publish(make.prediction(frame, make.sighting()))  # type: ignore[arg-type]
        fanout.publish(make.command(make.decision(frame)))  # type: ignore[arg-type]
        latencies_ms.append((loop.time() - taken_s) * 1000)


@contextlib.asynccontextmanager
async def in_trouble(kind: str, broker: Tansu, proxy: Proxy, outbox: Path) -> AsyncIterator[None]:
    """Keep one kind of fault of the link or the disk for the length of the block."""
    stop = threading.Event()
    flapper = threading.Thread(target=_flap, args=(proxy, stop), daemon=True)
    match kind:
        case "refused":
            await asyncio.to_thread(proxy.refuse)
        case "black-holed":
            await asyncio.to_thread(proxy.black_hole)
        case "frozen":
            broker.pause()
        case "flapping":
            flapper.start()
    try:
        with _disk_in_trouble(kind, outbox):
            yield
    finally:
        stop.set()
        if flapper.ident is not None:
            await asyncio.to_thread(flapper.join)
        broker.resume()
        await asyncio.to_thread(proxy.mend)


@contextlib.contextmanager
def _disk_in_trouble(kind: str, outbox: Path) -> Iterator[None]:
    real = OutboxStore.commit

    def slow(store: OutboxStore, *arguments: Any) -> int:
        time.sleep(0.5)  # as long as a slow card takes, in the outbox's own thread
        return real(store, *arguments)

    def full(_store: OutboxStore, *_arguments: Any) -> int:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with contextlib.ExitStack() as stack:
        if kind == "outbox locked":
            other = stack.enter_context(contextlib.closing(sqlite3.connect(outbox, isolation_level=None)))
            other.execute("BEGIN EXCLUSIVE")
        elif kind in DISK_TROUBLES:
            stack.enter_context(mock.patch.object(OutboxStore, "commit", full if kind == "disk full" else slow))
        yield


def _flap(proxy: Proxy, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        proxy.refuse()
        if stop.wait(1.0):
            return
        proxy.mend()


async def trial(folder: Path, seconds_s: float) -> dict[str, object]:
    """Measure every kind of fault for `seconds_s`, interleaved with as much time without a mirror."""
    latencies: dict[str, list[float]] = defaultdict(list)
    append_ms: list[float] = []
    frames: list[Event] = [make.frame(number) for number in range(50)]
    with tansu_behind_proxy(folder) as (broker, proxy):
        for _ in range(max(1, round(seconds_s / BLOCK_S))):
            for kind in TROUBLES:
                await drive(Fanout(), frames, latencies["without"])
                fanout: Fanout[Event] = Fanout()
                faults: list[FaultReport] = []
                mirror = Timed(
                    append_ms,
                    settings=settings(f"127.0.0.1:{proxy.port}", send_timeout_s=2.0),
                    train_id="train-1",
                    path=folder / "outbox.db",
                    report_fault=faults.append,
                )
                task = asyncio.create_task(mirror.run(fanout.subscribe("kafka", 1000)))
                async with in_trouble(kind, broker, proxy, folder / "outbox.db"):
                    await drive(fanout, frames, latencies[kind])
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                if kind in DISK_TROUBLES and not {"outbox_stuck", "outbox_slow"} & {fault.code for fault in faults}:
                    raise RuntimeError(f"{kind}: the outbox reported no fault, so nothing was measured")
    return _summary(latencies, append_ms)


def _summary(latencies: dict[str, list[float]], append_ms: list[float]) -> dict[str, object]:
    def percentiles(values: list[float]) -> dict[str, float]:
        return {f"p{rank}": round(float(np.percentile(values, rank)), 2) for rank in (50, 95, 99)}

    table: dict[str, object] = {kind: percentiles(values) | {"n": len(values)} for kind, values in latencies.items()}
    base = float(np.percentile(latencies["without"], 99))
    worse = {kind: round(float(np.percentile(latencies[kind], 99)) - base, 2) for kind in TROUBLES}
    per_frame = np.add.reduceat(append_ms, range(0, len(append_ms), 3))  # three events a frame
    return {
        "capture_to_command_ms": table,
        "p99_above_without_ms": worse,
        "loop_ms_per_frame": percentiles(list(per_frame)),
    }


def main() -> None:
    """Run and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="seconds for each kind of fault")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(trial(Path(folder), options.seconds)), indent=2))


if __name__ == "__main__":
    main()
