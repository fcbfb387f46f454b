"""`edge-agent engine`: which detectors lie in engines/, and putting a new one in the place of the one that runs.

Knows options and how to print. Knows nothing of how models replace each other.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.columns import show
from edge_agent.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="The detectors in engines/: list them, promote a new one.")

EnginesOption = Annotated[
    Path | None, typer.Option("--engines", metavar="DIR", help="Where the agent's detectors are; its own if not given.")
]


@app.callback()
def engine() -> None:
    """List the detectors in engines/, or promote a new one."""


@app.command(epilog="Example: edge-agent engine promote runs/own/signs.onnx")
def promote(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The new model, its manifest beside it.")],
    engines: EnginesOption = None,
) -> None:
    """Put a model in the place of engines/signs.onnx; the old one is kept beside it under its hash."""
    from edge_agent import resources
    from edge_agent.detector import OnnxDetector
    from edge_agent.mlops import release

    folder = engines or resources.engines_dir()
    if not model.is_file():
        raise UsageError(f"{model}: no such model", remedy="name the .onnx of a training run")
    OnnxDetector(model, needs_manifest=True).close()  # what the agent cannot run is refused
    kept = release.promote(model, folder)
    typer.echo(f"{folder / f'{release.SHIPPED}.onnx'} is now {model}")
    typer.echo(f"kept the old one: {kept}" if kept else "there was no old one to keep")


@app.command(name="list", epilog="Example: edge-agent engine list --json")
def list_engines(
    engines: EnginesOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the detectors with sha256, size and what their manifests tell of their quality."""
    from edge_agent import resources

    folder = engines or resources.engines_dir()
    models = [_facts(path) for path in sorted(folder.glob("*.onnx"))]
    if not models:
        raise UsageError(f"{folder}: holds no models", remedy="name a folder with .onnx files")
    rows: list[tuple[Any, ...]] = [("model", "sha256", "MB", "quality")]
    rows += [(m["model"], m["sha256"][:12], f"{m['bytes'] / 1e6:.1f}", _quality(m["metrics"])) for m in models]
    show({"models": models}, as_json, rows)


def _facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    try:
        metrics = json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("metrics")
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, AttributeError):
        metrics = None  # the detector tells what is wrong with a manifest when it is asked to run the model
    return {
        "model": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "metrics": metrics if isinstance(metrics, dict) else None,
    }


def _quality(metrics: dict[str, Any] | None) -> str:
    """Name the average precision on each data set that the manifest tells of."""
    if metrics is None:
        return "no manifest"
    told = [
        f"{name}: AP50 {figures['ap50']:.3f}"
        for name, figures in metrics.items()
        if isinstance(figures, dict) and isinstance(figures.get("ap50"), int | float)
    ]
    return ", ".join(told) or "-"
