"""`edge-agent detect`: looks for signs in pictures and videos on disk.

Knows options and how to print findings. Knows nothing of models or files' formats.
"""

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
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON a picture.")] = False,
    save_dir: Annotated[
        Path | None, typer.Option("--save-dir", metavar="DIR", help="Keep copies with the boxes drawn in.")
    ] = None,
    model: ModelOption = None,
    threshold: ThresholdOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Find signs in pictures and videos; boxes are in pixels of the original picture."""
    from edge_agent.config import load
    from edge_agent.perception.batch import AnnotatedOutput
    from edge_agent.perception.detector import open_fastest

    overrides: dict[str, object] = {"detector.model": str(model) if model else None, "detector.threshold": threshold}
    settings = load(config, overrides, profile=profile).settings
    files, bad = _find(paths)
    if files:
        album = AnnotatedOutput(save_dir, files) if save_dir else None
        detector = open_fastest(settings.detector)
        try:
            bad += _go_through(files, detector, album, as_json=as_json)
        finally:
            detector.close()
    if bad:
        raise typer.Exit(1)


def _find(paths: list[Path]) -> tuple[list[Path], int]:
    """Return the files that `paths` name, each once, and how many of `paths` name none."""
    from edge_agent.perception.batch import list_files

    files: dict[Path, None] = {}
    bad = 0
    for path in paths:
        try:
            files |= dict.fromkeys(list_files(path))
        except EdgeAgentError as error:
            bad += 1
            _complain(error)
    return list(files), bad


def _complain(error: EdgeAgentError) -> None:
    typer.echo(f"edge-agent: {error}", err=True)


def _go_through(files: list[Path], detector: "Detector", album: "AnnotatedOutput | None", *, as_json: bool) -> int:
    """Print what is in each file; return how many of them failed. One bad file does not keep the others from us."""
    bad = 0
    if not as_json:
        typer.echo(f"{'width':>6} {'height':>6} {'ms':>7}  picture: signs")
    with _progress() as progress:
        task = progress.add_task("detecting", total=len(files))
        for file in files:
            try:
                for finding in _one_file(file, detector, album):
                    _print(finding, as_json=as_json)
                    progress.update(task, description=_name(finding))
            except EdgeAgentError as error:
                bad += 1
                _complain(error)
            progress.advance(task)
    return bad


def _one_file(file: Path, detector: "Detector", album: "AnnotatedOutput | None") -> "Iterator[FrameResult]":
    """Yield what is in one file, and keep its annotated copy."""
    from edge_agent.perception.batch import detect_in, is_picture

    with album.video(file) if album and not is_picture(file) else nullcontext() as video:
        for finding in detect_in(detector, file):
            if video is not None:
                video.add(finding)
            elif album is not None:
                album.keep_picture(finding)
            yield finding


def _name(finding: "FrameResult") -> str:
    return str(finding.path) if finding.frame is None else f"{finding.path}#{finding.frame}"


def _print(finding: "FrameResult", *, as_json: bool) -> None:
    values = finding.as_json()
    if as_json:
        typer.echo(json.dumps(values))
        return
    signs = ", ".join(f"{found.label} {found.score:.2f}" for found in finding.detections) or "-"
    typer.echo(f"{values['width']:>6} {values['height']:>6} {finding.inference_ms:>7.1f}  {_name(finding)}: {signs}")


def _progress() -> "Progress":
    """Return a progress bar on stderr; where results scroll by on the same terminal, they are progress enough."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    shown = console.is_terminal and not sys.stdout.isatty()
    return Progress(console=console, disable=not shown, transient=True, redirect_stdout=False)
