"""`edge-agent record`: save a dry run as an .mp4, with each frame's ground truth in a .jsonl."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli import options


def record(
    out: Annotated[Path, typer.Argument(metavar="FILE.mp4", help="The video; FILE.jsonl is written beside it.")],
    source: options.SourceOption = None,
    seed: options.SeedOption = None,
    layout: options.LayoutOption = None,
    realtime: options.RealtimeOption = None,
    duration: options.DurationOption = None,
    collect: options.CollectOption = None,
    collect_mb: options.CollectMbOption = 200,
    force: options.ForceOption = False,
    config: options.ConfigOption = None,
    profile: options.ProfileOption = None,
) -> None:
    """Record a dry run. `edge-agent run --dry-run --source FILE.mp4` replays it."""
    from edge_agent.cli.run import HardFrameOptions, drive, fail_on_fault
    from edge_agent.config import load
    from edge_agent.observers.recorder import Recorder

    overrides: dict[str, object] = {
        "capture.source": source,
        "capture.realtime": realtime,
        "hub.kind": "mock",
        "sim.seed": seed,
        "sim.layout": options.absolute(layout),
        "console.enabled": False,
        "console.metrics": False,
    }
    for file in (out, out.with_suffix(".jsonl")):
        options.refuse_existing(file, force=force)
    settings = load(config, overrides, profile=profile).settings
    recorder = Recorder(out, settings.capture.fps)
    report = drive(
        overrides,
        config,
        profile,
        duration_s=duration,
        quiet=False,
        sinks=(recorder,),
        hard_frames=HardFrameOptions(collect, collect_mb) if collect else None,
    )
    fail_on_fault(report, "recorder_failed")
    typer.echo(f"{recorder.frames} frames: {out}, {out.with_suffix('.jsonl')}")
