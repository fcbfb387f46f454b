"""The stage of the chaos suite: a whole agent in this process, driving an emulated hub through bleak and D-Bus.

Camera and detector are of the suite and can be broken; everything between them and the hub's bytes is the product's.
What counts is stamped by the emulated hub, whose thread goes on when the agent's loop stands still.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from structlog.testing import capture_logs

from edge_agent.agent import RunOptions, RunView, build, run
from edge_agent.config import Settings, load_rules
from edge_agent.events import CommandKind, Decision, Event, Fault, GuardState, TrainState
from edge_agent.hub.ble import BleHub
from edge_agent.hub.emulator import BluezEmulator, EmulatorThread, MotorSetting
from edge_agent.perception.camera.live import LiveCamera, LiveTimeouts
from edge_agent.ports import EventSource, Shot
from edge_agent.report import Mission
from tests.hub.conftest import close_bleak

from .eyes import Eyes
from .film import Film

PATIENCE_S = 20.0
"""Nothing here waits for longer, however slow the machine is."""

CRUISING_S = 0.3
AFTERMATH_S = 0.4
"""For so long nothing may drive again after a stop."""


def settings(slack: float) -> Settings:
    """Return the shipped settings for a hub over Bluetooth, with all limits of time `slack` times as long."""
    plain = Settings()
    times = ("lease_ms", "latch_ms", "loop_stall_ms")
    guard = {name: round(getattr(plain.guard, name) * slack) for name in times} | {"arm": "always"}
    hub = {name: round(getattr(plain.hub, name) * slack) for name in ("keep_alive_ms", "write_timeout_ms")}
    quick = {"kind": "ble", "retry_initial_s": 0.02, "retry_max_s": 0.1, "connect_timeout_s": 3.0}
    return plain.model_copy(
        update={
            "console": plain.console.model_copy(update={"enabled": False, "metrics": False}),
            "guard": plain.guard.model_copy(update=guard),
            "hub": plain.hub.model_copy(update=hub | quick),
            "capture": plain.capture.model_copy(update={"max_age_ms": round(plain.capture.max_age_ms * slack)}),
        }
    )


class Listener:
    """An observer that keeps the train's states and decisions, and the faults."""

    name = "listener"

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.states: list[TrainState] = []
        self.decisions: list[Decision] = []

    async def run(self, events: EventSource) -> None:
        while True:
            event: Event = await events.get()
            if isinstance(event, TrainState):
                self.states.append(event)
            elif isinstance(event, Decision):
                self.decisions.append(event)
            elif isinstance(event, Fault):
                self.faults.append(event)


class Camera:
    """The product's live camera on a film, and an end to the run."""

    source, live = "film", True

    def __init__(self, film: Film, fps: float) -> None:
        self.ended = False
        timeouts = LiveTimeouts(open_s=PATIENCE_S, retry_initial_s=0.2, close_s=0.1)
        self._inner = LiveCamera("film", film.open, fps=fps, remedy=lambda: "mend it", timeouts=timeouts)

    async def __aenter__(self) -> "Camera":
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._inner.__aexit__(None, None, None)

    async def grab(self) -> Shot | None:
        return None if self.ended else await self._inner.grab()


@dataclass
class Scene:
    """A train at full speed, all that can be broken around it, and what was seen.

    `slack` stretches its limits of time; `undo` keeps what is to be undone when the story ends, or before.
    """

    bluez: EmulatorThread
    film: Film
    eyes: Eyes
    hub: BleHub
    view: RunView
    listener: Listener
    folder: Path
    slack: float = 1.0
    undo: ExitStack = field(default_factory=ExitStack)
    motor: list[tuple[float, MotorSetting]] = field(default_factory=list)
    fault_s: float = 0.0

    def mark(self) -> None:
        """Let the fault begin now."""
        self.fault_s = time.monotonic()

    def order(self, act: Callable[[BluezEmulator], object]) -> None:
        """Have the emulator do something, from another thread; blocks until it is done."""
        self.bluez.call(act)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something; raises AssertionError when it does not happen."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():  # noqa: ASYNC110 - what other threads do sets no event of this loop
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise AssertionError(f"waited in vain: {what}; the guard says {self.view.control.permit}") from None

    async def cruising(self) -> None:
        """Wait until the train has been at full power for a while."""
        await self.until(lambda: self._steady() >= CRUISING_S, "the train drives")

    def _steady(self) -> float:
        """Tell for how long the motor has had one and the same power."""
        since_s, now_s = time.monotonic(), time.monotonic()
        for at_s, setting in reversed(self.motor):
            if setting.kind is not CommandKind.DRIVE or setting.power_percent < 50:
                break
            since_s = at_s
        return now_s - since_s

    def linked(self) -> bool:
        """Tell whether the agent has a hub."""
        return self.hub.status().connected

    def stopped_s(self) -> float | None:
        """Tell when the hub braked, or halted for want of a link, after the fault."""
        return next((t for t, to in self.motor if t >= self.fault_s and to.kind is not CommandKind.DRIVE), None)

    def braked_s(self) -> float | None:
        """Tell when brake bytes reached the hub after the fault."""
        return next((t for t, to in self.motor if t >= self.fault_s and to.kind is CommandKind.BRAKE), None)

    def noticed_s(self) -> float | None:
        """Tell when the guard knew that the link was lost."""
        return self.entered_s(GuardState.LINK_LOST)

    def entered_s(self, state: GuardState) -> float | None:
        """Tell when the guard entered a state after the fault."""
        return next((s.at_s for s in self.listener.states if s.at_s >= self.fault_s and s.guard is state), None)

    def reasons(self) -> list[str]:
        """List what the guard has said since the fault."""
        return [state.reason for state in self.listener.states if state.at_s >= self.fault_s]

    def drives_after(self, at_s: float) -> list[tuple[float, MotorSetting]]:
        """List the powers that reached the hub after a moment."""
        return [(t, to) for t, to in self.motor if t > at_s and to.kind is CommandKind.DRIVE]


Story = Callable[[Scene], Awaitable[None]]
Adjust = Callable[[Settings, Path], Settings]


def as_they_are(how: Settings, _folder: Path) -> Settings:
    """Adjust nothing."""
    return how


def perform(
    story: Story, slack: float = 1.0, *, dies_of: type[Exception] | None = None, adjust: Adjust = as_they_are
) -> Scene:
    """Bring a train to full speed, tell the story, end the run; return what was seen.

    `dies_of` is what the run must end on, where the story kills it. `adjust` makes the settings the story's; it is
    given a folder that is gone afterwards.
    """
    film = Film()
    scenes: list[Scene] = []
    with ExitStack() as stack, capture_logs():
        bluez = stack.enter_context(EmulatorThread())
        stack.enter_context(mock.patch.dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bluez.bus_address))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        eyes, how = Eyes(folder), adjust(settings(slack), folder)
        stack.callback(eyes.mend)
        stack.callback(film.mend)
        try:
            asyncio.run(_perform(story, slack, how, bluez, film, eyes, scenes))
        except Exception as error:
            if dies_of is None or not isinstance(error, dies_of):
                raise
        else:
            assert dies_of is None, f"the run did not end on {dies_of}"
    return scenes[0]


async def _perform(
    story: Story, slack: float, how: Settings, bluez: EmulatorThread, film: Film, eyes: Eyes, scenes: list[Scene]
) -> None:
    listener = Listener()
    camera = Camera(film, how.capture.fps)
    hub = BleHub(how.hub)
    parts = build.Devices(camera, hub, Mission, lambda: None)

    async def watch(view: RunView) -> None:
        scene = Scene(bluez, film, eyes, hub, view, listener, eyes.folder, slack)
        bluez.call(lambda emulator: emulator.hub.watch(lambda to, at_s: scene.motor.append((at_s, to))))
        scenes.append(scene)
        await scene.cruising()
        with scene.undo:
            await story(scene)
        camera.ended = True

    with _instead(build, "build_devices", parts), _instead(build, "open_detector", eyes):
        try:
            await run(RunOptions(how, load_rules(), sinks=(listener,), watch=watch))
        finally:
            await close_bleak()


@contextmanager
def _instead(module: object, name: str, value: object) -> Iterator[None]:
    with mock.patch.object(module, name, return_value=value):
        yield
