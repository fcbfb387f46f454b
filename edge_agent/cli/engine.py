"""`edge-agent engine`: the detectors in engines/, and the TensorRT engines that are built from them.

Knows options and how to print. Knows nothing of how models replace each other or how engines are built.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.engine_facts import (
    agreement_facts,
    agreement_words,
    engine_facts,
    engine_info,
    model_facts,
    onnx_info,
    quality,
)
from edge_agent.cli.options import ConfigOption, ProfileOption
from edge_agent.cli.output import show
from edge_agent.errors import UsageError

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.perception.detector.tensorrt.selection import EngineSpec
    from edge_agent.perception.detector.tensorrt.verification import Agreement

app = typer.Typer(no_args_is_help=True, help="The detectors in engines/, and TensorRT engines built from them.")

EnginesOption = Annotated[
    Path | None, typer.Option("--engines", metavar="DIR", help="Where the agent's detectors are; its own if not given.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where built engines are kept; the agent's own cache if not given."),
]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", metavar="NAME", help="auto, fp16, int8 or fp32; auto takes fp16 if there.")
]
FramesOption = Annotated[
    Path | None, typer.Option("--frames", metavar="DIR", help="Pictures to compare on; those that ship if not given.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def engine() -> None:
    """List, build and check engines; promote a new detector."""


@app.command(epilog="Example: edge-agent engine build --precision fp16")
def build(
    model: Annotated[
        Path | None, typer.Argument(metavar="MODEL.onnx", help="The float32 model; the settings' if not given.")
    ] = None,
    precision: PrecisionOption = None,
    cache: CacheOption = None,
    frames: FramesOption = None,
    anew: Annotated[bool, typer.Option("--anew", help="Build it even where it is there already.")] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the TensorRT engine for this machine and try it against ONNX Runtime. Takes minutes."""
    from edge_agent.perception.detector.tensorrt.build_worker import BuildRequest
    from edge_agent.perception.detector.tensorrt.cache import set_aside
    from edge_agent.perception.detector.tensorrt.verification import DisagreementError

    settings, wanted = _wanted(model, precision, cache, config, profile)
    if wanted.ready_made:
        raise UsageError(f"{wanted.model} is an engine already", remedy="name the ONNX file")
    order = BuildRequest(str(wanted.model), wanted.precision, str(wanted.folder), wanted.needs_manifest, anew)
    path, fresh = asyncio.run(_build(order))
    try:
        agreement = _verify(path, wanted, settings, frames)
    except DisagreementError:
        set_aside(path)
        raise
    facts = {"engine": str(path), "built": fresh, **agreement_facts(agreement)}
    show(facts, as_json, [("built" if fresh else "was there", str(path)), ("agrees", agreement_words(agreement))])


@app.command(epilog="Example: edge-agent engine info ~/.local/state/edge-agent/engines/signs-fp16.*.engine")
def info(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="An engine of ours or of Ultralytics, or an ONNX model.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Tell what a file says of itself: for what it was built, from what, and whether it is whole."""
    facts = onnx_info(path) if path.suffix == ".onnx" else engine_info(path)
    show(facts, as_json, list(facts.items()))


@app.command(epilog="Example: edge-agent engine verify --frames photos")
def verify(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="ENGINE", help="The engine; the one built for the settings if not given."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL.onnx", help="What it is compared with.")
    ] = None,
    precision: PrecisionOption = None,
    cache: CacheOption = None,
    frames: FramesOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load an engine and compare what it sees with ONNX Runtime: IoU of at least 0.9, scores within 0.05."""
    from edge_agent.perception.detector.tensorrt.bindings import load_bindings
    from edge_agent.perception.detector.tensorrt.selection import NoEngineError, find_engine

    settings, wanted = _wanted(model, precision, cache, config, profile)
    if path is None:
        path, _ = find_engine(wanted, load_bindings())
        if path is None:
            raise NoEngineError(
                f"no engine of {wanted.model.name} was built on this machine", remedy="run `edge-agent engine build`"
            )
    agreement = _verify(path, wanted, settings, frames)
    show({"engine": str(path), **agreement_facts(agreement)}, as_json, [("agrees", agreement_words(agreement))])


@app.command(epilog="Example: edge-agent engine promote runs/own/signs.onnx")
def promote(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The new model, its manifest beside it.")],
    engines: EnginesOption = None,
) -> None:
    """Put a model in the place of engines/signs.onnx; the old one is kept beside it under its hash."""
    from edge_agent.mlops import release
    from edge_agent.perception.detector import OnnxDetector
    from edge_agent.runtime import resources

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
    cache: CacheOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the detectors with sha256, size and quality, and the TensorRT engines that were built from them."""
    from edge_agent.config import load
    from edge_agent.perception.detector.tensorrt.cache import EngineCache, cache_dir
    from edge_agent.runtime import resources

    state = load(config, {}, profile=profile).settings.state.directory
    folder = engines or resources.engines_dir()
    models = [model_facts(path) for path in sorted(folder.glob("*.onnx"))]
    if not models:
        raise UsageError(f"{folder}: holds no models", remedy="name a folder with .onnx files")
    made = [engine_facts(path, about) for path, about in EngineCache(cache or cache_dir(os.environ, state)).engines()]
    rows: list[tuple[Any, ...]] = [("model", "sha256", "MB", "quality")]
    rows += [(m["model"], m["sha256"][:12], f"{m['bytes'] / 1e6:.1f}", quality(m["metrics"])) for m in models]
    if made:
        rows += [("", "", "", ""), ("engine", "of", "MB", "for")]
        rows += [(e["engine"], (e["of"] or "-")[:12], f"{e['bytes'] / 1e6:.1f}", e["for"]) for e in made]
    show({"models": models, "engines": made}, as_json, rows)


def _wanted(
    model: Path | None, precision: str | None, cache: Path | None, config: Path | None, profile: str | None
) -> tuple[Settings, EngineSpec]:
    """Say which engine is meant, by the settings and the command line."""
    from edge_agent.config import load
    from edge_agent.perception.detector import engine_spec
    from edge_agent.perception.detector.tensorrt.cache import cache_dir

    overrides: dict[str, object] = {"detector.model": str(model.absolute()) if model else None}
    overrides["detector.precision"] = precision
    settings = load(config, overrides, profile=profile).settings
    return settings, engine_spec(settings.detector, cache or cache_dir(os.environ, settings.state.directory))


async def _build(order: Any) -> tuple[Path, bool]:
    """Have it built, show how far it is, and keep a service manager patient meanwhile."""
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
            return await build_in_process(order, show_progress)


def _verify(path: Path, wanted: EngineSpec, settings: Settings, frames: Path | None) -> Agreement:
    """Compare an engine with the ONNX file that it was built from, or that lies beside it."""
    from edge_agent.perception.detector import postprocess_options
    from edge_agent.perception.detector.tensorrt.bindings import load_bindings
    from edge_agent.perception.detector.tensorrt.engine_file import read_about
    from edge_agent.perception.detector.tensorrt.verification import open_verified, sample_pictures

    key = read_about(path).key
    beside = [wanted.onnx(), wanted.model.with_name(read_about(path).model), path.with_suffix(".onnx")]
    files = [file for file in beside if file is not None and file.is_file()]
    if key is not None:
        files = [file for file in files if hashlib.sha256(file.read_bytes()).hexdigest() == key.onnx_sha256]
    if not files:
        raise UsageError(f"{path}: the ONNX file that it was built from is not there", remedy="name it with --model")
    detector, agreement = open_verified(
        path, files[0], load_bindings(), postprocess_options(settings.detector), sample_pictures(files[0], frames)
    )
    detector.close()
    return agreement
