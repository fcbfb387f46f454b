"""`edge-agent mirror`: what waits for Kafka, the live stream, and sending by hand.

Knows options and how to print. Knows nothing of outboxes or brokers.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import ConfigOption, ProfileOption
from edge_agent.cli.output import show

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.config import Settings
    from edge_agent.observers.kafka.tools import ReceivedMessage
    from edge_agent.observers.outbox.view import OutboxView

app = typer.Typer(help="The mirror to Kafka: what waits, the live stream, sending by hand.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Example: edge-agent mirror status --json")
def status(config: ConfigOption = None, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show what waits in the outbox; the agent may be running."""
    from edge_agent.observers.outbox.view import inspect_outbox

    settings, path = _settings(config, profile)
    view = inspect_outbox(path)
    facts = _facts(view, settings)
    if not as_json:
        typer.echo(_summary(view, facts["oldest_age_s"]))
    if as_json or view.exists:
        show(facts, as_json, _rows(view))


@app.command(epilog="Example: edge-agent mirror tail --count 10")
def tail(
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after so many messages.")] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest that Kafka has.")] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show events as they arrive in Kafka, one a line, until Ctrl-C."""
    from edge_agent.observers.kafka.tools import tail as listen

    settings, _ = _settings(config, profile)

    async def follow() -> None:
        left = count
        async with contextlib.aclosing(listen(settings.kafka, from_start=from_start)) as stream:
            async for heard in stream:
                typer.echo(_json_line(heard) if as_json else _text_line(heard))
                left = None if left is None else left - 1
                if left == 0:
                    return

    asyncio.run(follow())


@app.command(epilog="Example: edge-agent mirror drain --timeout 600")
def drain(
    timeout: Annotated[float, typer.Option("--timeout", min=1, metavar="S", help="End after so many seconds.")] = 3600,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what waits in the outbox while no agent runs; exit 1 when some still waits afterwards."""
    from edge_agent.errors import RetryableError
    from edge_agent.observers.kafka.tools import drain as send

    settings, path = _settings(config, profile)
    with _progress() as progress:
        done = send(settings.kafka, path, settings.train.id, timeout_s=timeout, progress=progress)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(done) | {"duration_s": round(done.duration_s, 2)}))
    else:
        rate = f" ({done.sent / done.duration_s:.0f} a second)" if done.duration_s else ""
        typer.echo(f"{done.sent} sent{rate}, {done.dead} dead-lettered, {done.left} still wait")
    if done.left:
        raise RetryableError(f"{done.left} messages still wait: {done.error}", remedy=done.remedy)


def _settings(config: Path | None, profile: str | None) -> tuple[Settings, Path]:
    from edge_agent.config import load
    from edge_agent.observers.outbox.outbox import outbox_path

    settings = load(config, profile=profile).settings
    return settings, outbox_path(settings, os.environ)


@contextlib.contextmanager
def _progress() -> Any:
    """Yield a function that shows (gone, total) on stderr, where a person is there to see it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("draining"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("drain", total=None)
        yield lambda gone, total: bar.update(task, completed=gone, total=total)


def _facts(view: OutboxView, settings: Settings) -> dict[str, Any]:
    age_s = None if view.oldest_ms is None else max(0.0, round(time.time() - view.oldest_ms / 1000, 1))
    return {
        "path": str(view.path),
        "exists": view.exists,
        "held_by_an_agent": view.held,
        "file_bytes": view.file_bytes,
        "waiting": view.waiting,
        "oldest_age_s": age_s,
        "kinds": {kind.value: dataclasses.asdict(tally) for kind, tally in view.tallies.items()},
        "dead_letters": view.dead_reasons,
        "set_aside": [str(path) for path in view.set_aside],
        "kafka": {"enabled": settings.kafka.enabled, "bootstrap_servers": list(settings.kafka.bootstrap_servers)},
    }


def _summary(view: OutboxView, oldest_age_s: float | None) -> str:
    if not view.exists:
        return f"there is no outbox yet at {view.path}"
    used = "in use by an agent" if view.held else "not in use"
    waits = f"{view.waiting} messages wait" + (f", the oldest for {oldest_age_s:.0f} s" if view.waiting else "")
    lines = [f"{view.path}: {view.file_bytes / 1e6:.1f} MB on disk, {used}", waits]
    lines += [f"{count} dead letters: {reason}" for reason, count in view.dead_reasons.items()]
    lines += [f"set aside as damaged: {path}" for path in view.set_aside]
    return "\n".join(lines)


def _rows(view: OutboxView) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [("kind", "waiting", "MB", "sent", "evicted", "dead")]
    for kind, tally in view.tallies.items():
        rows.append((kind.value, tally.rows, f"{tally.bytes / 1e6:.1f}", tally.sent, tally.evicted, tally.dead))
    return rows


def _text_line(heard: ReceivedMessage) -> str:
    envelope = heard.envelope
    if envelope is None:
        return f"?  {heard.problem}"
    value = f"{heard.bytes} bytes" if envelope.kind == "frame" else envelope.data.decode(errors="replace")
    return f"{envelope.time}  {envelope.train_id}  {envelope.kind:<10}  {value}"


def _json_line(heard: ReceivedMessage) -> str:
    if heard.envelope is None:
        return json.dumps({"problem": heard.problem, "bytes": heard.bytes})
    line: dict[str, Any] = {**heard.envelope.attributes(), "datacontenttype": heard.envelope.datacontenttype}
    if heard.envelope.kind == "frame":
        return json.dumps(line | {"bytes": heard.bytes})
    try:
        return json.dumps(line | {"data": json.loads(heard.envelope.data)})
    except ValueError:
        return json.dumps(line | {"problem": "the value is no JSON", "bytes": heard.bytes})
