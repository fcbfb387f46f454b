"""`edge-agent dataset`: make data sets of sign pictures.

Knows words on the command line and how to show progress. Knows nothing of pictures.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Make and convert data sets of sign pictures.")


@app.callback()
def dataset() -> None:
    """Make and convert data sets of sign pictures."""


@app.command()
def synth(
    count: Annotated[int, typer.Option(help="Number of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder to make; must be empty or not there.")],
    seed: Annotated[int, typer.Option(help="The same seed and options give the same bytes.")] = 0,
    width: Annotated[int, typer.Option(help="Width of the pictures in pixels.")] = 320,
    height: Annotated[int, typer.Option(help="Height of the pictures in pixels.")] = 256,
    val_fraction: Annotated[float, typer.Option(help="Share set aside for validation.")] = 0.05,
    negatives: Annotated[float, typer.Option(help="Share of pictures without any sign.")] = 0.08,
    clutter: Annotated[
        float, typer.Option(help="Share of pictures crowded with things that only look like signs.")
    ] = 0.15,
    jobs: Annotated[int, typer.Option(help="Processes; 0 for one on each core.")] = 0,
    artwork: Annotated[Path | None, typer.Option(help="Folder of PNG signs named LABEL__anything.png.")] = None,
    backgrounds: Annotated[Path | None, typer.Option(help="Folder of photographs without signs.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a data set made by this command.")] = False,
) -> None:
    """Render training pictures of toy signs on a brick track, with COCO and YOLO labels.

    Example: edge-agent dataset synth --count 2000 --out data/synth --seed 1

    Look at data/synth/preview.png before training.
    """
    from functools import partial

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from edge_agent.mlops.synth.build import synthesise
    from edge_agent.mlops.synth.options import SynthOptions

    options = SynthOptions(count, seed, width, height, val_fraction, negatives, artwork, backgrounds, clutter)
    console = Console(stderr=True)
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left"))
    with Progress(*columns, console=console, transient=True) as progress:
        tick = partial(progress.advance, progress.add_task("rendering", total=count))
        summary = synthesise(options, out, jobs=jobs, force=force, tick=tick)
    pictures = ", ".join(f"{number} {split}" for split, number in summary.pictures.items())
    text = f"{summary.folder}: pictures {pictures}; boxes {summary.boxes}, and {summary.ignored} to ignore"
    console.print(text, highlight=False, soft_wrap=True)
