"""`edge-agent doctor`: run the checks and print their results."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from edge_agent.cli.options import ConfigOption, HubOption, JsonOption, ProfileOption, SourceOption

if TYPE_CHECKING:
    from edge_agent.doctor import CheckResult

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    source: SourceOption = None,
    hub: HubOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check camera, detector, picture, hub, brokers, page, GPU, disk and clock; exits with 1 if a check fails."""
    import asyncio

    from edge_agent.config import load
    from edge_agent.doctor import Status, all_checks, run_checks

    settings = load(config, {"capture.source": source, "hub.kind": hub}, profile=profile).settings
    results = asyncio.run(run_checks(all_checks(settings, os.environ)))
    failed = any(result.status is Status.FAIL for result in results)
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "checks": [asdict(result) for result in results]}, indent=2))
    else:
        _print_table(results)
    if failed:
        raise typer.Exit(1)


def _print_table(results: Sequence[CheckResult]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:  # a log or a pipe: one line a check, never wrapped
        for result in results:
            line = f"{result.name:<9} {result.status.value:<5} {result.message}"
            typer.echo(f"{line}; {result.remedy}" if result.remedy else line)
        return
    table = Table("check", "", "result", box=None)
    for result in results:
        remedy = f"\n-> {result.remedy}" if result.remedy else ""
        table.add_row(
            result.name, f"[{_COLOURS[result.status]}]{result.status.value}[/]", escape(result.message + remedy)
        )
    console.print(table)
