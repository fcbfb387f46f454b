"""`edge-agent config`: show, check and describe the settings."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import ConfigOption, JsonOption, ProfileOption

app = typer.Typer(help="Show, check and describe the settings.", no_args_is_help=True)


@app.command(epilog="Example: EDGE_AGENT_CAPTURE__FPS=5 edge-agent config show --profile booth")
def show(config: ConfigOption = None, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Print each setting and where its value came from; secrets are masked."""
    from edge_agent.config import load
    from edge_agent.config.display import shown_settings
    from edge_agent.config.yaml_file import display_path

    loaded = load(config, profile=profile)
    settings = shown_settings(loaded)
    files = [display_path(file) for file in loaded.files]
    if as_json:
        typer.echo(json.dumps({"files": files, "settings": settings}, indent=2))
    else:
        _print_table(files, settings)


@app.command(epilog="Example: edge-agent config check /etc/edge-agent/agent.yaml")
def check(
    path: Annotated[Path | None, typer.Argument(metavar="[PATH]", help="The configuration file.")] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Check settings, model and sign rules; prints one line for each problem and exits with 78 where there are any."""
    from edge_agent.config import at_working_point, check_labels, load, load_rules, threshold_note
    from edge_agent.config.yaml_file import display_path
    from edge_agent.errors import UsageError
    from edge_agent.perception.detector import model_labels, suggested_threshold
    from edge_agent.perception.detector.trial import try_model

    if path is not None and config is not None:
        raise UsageError("the configuration file is given twice", remedy="give it either as PATH or with --config")
    loaded = load(path or config, profile=profile)
    rules = load_rules(loaded.settings.policy.rules)
    try_model(loaded.settings.detector.model)
    detector = loaded.settings.detector
    check_labels(rules, model_labels(detector))
    suggested = suggested_threshold(detector)
    at_working_point(detector, rules, suggested)
    if note := threshold_note(detector, rules, suggested):
        typer.echo(f"note: {note}")
    typer.echo(f"ok: {', '.join([*(display_path(file) for file in loaded.files), rules.source])}")


@app.command(epilog="Example: edge-agent config schema > agent.schema.json")
def schema(
    rules: Annotated[
        bool, typer.Option("--rules", help="Print the schema of signs.yaml instead of agent.yaml.")
    ] = False,
) -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from edge_agent.config.display import json_schema

    typer.echo(json.dumps(json_schema(rules=rules), indent=2))


def _print_table(files: list[str], settings: dict[str, dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = [(key, _yaml(entry["value"]), str(entry["from"])) for key, entry in settings.items()]
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:  # a pipe: one line a setting, never wrapped
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for key, value, origin in rows:
            typer.echo(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}")
        return
    table = Table("setting", "value", "from", title=f"Settings from {', '.join(files)}", title_justify="left", box=None)
    for row in rows:
        table.add_row(*row, style="dim" if row[2] == "default" else "")
    console.print(table)


def _yaml(value: object) -> str:
    """Return a value as it is written in the file."""
    return value if isinstance(value, str) else json.dumps(value)
