"""`edge-agent mirror`: the outbox's state, the live stream from Kafka, and sending the outbox by hand."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import ConfigOption, JsonOption, ProfileOption
from edge_agent.cli.output import progress_bar, show

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.config import Settings
    from edge_agent.observers.kafka.tools import ReceivedMessage
    from edge_agent.observers.outbox.view import OutboxView

app = typer.Typer(
    help="The mirror to Kafka: what waits in the outbox, the live stream, sending by hand.", no_args_is_help=True
)


@app.command(epilog="Example: edge-agent mirror status --json")
def status(config: ConfigOption = None, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Print what waits in the outbox; an agent may be running."""
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
    count: Annotated[int | None, typer.Option("--count", min=1, help="Stop after this many messages.")] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Start with the oldest that Kafka has.")] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print events as they arrive in Kafka, one per line, until Ctrl-C."""
    from edge_agent.observers.kafka.tools import tail as read

    settings, _ = _settings(config, profile)

    async def follow() -> None:
        left = count
        async with contextlib.aclosing(read(settings.kafka, from_start=from_start)) as stream:
            async for message in stream:
                typer.echo(_json_line(message) if as_json else _text_line(message))
                left = None if left is None else left - 1
                if left == 0:
                    return

    asyncio.run(follow())


@app.command(epilog="Example: edge-agent mirror drain --timeout 600")
def drain(
    timeout: Annotated[float, typer.Option("--timeout", min=1, metavar="S", help="Stop after S seconds.")] = 3600,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what waits in the outbox while no agent runs; exits with 1 when messages still wait afterwards."""
    from edge_agent.errors import RetryableError
    from edge_agent.observers.kafka.tools import drain as send

    settings, path = _settings(config, profile)
    with _progress() as progress:
        result = send(settings.kafka, path, settings.train.id, timeout_s=timeout, progress=progress)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(result) | {"duration_s": round(result.duration_s, 2)}))
    else:
        rate = f" ({result.sent / result.duration_s:.0f} a second)" if result.duration_s else ""
        typer.echo(f"{result.sent} sent{rate}, {result.dead} dead-lettered, {result.left} still wait")
    if result.left:
        raise RetryableError(f"{result.left} messages still wait: {result.error}", remedy=result.remedy)


def _settings(config: Path | None, profile: str | None) -> tuple[Settings, Path]:
    from edge_agent.config import load
    from edge_agent.observers.outbox.outbox import outbox_path

    settings = load(config, profile=profile).settings
    return settings, outbox_path(settings, os.environ)


@contextlib.contextmanager
def _progress() -> Any:
    """Yield a function that shows (sent, total) as a progress bar on stderr, where that is a terminal."""
    with progress_bar() as bar:
        task = bar.add_task("draining", total=None)
        yield lambda sent, total: bar.update(task, completed=sent, total=total)


def _facts(view: OutboxView, settings: Settings) -> dict[str, Any]:
    age_s = None if view.oldest_ms is None else max(0.0, round(time.time() - view.oldest_ms / 1000, 1))
    return {
        "path": str(view.path),
        "exists": view.exists,
        "held_by_an_agent": view.held,
        "file_bytes": view.file_bytes,
        "waiting": view.waiting,
        "oldest_age_s": age_s,
        "kinds": {kind.value: dataclasses.asdict(count) for kind, count in view.counts.items()},
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
    for kind, count in view.counts.items():
        rows.append((kind.value, count.rows, f"{count.bytes / 1e6:.1f}", count.sent, count.evicted, count.dead))
    return rows


def _text_line(message: ReceivedMessage) -> str:
    envelope = message.envelope
    if envelope is None:
        return f"?  {message.problem}"
    value = f"{message.bytes} bytes" if envelope.kind == "frame" else envelope.data.decode(errors="replace")
    return f"{envelope.time}  {envelope.train_id}  {envelope.kind:<10}  {value}"


def _json_line(message: ReceivedMessage) -> str:
    if message.envelope is None:
        return json.dumps({"problem": message.problem, "bytes": message.bytes})
    line: dict[str, Any] = {**message.envelope.attributes(), "datacontenttype": message.envelope.datacontenttype}
    if message.envelope.kind == "frame":
        return json.dumps(line | {"bytes": message.bytes})
    try:
        return json.dumps(line | {"data": json.loads(message.envelope.data)})
    except ValueError:
        return json.dumps(line | {"problem": "the value is not JSON", "bytes": message.bytes})
