"""The control path of one run, wired: which part hands what to which.

Knows every part of it by its constructor. Starts nothing and ends nothing; that is run.py's.
"""

from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.agent import build
from edge_agent.agent.storage import Storage
from edge_agent.config import Rules as SignRules
from edge_agent.config import Settings
from edge_agent.driver import Driver, Target
from edge_agent.events import Command, Event, Fault, Frame
from edge_agent.flow import Fanout, Latest
from edge_agent.pipeline import Capture, Control, Inference, Worker
from edge_agent.report import Tally
from edge_agent.watchdog import Watchdog


@dataclass(frozen=True, slots=True)
class Crew:
    """Everything that one run needs, opened and wired."""

    parts: build.Parts
    worker: Worker
    observers: Fanout[Event]
    tally: Tally
    driver: Driver
    control: Control
    inference: Inference
    capture: Capture
    watchdog: Watchdog
    storage: Storage
    clock: Callable[[], float]

    def tell(self, fault: Fault) -> None:
        """Keep a fault for the report and tell the observers."""
        self.storage.hear(fault)
        self.tally.fault(fault)
        self.observers.publish(fault)

    def stop(self, reason: str) -> None:
        """Aim at a brake for good: from here on nothing else aims."""
        self.control.close()
        self.driver.aim(Target(None, reason))


def assemble(
    settings: Settings,
    rules: SignRules,
    parts: build.Parts,
    worker: Worker,
    *,
    watchdog: Watchdog,
    clock: Callable[[], float],
) -> Crew:
    """Wire the tasks of the control path to each other."""
    hub = parts.hub
    observers: Fanout[Event] = Fanout()
    frames: Latest[Frame] = Latest()
    tally = Tally(started_s=clock())

    def written(command: Command) -> None:
        tally.command(command)
        observers.publish(command)

    def degraded(fault: Fault) -> None:
        tally.fault(fault)
        observers.publish(fault)

    storage = build.build_storage(settings, tell=degraded, clock=clock)
    adapt, ramp = build.build_adapt(settings, hub), build.build_ramp(settings)
    driver = Driver(hub, ramp=ramp, adapt=adapt, publish=written, clock=clock)
    control = Control(
        hub,
        driver,
        build.build_rules(settings, rules, emulated=parts.emulated),
        integrity=lambda: inference.trouble,
        storage=lambda: storage.trouble,
        stalls=lambda: watchdog.trips,
        observers=observers,
        tally=tally,
        clock=clock,
    )
    inference = Inference(
        frames,
        worker,
        max_age_s=settings.capture.max_age_ms / 1000,
        deliver=control.on_prediction,
        observers=observers,
        tally=tally,
        clock=clock,
    )
    capture = Capture(parts.camera, frames, build.build_pace(settings), observers=observers, tally=tally, clock=clock)
    return Crew(parts, worker, observers, tally, driver, control, inference, capture, watchdog, storage, clock)
