"""Test rig of the chaos suite: a whole agent in this process that drives an emulated hub through bleak and D-Bus.

Camera and detector are fakes that can fail; everything between them and the hub's bytes is the product. Timestamps come
from the emulated hub, whose thread keeps running when the agent's loop stalls.
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
from edge_agent.events import CommandKind, CommandResult, Decision, Event, Fault, GuardState, TrainState
from edge_agent.hub.ble import BleHub
from edge_agent.hub.emulator import BluezEmulator, MotorSetting
from edge_agent.perception.camera.live import LiveCamera, LiveTimeouts
from edge_agent.ports import EventSource, Shot
from edge_agent.report import Mission
from tests.hub.conftest import close_bleak
from tests.support.emulator_thread import EmulatorThread

from .fake_camera import FakeCamera
from .fake_detector import FakeDetector

TIMEOUT_S = 20.0
"""Longest wait for anything, on the slowest machine."""

CRUISING_S = 0.3
AFTERMATH_S = 0.4
"""Time after a stop in which nothing may drive."""


def settings(slack: float) -> Settings:
    """Return the shipped settings for a hub over Bluetooth, with all time limits multiplied by `slack`."""
    plain = Settings()
    times = ("lease_ms", "hub_lease_ms", "latch_ms", "loop_stall_ms")
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
    """An observer that records the train's states and decisions, its answers to commands, and the faults."""

    name = "listener"

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.states: list[TrainState] = []
        self.decisions: list[Decision] = []
        self.answers: list[CommandResult] = []

    async def run(self, events: EventSource) -> None:
        while True:
            event: Event = await events.get()
            if isinstance(event, TrainState):
                self.states.append(event)
            elif isinstance(event, Decision):
                self.decisions.append(event)
            elif isinstance(event, CommandResult):
                self.answers.append(event)
            elif isinstance(event, Fault):
                self.faults.append(event)


class Camera:
    """The product's live camera on a fake device; set `ended` to end the run."""

    source, live = "fake", True

    def __init__(self, device: FakeCamera, fps: float) -> None:
        self.ended = False
        timeouts = LiveTimeouts(open_s=TIMEOUT_S, retry_initial_s=0.2, close_s=0.1)
        self._inner = LiveCamera("fake", device.open, fps=fps, remedy=lambda: "repair it", timeouts=timeouts)

    async def __aenter__(self) -> "Camera":
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._inner.__aexit__(None, None, None)

    async def grab(self) -> Shot | None:
        return None if self.ended else await self._inner.grab()


@dataclass
class Rig:
    """A train at full speed, the parts that can fail, and what was recorded.

    `slack` multiplies the time limits; `undo` reverts what a scenario has patched, at its end or earlier.
    """

    bluez: EmulatorThread
    camera: FakeCamera
    detector: FakeDetector
    hub: BleHub
    view: RunView
    listener: Listener
    folder: Path
    slack: float = 1.0
    undo: ExitStack = field(default_factory=ExitStack)
    motor: list[tuple[float, MotorSetting]] = field(default_factory=list)
    fault_s: float = 0.0

    def mark(self) -> None:
        """Record that the fault begins now."""
        self.fault_s = time.monotonic()

    def call(self, act: Callable[[BluezEmulator], object]) -> None:
        """Run a command in the emulator's thread; blocks until it is done."""
        self.bluez.call(act)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition; raises AssertionError on a timeout."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while not condition():  # noqa: ASYNC110 - what other threads do sets no event of this loop
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise AssertionError(f"timeout: {what}; the guard permits {self.view.control.permit}") from None

    async def cruising(self) -> None:
        """Wait until the train has been at full power for a while."""
        await self.until(lambda: self._steady() >= CRUISING_S, "the train drives")

    def _steady(self) -> float:
        """Return for how long the motor has been driving at full power, in seconds."""
        since_s, now_s = time.monotonic(), time.monotonic()
        for at_s, setting in reversed(self.motor):
            if setting.kind is not CommandKind.DRIVE or setting.power_percent < 50:
                break
            since_s = at_s
        return now_s - since_s

    def linked(self) -> bool:
        """Return whether the agent is connected to the hub."""
        return self.hub.status().connected

    def stopped_s(self) -> float | None:
        """Return when the motor stopped after the fault, by a brake or by a lost link."""
        return next((t for t, to in self.motor if t >= self.fault_s and to.kind is not CommandKind.DRIVE), None)

    def braked_s(self) -> float | None:
        """Return when a brake reached the hub after the fault."""
        return next((t for t, to in self.motor if t >= self.fault_s and to.kind is CommandKind.BRAKE), None)

    def noticed_s(self) -> float | None:
        """Return when the guard entered LINK_LOST after the fault."""
        return self.entered_s(GuardState.LINK_LOST)

    def entered_s(self, state: GuardState) -> float | None:
        """Return when the guard entered a state after the fault."""
        return next((s.at_s for s in self.listener.states if s.at_s >= self.fault_s and s.guard is state), None)

    def reasons(self) -> list[str]:
        """Return the guard's reasons since the fault."""
        return [state.reason for state in self.listener.states if state.at_s >= self.fault_s]

    def drives_after(self, at_s: float) -> list[tuple[float, MotorSetting]]:
        """Return the powers that reached the hub after `at_s`."""
        return [(t, to) for t, to in self.motor if t > at_s and to.kind is CommandKind.DRIVE]


Scenario = Callable[[Rig], Awaitable[None]]
Adjust = Callable[[Settings, Path], Settings]


def unchanged(how: Settings, _folder: Path) -> Settings:
    """Return the settings as they are."""
    return how


def run_scenario(
    scenario: Scenario, slack: float = 1.0, *, dies_of: type[Exception] | None = None, adjust: Adjust = unchanged
) -> Rig:
    """Bring a train to full speed, await the scenario, end the run; return the rig with its records.

    `dies_of` is the exception that must end the run, if the scenario kills it. `adjust` changes the settings; it gets a
    folder that is removed afterwards.
    """
    camera = FakeCamera()
    rigs: list[Rig] = []
    with ExitStack() as stack, capture_logs():
        bluez = stack.enter_context(EmulatorThread(BluezEmulator()))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # Each run is the first in its folder: a train arms itself only where no earlier one has died.
        places = {"DBUS_SYSTEM_BUS_ADDRESS": bluez.bus_address, "RUNTIME_DIRECTORY": str(folder)}
        stack.enter_context(mock.patch.dict(os.environ, places))
        detector, how = FakeDetector(folder), adjust(settings(slack), folder)
        stack.callback(detector.repair)
        stack.callback(camera.repair)
        try:
            asyncio.run(_run(scenario, slack, how, bluez, camera, detector, rigs))
        except Exception as error:
            if dies_of is None or not isinstance(error, dies_of):
                raise
        else:
            assert dies_of is None, f"the run did not end on {dies_of}"
    return rigs[0]


async def _run(
    scenario: Scenario,
    slack: float,
    how: Settings,
    bluez: EmulatorThread,
    camera: FakeCamera,
    detector: FakeDetector,
    rigs: list[Rig],
) -> None:
    listener = Listener()
    live = Camera(camera, how.capture.fps)
    hub = BleHub(how.hub)
    parts = build.Devices(live, hub, Mission, lambda: None)

    async def watch(view: RunView) -> None:
        rig = Rig(bluez, camera, detector, hub, view, listener, detector.folder, slack)
        bluez.call(lambda emulator: emulator.hub.watch(lambda to, at_s: rig.motor.append((at_s, to))))
        rigs.append(rig)
        await rig.cruising()
        with rig.undo:
            await scenario(rig)
        live.ended = True

    with _instead(build, "build_devices", parts), _instead(build, "open_detector", detector):
        try:
            await run(RunOptions(how, load_rules(), sinks=(listener,), watch=watch))
        finally:
            await close_bleak()


@contextmanager
def _instead(module: object, name: str, value: object) -> Iterator[None]:
    with mock.patch.object(module, name, return_value=value):
        yield
