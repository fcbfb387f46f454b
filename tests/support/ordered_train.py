"""A train on a virtual clock that is given orders: real policy, guard, control, driver and handler, and a mocked hub.

Between two calls of `advance` its loop stands still, and what is submitted then is admitted before the loop goes on: as
from another thread, but the same each time.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from edge_agent.agent.commands import CommandExecutor
from edge_agent.config import load_rules
from edge_agent.control import guard, policy
from edge_agent.control.commands import (
    Authorizer,
    Channel,
    CommandHandler,
    CommandMessage,
    CommandRules,
    Verb,
    parse_command,
)
from edge_agent.control.driver import Driver, Ramp
from edge_agent.events import Box, CommandResult, Detection, Event, GuardState, MotorCommand, Prediction, TrainState
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.hub.mock import MockHub, MockWrite
from edge_agent.pipeline import Control, ControlParameters
from edge_agent.report import RunStats
from edge_agent.runtime.queues import Fanout
from edge_agent.simulation.clock import VirtualTimeLoop
from tests.support.commands import RULES, TOKEN

T = TypeVar("T")

FRAME_S = 0.1
INFERENCE_S = 0.03
WRITE_S = 0.015
SIGNS = load_rules().signs
BEGAN_UNIX_S = 1_795_285_200.0


class WatchedLog(deque[MockWrite]):
    """The newest writes to a hub; `watch` is called with each."""

    def __init__(self, watch: Callable[[MockWrite], None]) -> None:
        super().__init__(maxlen=1000)
        self._watch = watch

    def append(self, write: MockWrite) -> None:
        super().append(write)
        self._watch(write)


class WatchedObservers(Fanout[Event]):
    """Observers of a train; `watch` is called with each state."""

    def __init__(self, watch: Callable[[TrainState], None]) -> None:
        super().__init__()
        self._watch = watch

    def publish(self, value: Event) -> None:
        super().publish(value)
        if isinstance(value, TrainState):
            self._watch(value)


class OrderedTrain:
    """A train, linked and disarmed after the first pictures.

    `signs` are the labels in the next pictures; without `camera` there are none. `meanwhile` is called while the token
    of a command is read. `faults` are those that are active, `commands` what was written, `stats` what the run report
    counts, and `seen_s` is when the newest picture was taken. `watch` is called in the loop with each write, state and
    result, and with each picture before it counts.
    """

    def __init__(self, rules: CommandRules = RULES, *, auto_arm: bool = False, storage: str = "") -> None:
        self.loop = VirtualTimeLoop(1000.0)
        self.hub = MockHub(latency_s=WRITE_S)
        self.signs: tuple[str, ...] = ()
        self.camera, self.capture_stopped = True, False
        self.integrity, self.storage, self.stalls = "", storage, 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.seen_s = self.loop.time()
        self.rules, self.stats = rules, RunStats(self.loop.time())
        self.watch: Callable[[MockWrite | TrainState | CommandResult | Prediction], None] = lambda happened: None
        self.results: list[CommandResult] = []
        self.commands: deque[MotorCommand] = deque(maxlen=100)
        self.faults: dict[str, FaultReport] = {}
        self.handler: CommandHandler
        self.control: Control
        self._ids = itertools.count()
        self._frames = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []
        self.call(self._start(auto_arm))

    def close(self) -> None:
        """End the tasks and close the loop."""
        for task in self._tasks:
            task.cancel()
        self.call(asyncio.wait(self._tasks))
        self.loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the train's loop."""
        return self.loop.run_until_complete(work)

    def advance(self, seconds: float) -> None:
        """Let the train go on for `seconds`."""
        self.call(asyncio.sleep(seconds))

    def pause(self, paused: bool) -> None:
        """Stop or start capturing, as pipeline.Capture does."""
        self.capture_stopped = paused

    def body(self, **changes: Any) -> dict[str, Any]:
        """Return the body of a command that is in order."""
        issued_at = BEGAN_UNIX_S + self.loop.time()
        return {"token": TOKEN, "id": f"c-{next(self._ids)}", "issued_at": issued_at, "reason": "looked", **changes}

    def submit(self, verb: Verb, channel: Channel = Channel.MQTT, **changes: Any) -> list[CommandResult]:
        """Submit a command as from another thread; its result comes with the next `advance`."""
        results: list[CommandResult] = []
        self.handler.submit(parse_command(CommandMessage(channel, verb, self.body(**changes))), results.append)
        return results

    def order(self, verb: Verb, **changes: Any) -> CommandResult:
        """Submit a command and return its result."""
        results = self.submit(verb, **changes)
        self.advance(0.001)
        return results[0]

    def drive(self) -> None:
        """Arm, drive, and wait until the train runs."""
        assert self.order(Verb.ARM).accepted
        assert self.order(Verb.DRIVE).accepted
        self.advance(1.0)
        assert self.moves

    @property
    def state(self) -> GuardState:
        """The guard's state."""
        return self.control.permit.state

    @property
    def moves(self) -> bool:
        """Whether the last write to the motor was a power."""
        return bool(self.hub.log) and self.hub.log[-1].kind == "drive"

    async def _start(self, auto_arm: bool) -> None:
        clock = self.loop.time
        self.hub.log = WatchedLog(self._watch)
        driver = Driver(self.hub, ramp=Ramp(), adapt=lambda power: power, publish=self.commands.append, clock=clock)
        self.control = Control(
            self.hub,
            driver,
            ControlParameters("train", policy.Tuning(60, SIGNS), guard.Limits(), auto_arm=auto_arm),
            integrity=lambda: self.integrity,
            storage=lambda: self.storage,
            stalls=lambda: self.stalls,
            observers=WatchedObservers(self._watch),
            stats=self.stats,
            faults=FaultReporter(self._on_fault, clock),
            clock=clock,
        )
        executor = CommandExecutor(self.control, self, publish=self._on_result, clock=clock)  # type: ignore[arg-type]
        authorizer = Authorizer(wall=lambda: BEGAN_UNIX_S + clock(), clock=clock)
        authorizer._started_s = -1e9  # no command is from before the start
        self.handler = CommandHandler(authorizer, self._read_rules, executor)
        await self.hub.reconnect()
        self._tasks = [asyncio.ensure_future(work) for work in (driver.run(), self.control.run(), self._look())]
        await asyncio.sleep(3 * FRAME_S)

    def _watch(self, happened: MockWrite | TrainState) -> None:
        self.watch(happened)  # what it is now, not what it was when the train was made

    def _on_result(self, result: CommandResult) -> None:
        self.results.append(result)
        self.watch(result)

    def _read_rules(self, _channel: Channel) -> CommandRules:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return self.rules

    def _on_fault(self, report: FaultReport) -> None:
        if report.active:
            self.faults[report.code] = report
        else:
            self.faults.pop(report.code, None)

    async def _look(self) -> None:
        """Make a prediction of each picture, as camera and detector do."""
        while True:
            taken_s = self.loop.time()
            if self.camera and not self.capture_stopped:
                boxes = tuple(Detection(label, 0.9, Box(100, 100, 200, 200)) for label in self.signs)
                self.loop.call_later(INFERENCE_S, self._deliver, taken_s, boxes)
            await asyncio.sleep(FRAME_S)

    def _deliver(self, taken_s: float, boxes: tuple[Detection, ...]) -> None:
        number = next(self._frames)
        done_s = self.loop.time()
        prediction = Prediction(f"f-{number}", number, taken_s, BEGAN_UNIX_S + taken_s, 600, 400, boxes, 30.0, done_s)
        self.watch(prediction)
        self.seen_s = taken_s
        self.control.on_prediction(prediction)
