"""A run in the terminal: its status while it lasts, a table when it has ended. Imports rich."""

import asyncio
from collections.abc import Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edge_agent.agent import RunView
from edge_agent.events import Fault, GuardState, Severity
from edge_agent.report import Mission
from edge_agent.runtime.log import printable

REFRESH_S = 0.5
SHOWN_ACTIONS = 20
"""The number of signs in the table at the end; the report in JSON has up to 1,000."""

_COLOURS = {
    GuardState.RUNNING: "green",
    GuardState.STOPPING: "yellow",
    GuardState.ARMED_STOPPED: "yellow",
    GuardState.FAULT_LATCHED: "bold red",
    GuardState.LINK_LOST: "red",
}
_SEVERITIES = {Severity.STOP: "red", Severity.DEGRADED: "yellow", Severity.INFO: "yellow"}
_NEXT = {
    GuardState.FAULT_LATCHED: "when the cause is gone and the train stands: re-arm, then arm and drive",
    GuardState.DISARMED: "arm the train, then order it to drive: on the page, over MQTT or over Kafka",
}
"""What only a person can do, by state."""


async def show_status(view: RunView, console: Console) -> None:
    """Show the train's status at the foot of `console`, updated every REFRESH_S, until cancelled.

    Whatever is written to stderr meanwhile, the log too, appears above it.
    """
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(status(view, console), refresh=True)
            await asyncio.sleep(REFRESH_S)


def status(view: RunView, console: Console) -> Group:
    """Return the figures, why the train does what it does, and each current fault with its remedy, worst first.

    Long lines are wrapped, never cut. Faults for which the terminal is not high enough are named by their codes.
    """
    permit, faults = view.control.permit, view.faults()
    head: list[Text | Padding] = [_figures(view)]
    if permit.reason not in {fault.message for fault in faults}:
        head.append(_indented(permit.reason, 1))
    if permit.state in _NEXT:
        head.append(_indented(_NEXT[permit.state], 1, "bold"))
    for shown in range(len(faults), -1, -1):
        codes = ", ".join(fault.code for fault in faults[shown:])
        rest = [_indented(f"also: {codes}", 1)] if codes else []
        group = Group(*head, *chain.from_iterable(map(_fault, faults[:shown])), *rest)
        if shown == 0 or len(console.render_lines(group, pad=False)) < console.height:
            break
    return group


def _figures(view: RunView) -> Text:
    stats, permit = view.stats, view.control.permit
    line = Text()
    line.append(f" {permit.state.value.replace('_', ' ')} ", style=_COLOURS.get(permit.state, "cyan"))
    line.append(f" {view.clock() - stats.started_s:5.1f} s  power {view.driver.power_percent:3d} %")
    if (speed := view.speed_mm_s()) is not None:
        line.append(f"  {speed:4.0f} mm/s")
    latency = stats.to_prediction.percentile(50)
    line.append(f"  {stats.processed} frames")
    line.append(f"  {latency:.0f} ms" if latency is not None else "")
    line.append(f"  dropped {stats.dropped}" if stats.dropped else "")
    return line


def _fault(fault: Fault) -> Iterator[Padding]:
    yield _indented(f"{fault.code}: {fault.message}", 1, _SEVERITIES[fault.severity])
    if fault.remedy:
        yield _indented(fault.remedy, 3, "bold")


def _indented(text: str, columns: int, style: str = "") -> Padding:
    return Padding(Text(printable(text), style=style), (0, 0, 0, columns))


def print_report(report: dict[str, Any], console: Console) -> None:
    """Print the run report as a table."""
    table = Table(title=f"Run of {report['train_id']} on {report['source']}", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _rows(report):
        table.add_row(name, Text(printable(value)))  # as text: a message may hold what rich takes for markup
    console.print(table)


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    frames, mission, detector = report["frames"], report["mission"], report["detector"]
    latency, ticks = report["latency_ms"], report["ticks"]
    rows = [
        ("mission", Mission(**mission).text()),
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
    actions, total = report["actions"][-SHOWN_ACTIONS:], report["actions_total"]
    if total > len(actions):
        rows.append(("signs", f"the last {len(actions)} of {total}"))
    rows += [(f"{a['t_s']:8.2f} s", _action(a)) for a in actions]
    if report["faults_total"] > len(report["faults"]):
        rows.append(("faults", f"the last {len(report['faults'])} of {report['faults_total']}"))
    return rows + [_faults_of_a_code(code, list(faults)) for code, faults in _by_code(report["faults"])]


def _by_code(faults: list[dict[str, Any]]) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    return groupby(sorted(faults, key=itemgetter("code")), itemgetter("code"))


def _faults_of_a_code(code: str, faults: list[dict[str, Any]]) -> tuple[str, str]:
    """Return a row for all faults of a code: when the first came, how many there were, and what the last one said."""
    first, last = faults[0], faults[-1]
    times = f" ({len(faults)} times, the last at {last['t_s']:.2f} s)" if len(faults) > 1 else ""
    return f"fault {first['t_s']:.2f} s", "; ".join(filter(None, (f"{code}{times}: {last['message']}", last["remedy"])))


def _action(action: dict[str, Any]) -> str:
    power = action["power_percent"]
    return f"{action['sign']}: {action['action']}" + (f" at {power} %" if power is not None else "")


def _distribution(values: dict[str, Any]) -> str:
    if not values["n"]:
        return "none"
    return ", ".join(f"{key} {values[key]:.2f}" for key in ("p50", "p95", "p99", "max")) + f" ms, n {values['n']}"
