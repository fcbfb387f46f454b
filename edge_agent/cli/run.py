"""`edge-agent run`: drive one train until its source or its mission ends."""

import dataclasses
import gc
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli import options
from edge_agent.errors import FatalError, UsageError
from edge_agent.runtime.files import write_atomic

if TYPE_CHECKING:
    from edge_agent.agent import RunOptions, RunView
    from edge_agent.config import Loaded, Settings, SignRules
    from edge_agent.observers.hard_frames import Collector

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Drive a mocked hub; with the source sim, a simulated train.")
]
ReportOption = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write the run report as JSON.")]
DetectorOption = Annotated[
    str | None, typer.Option("--detector", metavar="BACKEND", help="auto, onnxruntime, tensorrt or none.")
]
HubLogOption = Annotated[
    Path | None,
    typer.Option("--hub-log", metavar="FILE", help="Record the bytes to and from the hub, for `hub replay`."),
]
TrainIdOption = Annotated[str | None, typer.Option("--train-id", metavar="ID", help="The train's id.")]
ConsoleOption = Annotated[
    str | None, typer.Option("--console", metavar="HOST:PORT", help="Where to serve the web page and the metrics.")
]
NoConsoleOption = Annotated[bool, typer.Option("--no-console", help="Serve neither the web page nor metrics.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the run report as JSON on stdout.")]


@dataclass(frozen=True, slots=True)
class HardFrameOptions:
    """Where hard frames are saved, and the most megabytes that the folder may hold."""

    folder: Path
    megabytes: int


def run(
    dry_run: DryRunOption = False,
    source: options.SourceOption = None,
    hub: options.HubOption = None,
    seed: options.SeedOption = None,
    layout: options.LayoutOption = None,
    realtime: options.RealtimeOption = None,
    duration: options.DurationOption = None,
    report: ReportOption = None,
    model: options.ModelOption = None,
    threshold: options.ThresholdOption = None,
    detector: DetectorOption = None,
    hub_log: HubLogOption = None,
    train_id: TrainIdOption = None,
    collect: options.CollectOption = None,
    collect_mb: options.CollectMbOption = 200,
    console: ConsoleOption = None,
    no_console: NoConsoleOption = False,
    as_json: JsonOption = False,
    config: options.ConfigOption = None,
    profile: options.ProfileOption = None,
) -> None:
    """Drive one train. Exit 0: it stopped or the source ended; 1: it derailed or failed; 78: bad configuration."""
    overrides: dict[str, object] = {
        "capture.source": source,
        "capture.realtime": realtime,
        "hub.kind": hub or ("mock" if dry_run else None),
        "sim.seed": seed,
        "sim.layout": options.absolute(layout),
        "detector.model": options.absolute(model),
        "detector.threshold": threshold,
        "detector.backend": detector,
        "train.id": train_id,
        **console_overrides(console, off=no_console),
    }
    options.check_writable(report, "report")
    hard_frames = HardFrameOptions(collect, collect_mb) if collect else None
    result = drive(
        overrides, config, profile, duration_s=duration, quiet=as_json, hub_log=hub_log, hard_frames=hard_frames
    )
    if report is not None:
        write_atomic(report, (json.dumps(result, indent=2) + "\n").encode())
    if as_json:
        typer.echo(json.dumps(result))
    fail_on_fault(result, "source_damaged")
    if result["mission"]["outcome"] == "derailed":
        raise typer.Exit(1)


def console_overrides(where: str | None, *, off: bool) -> dict[str, object]:
    """Return the settings that `--console HOST:PORT` and `--no-console` stand for; raises UsageError."""
    if off and where is not None:
        raise UsageError("--console and --no-console contradict each other", remedy="keep one")
    if off:
        return {"console.enabled": False, "console.metrics": False}
    if where is None:
        return {}
    host, port = options.host_and_port(where, "--console")
    return {"console.enabled": True, "console.host": host, "console.port": port}


def _is_port_chosen(loaded: "Loaded") -> bool:
    """Return whether the user chose the console's port; a file that repeats the default was only copied."""
    console, default = loaded.settings.console, type(loaded.settings.console)()
    named = [loaded.provenance[key] for key in ("console.host", "console.port")]
    on_purpose = any(place != "default" and ":" not in place for place in named)  # `file:line` is a file
    return on_purpose or (console.host, console.port) != (default.host, default.port)


def fail_on_fault(report: dict[str, Any], code: str) -> None:
    """Raise FatalError with the message of the first fault with this code in a report, if there is one."""
    for fault in report["faults"]:
        if fault["code"] == code:
            raise FatalError(fault["message"], remedy=fault["remedy"])


def drive(
    overrides: dict[str, object],
    config: Path | None,
    profile: str | None,
    *,
    duration_s: float | None,
    quiet: bool,
    sinks: Any = (),
    hub_log: Path | None = None,
    hard_frames: HardFrameOptions | None = None,
) -> dict[str, Any]:
    """Run one train by the settings and return its report; its progress is shown in the terminal unless `quiet`."""
    from edge_agent.cli.startup import preload_detector
    from edge_agent.config import load, load_rules
    from edge_agent.runtime import log

    loaded = load(config, overrides, profile=profile)
    settings = (
        options.with_run_token(loaded.settings) if loaded.settings.capture.realtime and not quiet else loaded.settings
    )
    rules = load_rules(settings.policy.rules)
    watched = sys.stderr.isatty() and not quiet
    log.configure(settings.log.level, settings.log.format)
    working = options.detector_at_working_point(settings, rules)
    opener = preload_detector(working)
    from edge_agent.agent import RunOptions  # most of a run's code: loaded while the detector is opened

    collector = _open_collector(hard_frames, working, rules) if hard_frames else None
    job = RunOptions(
        settings,
        rules,
        (*sinks, collector) if collector else tuple(sinks),
        virtual=not settings.capture.realtime,
        duration_s=duration_s,
        hub_log=hub_log,
        port_required=_is_port_chosen(loaded),
        detector=opener,
        # Not before: where the port is taken the link would lead to another program.
        on_listening=lambda: options.announce_console(settings, run_token=settings is not loaded.settings),
    )
    result = _run_to_end(job, watched)
    _print_result(result, quiet=quiet)
    if hard_frames and collector and not quiet and not log.goes_to_journal(os.environ):
        typer.echo(f"{collector.kept} hard frames: {hard_frames.folder}")
    return result


def _print_result(result: dict[str, Any], *, quiet: bool) -> None:
    """Report how a run went: as a line in the journal where stderr goes there, else as a table."""
    import structlog

    from edge_agent.runtime import log

    if log.goes_to_journal(os.environ):
        structlog.get_logger().info("run_ended", reason=result["ended_by"], outcome=result["mission"]["outcome"])
    elif not quiet:
        from rich.console import Console

        from edge_agent.cli.terminal import print_report

        print_report(result, Console())


def _run_to_end(job: "RunOptions", watched: bool) -> dict[str, Any]:
    """Run the job on the clock that it asks for, and return its report."""
    from edge_agent.agent import run
    from edge_agent.runtime import event_loop

    if job.virtual:
        from edge_agent.simulation.clock import run_virtual

        return run_virtual(run(job))
    if watched:
        from rich.console import Console

        from edge_agent.cli.terminal import show_status

        async def watch(view: "RunView") -> None:
            await show_status(view, Console(stderr=True))

        job = dataclasses.replace(job, watch=watch)
    # What was imported lives as long as the process: the collector need not scan it while the train drives.
    gc.freeze()
    return event_loop.run(run(job))


def _open_collector(wanted: HardFrameOptions, settings: "Settings", rules: "SignRules") -> "Collector":
    """Return an observer that saves hard frames; raises UsageError when its folder cannot be written to."""
    from edge_agent.observers.hard_frames import Collector
    from edge_agent.perception.tracking import TrackerParameters

    policy = settings.policy
    tracking = TrackerParameters(gate=policy.track_gate, forget_s=policy.track_lost_ms / 1000)
    threshold, budget_bytes = settings.detector.threshold, wanted.megabytes * 1_000_000
    assert threshold is not None  # noqa: S101 - set with the rules
    scores = {label: rule.min_score for label, rule in rules.signs.items()}
    return Collector(
        wanted.folder, min_scores=scores, threshold=threshold, budget_bytes=budget_bytes, tracking=tracking
    )
