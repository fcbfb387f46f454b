"""From settings to components: camera, hub, detector, limits, and the tasks of the control path, wired together.

Nothing is opened or started here.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from edge_agent.perception.vision import Turn
from edge_agent.pipeline import Capture, CaptureParameters, Control, ControlParameters, DetectorWorker, Inference
from edge_agent.ports import Camera, Detector, Hub
from edge_agent.report import Mission, RunStats
from edge_agent.runtime.queues import Fanout, Latest
from edge_agent.runtime.resources import state_dir

if TYPE_CHECKING:
    from edge_agent.hub.recording import HubLog

MODELLED_INFERENCE_S = 0.030
"""The duration of an inference on a virtual clock: that of a small network on two busy CPU cores."""


@dataclass(frozen=True, slots=True)
class Devices:
    """Camera and hub of one run.

    `mission` returns the outcome so far, `speed_mm_s` the simulated train's speed, None for a real one. `emulated`: the
    hub is an emulated one that moves the simulated world.
    """

    camera: Camera
    hub: Hub
    mission: Callable[[], Mission]
    speed_mm_s: Callable[[], float | None]
    emulated: bool = False


def build_devices(
    settings: Settings, *, virtual: bool, hub_log: "HubLog | None" = None, camera: Camera | None = None
) -> Devices:
    """Make camera and hub; raises EdgeAgentError where that is not possible.

    A hub over Bluetooth records its bytes to `hub_log`. A `camera` takes the place of the one in the settings.
    """
    capture = settings.capture
    if virtual and settings.hub.kind == "ble":
        raise UsageError("a hub over Bluetooth works in real time only", remedy="remove --no-realtime")
    if camera is not None:
        return Devices(camera, _hub(settings, hub_log), Mission, lambda: None)
    if capture.source == "sim":
        return _simulated(settings, hub_log)
    source = open_camera(
        capture.source,
        fps=capture.fps,
        width_hint=capture.camera_width,
        height_hint=capture.camera_height,
        timeouts=LiveTimeouts(
            capture.open_timeout_s, capture.stall_timeout_ms / 1000, capture.retry_initial_s, capture.retry_max_s
        ),
    )
    if virtual and source.live:
        raise UsageError(f"'{capture.source}' cannot be read faster than real time", remedy="remove --no-realtime")
    return Devices(source, _hub(settings, hub_log), Mission, lambda: None)


def _simulated(settings: Settings, hub_log: "HubLog | None") -> Devices:
    from edge_agent.agent.simulated_train import SimulatedTrain  # noqa: PLC0415 - a real train starts faster without it

    train = SimulatedTrain(settings)
    hub = train.hub or _hub(settings, hub_log)
    return Devices(train.camera, hub, train.mission, train.speed_mm_s, train.emulated)


def _hub(settings: Settings, hub_log: "HubLog | None") -> Hub:
    if settings.hub.kind == "mock":
        return MockHub()
    from edge_agent.hub.ble import BleHub  # noqa: PLC0415 - bleak needs D-Bus: loaded for a real hub only

    return BleHub(settings.hub, log=hub_log)


def build_worker(settings: Settings, *, virtual: bool, opener: Callable[[], Detector] | None = None) -> DetectorWorker:
    """Make the detector's worker; on a virtual clock with a modelled inference time.

    An `opener` takes the place of the one for the detector in the settings.
    """
    opener = opener or functools.partial(open_detector, settings.detector)
    trial = None
    if settings.detector.model is not None and settings.detector.backend != "none":
        from edge_agent.perception.detector.samples import samples_problem  # noqa: PLC0415 - the shipped one needs no trial

        trial = samples_problem
    return DetectorWorker(opener, modelled_s=MODELLED_INFERENCE_S if virtual else 0.0, trial=trial)


def build_tuning(settings: Settings, rules: SignRules) -> policy.Tuning:
    """Return the policy's parameters."""
    section = settings.policy
    tracking = TrackerParameters(gate=section.track_gate, forget_s=section.track_lost_ms / 1000)
    return policy.Tuning(section.cruise_power_percent, rules.signs, tracking, section.ignore_above_percent / 100)


def build_control_parameters(settings: Settings, rules: SignRules, *, emulated: bool = False) -> ControlParameters:
    """Return the parameters of policy and guard. Without a real train, arming needs no person."""
    section = settings.guard
    harmless = emulated or settings.hub.kind == "mock"
    return ControlParameters(
        train_id=settings.train.id,
        tuning=build_tuning(settings, rules),
        limits=guard.Limits(
            section.lease_ms / 1000,
            section.latch_ms / 1000,
            section.stop_time_ms / 1000,
            settings.commands.max_age_s,
            section.hub_lease_ms / 1000,
        ),
        tick_s=section.tick_ms / 1000,
        critical_voltage_mv=section.critical_voltage_mv,
        low_voltage_mv=section.low_voltage_mv,
        start_timeout_s=section.start_timeout_s,
        auto_arm=section.arm == "always" or (section.arm == "auto" and harmless),
    )


def build_capture_parameters(settings: Settings) -> CaptureParameters:
    """Return how frames are captured."""
    section = settings.capture
    return CaptureParameters(
        section.fps,
        section.width,
        section.height,
        section.retry_for_s,
        keep_aspect=section.aspect == "keep",
        turn=Turn(section.rotate, section.flip),
    )


def build_ramp(settings: Settings) -> Ramp:
    """Return how fast power may change."""
    return Ramp(percent_per_s=settings.hub.ramp_percent_per_s, start_percent=settings.hub.min_power_percent)


def build_compensation(settings: Settings, hub: Hub) -> Callable[[int], int]:
    """Return the function that adapts the power to the battery's voltage, in percent."""
    return lambda power_percent: compensate(power_percent, hub.status().voltage_mv, settings.hub)


@dataclass(frozen=True, slots=True)
class Components:
    """Everything that one run needs, wired together."""

    devices: Devices
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
    clock: Callable[[], float]

    def stop(self, reason: str) -> None:
        """Brake for good: nothing else sets the driver's target from now on."""
        self.control.close()
        self.driver.set_target(MotorTarget(None, reason))


def assemble(
    settings: Settings,
    rules: SignRules,
    devices: Devices,
    worker: DetectorWorker,
    *,
    watchdog: Watchdog,
    clock: Callable[[], float],
) -> Components:
    """Make the tasks of the control path and wire them to each other."""
    hub, frames = devices.hub, Latest[Frame]()
    observers, stats = Fanout[Event](), RunStats(started_s=clock())
    faults, storage = _fault_reporting(settings, observers, stats, clock)

    def on_write(command: MotorCommand) -> None:
        stats.command(command)
        observers.publish(command)

    adapt, ramp = build_compensation(settings, hub), build_ramp(settings)
    driver = Driver(hub, ramp=ramp, adapt=adapt, publish=on_write, clock=clock)
    control = Control(
        hub,
        driver,
        build_control_parameters(settings, rules, emulated=devices.emulated),
        integrity=lambda: inference.trouble,
        storage=lambda: storage.trouble,
        stalls=watchdog.stalls,
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
    parameters = build_capture_parameters(settings)
    capture = Capture(devices.camera, frames, parameters, observers=observers, stats=stats, faults=faults, clock=clock)
    return Components(
        devices, worker, observers, stats, driver, control, inference, capture, watchdog, storage, faults, clock
    )


def _fault_reporting(
    settings: Settings, observers: Fanout[Event], stats: RunStats, clock: Callable[[], float]
) -> tuple[FaultReporter, StorageMonitor]:
    """Make the reporter of the event loop, and the monitor of the disk, which needs its reports."""

    def publish(report: FaultReport) -> None:
        storage.on_fault(report)
        fault = report.at(clock())
        stats.fault(fault)
        observers.publish(fault)

    faults = FaultReporter(publish, clock)
    folder = settings.state.directory or state_dir(os.environ)
    storage = StorageMonitor(folder, settings.guard.min_free_disk_mb, faults)
    storage.check()  # before anything is armed
    return faults, storage
