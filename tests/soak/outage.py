"""One hour of a train's traffic in compressed time, with the uplink down for 30% of it: nothing is lost or reordered.

`python -m tests.soak.outage --seconds 60` sends an hour's events (10 frames, predictions and commands a second, one
state) within a minute, while the link is cut, reset, refused, black-holed and frozen in turn.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.events import Event, Frame
from edge_agent.observers.kafka.mirror import KafkaMirror
from edge_agent.runtime.queues import Fanout
from tests.observers.kafka.rig import settings
from tests.support import events as make
from tests.support.kafka_brokers import Consumed, Tansu, tansu_behind_proxy
from tests.support.proxy import Proxy

SIMULATED_S = 3600
FRAMES_A_S = 10


@dataclass(frozen=True)
class Outcome:
    """Result of a trial. `lost` and `disordered` must be 0.

    Frames may be evicted, or refused if encoding cannot keep up (at sixty times a train's rate); both are counted.
    """

    events: int
    arrived: int
    duplicates: int
    lost: int
    disordered: int
    frames: int
    frames_arrived: int
    frames_evicted: int
    frames_refused: int
    outages: int
    away_share: float
    drained_s: float


def second_of_traffic(number: int) -> list[Event]:
    """Return what a driving train publishes in one second, with small images to match the compressed time."""
    events: list[Event] = []
    for index in range(FRAMES_A_S):
        seen = make.frame(number * FRAMES_A_S + index, width=96, height=64)
        decided = make.decision(seen)
        events += [seen, make.prediction(seen, make.sighting()), make.command(decided)]
    return [*events, make.fault(f"second_{number}")]


async def feed(fanout: Fanout[Event], mirror: KafkaMirror, seconds_s: float, simulated_s: int) -> list[str]:
    """Publish the traffic evenly; return the ids of the events except frames, in sequence."""
    ids: list[str] = []
    begun_s = time.monotonic()
    for number in range(simulated_s):
        for event in second_of_traffic(number):
            fanout.publish(event)
            if not isinstance(event, Frame):
                ids.append(_identity(event))
            await asyncio.sleep(0)
        due_s = begun_s + (number + 1) * seconds_s / simulated_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        await _until(lambda: mirror.stats().waiting < 5_000)  # the disk sets the pace here
    return ids


async def cause_outages(broker: Tansu, proxy: Proxy, done: asyncio.Event, share: float) -> tuple[int, float]:
    """Interrupt the link for `share` of the time, in five ways; return how often and for how long."""
    ways = [proxy.cut, proxy.reset, proxy.refuse, proxy.black_hole, broker.pause]
    outages, away_s = 0, 0.0
    rng = random.Random(7)  # noqa: S311 - no secret
    while not done.is_set():
        length_s = rng.uniform(0.5, 2.0)
        await asyncio.sleep(length_s * (1 - share) / share)
        begun_s = time.monotonic()
        await asyncio.to_thread(ways[outages % len(ways)])
        if ways[outages % len(ways)] in {proxy.cut, proxy.reset}:
            await asyncio.to_thread(proxy.refuse)
        await asyncio.sleep(length_s)
        broker.resume()
        await asyncio.to_thread(proxy.mend)
        away_s += time.monotonic() - begun_s
        outages += 1
    return outages, away_s


async def trial(folder: Path, seconds_s: float, simulated_s: int = SIMULATED_S) -> Outcome:
    """Run the traffic through the outages, drain the rest, and compare."""
    with tansu_behind_proxy(folder) as (broker, proxy), Consumed(broker.address, "edge-agent-events") as consumed:
        config = settings(f"127.0.0.1:{proxy.port}", outbox={"drain_events_per_s": 100_000})
        fanout: Fanout[Event] = Fanout()
        mirror = KafkaMirror(config, train_id="train-1", path=folder / "outbox.db", report_fault=lambda _: None)
        task = asyncio.create_task(mirror.run(fanout.subscribe("kafka", 100_000)))
        await asyncio.sleep(0)
        done = asyncio.Event()
        outage_task = asyncio.create_task(cause_outages(broker, proxy, done, 0.3))
        begun_s = time.monotonic()
        ids = await feed(fanout, mirror, seconds_s, simulated_s)
        fed_s = time.monotonic() - begun_s
        done.set()
        outages, away_s = await outage_task
        drained_s = await _drain(mirror, consumed)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stats = mirror.stats()
        images = next(count for kind, count in stats.outbox.counts.items() if kind.value == "image")
        return _compare(consumed, ids, (images.evicted, stats.lost_images), outages, away_s / fed_s, drained_s)


async def _drain(mirror: KafkaMirror, consumed: Consumed) -> float:
    begun_s = time.monotonic()
    await _until(lambda: not mirror.stats().waiting and not _rows(mirror))
    took_s = time.monotonic() - begun_s
    seen = -1
    while seen != len(consumed.messages):
        seen = len(consumed.messages)
        await asyncio.sleep(1)
    return took_s


def _rows(mirror: KafkaMirror) -> int:
    return sum(count.rows for count in mirror.stats().outbox.counts.values())


async def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline_s, "timeout"
        await asyncio.sleep(0.02)


def _compare(
    consumed: Consumed, ids: list[str], frames_lost: tuple[int, int], outages: int, away_share: float, drained_s: float
) -> Outcome:
    pairs = list(
        zip(consumed.headers("ce_type"), consumed.headers("ce_id"), consumed.headers("ce_subject"), strict=True)
    )
    frames = {identity for kind, identity, _ in pairs if kind.endswith("frame.v1")}
    arrived = [subject if subject.startswith("second_") else identity for kind, identity, subject in pairs]
    firsts = [identity for identity in dict.fromkeys(arrived) if identity not in frames]
    place = {identity: index for index, identity in enumerate(ids)}
    order = [place[identity] for identity in firsts]
    return Outcome(
        events=len(ids),
        arrived=len(firsts),
        duplicates=len(pairs) - len(firsts) - len(frames),
        lost=len(set(ids) - set(firsts)),
        disordered=sum(order[index] < order[index - 1] for index in range(1, len(order))),
        frames=SIMULATED_S * FRAMES_A_S,
        frames_arrived=len(frames),
        frames_evicted=frames_lost[0],
        frames_refused=frames_lost[1],
        outages=outages,
        away_share=round(away_share, 3),
        drained_s=round(drained_s, 1),
    )


def _identity(event: Event) -> str:
    """Return what identifies an event on arrival: its id, or a fault's code."""
    for name in ("command_id", "code"):
        if hasattr(event, name):
            return str(getattr(event, name))
    return f"{event.frame_id}.prediction" if hasattr(event, "frame_id") else ""


def main() -> None:
    """Run and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="real seconds for the hour")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(trial(Path(folder), options.seconds))
    print(outcome)
    sys.exit(1 if outcome.lost or outcome.disordered else 0)


if __name__ == "__main__":
    main()
