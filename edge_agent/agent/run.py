"""Runs one train: opens detector, hub and camera, starts the tasks, and brakes before anything else ends."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import structlog
import uuid_utils

from edge_agent.agent import build
from edge_agent.agent.build import Components, assemble
from edge_agent.agent.commands import CommandExecutor, build_command_handler
from edge_agent.agent.fault_log import FaultLog
from edge_agent.agent.http import LazyServer, ListenSocket, load_when_driving
from edge_agent.agent.lifecycle import CrashMarker, Shutdown, ends_at_hangup
from edge_agent.agent.monitors import watch_loop, watch_memory
from edge_agent.agent.observers import QUEUE_SIZE, isolated, mirrors, tracing
from edge_agent.agent.systemd import Notifier, service_tasks
from edge_agent.config import Settings, SignRules, at_working_point, check_labels, threshold_note
from edge_agent.control.driver import Driver
from edge_agent.control.lights import Lights
from edge_agent.control.watchdog import Watchdog
from edge_agent.errors import EdgeAgentError, RetryableError, UsageError
from edge_agent.events import Fault
from edge_agent.faults import DETECTOR_FINDS_NOTHING, SOURCE_DAMAGED, SOURCE_NOTED
from edge_agent.perception.camera import RecordedCamera
from edge_agent.perception.detector import suggested_threshold
from edge_agent.pipeline import Control
from edge_agent.ports import Camera, Detector, DetectorInfo, Sink
from edge_agent.report import Mission, RunInfo, RunStats, as_json

if TYPE_CHECKING:
    from edge_agent.hub.recording import HubLog

_log = structlog.get_logger(__name__)

BRAKE_TIMEOUT_S = 0.5

TELL_S = 0.3
"""After the last brake, what an open page needs to hear how the run ended: it is sent a new state every 0.1 s."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run.

    Args:
        settings: of the whole agent.
        rules: the sign rules.
        sinks: observers beside those that the settings ask for.
        watch: a task that shows the run to a person.
        virtual: the loop's clock is the simulated one.
        duration_s: ends the run after this time.
        hub_log: the file that records the bytes to and from a hub over Bluetooth.
        port_required: the console's port was chosen by the user: the run does not start where it is taken.
        camera: takes the place of the one in the settings, for tests and measurements.
        on_listening: is called once the page's port is open.
        detector: opens the detector in place of the one in the settings: for tests and measurements, or one that was
            opened early.
    """

    settings: Settings
    rules: SignRules
    sinks: tuple[Sink, ...] = ()
    watch: Callable[["RunView"], Coroutine[Any, Any, None]] | None = None
    virtual: bool = False
    duration_s: float | None = None
    hub_log: Path | None = None
    port_required: bool = False
    camera: Camera | None = None
    detector: Callable[[], Detector] | None = None
    on_listening: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class RunView:
    """A running train, as `RunOptions.watch` sees it."""

    stats: RunStats
    control: Control
    driver: Driver
    mission: Callable[[], Mission]
    speed_mm_s: Callable[[], float | None]
    faults: Callable[[], Sequence[Fault]]
    clock: Callable[[], float]


async def run(options: RunOptions) -> dict[str, Any]:
    """Run one train to its end and return the report as JSON values, in the running event loop.

    Raises EdgeAgentError when the run cannot start or cannot go on; the train has been braked by then.
    """
    with CrashMarker(options.settings, os.environ) as marker:
        if marker.reason:
            code = "after_crash" if marker.crashed else "no_crash_mark"
            _log.warning(f"{marker.reason}: arm the train when you know why", code=code)
        report = await _run(replace(options, settings=marker.without_auto_arm(options.settings)), Notifier())
        if report["mission"]["outcome"] != "derailed":
            marker.ended_well()
        return report


async def _run(options: RunOptions, notifier: Notifier) -> dict[str, Any]:
    options = replace(options, settings=_at_working_point(options))
    settings, clock = options.settings, asyncio.get_running_loop().time
    # More threads save 0.1 ms of a resize for twice the CPU time, which the detector needs.
    cv2.setNumThreads(1)
    async with AsyncExitStack() as stack:
        listener = _open_socket(options, stack)
        async with notifier.starting("loading the detector"):
            worker = build.build_worker(settings, virtual=options.virtual, opener=options.detector)
            await stack.enter_async_context(worker)
            check_labels(options.rules, worker.info.labels)
        log = _open_hub_log(options, stack)
        devices = build.build_devices(settings, virtual=options.virtual, hub_log=log, camera=options.camera)
        async with notifier.starting("opening hub and camera"):
            await stack.enter_async_context(devices.hub)
            await stack.enter_async_context(devices.camera)
        limit_s, brake = settings.guard.loop_stall_ms / 1000, devices.hub.emergency_brake
        # On a virtual clock, which may stand still for any time, there is no thread to notice a stall.
        watchdog = Watchdog(limit_s, brake=brake, clock=clock) if options.virtual else Watchdog(limit_s, brake=brake)
        if not options.virtual:
            stack.enter_context(watchdog)
        components = assemble(settings, options.rules, devices, worker, watchdog=watchdog, clock=clock)
        shutdown = Shutdown(components.stop, settings.guard.exit_timeout_s)
        stack.callback(shutdown.complete)
        await _drive(options, components, shutdown, listener, notifier)
        components.stats.observers_dropped = components.observers.dropped()
        components.stats.failed_writes = components.driver.failed_writes
        ended_s = clock()
    info = _run_info(options, worker.info, devices.camera.source)
    return as_json(info, components.stats, devices.mission(), ended_s, shutdown.reason)


def _at_working_point(options: RunOptions) -> Settings:
    """Return the settings with the detector's threshold that fits the sign rules, and log what it does not change."""
    detector, rules = options.settings.detector, options.rules
    suggested = suggested_threshold(detector)
    if note := threshold_note(detector, rules, suggested):
        _log.warning(note, code="threshold_only_shows")
    return options.settings.model_copy(update={"detector": at_working_point(detector, rules, suggested)})


def _open_socket(options: RunOptions, stack: AsyncExitStack) -> ListenSocket | None:
    """Open the web server's port, where one is wanted; before all else, since a taken port may end the run."""
    console = options.settings.console
    if options.virtual or not (console.enabled or console.metrics):
        return None
    listener = stack.enter_context(closing(ListenSocket(console, required=options.port_required)))
    if listener.socket is not None and console.enabled:
        options.on_listening()
    return listener


def _open_hub_log(options: RunOptions, stack: AsyncExitStack) -> "HubLog | None":
    if options.hub_log is None:
        return None
    if options.settings.hub.kind != "ble":
        raise UsageError("only a hub over Bluetooth has bytes to record", remedy="add --hub ble or remove --hub-log")
    from edge_agent.hub.recording import HubLog  # noqa: PLC0415 - needs D-Bus, which a mocked hub does not

    return stack.enter_context(closing(HubLog(options.hub_log)))


async def _drive(
    options: RunOptions, components: Components, shutdown: Shutdown, listener: ListenSocket | None, notifier: Notifier
) -> None:
    """Run the tasks until a shutdown is requested or one fails; then brake before anything else ends."""
    log = FaultLog(components.stats.faults)
    hangup = not notifier and ends_at_hangup()
    try:
        with shutdown.on_signals(hangup=hangup):
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(task, name=name)
                    for name, task in _tasks(options, components, shutdown, listener, log)
                ]
                tasks += [
                    group.create_task(task, name=name)
                    for name, task in service_tasks(options.settings, components, notifier, log, reloads=not hangup)
                ]
                await shutdown.wait()
                await _brake(components, shutdown.reason)
                notifier.stopping(shutdown.reason, options.settings.guard.exit_timeout_s)
                components.control.publish_end(f"{components.devices.mission().text()} ({shutdown.reason})")
                if listener is not None and listener.socket is not None:
                    await asyncio.sleep(TELL_S)
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        reason = str(errors.exceptions[0])
        shutdown.request(reason)
        await _brake(components, reason)
        notifier.stopping(reason, options.settings.guard.exit_timeout_s)
        raise _first_error(errors) from errors


def _tasks(
    options: RunOptions,
    components: Components,
    shutdown: Shutdown,
    listener: ListenSocket | None,
    log: FaultLog,
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Yield all tasks of a run, by name."""
    # First: it subscribes before anything below reports a fault.
    yield log.name, log.run(components.observers.subscribe(log.name, QUEUE_SIZE, (Fault,)))
    yield "driver", components.driver.run()
    yield "control", components.control.run()
    yield "inference", components.inference.run()
    yield "capture", _until_source_ends(components, shutdown)
    yield "memory", watch_memory(components.stats, components.clock)
    yield "storage", components.storage.watch()
    if not options.virtual and options.settings.detector.backend in {"auto", "tensorrt"}:
        yield "move-to-gpu", _upgrade_to_gpu(options.settings, components)
    yield from _observers(options, components, listener)
    if options.duration_s is not None:
        yield "duration", _after(options.duration_s, shutdown)
    if options.watch is not None:
        devices = components.devices
        view = RunView(
            components.stats,
            components.control,
            components.driver,
            devices.mission,
            devices.speed_mm_s,
            log.active,
            components.clock,
        )
        yield "watch", options.watch(view)


def _observers(
    options: RunOptions, components: Components, listener: ListenSocket | None
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Yield the tasks that the train can do without, by name."""
    lights = Lights(components.devices.hub, options.settings.hub.light_percent)
    executor = CommandExecutor(
        components.control, components.capture, publish=components.observers.publish, clock=components.clock
    )
    commands = build_command_handler(options.settings, executor)
    mirrored = mirrors(
        options.settings, commands, report_fault=components.faults.publish, speed_mm_s=components.devices.speed_mm_s
    )
    for sink in (lights, *mirrored.sinks, *tracing(options.settings), *options.sinks):
        # An observer that names the events it wants is not woken for the others, and its queue holds none of them.
        events = components.observers.subscribe(sink.name, QUEUE_SIZE, getattr(sink, "wants", (object,)))
        yield sink.name, isolated(sink.name, sink.run(events), components.faults)
    if mirrored.listener is not None:
        yield "kafka-commands", isolated("kafka_commands", mirrored.listener.run(), components.faults)
    measures: list[Callable[[float], None]] = [lambda lag_s: components.stats.loop_lag.add(lag_s * 1000)]
    if listener is not None and listener.socket is not None:
        server = LazyServer(options.settings, components, mirrored, commands)
        measures.append(server.observe_lag)
        yield "console", isolated("console", server.run(listener.socket), components.faults)
    if listener is not None:
        listener.report(components.faults)
    if components.worker.problem:
        components.faults.report(DETECTOR_FINDS_NOTHING, components.worker.problem)
    yield "loop-lag", watch_loop(measures, components.watchdog.beat, components.clock)


async def _upgrade_to_gpu(settings: Settings, components: Components) -> None:
    await load_when_driving(components, "edge_agent.agent.gpu_upgrade")
    from edge_agent.agent.gpu_upgrade import gpu_upgrade  # noqa: PLC0415 - loaded just now

    upgrade = gpu_upgrade(settings, components.worker, components.faults)
    if upgrade is not None:
        await upgrade.run()


async def _until_source_ends(components: Components, shutdown: Shutdown) -> None:
    await components.capture.run()
    camera = components.devices.camera
    if isinstance(camera, RecordedCamera):
        for note in camera.notes:
            components.faults.report(SOURCE_DAMAGED if camera.damaged else SOURCE_NOTED, note)
    shutdown.request("the source has ended")


async def _after(duration_s: float, shutdown: Shutdown) -> None:
    await asyncio.sleep(duration_s)
    shutdown.request(f"{duration_s:g} s have passed")


async def _brake(components: Components, reason: str) -> None:
    """Write the last brake; logs where the hub does not accept it in time."""
    linked = components.devices.hub.status().connected
    try:
        async with asyncio.timeout(BRAKE_TIMEOUT_S):
            await components.driver.brake_now(reason)
    except (RetryableError, TimeoutError) as error:
        if linked:  # a link that was lost before has been reported
            _log.error("last_brake_failed", error=str(error) or "timeout")


def _first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error to show: an EdgeAgentError where there is one."""
    known, _ = errors.split(EdgeAgentError)
    group: BaseExceptionGroup[Any] = known or errors
    first = group.exceptions[0]
    return _first_error(first) if isinstance(first, BaseExceptionGroup) else first


def _run_info(options: RunOptions, detector: DetectorInfo, source: str) -> RunInfo:
    return RunInfo(
        run_id=str(uuid_utils.uuid7()),
        train_id=options.settings.train.id,
        source=source,
        backend=detector.backend,
        model=detector.model,
        sha256=detector.sha256,
        clock="virtual" if options.virtual else "real",
    )
