"""Printing facts: JSON for programs, columns for people."""

import json
from typing import Any

import typer


def show(facts: dict[str, Any], as_json: bool, rows: list[tuple[Any, ...]]) -> None:
    """Print `facts` as JSON, or `rows` in columns that are as wide as their cells, whatever the terminal's width."""
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    cells = [tuple(map(_cell, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key} {item}" for key, item in value.items())
        case list():
            return ", ".join(map(str, value)) or "none"
    return str(value)
