"""`edge-agent run`: drive one train until its source or its mission ends.

Knows options, the report file and the exit code. Knows nothing of how a train is driven.
"""

import dataclasses
import gc
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.collect import CollectorOptions, open_collector
from edge_agent.cli.options import (
    CollectMbOption,
    CollectOption,
    ConfigOption,
    DurationOption,
    LayoutOption,
    ModelOption,
    ProfileOption,
    RealtimeOption,
    SeedOption,
    SourceOption,
    ThresholdOption,
    check_writable,
    host_and_port,
)
from edge_agent.errors import FatalError, UsageError
from edge_agent.runtime.files import write_atomic

HubOption = Annotated[str | None, typer.Option("--hub", metavar="KIND", help="mock or ble.")]
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
TrainIdOption = Annotated[str | None, typer.Option("--train-id", metavar="ID", help="Names the train.")]
ConsoleOption = Annotated[
    str | None, typer.Option("--console", metavar="HOST:PORT", help="Serve the web page and the metrics there.")
]
NoConsoleOption = Annotated[bool, typer.Option("--no-console", help="Serve neither page nor metrics.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the run report as JSON on stdout.")]


def run(
    dry_run: DryRunOption = False,
    source: SourceOption = None,
    hub: HubOption = None,
    seed: SeedOption = None,
    layout: LayoutOption = None,
    realtime: RealtimeOption = None,
    duration: DurationOption = None,
    report: ReportOption = None,
    model: ModelOption = None,
    threshold: ThresholdOption = None,
    detector: DetectorOption = None,
    hub_log: HubLogOption = None,
    train_id: TrainIdOption = None,
    collect: CollectOption = None,
    collect_mb: CollectMbOption = 200,
    console: ConsoleOption = None,
    no_console: NoConsoleOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Drive one train. Exit 0: it stopped or the source ended; 1: it derailed or failed; 78: bad configuration."""
    overrides: dict[str, object] = {
        "capture.source": source,
        "capture.realtime": realtime,
        "hub.kind": hub or ("mock" if dry_run else None),
        "sim.seed": seed,
        "sim.layout": str(layout.absolute()) if layout else None,
        "detector.model": str(model.absolute()) if model else None,
        "detector.threshold": threshold,
        "detector.backend": detector,
        "train.id": train_id,
        **console_overrides(console, off=no_console),
    }
    check_writable(report, "report")
    keeping = CollectorOptions(collect, collect_mb) if collect else None
    result = drive(
        overrides,
        config=config,
        profile=profile,
        duration_s=duration,
        quiet=as_json,
        hub_log=hub_log,
        keeping=keeping,
    )
    if report is not None:
        _write(report, result)
    if as_json:
        typer.echo(json.dumps(result))
    _exit_by_result(result)


def _exit_by_result(result: dict[str, Any]) -> None:
    """End the command as its run went."""
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
    host, port = host_and_port(where, "--console")
    return {"console.enabled": True, "console.host": host, "console.port": port}


def _asked(loaded: Any) -> bool:
    """Tell whether somebody named the console's port; a file that repeats the default was only copied."""
    console, default = loaded.settings.console, type(loaded.settings.console)()
    named = [loaded.provenance[key] for key in ("console.host", "console.port")]
    on_purpose = any(place != "default" and ":" not in place for place in named)  # `:` is a line of a file
    return on_purpose or (console.host, console.port) != (default.host, default.port)


def fail_on_fault(report: dict[str, Any], code: str) -> None:
    """Raise FatalError with the words of the first such fault in a report, if there is one."""
    for fault in report["faults"]:
        if fault["code"] == code:
            raise FatalError(fault["message"], remedy=fault["remedy"])


def drive(
    overrides: dict[str, object],
    *,
    config: Path | None,
    profile: str | None,
    duration_s: float | None,
    quiet: bool,
    sinks: Any = (),
    hub_log: Path | None = None,
    keeping: CollectorOptions | None = None,
) -> dict[str, Any]:
    """Run one train by the settings and return its report; shown in the terminal unless `quiet`."""
    from edge_agent.cli.link import with_run_token
    from edge_agent.cli.startup import preload_detector
    from edge_agent.config import load, load_rules
    from edge_agent.runtime import log

    loaded = load(config, overrides, profile=profile)
    settings = with_run_token(loaded.settings) if loaded.settings.capture.realtime and not quiet else loaded.settings
    rules = load_rules(settings.policy.rules)
    watched = sys.stderr.isatty() and not quiet
    log.configure("error" if watched else settings.log.level, settings.log.format)
    virtual = not settings.capture.realtime
    opener = preload_detector(settings)
    from edge_agent.agent import RunOptions  # most of the code of a run; loaded while the detector is opened

    collector = open_collector(keeping, settings) if keeping else None
    sinks = (*sinks, collector) if collector else tuple(sinks)
    job = RunOptions(
        settings,
        rules,
        sinks,
        virtual=virtual,
        duration_s=duration_s,
        hub_log=hub_log,
        port_asked=_asked(loaded),
        detector=opener,
    )
    result = _run_to_end(job, watched)
    _tell_end(result, quiet=quiet)
    if keeping and collector and not quiet and not log.goes_to_journal(os.environ):
        typer.echo(f"{collector.kept} hard frames: {keeping.folder}")
    return result


def _tell_end(result: dict[str, Any], *, quiet: bool) -> None:
    """Tell how a run went: a line to the journal, which takes no tables, or a table to a person."""
    import structlog

    from edge_agent.runtime import log

    if log.goes_to_journal(os.environ):
        structlog.get_logger().info("run_ended", reason=result["ended_by"], outcome=result["mission"]["outcome"])
    elif not quiet:
        from rich.console import Console

        from edge_agent.cli.terminal import print_report  # rich is not needed before a run ends

        print_report(result, Console())


def _run_to_end(job: Any, watched: bool) -> dict[str, Any]:
    """Run the job on the clock that it asks for."""
    from edge_agent.agent import RunView, run
    from edge_agent.runtime import event_loop as loop

    gc.enable()
    if job.virtual:
        from edge_agent.simulation.clock import run_virtual

        return run_virtual(run(job))
    if watched:
        from rich.console import Console

        from edge_agent.cli.terminal import show_status

        async def watch(vista: RunView) -> None:
            await show_status(vista, Console(stderr=True))

        job = dataclasses.replace(job, watch=watch)
    # What was imported lives as long as the process: the collector need not look through it while the train drives.
    gc.freeze()
    return loop.run(run(job))


def _write(path: Path, report: dict[str, Any]) -> None:
    write_atomic(path, (json.dumps(report, indent=2) + "\n").encode())
