"""From settings to parts: which camera, which hub, which detector, which limits.

Knows every room below and what each setting means to them. Opens nothing and starts nothing.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from edge_agent.agent.monitors import StorageMonitor
from edge_agent.config import Settings, SignRules
from edge_agent.control import guard, policy
from edge_agent.control.driver import Driver, MotorTarget, Ramp
from edge_agent.control.power import compensate
from edge_agent.control.watchdog import Watchdog
from edge_agent.errors import UsageError
from edge_agent.events import Event, Frame, MotorCommand
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.hub.mock import MockHub
from edge_agent.perception.camera import LiveTimeouts, open_camera
from edge_agent.perception.detector import open_detector
from edge_agent.perception.tracking import TrackerParameters
from edge_agent.pipeline import Capture, CaptureParameters, Control, ControlParameters, DetectorWorker, Inference
from edge_agent.ports import Camera, Detector, Hub
from edge_agent.report import Mission, RunStats
from edge_agent.runtime.queues import Fanout, Latest
from edge_agent.runtime.resources import state_dir

if TYPE_CHECKING:
    from edge_agent.hub.recording import HubLog
    from edge_agent.simulation.camera import SimCamera
    from edge_agent.simulation.world import World

_log = structlog.get_logger(__name__)

MODELLED_INFERENCE_S = 0.030
"""What an inference takes on a virtual clock: about a small network on two busy CPU cores."""


@dataclass(frozen=True, slots=True)
class Devices:
    """The outer parts of one run.

    `mission` tells how it went so far; `speed_mm_s` is the simulated train's speed, None where there is none.
    `emulated` tells that the hub is an emulated one that moves the simulated world.
    """

    camera: Camera
    hub: Hub
    mission: Callable[[], Mission]
    speed_mm_s: Callable[[], float | None]
    emulated: bool = False


def build_devices(
    settings: Settings, *, virtual: bool, hub_log: "HubLog | None" = None, camera: Camera | None = None
) -> Devices:
    """Choose camera and hub; raises EdgeAgentError where they cannot be had.

    A hub over Bluetooth records its bytes to `hub_log`. A `camera` takes the place of the one that the settings name.
    """
    capture = settings.capture
    if virtual and settings.hub.kind == "ble":
        raise UsageError("a hub over Bluetooth lives in real time", remedy="leave out --no-realtime")
    if camera is not None:
        return Devices(camera, _hub(settings, hub_log), Mission, lambda: None)
    if capture.source == "sim":
        return _simulated(settings, hub_log)
    source = open_camera(
        capture.source,
        fps=capture.fps,
        width_hint=capture.width,
        height_hint=capture.height,
        timeouts=LiveTimeouts(
            capture.open_timeout_s, capture.stall_timeout_ms / 1000, capture.retry_initial_s, capture.retry_max_s
        ),
    )
    if virtual and source.live:
        raise UsageError(f"'{capture.source}' cannot be read faster than it happens", remedy="leave out --no-realtime")
    return Devices(source, _hub(settings, hub_log), Mission, lambda: None)


def _simulated(settings: Settings, hub_log: "HubLog | None") -> Devices:
    # Only those who drive in the simulated world load it: a real train starts sooner without.
    from edge_agent.simulation.camera import SimCamera  # noqa: PLC0415
    from edge_agent.simulation.hub import SimHub  # noqa: PLC0415
    from edge_agent.simulation.invent import default_layout  # noqa: PLC0415
    from edge_agent.simulation.layout_file import load_layout  # noqa: PLC0415
    from edge_agent.simulation.world import World  # noqa: PLC0415

    sim = settings.sim
    if sim.layout is None:
        layout = replace(default_layout(sim.seed), time_limit_s=sim.time_limit_s)
    else:
        layout = load_layout(sim.layout)
    world = World(layout, sim.seed, sim.battery_percent)

    def mission() -> Mission:
        derailed_or_stopped = world.outcome.value != "ended"
        margin_mm = round(world.margin_mm, 1) if derailed_or_stopped else None
        return Mission(world.outcome.value, margin_mm, world.overruns)

    camera = SimCamera(world)
    if settings.hub.kind == "mock":
        return Devices(camera, SimHub(world), mission, lambda: world.speed_mm_s)
    joined = _join(camera, world)
    hub = _hub(settings, hub_log)
    return Devices(joined or camera, hub, mission, lambda: world.speed_mm_s, emulated=joined is not None)


def _join(camera: "SimCamera", world: "World") -> Camera | None:
    """Join the world to the emulated hub on the system bus, where there is one."""
    from edge_agent.agent.emulated_train import EmulatedTrainCamera  # noqa: PLC0415 - needs D-Bus, as below
    from edge_agent.hub.emulator import RemoteMotor, emulator_on_system_bus  # noqa: PLC0415

    control = emulator_on_system_bus()
    if control is None:
        _log.warning(
            "simulated_train_stands", reason="the hub is no emulated one: it does not move the simulated world"
        )
        return None
    return EmulatedTrainCamera(camera, world, RemoteMotor(control))


def _hub(settings: Settings, hub_log: "HubLog | None") -> Hub:
    if settings.hub.kind == "mock":
        return MockHub()
    from edge_agent.hub.ble import BleHub  # noqa: PLC0415 - bleak needs D-Bus; only those who drive a real hub load it

    return BleHub(settings.hub, log=hub_log)


def build_worker(settings: Settings, *, virtual: bool, opener: Callable[[], Detector] | None = None) -> DetectorWorker:
    """Choose the detector's thread; a virtual clock gets a modelled inference time.

    An `opener` takes the place of the one for the detector that the settings name.
    """
    opener = opener or functools.partial(open_detector, settings.detector)
    return DetectorWorker(opener, modelled_s=MODELLED_INFERENCE_S if virtual else 0.0)


def build_tuning(settings: Settings, rules: SignRules) -> policy.Tuning:
    """Choose how the policy works."""
    how = settings.policy
    tracking = TrackerParameters(min_iou=how.track_iou, forget_s=how.track_lost_ms / 1000)
    return policy.Tuning(how.cruise_power_percent, rules.signs, tracking, how.ignore_above_percent / 100)


def build_control_parameters(settings: Settings, rules: SignRules, *, emulated: bool = False) -> ControlParameters:
    """Choose what policy and guard work by. What moves nothing real may be armed without a person."""
    how = settings.guard
    harmless = emulated or settings.hub.kind == "mock"
    return ControlParameters(
        train_id=settings.train.id,
        tuning=build_tuning(settings, rules),
        limits=guard.Limits(how.lease_ms / 1000, how.latch_ms / 1000, how.stop_time_ms / 1000),
        tick_s=how.tick_ms / 1000,
        critical_voltage_mv=how.critical_voltage_mv,
        low_voltage_mv=how.low_voltage_mv,
        start_timeout_s=how.start_timeout_s,
        auto_arm=how.arm == "always" or (how.arm == "auto" and harmless),
    )


def build_storage_monitor(settings: Settings, faults: FaultReporter) -> StorageMonitor:
    """Choose where room is needed."""
    return StorageMonitor(settings.state.directory or state_dir(os.environ), settings.guard.min_free_disk_mb, faults)


def build_capture_parameters(settings: Settings) -> CaptureParameters:
    """Choose how frames are taken."""
    how = settings.capture
    return CaptureParameters(how.fps, how.width, how.height, how.retry_for_s)


def build_ramp(settings: Settings) -> Ramp:
    """Choose how power may change."""
    return Ramp(percent_per_s=settings.hub.ramp_percent_per_s, start_percent=settings.hub.min_power_percent)


def build_compensation(settings: Settings, hub: Hub) -> Callable[[int], int]:
    """Choose how the power asked for becomes the power written: as the battery's voltage demands."""
    return lambda power_percent: compensate(power_percent, hub.status().voltage_mv, settings.hub)


@dataclass(frozen=True, slots=True)
class Components:
    """Everything that one run needs, opened and wired."""

    parts: Devices
    worker: DetectorWorker
    observers: Fanout[Event]
    stats: RunStats
    driver: Driver
    control: Control
    inference: Inference
    capture: Capture
    watchdog: Watchdog
    storage: StorageMonitor
    faults: FaultReporter
    report_fault: Callable[[FaultReport], None]
    clock: Callable[[], float]

    def stop(self, reason: str) -> None:
        """Aim at a brake for good: from here on nothing else aims."""
        self.control.close()
        self.driver.set_target(MotorTarget(None, reason))


def assemble(
    settings: Settings,
    rules: SignRules,
    parts: Devices,
    worker: DetectorWorker,
    *,
    watchdog: Watchdog,
    clock: Callable[[], float],
) -> Components:
    """Wire the tasks of the control path to each other."""
    hub = parts.hub
    observers: Fanout[Event] = Fanout()
    frames: Latest[Frame] = Latest()
    stats = RunStats(started_s=clock())

    def written(command: MotorCommand) -> None:
        stats.command(command)
        observers.publish(command)

    def report_fault(report: FaultReport) -> None:
        storage.on_fault(report)
        fault = report.at(clock())
        stats.fault(fault)
        observers.publish(fault)

    faults = FaultReporter(report_fault, clock)
    storage = build_storage_monitor(settings, faults)
    storage.check()  # before anything is armed
    adapt, ramp = build_compensation(settings, hub), build_ramp(settings)
    driver = Driver(hub, ramp=ramp, adapt=adapt, publish=written, clock=clock)
    control = Control(
        hub,
        driver,
        build_control_parameters(settings, rules, emulated=parts.emulated),
        integrity=lambda: inference.trouble,
        storage=lambda: storage.trouble,
        stalls=lambda: watchdog.trips,
        observers=observers,
        stats=stats,
        faults=faults,
        clock=clock,
    )
    inference = Inference(
        frames,
        worker,
        max_age_s=settings.capture.max_age_ms / 1000,
        deliver=control.on_prediction,
        observers=observers,
        stats=stats,
        faults=faults,
        clock=clock,
    )
    capture = Capture(
        parts.camera,
        frames,
        build_capture_parameters(settings),
        observers=observers,
        stats=stats,
        faults=faults,
        clock=clock,
    )
    return Components(
        parts,
        worker,
        observers,
        stats,
        driver,
        control,
        inference,
        capture,
        watchdog,
        storage,
        faults,
        report_fault,
        clock,
    )
