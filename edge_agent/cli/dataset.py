"""`edge-agent dataset`: make and convert data sets of sign pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import (
    ConfigOption,
    ForceOption,
    ModelOption,
    ProfileOption,
    ThresholdOption,
    refuse_existing,
)
from edge_agent.cli.output import progress_bar
from edge_agent.errors import ConfigError, EdgeAgentError, UsageError

if TYPE_CHECKING:
    from edge_agent.ports import Detector

app = typer.Typer(no_args_is_help=True, help="Make and convert data sets of sign pictures.")


@app.callback()
def dataset() -> None:
    """Make and convert data sets of sign pictures."""


@app.command()
def synth(
    count: Annotated[int, typer.Option(help="Number of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder to create; must be empty or not exist.")],
    seed: Annotated[int, typer.Option(help="The same seed and options give the same bytes.")] = 0,
    width: Annotated[int, typer.Option(help="Width of the pictures in pixels.")] = 320,
    height: Annotated[int, typer.Option(help="Height of the pictures in pixels.")] = 256,
    val_fraction: Annotated[float, typer.Option(help="Fraction of the pictures used for validation.")] = 0.05,
    negatives: Annotated[float, typer.Option(help="Fraction of pictures without any sign.")] = 0.08,
    clutter: Annotated[
        float, typer.Option(help="Fraction of pictures crowded with things that only look like signs.")
    ] = 0.15,
    jobs: Annotated[int, typer.Option(help="Number of processes; 0 for one per core.")] = 0,
    artwork: Annotated[Path | None, typer.Option(help="Folder of PNG signs named LABEL__anything.png.")] = None,
    backgrounds: Annotated[Path | None, typer.Option(help="Folder of photographs without signs.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a data set that this command made.")] = False,
) -> None:
    """Render training pictures of toy signs on a brick track, with COCO and YOLO labels.

    Example: edge-agent dataset synth --count 2000 --out data/synth --seed 1

    Look at data/synth/preview.png before training.
    """
    from functools import partial

    from edge_agent.mlops.synth.build import synthesise
    from edge_agent.mlops.synth.options import SynthOptions

    options = SynthOptions(count, seed, width, height, val_fraction, negatives, artwork, backgrounds, clutter)
    with progress_bar() as progress:
        tick = partial(progress.advance, progress.add_task("rendering", total=count))
        summary = synthesise(options, out, jobs=jobs, force=force, tick=tick)
    pictures = ", ".join(f"{number} {split}" for split, number in summary.pictures.items())
    text = f"{summary.folder}: pictures {pictures}; boxes {summary.boxes}, and {summary.ignored} to ignore"
    typer.echo(text, err=True)


@app.command(
    epilog="Example: edge-agent dataset approaches --images photos --annotations coco.json --out data/approaches"
)
def approaches(
    images: Annotated[Path, typer.Option("--images", metavar="DIR", help="Folder of the pictures.")],
    annotations: Annotated[Path, typer.Option("--annotations", metavar="FILE", help="Their boxes in COCO format.")],
    out: Annotated[Path, typer.Option(help="Folder to create; must be empty or not exist.")],
    finer: Annotated[
        Path | None, typer.Option("--finer", metavar="FILE", help="Finer labels of the boxes, and more signs.")
    ] = None,
    label_map: Annotated[
        str, typer.Option("--label-map", help="Where the annotations use other names: danger=DangerAhead,...")
    ] = "",
    only: Annotated[
        str, typer.Option("--only", metavar="PATTERN,...", help="Take pictures with such file names only: 17*.jpg")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed and options give the same films.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Films of each sign.")] = 2,
    speed: Annotated[float, typer.Option(min=1, metavar="MM_S", help="Speed of the train, in mm/s.")] = 400.0,
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Pictures a second.")] = 10.0,
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="FILE", help="Sign rules that say how near is near.")
    ] = None,
) -> None:
    """Make films in which the train comes up to each labelled sign, for `edge-agent evaluate --approaches`."""
    from functools import partial

    from edge_agent.config import load_rules
    from edge_agent.events import Action
    from edge_agent.mlops.approaches import ApproachOptions, make
    from edge_agent.mlops.coco import parse_label_map

    signs = load_rules(rules).signs
    near_px = {label: rule.near_height_px for label, rule in signs.items() if rule.action is not Action.NONE}
    patterns = tuple(filter(None, (part.strip() for part in only.split(","))))
    options = ApproachOptions(near_px, seed, seeds, speed, fps, patterns)
    with progress_bar() as progress:
        tick = partial(progress.advance, progress.add_task("pictures", total=None))
        counts = make(images, annotations, out, options, finer=finer, label_map=parse_label_map(label_map), tick=tick)
    listed = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
    typer.echo(f"{out}: {sum(counts.values())} approaches: {listed}", err=True)


@app.command(epilog="Example: edge-agent dataset tasks frames --out labelling --prefix frames/")
def tasks(
    pictures: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for tasks.json and labelling.xml.")],
    model: ModelOption = None,
    prefix: Annotated[
        str, typer.Option(help="The pictures' folder in Label Studio's local storage, ending in /.")
    ] = "",
    threshold: ThresholdOption = None,
    force: ForceOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Write Label Studio tasks for a folder of pictures, with the detector's boxes as predictions."""
    from edge_agent.config import load
    from edge_agent.mlops.labelstudio import write_tasks
    from edge_agent.perception.camera.images import list_images
    from edge_agent.perception.detector import open_fastest
    from edge_agent.perception.detector.trial import try_model

    if not pictures.is_dir():
        raise ConfigError(f"{pictures}: no such folder", remedy="name the folder of the pictures")
    refuse_existing(out / "tasks.json", force=force)
    files = list_images(pictures)
    if not files:
        raise UsageError(f"{pictures}: contains no pictures", remedy="name a folder with .jpg or .png files")
    overrides: dict[str, object] = {"detector.model": str(model) if model else None, "detector.threshold": threshold}
    settings = load(config, overrides, profile=profile).settings.detector
    try_model(settings.model)
    detector = open_fastest(settings)
    try:
        written = list(_tasks(files, detector, prefix))
    finally:
        detector.close()
    if written:
        write_tasks(out, written)
        typer.echo(f"{len(written)} tasks: {out / 'tasks.json'}, labels: {out / 'labelling.xml'}")
    if len(written) < len(files):
        raise typer.Exit(1)


def _tasks(files: list[Path], detector: "Detector", prefix: str) -> Iterator[dict[str, Any]]:
    """Yield a task for each picture; one that cannot be read is reported and skipped."""
    from edge_agent.mlops.labelstudio import task
    from edge_agent.perception.batch import detect_in

    def report(problem: EdgeAgentError | str) -> None:
        typer.echo(f"edge-agent: {problem}", err=True)

    model = f"{detector.info.model} {detector.info.sha256[:8]}"
    for file in files:
        try:
            for found in detect_in(detector, file, report):
                height, width = found.image.shape[:2]
                yield task(file, width, height, found.detections, model=model, prefix=prefix)
        except EdgeAgentError as error:
            report(error)


@app.command(name="import", epilog="Example: edge-agent dataset import export.json --images frames --out data/own")
def import_export(
    export: Annotated[Path, typer.Argument(metavar="EXPORT.json", help="Label Studio's export, as JSON.")],
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the labelled pictures.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create, for `edge-agent train --data`.")],
    labelled: Annotated[str, typer.Option(help="The labels that were annotated, like stop,danger; default: all.")] = "",
    val_every: Annotated[int, typer.Option(min=2, metavar="N", help="Use every Nth picture for validation.")] = 5,
) -> None:
    """Turn a Label Studio export into a data set; labels that were not annotated do not count as absent."""
    from edge_agent.mlops.labelstudio import to_coco
    from edge_agent.signs import LABELS

    if not images.is_dir():
        raise ConfigError(f"{images}: no such folder", remedy="name the folder of the pictures")
    wanted = [label.strip() for label in labelled.split(",")] if labelled else LABELS
    counts = to_coco(export, images, out, labelled=wanted, val_every=val_every)
    pictures = ", ".join(f"{number} {split}" for split, number in counts.items())
    typer.echo(f"{out}: pictures {pictures}")
