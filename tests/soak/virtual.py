"""Random faults for half an hour of virtual time: `python -m tests.soak.virtual --minutes 30`.

The complete agent on the simulated hub and a virtual clock, so that half an hour takes a minute. A fault is injected
every few seconds, an operator re-arms the train, and judge.py checks every command to the motor.
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


class FakeSensors:
    """Fake camera and detector. `fault` is the current fault; signs appear at random."""

    source, live = "soak", True
    info = DetectorInfo("soak", "", "", 600, 400, LABELS)

    def __init__(self, rng: random.Random) -> None:
        self.fault = ""
        self._rng = rng
        self._serial = 0
        self._image = np.full((400, 600, 3), 128, np.uint8)
        self._last: Shot | None = None
        self._seen: tuple[Detection, ...] = ()
        self._for = 0

    async def __aenter__(self) -> "FakeSensors":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def grab(self) -> Shot | None:
        if self.fault == "unplugged":
            raise RetryableError("the camera is unplugged")
        if self.fault == "frozen" and self._last is not None:
            return self._last
        while self.fault == "blocked":  # noqa: ASYNC110 - nothing else waits for its end
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
            self._for = self._rng.randint(1, 40)
            label, height = self._rng.choice(SIGNS), self._rng.uniform(10, 60)
            quiet = self._rng.random() < 0.8
            self._seen = () if quiet else (Detection(label, 0.9, Box(100, 100, 100 + height, 100 + height)),)
        return self._seen if self._rng.random() < 0.8 else ()

    def close(self) -> None:
        pass


class Listener:
    """An observer that records the guard's states."""

    name = "listener"

    def __init__(self, record: Record) -> None:
        self._record = record

    async def run(self, events: EventSource) -> None:
        while True:
            event = await events.get()
            if isinstance(event, TrainState):
                self._record.states.append((event.at_s, event.guard))


@dataclass
class FaultInjector:
    """Injects faults, one at a time, and records when each began and ended."""

    sensors: FakeSensors
    hub: SimHub
    worker: DetectorWorker
    record: Record
    rng: random.Random
    injected: dict[str, int] = field(default_factory=dict)
    rearmed_s: list[float] = field(default_factory=list)

    async def inject(self) -> None:
        """Inject one fault that lasts for a while."""
        camera_fault = ("unplugged", "frozen", "blocked", "wrong size", "NaN")
        name = self.rng.choice((*camera_fault, "slow detector", "disconnect", "hang", "alert", "button", "battery"))
        began_s, lasts_s = asyncio.get_running_loop().time(), self.rng.uniform(0.05, LONGEST_S)
        bound_s = await self._inject(name, name in camera_fault, lasts_s)
        ended_s = asyncio.get_running_loop().time()
        self.injected[name] = self.injected.get(name, 0) + 1
        if name == "button":  # it latches until the train is re-armed
            ended_s = min((at_s for at_s in self.rearmed_s if at_s > began_s), default=ended_s)
        if bound_s is not None:
            self.record.faults.append(Span(began_s, ended_s, bound_s, name))
        self._repair()

    async def _inject(self, name: str, camera_fault: bool, lasts_s: float) -> float | None:
        """Inject a fault for `lasts_s`; return the time limit of the brake, None if the train need not brake."""
        hub = self.hub
        if name in ("hang", "disconnect") and not hub.status().connected:
            return None  # a link that is already lost comes back when the previous fault has ended
        if camera_fault or name == "slow detector":
            self.sensors.fault = name if camera_fault else ""
            self.worker._modelled_s = INFERENCE_S if camera_fault else 2.0
        elif name == "hang":  # BleHub drops such a link by itself
            hub.sim_hang()
            await asyncio.sleep(0.46)
            hub.sim_disconnect()
        elif name == "disconnect":
            hub.sim_disconnect()
        elif name == "alert":
            hub.sim_raise_alert(self.rng.choice(ALERTS))
        elif name == "battery":
            hub.world.set_battery(self.rng.uniform(0.5, 3.0))
        else:
            hub.sim_press_button()
        await asyncio.sleep(lasts_s)
        bounds = {"hang": 0.5, "disconnect": 0.05, "alert": 0.2, "button": 0.2, "slow detector": 0.45}
        return 0.45 if camera_fault else bounds.get(name)  # a battery recovers while the train stands

    def _repair(self) -> None:
        self.sensors.fault, self.worker._modelled_s = "", INFERENCE_S
        self.hub.sim_hang(False)
        self.hub.sim_clear_alerts()
        self.hub.world.set_battery(95.0)


def soak(minutes: float, seed: int) -> tuple[Record, dict[str, int]]:
    """Drive for `minutes`; return the record, and the number of faults of each kind."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    endless = Layout(RailTrack((straight(100_000),)), (), RenderStyle(seed=1), time_limit_s=1e9)
    record, sensors, world = Record(GRACE_S), FakeSensors(rng), World(endless, 0, 95.0)
    hub, worker = SimHub(world, reconnect_s=RECONNECT_S), DetectorWorker(lambda: sensors, modelled_s=INFERENCE_S)
    _watch_motor(world, record)
    injector = FaultInjector(sensors, hub, worker, record, rng)

    async def watch(view: RunView) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_operate(view, rng, injector.rearmed_s))
            while True:
                await asyncio.sleep(rng.uniform(0.5, 6.0))
                await injector.inject()

    parts = build.Devices(sensors, hub, Mission, lambda: None)
    plain = Settings()
    capture = plain.capture.model_copy(update={"retry_for_s": None})
    how = plain.model_copy(update={"capture": capture, "console": plain.console.model_copy(update={"enabled": False})})
    job = RunOptions(how, load_rules(), sinks=(Listener(record),), watch=watch, virtual=True, duration_s=60 * minutes)
    with (
        mock.patch.object(build, "build_devices", return_value=parts),
        mock.patch.object(build, "build_worker", return_value=worker),
    ):
        run_virtual(run(job))
    return record, injector.injected


def _watch_motor(world: World, record: Record) -> None:
    """Record the commands to the simulated motor, on the virtual clock."""

    def wrapped(act: Callable[..., None], kind: CommandKind) -> Callable[..., None]:
        def recorded(*args: float) -> None:
            act(*args)
            really = CommandKind.COAST if args == (0,) else kind
            record.motor.append((asyncio.get_running_loop().time(), really))

        return recorded

    world.set_power = wrapped(world.set_power, CommandKind.DRIVE)  # type: ignore[method-assign]
    world.brake = wrapped(world.brake, CommandKind.BRAKE)  # type: ignore[method-assign]


async def _operate(view: RunView, rng: random.Random, rearmed_s: list[float]) -> None:
    """Send random orders, most of them to drive on; record when the train was re-armed."""
    while True:
        await asyncio.sleep(rng.uniform(0.2, 2.0))
        orders = (Order.REARM, Order.ARM, Order.DRIVE) if rng.random() < 0.8 else (rng.choice(tuple(Order)),)
        for order in orders:
            if order is Order.REARM:
                rearmed_s.append(asyncio.get_running_loop().time())
            view.control.order(order)


def main() -> int:
    """Run and check; return 1 on a violation."""
    parser = argparse.ArgumentParser(description="Random faults in virtual time.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began_s = time.monotonic()
    record, injected = soak(options.minutes, options.seed)
    violations = record.violations()
    result = {
        "minutes": options.minutes,
        "took_s": round(time.monotonic() - began_s),
        "faults": sum(injected.values()),
        "by_kind": dict(sorted(injected.items())),
        "guard_changes": len({at_s for at_s, _ in record.states}),
        "motor_commands": len(record.motor),
        "moving_share": round(record.moving_share(), 3),
        "violations": violations[:20],
    }
    print(json.dumps(result, indent=2))
    return int(bool(violations))


if __name__ == "__main__":
    sys.exit(main())
