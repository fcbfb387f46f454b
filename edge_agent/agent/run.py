"""Runs one train: opens the parts, starts the named tasks, and brakes before anything else ends.

Knows the life cycle. Which parts there are stands in build.py, what the tasks do in the rooms below.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
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
from edge_agent.agent.http import load_when_driving
from edge_agent.agent.lifecycle import CrashMarker, Shutdown
from edge_agent.agent.monitors import watch_loop, watch_memory
from edge_agent.agent.observers import QUEUE_SIZE, isolated, mirrors, tracing
from edge_agent.agent.systemd import Notifier, service_tasks
from edge_agent.config import Settings, SignRules, check_labels
from edge_agent.control.driver import Driver
from edge_agent.control.lights import Lights
from edge_agent.control.watchdog import Watchdog
from edge_agent.errors import EdgeAgentError, RetryableError, UsageError
from edge_agent.faults import SOURCE_DAMAGED, SOURCE_NOTED
from edge_agent.perception.camera import RecordedCamera
from edge_agent.pipeline import Control
from edge_agent.ports import Camera, Detector, DetectorInfo, Sink
from edge_agent.report import Mission, RunInfo, RunStats, as_json

if TYPE_CHECKING:
    from edge_agent.agent.http import ListenSocket
    from edge_agent.hub.recording import HubLog

_log = structlog.get_logger(__name__)

BRAKE_PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run.

    `sinks` are observers beside those that the settings ask for, `watch` is a task that shows the run to a person. With
    `virtual` the loop's clock is the simulated one. `duration_s` ends the run after that time. `hub_log` is where the
    bytes to and from a hub over Bluetooth are recorded. `port_asked` tells that somebody named the console's port: the
    run does not start where it is taken. `camera` and `detector` take the place of what the settings name: the detector
    that they mean, opened ahead; or pictures from memory, and a detector that answers at once, where something else is
    measured.
    """

    settings: Settings
    rules: SignRules
    sinks: tuple[Sink, ...] = ()
    watch: Callable[["RunView"], Coroutine[Any, Any, None]] | None = None
    virtual: bool = False
    duration_s: float | None = None
    hub_log: Path | None = None
    port_asked: bool = False
    camera: Camera | None = None
    detector: Callable[[], Detector] | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """What a person who watches may see of a run that goes on."""

    stats: RunStats
    control: Control
    driver: Driver
    mission: Callable[[], Mission]
    speed_mm_s: Callable[[], float | None]
    clock: Callable[[], float]


async def run(job: RunOptions) -> dict[str, Any]:
    """Run one train to its end and return the report as JSON values.

    Raises EdgeAgentError when it cannot start, or when something that nothing can mend happened on the way; the train
    has been braked by then.
    """
    with CrashMarker(os.environ) as marker:
        if marker.crashed:
            _log.warning("the process before died: arm the train when you have seen why", code="after_crash")
        report = await _run(replace(job, settings=marker.without_auto_arm(job.settings)), Notifier())
        if report["mission"]["outcome"] != "derailed":
            marker.ended_well()
        return report


async def _run(job: RunOptions, notifier: Notifier) -> dict[str, Any]:
    settings, clock = job.settings, asyncio.get_running_loop().time
    cv2.setNumThreads(1)  # its threads save 0.1 ms of a resize, for twice the processor time; the network wants that
    async with AsyncExitStack() as stack:
        door = _open_socket(job, stack)
        async with notifier.starting("loads the detector"):
            worker = build.build_worker(settings, virtual=job.virtual, opener=job.detector)
            await stack.enter_async_context(worker)
            check_labels(job.rules, worker.info.labels)
        log = _open_hub_log(job, stack)
        parts = build.build_devices(settings, virtual=job.virtual, hub_log=log, camera=job.camera)
        async with notifier.starting("opens hub and camera"):
            await stack.enter_async_context(parts.hub)
            await stack.enter_async_context(parts.camera)
        watchdog = Watchdog(settings.guard.loop_stall_ms / 1000, brake=parts.hub.emergency_brake)
        if not job.virtual:  # a virtual clock may stand still for as long as it likes
            stack.enter_context(watchdog)
        crew = assemble(settings, job.rules, parts, worker, watchdog=watchdog, clock=clock)
        ending = Shutdown(crew.stop, settings.guard.exit_timeout_s)
        stack.callback(ending.complete)
        await _drive(job, crew, ending, door, notifier)
        crew.stats.observers_dropped = crew.observers.dropped()
        crew.stats.failed_writes = crew.driver.failed_writes
        ended_s = clock()
    what = _what_ran(job, worker.info, parts.camera.source)
    return as_json(what, crew.stats, parts.mission(), ended_s, ending.reason)


def _open_socket(job: RunOptions, stack: AsyncExitStack) -> "ListenSocket | None":
    """Open the port of the page and the metrics, where one is asked for; the first thing that can be wrong."""
    console = job.settings.console
    if job.virtual or not (console.enabled or console.metrics):
        return None
    from edge_agent.agent.http import ListenSocket  # noqa: PLC0415 - a web server; only those who serve load it

    return stack.enter_context(closing(ListenSocket(console, asked=job.port_asked)))


def _open_hub_log(job: RunOptions, stack: AsyncExitStack) -> "HubLog | None":
    if job.hub_log is None:
        return None
    if job.settings.hub.kind != "ble":
        raise UsageError("only a hub over Bluetooth has bytes to record", remedy="add --hub ble or drop --hub-log")
    from edge_agent.hub.recording import HubLog  # noqa: PLC0415 - needs D-Bus, which a mocked hub does without

    return stack.enter_context(closing(HubLog(job.hub_log)))


async def _drive(
    job: RunOptions, crew: Components, ending: Shutdown, door: "ListenSocket | None", notifier: Notifier
) -> None:
    """Run the tasks until somebody wants to end; brake first, then wind down."""
    try:
        with ending.on_signals(hangup=not notifier):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(task, name=name) for name, task in _tasks(job, crew, ending, door)]
                tasks += [
                    group.create_task(task, name=name) for name, task in service_tasks(job.settings, crew, notifier)
                ]
                await ending.wait()
                await _brake(crew, ending.reason)
                notifier.stopping(ending.reason, job.settings.guard.exit_timeout_s)
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        reason = str(errors.exceptions[0])
        ending.request(reason)
        await _brake(crew, reason)
        notifier.stopping(reason, job.settings.guard.exit_timeout_s)
        raise _first_of_ours(errors) from errors


def _tasks(
    job: RunOptions, crew: Components, ending: Shutdown, door: "ListenSocket | None"
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Name every task of a run."""
    yield "driver", crew.driver.run()
    yield "control", crew.control.run()
    yield "inference", crew.inference.run()
    yield "capture", _until_source_ends(crew, ending)
    yield "memory", watch_memory(crew.stats, crew.clock)
    yield "storage", crew.storage.watch()
    if not job.virtual and job.settings.detector.backend in {"auto", "tensorrt"}:
        yield "move-to-gpu", _move_to_gpu(job.settings, crew)
    yield from _observers(job, crew, door)
    if job.duration_s is not None:
        yield "duration", _after(job.duration_s, ending)
    if job.watch is not None:
        parts = crew.parts
        vista = RunView(crew.stats, crew.control, crew.driver, parts.mission, parts.speed_mm_s, crew.clock)
        yield "watch", job.watch(vista)


def _observers(
    job: RunOptions, crew: Components, door: "ListenSocket | None"
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Name the tasks that the train can do without."""
    lights = Lights(crew.parts.hub, job.settings.hub.light_percent)
    executor = CommandExecutor(crew.control, crew.capture, publish=crew.observers.publish, clock=crew.clock)
    commands = build_command_handler(job.settings, executor)
    outside = mirrors(job.settings, commands, report_fault=crew.report_fault, speed_mm_s=crew.parts.speed_mm_s)
    for sink in (lights, *outside.sinks, *tracing(job.settings), *job.sinks):
        # An observer that says what it wants is not woken for every picture, and keeps none waiting while it is busy.
        events = crew.observers.subscribe(sink.name, QUEUE_SIZE, getattr(sink, "wants", (object,)))
        yield sink.name, isolated(sink.name, sink.run(events), crew.faults)
    if outside.listener is not None:
        yield "kafka-commands", isolated("kafka_commands", outside.listener.run(), crew.faults)
    measures: list[Callable[[float], None]] = [lambda lag_s: crew.stats.loop_lag.add(lag_s * 1000)]
    if door is not None and door.socket is not None:
        from edge_agent.agent.http import LazyServer  # noqa: PLC0415 - as above

        porter = LazyServer(job.settings, crew, outside, commands)
        measures.append(porter.lag)
        yield "console", isolated("console", porter.run(door.socket), crew.faults)
    if door is not None:
        door.report(crew.faults)
    yield "loop-lag", watch_loop(measures, crew.watchdog.beat, crew.clock)


async def _move_to_gpu(settings: Settings, crew: Components) -> None:
    await load_when_driving(crew, "edge_agent.agent.gpu_upgrade")
    from edge_agent.agent.gpu_upgrade import gpu_upgrade  # noqa: PLC0415 - loaded just now

    move = gpu_upgrade(settings, crew.worker, crew.faults)
    if move is not None:
        await move.run()


async def _until_source_ends(crew: Components, ending: Shutdown) -> None:
    await crew.capture.run()
    camera = crew.parts.camera
    if isinstance(camera, RecordedCamera):
        for note in camera.notes:
            crew.faults.report(SOURCE_DAMAGED if camera.damaged else SOURCE_NOTED, note)
    ending.request("the source has ended")


async def _after(duration_s: float, ending: Shutdown) -> None:
    await asyncio.sleep(duration_s)
    ending.request(f"{duration_s:g} s have passed")


async def _brake(crew: Components, reason: str) -> None:
    """Write the last brake; a hub that does not take it in time is told of in the log."""
    linked = crew.parts.hub.status().connected
    try:
        async with asyncio.timeout(BRAKE_PATIENCE_S):
            await crew.driver.brake_now(reason)
    except (RetryableError, TimeoutError) as error:
        if linked:  # that there was no link has been told
            _log.error("last_brake_failed", error=str(error) or "no answer in time")


def _first_of_ours(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure to tell a person about: one of ours where there is one."""
    ours, _ = errors.split(EdgeAgentError)
    group: BaseExceptionGroup[Any] = ours or errors
    first = group.exceptions[0]
    return _first_of_ours(first) if isinstance(first, BaseExceptionGroup) else first


def _what_ran(job: RunOptions, info: DetectorInfo, source: str) -> RunInfo:
    return RunInfo(
        run_id=str(uuid_utils.uuid7()),
        train_id=job.settings.train.id,
        source=source,
        backend=info.backend,
        model=info.model,
        sha256=info.sha256,
        clock="virtual" if job.virtual else "real",
    )
