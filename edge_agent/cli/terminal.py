"""A run in the terminal: a live status line while it lasts, a table when it has ended. Imports rich."""

import asyncio
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_agent.agent import RunView
from edge_agent.events import GuardState

REFRESH_S = 0.5

_COLOURS = {
    GuardState.RUNNING: "green",
    GuardState.STOPPING: "yellow",
    GuardState.ARMED_STOPPED: "yellow",
    GuardState.FAULT_LATCHED: "bold red",
    GuardState.LINK_LOST: "red",
}


async def show_status(view: RunView, console: Console) -> None:
    """Show a status line on `console`, updated every REFRESH_S, until cancelled."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(_status(view), refresh=True)
            await asyncio.sleep(REFRESH_S)


def _status(view: RunView) -> Text:
    stats, permit = view.stats, view.control.permit
    run_s = view.clock() - stats.started_s
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f" {permit.state.value.replace('_', ' ')} ", style=_COLOURS.get(permit.state, "cyan"))
    line.append(f" {run_s:5.1f} s  power {view.driver.power_percent:3d} %")
    if (speed := view.speed_mm_s()) is not None:
        line.append(f"  {speed:4.0f} mm/s")
    latency = stats.to_prediction.percentile(50)
    line.append(f"  {stats.processed} frames")
    line.append(f"  {latency:.0f} ms" if latency is not None else "")
    line.append(f"  dropped {stats.dropped}" if stats.dropped else "")
    line.append(f"  {permit.reason}", style="dim")
    return line


def print_report(report: dict[str, Any], console: Console) -> None:
    """Print the run report as a table."""
    table = Table(title=f"Run of {report['train_id']} on {report['source']}", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _rows(report):
        table.add_row(name, value)
    console.print(table)


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    frames, mission, detector = report["frames"], report["mission"], report["detector"]
    latency, ticks = report["latency_ms"], report["ticks"]
    rows = [
        ("mission", _mission(mission)),
        ("ended by", report["ended_by"]),
        ("duration", f"{report['duration_s']:.1f} s ({report['clock']} clock), {report['fps'] or 0:.2f} frames/s"),
        ("detector", f"{detector['model']} on {detector['backend']}, sha256 {detector['sha256'][:12]}"),
        ("frames", ", ".join(f"{count} {what}" for what, count in frames.items())),
        ("late ticks", f"{ticks['late']} of {ticks['n']}"),
        ("inference", _distribution(latency["inference"])),
        ("capture to prediction", _distribution(latency["capture_to_prediction"])),
        ("capture to command", _distribution(latency["capture_to_command"])),
        ("loop lag", _distribution(report["loop_lag_ms"])),
        ("detections", ", ".join(f"{label} {n}" for label, n in report["detections"].items()) or "none"),
    ]
    rows += [(f"{a['t_s']:8.2f} s", _action(a)) for a in report["actions"]]
    rows += [(f"fault {f['t_s']:.2f} s", f"{f['code']}: {f['message']}; {f['remedy']}") for f in report["faults"]]
    return rows


def _mission(mission: dict[str, Any]) -> str:
    margin_mm, overruns = mission["margin_mm"], mission["overruns"]
    match mission["outcome"]:
        case "stopped":
            outcome = f"stopped {margin_mm:.0f} mm before the cliff"
        case "derailed":
            outcome = "derailed: the train fell off the end of the rails"
        case _:
            outcome = "ended"
    return f"{outcome}, {overruns} STOP sign(s) run over" if overruns else outcome


def _action(action: dict[str, Any]) -> str:
    power = action["power_percent"]
    return f"{action['sign']}: {action['action']}" + (f" at {power} %" if power is not None else "")


def _distribution(values: dict[str, Any]) -> str:
    if not values["n"]:
        return "none"
    return ", ".join(f"{key} {values[key]:.2f}" for key in ("p50", "p95", "p99", "max")) + f" ms, n {values['n']}"
