"""`edge-agent engine`: the detectors in engines/, and the TensorRT engines that are built from them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import ConfigOption, JsonOption, ProfileOption, absolute
from edge_agent.cli.output import show
from edge_agent.errors import ConfigError, FatalError, UsageError

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.perception.detector.tensorrt.build_worker import BuildRequest
    from edge_agent.perception.detector.tensorrt.selection import EngineSpec
    from edge_agent.perception.detector.tensorrt.verification import Agreement

app = typer.Typer(no_args_is_help=True, help="The detectors in engines/, and TensorRT engines built from them.")

EnginesOption = Annotated[
    Path | None, typer.Option("--engines", metavar="DIR", help="Folder of the detectors; default: the agent's own.")
]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", metavar="DIR", help="Folder of the built engines; default: the agent's cache.")
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision", metavar="NAME", help="auto, fp16, int8 or fp32; auto takes fp16 where the model has it."
    ),
]
FramesOption = Annotated[
    Path | None, typer.Option("--frames", metavar="DIR", help="Pictures to compare on; default: those shipped.")
]


@app.callback()
def engine() -> None:
    """List, build and check engines; promote a new detector."""


@app.command(epilog="Example: edge-agent engine build --precision fp16")
def build(
    model: Annotated[
        Path | None, typer.Argument(metavar="MODEL.onnx", help="The float32 model; default: the settings'.")
    ] = None,
    precision: PrecisionOption = None,
    cache: CacheOption = None,
    frames: FramesOption = None,
    anew: Annotated[bool, typer.Option("--anew", help="Build it again even if it exists.")] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the TensorRT engine for this machine and compare it with ONNX Runtime. Takes minutes."""
    from edge_agent.perception.detector.tensorrt.build_worker import BuildRequest
    from edge_agent.perception.detector.tensorrt.cache import set_aside
    from edge_agent.perception.detector.tensorrt.verification import DisagreementError

    settings, spec = _spec(model, precision, cache, config, profile)
    if spec.ready_made:
        raise UsageError(f"{spec.model} is already an engine", remedy="name the ONNX file")
    request = BuildRequest(str(spec.model), spec.precision, str(spec.folder), spec.needs_manifest, anew)
    path, fresh = asyncio.run(_build(request))
    try:
        agreement = _verify(path, spec, settings, frames)
    except DisagreementError:
        set_aside(path)
        raise
    facts = {"engine": str(path), "built": fresh, **_agreement_facts(agreement)}
    show(facts, as_json, [("built" if fresh else "already there", str(path)), ("agrees", _agreement_text(agreement))])


@app.command(epilog="Example: edge-agent engine info ~/.local/state/edge-agent/engines/signs-fp16.*.engine")
def info(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="An engine, ours or Ultralytics', or an ONNX model.")],
    as_json: JsonOption = False,
) -> None:
    """Print a file's own description: what it was built from, for which machine, and whether it is intact."""
    facts = _onnx_info(path) if path.suffix == ".onnx" else _engine_info(path)
    show(facts, as_json, list(facts.items()))


@app.command(epilog="Example: edge-agent engine verify --frames photos")
def verify(
    path: Annotated[
        Path | None, typer.Argument(metavar="ENGINE", help="The engine; default: the one built for the settings.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL.onnx", help="The model to compare with.")
    ] = None,
    precision: PrecisionOption = None,
    cache: CacheOption = None,
    frames: FramesOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare an engine's detections with ONNX Runtime's: IoU at least 0.9, scores within 0.05."""
    from edge_agent.perception.detector.tensorrt.bindings import load_bindings
    from edge_agent.perception.detector.tensorrt.selection import NoEngineError, find_engine

    settings, spec = _spec(model, precision, cache, config, profile)
    if path is None:
        path, _ = find_engine(spec, load_bindings())
        if path is None:
            raise NoEngineError(
                f"no engine of {spec.model.name} was built on this machine", remedy="run `edge-agent engine build`"
            )
    agreement = _verify(path, spec, settings, frames)
    show({"engine": str(path), **_agreement_facts(agreement)}, as_json, [("agrees", _agreement_text(agreement))])


@app.command(epilog="Example: edge-agent engine promote runs/own/signs.onnx")
def promote(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The new model, with its manifest beside it.")],
    engines: EnginesOption = None,
    approaches: Annotated[
        Path | None,
        typer.Option("--approaches", metavar="DIR", help="Refuse it where it decides worse than the old one on these."),
    ] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Replace engines/signs.onnx by a model; the old one is kept beside it under its hash."""
    from edge_agent.mlops import release
    from edge_agent.perception.detector import OnnxDetector
    from edge_agent.runtime import resources

    folder = engines or resources.engines_dir()
    if not model.is_file():
        raise ConfigError(f"{model}: no such model", remedy="name the .onnx of a training run")
    OnnxDetector(model, needs_manifest=True).close()  # refuses a model that the agent cannot run
    old = folder / f"{release.SHIPPED}.onnx"
    if approaches is None:
        typer.echo("not measured: --approaches DIR refuses a model that decides worse than the old one", err=True)
    elif old.is_file():
        _refuse_worse(approaches, old, model, config, profile)
    kept = release.promote(model, folder)
    typer.echo(f"{folder / f'{release.SHIPPED}.onnx'} is now {model}")
    typer.echo(f"kept the old model: {kept}" if kept else "there was no old model to keep")


def _refuse_worse(folder: Path, old: Path, new: Path, config: Path | None, profile: str | None) -> None:
    """Compare two models on films and print the verdict; raises FatalError where the new one decides worse."""
    from edge_agent.cli.decisions import measure_decisions
    from edge_agent.config import load
    from edge_agent.mlops.evaluate import compare_decisions

    models = (load(config, {"detector.model": absolute(one)}, profile=profile).settings for one in (old, new))
    comparison = compare_decisions(*(measure_decisions(folder, settings) for settings in models))
    if comparison.verdict == "worse":
        raise FatalError(f"{new} is not promoted: {comparison.sentence()}", remedy="train it further, or on other data")
    typer.echo(comparison.sentence())


@app.command(name="list", epilog="Example: edge-agent engine list --json")
def list_engines(
    engines: EnginesOption = None,
    cache: CacheOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the detectors, which of them drives on this machine's CPU, and the TensorRT engines built from them."""
    from edge_agent.config import load
    from edge_agent.perception.detector import cpu_model
    from edge_agent.perception.detector.tensorrt.cache import EngineCache, cache_dir
    from edge_agent.runtime import resources

    settings = load(config, {}, profile=profile).settings
    folder = engines or resources.engines_dir()
    drives = cpu_model(settings.detector, folder)
    models = [{**_model_row(path), "drives": drives == path} for path in sorted(folder.glob("*.onnx"))]
    if not models:
        problem = "contains no models" if folder.is_dir() else "no such folder"
        raise ConfigError(f"{folder}: {problem}", remedy="name a folder with .onnx files")
    built = [
        _engine_row(path, about)
        for path, about in EngineCache(cache or cache_dir(os.environ, settings.state.directory)).engines()
    ]
    rows: list[tuple[Any, ...]] = [("model", "sha256", "MB", "drives", "quality")]
    rows += [
        (m["model"], m["sha256"][:12], f"{m['bytes'] / 1e6:.1f}", "on CPU" * m["drives"], _quality(m["metrics"]))
        for m in models
    ]
    if built:
        rows += [("", "", "", "", ""), ("engine", "of", "MB", "", "for")]
        rows += [(e["engine"], (e["of"] or "-")[:12], f"{e['bytes'] / 1e6:.1f}", "", e["for"]) for e in built]
    show({"models": models, "engines": built}, as_json, rows)


def _spec(
    model: Path | None, precision: str | None, cache: Path | None, config: Path | None, profile: str | None
) -> tuple[Settings, EngineSpec]:
    """Return the settings, and the engine that they and the command line ask for."""
    from edge_agent.config import load
    from edge_agent.perception.detector import engine_spec
    from edge_agent.perception.detector.tensorrt.cache import cache_dir

    overrides: dict[str, object] = {"detector.model": absolute(model)}
    overrides["detector.precision"] = precision
    settings = load(config, overrides, profile=profile).settings
    return settings, engine_spec(settings.detector, cache or cache_dir(os.environ, settings.state.directory))


async def _build(request: BuildRequest) -> tuple[Path, bool]:
    """Build in a process of its own with a progress bar, extending the service manager's start timeout meanwhile."""
    from rich.console import Console
    from rich.progress import Progress

    from edge_agent.agent.systemd import Notifier
    from edge_agent.perception.detector.tensorrt.build_process import build_in_process

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("TensorRT", total=1.0)

        def show_progress(share: float, phase: str) -> None:
            bar.update(task, completed=share, description=phase[:40])

        async with Notifier().starting("building a TensorRT engine"):
            return await build_in_process(request, show_progress)


def _verify(path: Path, spec: EngineSpec, settings: Settings, frames: Path | None) -> Agreement:
    """Compare an engine with the ONNX file that it was built from, or the one beside it."""
    from edge_agent.perception.detector import postprocess_options
    from edge_agent.perception.detector.tensorrt.bindings import load_bindings
    from edge_agent.perception.detector.tensorrt.engine_file import read_engine_info
    from edge_agent.perception.detector.tensorrt.verification import open_verified, sample_pictures

    key = read_engine_info(path).key
    beside = [spec.onnx(), spec.model.with_name(read_engine_info(path).model), path.with_suffix(".onnx")]
    files = [file for file in beside if file is not None and file.is_file()]
    if key is not None:
        files = [file for file in files if hashlib.sha256(file.read_bytes()).hexdigest() == key.onnx_sha256]
    if not files:
        raise UsageError(f"{path}: the ONNX file that it was built from is missing", remedy="name it with --model")
    detector, agreement = open_verified(
        path, files[0], load_bindings(), postprocess_options(settings.detector), sample_pictures(files[0], frames)
    )
    detector.close()
    return agreement


def _agreement_facts(agreement: Agreement) -> dict[str, Any]:
    return {
        "pictures": agreement.pictures,
        "pairs": agreement.pairs,
        "worst_iou": round(agreement.worst_iou, 4),
        "worst_score": round(agreement.worst_score, 4),
    }


def _agreement_text(agreement: Agreement) -> str:
    """Format an engine's agreement with ONNX Runtime in one line."""
    return (
        f"{agreement.pairs} signs in {agreement.pictures} pictures, lowest IoU {agreement.worst_iou:.3f}, "
        f"scores within {agreement.worst_score:.3f}"
    )


def _engine_info(path: Path) -> dict[str, Any]:
    """Return an engine's description; raises DamagedEngineError when it is damaged."""
    from edge_agent.perception.detector.tensorrt.engine_file import read_engine

    about, content = read_engine(path)
    key = about.key
    return {
        "engine": path.name,
        "whole": True,
        "model": about.model or None,
        "labels": list(about.labels),
        "input": f"{about.width}x{about.height}",
        "bytes": len(content),
        "built by": "edge-agent" if key else "another program",
        "for": _machine_text(about),
        "onnx sha256": key.onnx_sha256 if key else None,
        "precision": key.precision if key else None,
        "built": _format_date(about.built_unix_s) if key else None,
        "took s": about.built_in_s if key else None,
    }


def _onnx_info(path: Path) -> dict[str, Any]:
    """Return a model's description; raises ConfigError when the agent cannot run it."""
    from edge_agent.perception.detector import OnnxDetector

    detector = OnnxDetector(path)
    facts = detector.info
    detector.close()
    return {
        "model": path.name,
        "sha256": facts.sha256,
        "labels": list(facts.labels),
        "input": f"{facts.input_width}x{facts.input_height}",
        "output": detector.decoder.spec.layout.value,
        "threshold": detector.threshold,
        "quality": _quality(_model_row(path)["metrics"]),
    }


def _engine_row(path: Path, about: Any) -> dict[str, Any]:
    key = about.key if about else None
    return {
        "engine": path.name,
        "of": key.onnx_sha256 if key else None,
        "bytes": path.stat().st_size,
        "for": _machine_text(about),
        "precision": key.precision if key else None,
        "built": _format_date(about.built_unix_s) if key else None,
    }


def _machine_text(about: Any) -> str:
    """Describe the machine that an engine was built for."""
    if about is None:
        return "damaged: its description cannot be read"
    if about.key is None:
        return "unknown"
    machine = about.key.machine
    jetson = f", Jetson Linux {machine.l4t}" if machine.l4t else ""
    return f"TensorRT {machine.tensorrt} on {machine.gpu} (SM {machine.sm}){jetson}, {about.key.precision}"


def _format_date(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


def _model_row(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    try:
        metrics = json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("metrics")
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, AttributeError):
        metrics = None  # the detector reports a bad manifest when it loads the model
    return {
        "model": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "metrics": metrics if isinstance(metrics, dict) else None,
    }


def _quality(metrics: dict[str, Any] | None) -> str:
    """Format the average precision on each data set in the manifest."""
    if metrics is None:
        return "no manifest"
    parts = [
        f"{name}: AP50 {figures['ap50']:.3f}"
        for name, figures in metrics.items()
        if isinstance(figures, dict) and isinstance(figures.get("ap50"), int | float)
    ]
    return ", ".join(parts) or "-"
