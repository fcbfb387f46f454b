"""Random faults for half an hour of virtual time: `python -m tests.soak.virtual --minutes 30`.

The whole agent on the simulated hub, on a virtual clock, so that half an hour takes a minute. Something breaks every
few seconds, somebody sets it going again, and the judge looks at every command to the motor.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from unittest import mock

import numpy as np
import structlog
from numpy.typing import NDArray

from edge_agent.agent import RunOptions, RunView, build, run
from edge_agent.config import Settings, load_rules
from edge_agent.control.guard import Order
from edge_agent.errors import FatalError, RetryableError
from edge_agent.events import Box, CommandKind, Detection, TrainState
from edge_agent.pipeline import DetectorWorker
from edge_agent.ports import DetectorInfo, EventSource, Shot
from edge_agent.report import Mission
from edge_agent.signs import LABELS
from edge_agent.simulation.clock import run_virtual
from edge_agent.simulation.hub import SimHub
from edge_agent.simulation.layout import Layout, RenderStyle
from edge_agent.simulation.track import RailTrack, straight
from edge_agent.simulation.world import World

from .judge import Record, Span

INFERENCE_S = 0.03
GRACE_S = 0.02
"""A simulated write takes 15 ms."""
LONGEST_S = 4.0
RECONNECT_S = 5.0
"""A lost link comes back when its fault has ended."""
SIGNS = (*LABELS, "giraffe")
ALERTS = ("low_voltage", "high_current", "low_signal", "over_power")


class Eyes:
    """Camera and detector. `fault` names what is wrong with them; signs come at random."""

    source, live = "soak", True
    info = DetectorInfo("soak", "", "", 600, 400, LABELS)

    def __init__(self, chance: random.Random) -> None:
        self.fault = ""
        self._chance = chance
        self._serial = 0
        self._image = np.full((400, 600, 3), 128, np.uint8)
        self._last: Shot | None = None
        self._seen: tuple[Detection, ...] = ()
        self._for = 0

    async def __aenter__(self) -> "Eyes":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def grab(self) -> Shot | None:
        if self.fault == "unplugged":
            raise RetryableError("the camera is unplugged")
        if self.fault == "frozen" and self._last is not None:
            return self._last
        while self.fault == "blocked":  # noqa: ASYNC110 - nobody else waits for its end
            await asyncio.sleep(0.05)
        self._serial += 1
        image = self._image[:300] if self.fault == "wrong size" else self._image
        self._last = Shot(image, asyncio.get_running_loop().time(), self._serial)
        return self._last

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        if self.fault == "NaN":
            raise FatalError("the network's output holds NaN")
        self._for -= 1
        if self._for <= 0:
            self._for = self._chance.randint(1, 40)
            label, height = self._chance.choice(SIGNS), self._chance.uniform(10, 60)
            quiet = self._chance.random() < 0.8
            self._seen = () if quiet else (Detection(label, 0.9, Box(100, 100, 100 + height, 100 + height)),)
        return self._seen if self._chance.random() < 0.8 else ()

    def close(self) -> None:
        pass


class Listener:
    """An observer that keeps the guard's states."""

    name = "listener"

    def __init__(self, record: Record) -> None:
        self._record = record

    async def run(self, events: EventSource) -> None:
        while True:
            event = await events.get()
            if isinstance(event, TrainState):
                self._record.states.append((event.at_s, event.guard))


@dataclass
class Trouble:
    """Makes faults, one at a time, and writes down when each began and ended."""

    eyes: Eyes
    hub: SimHub
    worker: DetectorWorker
    record: Record
    chance: random.Random
    made: dict[str, int] = field(default_factory=dict)
    rearmed_s: list[float] = field(default_factory=list)

    async def make(self) -> None:
        """Make one fault that lasts for a while."""
        sight = ("unplugged", "frozen", "blocked", "wrong size", "NaN")
        name = self.chance.choice((*sight, "slow detector", "disconnect", "hang", "alert", "button", "battery"))
        began_s, lasts_s = asyncio.get_running_loop().time(), self.chance.uniform(0.05, LONGEST_S)
        bound_s = await self._happen(name, name in sight, lasts_s)
        ended_s = asyncio.get_running_loop().time()
        self.made[name] = self.made.get(name, 0) + 1
        if name == "button":  # it holds until somebody re-arms the train
            ended_s = min((at_s for at_s in self.rearmed_s if at_s > began_s), default=ended_s)
        if bound_s is not None:
            self.record.faults.append(Span(began_s, ended_s, bound_s, name))
        self._mend()

    async def _happen(self, name: str, sight: bool, lasts_s: float) -> float | None:
        """Let it happen for so long; return within which time the train must be braked, None where it need not."""
        hub = self.hub
        if name in ("hang", "disconnect") and not hub.status().connected:
            return None  # a link that is away cannot be lost; it comes back when the fault before has ended
        if sight or name == "slow detector":
            self.eyes.fault = name if sight else ""
            self.worker._modelled_s = INFERENCE_S if sight else 2.0
        elif name == "hang":  # the hub that is driven over Bluetooth drops such a link by itself
            hub.sim_hang()
            await asyncio.sleep(0.46)
            hub.sim_disconnect()
        elif name == "disconnect":
            hub.sim_disconnect()
        elif name == "alert":
            hub.sim_raise_alert(self.chance.choice(ALERTS))
        elif name == "battery":
            hub.world.set_battery(self.chance.uniform(0.5, 3.0))
        else:
            hub.sim_press_button()
        await asyncio.sleep(lasts_s)
        bounds = {"hang": 0.5, "disconnect": 0.05, "alert": 0.2, "button": 0.2, "slow detector": 0.45}
        return 0.45 if sight else bounds.get(name)  # a battery recovers while the train stands

    def _mend(self) -> None:
        self.eyes.fault, self.worker._modelled_s = "", INFERENCE_S
        self.hub.sim_hang(False)
        self.hub.sim_clear_alerts()
        self.hub.world.set_battery(95.0)


def soak(minutes: float, seed: int) -> tuple[Record, dict[str, int]]:
    """Drive for so long and return what happened, and how many faults of which kind."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    endless = Layout(RailTrack((straight(100_000),)), (), RenderStyle(seed=1), time_limit_s=1e9)
    record, eyes, world = Record(GRACE_S), Eyes(chance), World(endless, 0, 95.0)
    hub, worker = SimHub(world, reconnect_s=RECONNECT_S), DetectorWorker(lambda: eyes, modelled_s=INFERENCE_S)
    _watch_motor(world, record)
    trouble = Trouble(eyes, hub, worker, record, chance)

    async def watch(view: RunView) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_operate(view, chance, trouble.rearmed_s))
            while True:
                await asyncio.sleep(chance.uniform(0.5, 6.0))
                await trouble.make()

    parts = build.Devices(eyes, hub, Mission, lambda: None)
    plain = Settings()
    capture = plain.capture.model_copy(update={"retry_for_s": None})
    how = plain.model_copy(update={"capture": capture, "console": plain.console.model_copy(update={"enabled": False})})
    job = RunOptions(how, load_rules(), sinks=(Listener(record),), watch=watch, virtual=True, duration_s=60 * minutes)
    with (
        mock.patch.object(build, "build_devices", return_value=parts),
        mock.patch.object(build, "build_worker", return_value=worker),
    ):
        run_virtual(run(job))
    return record, trouble.made


def _watch_motor(world: World, record: Record) -> None:
    """Write down what the world's motor is told, at the world's time."""

    def wrapped(act: Callable[..., None], kind: CommandKind) -> Callable[..., None]:
        def told(*args: float) -> None:
            act(*args)
            really = CommandKind.COAST if args == (0,) else kind
            record.motor.append((asyncio.get_running_loop().time(), really))

        return told

    world.set_power = wrapped(world.set_power, CommandKind.DRIVE)  # type: ignore[method-assign]
    world.brake = wrapped(world.brake, CommandKind.BRAKE)  # type: ignore[method-assign]


async def _operate(view: RunView, chance: random.Random, rearmed_s: list[float]) -> None:
    """Give orders, most of them to get the train going again; note when it was re-armed."""
    while True:
        await asyncio.sleep(chance.uniform(0.2, 2.0))
        orders = (Order.REARM, Order.ARM, Order.DRIVE) if chance.random() < 0.8 else (chance.choice(tuple(Order)),)
        for order in orders:
            if order is Order.REARM:
                rearmed_s.append(asyncio.get_running_loop().time())
            view.control.order(order)


def main() -> int:
    """Parse, drive, judge; exit 1 on a violation."""
    parser = argparse.ArgumentParser(description="Random faults in virtual time.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began_s = time.monotonic()
    record, made = soak(asked.minutes, asked.seed)
    violations = record.violations()
    told = {
        "minutes": asked.minutes,
        "took_s": round(time.monotonic() - began_s),
        "faults": sum(made.values()),
        "by_kind": dict(sorted(made.items())),
        "guard_changes": len({at_s for at_s, _ in record.states}),
        "motor_commands": len(record.motor),
        "moving_share": round(record.moving_share(), 3),
        "violations": violations[:20],
    }
    print(json.dumps(told, indent=2))
    return int(bool(violations))


if __name__ == "__main__":
    sys.exit(main())
