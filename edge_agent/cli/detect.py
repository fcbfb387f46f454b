"""`edge-agent detect`: detect signs in pictures and videos on disk."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import ConfigOption, ModelOption, ProfileOption, ThresholdOption
from edge_agent.errors import EdgeAgentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

    from edge_agent.perception.batch import AnnotatedOutput, FrameResult
    from edge_agent.ports import Detector


def detect(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Pictures, videos, or folders of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each picture.")] = False,
    save_dir: Annotated[
        Path | None, typer.Option("--save-dir", metavar="DIR", help="Save copies with the boxes drawn in.")
    ] = None,
    model: ModelOption = None,
    threshold: ThresholdOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Detect signs in pictures and videos; boxes are in pixels of the original picture."""
    from edge_agent.cli.options import detector_at_working_point
    from edge_agent.config import load, load_rules
    from edge_agent.perception.batch import AnnotatedOutput
    from edge_agent.perception.detector import open_fastest
    from edge_agent.perception.detector.trial import try_model

    overrides: dict[str, object] = {"detector.model": str(model) if model else None, "detector.threshold": threshold}
    settings = load(config, overrides, profile=profile).settings
    files, exit_code = _find(paths)
    if files:
        if threshold is None:  # what the train would count; a threshold on the command line shows what is asked for
            settings = detector_at_working_point(settings, load_rules(settings.policy.rules))
        annotated = AnnotatedOutput(save_dir, files) if save_dir else None
        try_model(settings.detector.model)
        detector = open_fastest(settings.detector)
        try:
            failed = _detect_all(files, detector, annotated, as_json=as_json)
        finally:
            detector.close()
        exit_code = exit_code or min(failed, 1)
    if exit_code:
        raise typer.Exit(exit_code)


def _find(paths: list[Path]) -> tuple[list[Path], int]:
    """Return the files that `paths` name, each once, and the exit code for the first path that names none, else 0."""
    from edge_agent.perception.batch import list_files

    files: dict[Path, None] = {}
    exit_code = 0
    for path in paths:
        try:
            files |= dict.fromkeys(list_files(path))
        except EdgeAgentError as error:
            exit_code = exit_code or error.exit_code
            _print_error(error)
    return list(files), exit_code


def _print_error(error: EdgeAgentError | str) -> None:
    typer.echo(f"edge-agent: {error}", err=True)


def _detect_all(files: list[Path], detector: "Detector", annotated: "AnnotatedOutput | None", *, as_json: bool) -> int:
    """Print the detections in each file and return how many files failed; a bad file does not stop the rest."""
    bad = 0
    if not as_json:
        typer.echo(f"{'width':>6} {'height':>6} {'ms':>7}  picture: signs")
    with _progress() as progress:
        task = progress.add_task("detecting", total=len(files))
        for file in files:
            try:
                for result in _detect_file(file, detector, annotated):
                    _print_result(result, as_json=as_json)
                    progress.update(task, description=_name(result))
            except EdgeAgentError as error:
                bad += 1
                _print_error(error)
            progress.advance(task)
    return bad


def _detect_file(file: Path, detector: "Detector", annotated: "AnnotatedOutput | None") -> "Iterator[FrameResult]":
    """Yield the results of one file, and save its annotated copy."""
    from edge_agent.perception.batch import detect_in, is_picture

    with annotated.video(file) if annotated and not is_picture(file) else nullcontext() as video:
        for result in detect_in(detector, file, _print_error):
            if video is not None:
                video.add(result)
            elif annotated is not None:
                annotated.keep_picture(result)
            yield result


def _name(result: "FrameResult") -> str:
    return str(result.path) if result.frame is None else f"{result.path}#{result.frame}"


def _print_result(result: "FrameResult", *, as_json: bool) -> None:
    values = result.as_json()
    if as_json:
        typer.echo(json.dumps(values))
        return
    signs = ", ".join(f"{found.label} {found.score:.2f}" for found in result.detections) or "-"
    typer.echo(f"{values['width']:>6} {values['height']:>6} {result.inference_ms:>7.1f}  {_name(result)}: {signs}")


def _progress() -> "Progress":
    """Return a progress bar on stderr, hidden where the results appear on the same terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    shown = console.is_terminal and not sys.stdout.isatty()
    return Progress(console=console, disable=not shown, transient=True, redirect_stdout=False)
