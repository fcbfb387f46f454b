"""Effect of console viewers on the train, and the age of the frames they see.

`python -m tests.soak.viewers --seconds 600` runs 50 viewers in blocks of 10 s beside a model of the pipeline (every
100 ms a frame goes to a worker thread, a command follows), and measures capture-to-command latency with and without
them in one run, A B B A; then 20 trains at 10 frames a second on one console. The viewers are a process of their own.
`--how loop` serves them in the train's loop instead of a thread, `--switch-ms 5` with Python's default switch interval:
the comparison of docs/decisions/0016.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import confluent_kafka
import cv2
import numpy as np
import structlog
import uuid_utils

from edge_agent.agent import console as apart
from edge_agent.agent.monitors import resident_mib
from edge_agent.config import ConsoleSettings, KafkaSettings, Settings
from edge_agent.console.app import ConsoleApp, Feed, TrainFacts, thumbnail
from edge_agent.console.fleet import FleetConsole
from edge_agent.console.fleet.listener import EventMessage
from edge_agent.console.routes import application, console_routes
from edge_agent.console.schemas import Links
from edge_agent.console.server import listen, serve
from edge_agent.events import Event, Frame
from edge_agent.observers.cloudevents import EventContext, to_cloudevent
from edge_agent.observers.cloudevents.images import encode_jpeg
from edge_agent.perception.vision import CameraPicture
from edge_agent.runtime.queues import Fanout, pace
from tests.support import events as make
from tests.support.kafka_brokers import Tansu
from tests.support.kafka_messages import KafkaMessage, message_of
from tests.support.mosquitto import until
from tests.support.proxy import free_port

Send = Callable[[KafkaMessage], None]

BLOCK_S = 10.0
SETTLE_S = 2.0
INFERENCE_S = 0.014
PERIOD_S = 0.1


def pictures(count: int) -> list[Frame]:
    """Return frames that compress to JPEGs of about 30 kB, as a camera's do."""
    frames = []
    for number in range(count):
        rough = np.random.default_rng(number).integers(60, 200, (50, 75, 3), dtype=np.uint8)
        image = cv2.resize(rough, (600, 400), interpolation=cv2.INTER_CUBIC)
        frames.append(dataclasses.replace(make.frame(number), picture=CameraPicture(np.asarray(image, np.uint8))))
    return frames


def fresh(frame: Frame, number: int, clock_s: float) -> Frame:
    return dataclasses.replace(
        frame, frame_id=str(uuid_utils.uuid7()), sequence=number, taken_s=clock_s, taken_unix_s=time.time()
    )


class Audience:
    """The viewers, in a process of their own."""

    def __init__(self, port: int, queries: list[str]) -> None:
        self._arguments = ("-m", "tests.soak.audience", str(port), *queries)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Audience":
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(sys.executable, *self._arguments, stdin=pipe, stdout=pipe)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def send(self, word: str) -> dict[str, Any]:
        """Send `on`, `off` or `end` and return the reply."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{word}\n".encode())
        answer: dict[str, Any] = json.loads(await process.stdout.readline())
        return answer


async def drive(fanout: Fanout[Event], frames: list[Frame], seconds_s: float, latencies_ms: list[float]) -> None:
    """Run the model of the pipeline; latencies count from the intended tick."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + seconds_s
    async for tick in pace(PERIOD_S):
        if tick.due_s >= until_s:
            return
        frame = fresh(frames[tick.index % len(frames)], tick.index, loop.time())
        fanout.publish(frame)
        await loop.run_in_executor(None, time.sleep, INFERENCE_S)
        fanout.publish(dataclasses.replace(make.prediction(frame, make.sighting()), done_s=loop.time()))
        fanout.publish(make.command(make.decision(frame)))
        latencies_ms.append((loop.time() - tick.due_s) * 1000)


@contextlib.asynccontextmanager
async def console_of_train(how: str) -> AsyncIterator[tuple[int, Fanout[Event]]]:
    """Serve one train's console, in a thread or in this loop."""
    settings = ConsoleSettings(port=free_port())
    app = ConsoleApp(settings, "train", budget_bytes=64_000_000, make_thumbnail=thumbnail)
    feed = Feed(app, "train-1", TrainFacts("Train 1", Links, lambda: None), quality_percent=80)
    fanout: Fanout[Event] = Fanout()
    events, sock = fanout.subscribe("console", 256), listen(settings)
    asgi = application(console_routes(app, None))
    if how == "loop":
        tasks = [asyncio.create_task(feed.run(events)), asyncio.create_task(serve(asgi, sock))]
    else:
        crossing = apart.EventBridge()

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(feed.run(crossing))
                group.create_task(serve(asgi, sock))

        tasks = [asyncio.create_task(crossing.run(events)), asyncio.create_task(apart.run_in_own_loop("console", work))]
    try:
        yield settings.port, fanout
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def one_train(seconds_s: float, viewers: int, how: str) -> dict[str, Any]:
    """Measure a train with and without viewers, interleaved."""
    frames = pictures(50)
    latencies: dict[str, list[float]] = defaultdict(list)
    cpu_s: dict[str, list[float]] = defaultdict(list)
    async with console_of_train(how) as (port, fanout), Audience(port, ["train=train-1"] * viewers) as audience:
        await drive(fanout, frames, SETTLE_S, [])
        order = ("without", "with", "with", "without")
        rounds = max(1, round(seconds_s / BLOCK_S / len(order)))
        for kind in order * rounds:
            switching = asyncio.create_task(audience.send("on" if kind == "with" else "off"))
            await drive(fanout, frames, SETTLE_S, [])
            await switching
            before_s = time.process_time()
            await drive(fanout, frames, BLOCK_S, latencies[kind])
            cpu_s[kind].append((time.process_time() - before_s) / BLOCK_S)
        seen = await audience.send("end")
    p99 = {kind: float(np.percentile(each, 99)) for kind, each in latencies.items()}
    return {
        "capture_to_command_ms": {kind: summary(each) for kind, each in latencies.items()},
        "p99_with_viewers_above_without_ms": round(p99["with"] - p99["without"], 2),
        "cores_used": {kind: round(float(np.mean(each)), 3) for kind, each in cpu_s.items()},
        "viewers": seen,
        "jpeg_kb": round(len(encode_jpeg(frames[0].image).data) / 1000, 1),
        "resident_mib": round(resident_mib(), 1),
    }


@contextlib.asynccontextmanager
async def console_of_fleet(history_mb: int, via_kafka: bool) -> AsyncIterator[tuple[FleetConsole, Send]]:
    """Serve the console of many trains; yield a function that sends a train's message, by a broker or directly."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(Tansu(folder / "tansu.log")).address if via_kafka else "127.0.0.1:9"
        settings = Settings(
            console=ConsoleSettings(port=free_port(), history_mb=history_mb),
            kafka=KafkaSettings(bootstrap_servers=(address,)),
        )
        fleet, sock = FleetConsole(settings), listen(settings.console)
        if via_kafka:
            producer = confluent_kafka.Producer({"bootstrap.servers": address, "linger.ms": 5, "log_level": 0})
            topic = settings.kafka.topic

            def send(message: KafkaMessage) -> None:
                producer.produce(topic, message.value, message.key, headers=list(message.headers))
                producer.poll(0)

            send(message_of(to_cloudevent(make.state(), EventContext("train-00", 0, time.time() - 0.25))))
            producer.flush(10)
            tasks = [asyncio.create_task(fleet.run(sock))]
            await until(lambda: fleet.app.trouble is None, "it listens")
        else:

            def send(message: KafkaMessage) -> None:
                fleet._receive([EventMessage(message.headers, message.value)])

            asgi = application(console_routes(fleet.app, None))
            tasks = [asyncio.create_task(fleet.app.run()), asyncio.create_task(serve(asgi, sock))]
        try:
            yield fleet, send
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def many_trains(seconds_s: float, trains: int, history_mb: int, *, via_kafka: bool) -> dict[str, Any]:
    """Measure one console of many trains, with one viewer per train and one of the overview."""
    frames = pictures(50)
    encoded = [encode_jpeg(frame.image) for frame in frames]
    memory: list[float] = []
    loop = asyncio.get_running_loop()

    async def train(number: int, send: Send) -> None:
        name, clock = f"train-{number:02}", loop.time
        await asyncio.sleep(number / trains * PERIOD_S)
        async for tick in pace(PERIOD_S):
            which = (tick.index + number) % len(frames)
            frame = fresh(frames[which], tick.index, clock())
            stamp = EventContext(name, tick.index, time.time() - clock())
            events: list[Event] = [frame, make.prediction(frame)]
            if tick.index % 10 == 0:
                events.append(dataclasses.replace(make.state(at_s=clock()), train_id=name, at_unix_s=time.time()))
            for event in events:
                send(message_of(to_cloudevent(event, stamp, encoded[which])))

    async with console_of_fleet(history_mb, via_kafka) as (fleet, send):
        tasks = [asyncio.create_task(train(number, send)) for number in range(trains)]
        queries = ["overview=1", *(f"train=train-{number:02}" for number in range(trains))]
        async with Audience(fleet.app.settings.port, queries) as audience:
            await asyncio.sleep(SETTLE_S)
            await audience.send("on")
            begun_s, cpu_s = loop.time(), time.process_time()
            while loop.time() < begun_s + seconds_s:
                await asyncio.sleep(min(5.0, seconds_s / 8))
                memory.append(round(resident_mib(), 1))
            cores = (time.process_time() - cpu_s) / (loop.time() - begun_s)
            seen = await audience.send("end")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        kept_mb = round(fleet.app.store.pictures.bytes / 1e6, 1)
    return {
        "via_kafka": via_kafka,
        "viewers": seen,
        "cores_used": round(cores, 3),
        "resident_mib": memory,
        "pictures_mb": kept_mb,
    }


def summary(values: list[float]) -> dict[str, float]:
    found = {f"p{rank}": round(float(np.percentile(values, rank)), 2) for rank in (50, 95, 99)}
    return found | {"max": round(max(values), 2), "n": len(values)}


def main() -> None:
    """Run and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="for each part")
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--trains", type=int, default=20)
    parser.add_argument("--history-mb", type=int, default=64, help="for many trains: small, so that it fills up")
    parser.add_argument("--kafka", action="store_true", help="bring the trains' messages by a real broker, in memory")
    parser.add_argument("--how", choices=("thread", "loop"), default="thread")
    parser.add_argument("--switch-ms", type=float, default=apart.SWITCH_S * 1000)
    parser.add_argument("--only", choices=("one", "many"))
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    apart.SWITCH_S = options.switch_ms / 1000
    result: dict[str, Any] = {"how": options.how, "switch_ms": options.switch_ms}
    if options.only != "many":
        result["one_train"] = asyncio.run(one_train(options.seconds, options.viewers, options.how))
    if options.only != "one":
        result["many_trains"] = asyncio.run(
            many_trains(options.seconds, options.trains, options.history_mb, via_kafka=options.kafka)
        )
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
