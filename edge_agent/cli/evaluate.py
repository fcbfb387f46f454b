"""`edge-agent evaluate`: measure how a detector decides on films, or what it finds in annotated pictures."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import ConfigOption, JsonOption, ProfileOption, absolute
from edge_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.config import Settings
    from edge_agent.mlops.evaluate import GroundTruth, PictureDetections, Report

MIN_SCORE = 0.01
"""Average precision also counts detections far below the threshold."""
MOST_DETECTIONS = 100
"""In one picture; with scores that low there are more than a train needs."""

ApproachesOption = Annotated[
    Path | None,
    typer.Option("--approaches", metavar="DIR", help="Folder of films with truth.jsonl: decisions are measured."),
]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", metavar="DIR", help="Folder of pictures: boxes are measured.")
]
AnnotationsOption = Annotated[
    Path | None, typer.Option("--annotations", metavar="FILE", help="The pictures' boxes in COCO format.")
]
MapOption = Annotated[
    str,
    typer.Option(
        "--label-map", help="Where the annotations use other names: danger=DangerAhead,... (the detector's first)."
    ),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="FILE", help="A detector that the agent can run; default: the one that would drive here."
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option("--threshold", help="Score at which precision and recall are given; default: the model's."),
]
CompareOption = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--compare", metavar="OLD NEW", help="Compare two models and give a verdict."),
]
PlotsOption = Annotated[
    Path | None,
    typer.Option("--plots", metavar="DIR", help="Write curves, the confusion matrix and the worst pictures there."),
]


def evaluate(
    approaches: ApproachesOption = None,
    images: ImagesOption = None,
    annotations: AnnotationsOption = None,
    label_map: MapOption = "",
    model: ModelOption = None,
    threshold: ThresholdOption = None,
    compare: CompareOption = None,
    as_json: JsonOption = False,
    plots: PlotsOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Measure the decisions on films, or the boxes in annotated pictures, with the same code as on the train.

    Example: edge-agent evaluate --approaches data/approaches

    Detections of labels that the annotations do not have are ignored.
    """
    if compare and (model or plots):
        raise UsageError("--compare cannot be combined with --model or --plots", remedy="evaluate the two one by one")

    def settings_of(model: Path | None) -> "Settings":
        from edge_agent.config import load

        overrides: dict[str, object] = {"detector.model": absolute(model), "detector.threshold": threshold}
        return load(config, overrides, profile=profile).settings

    if approaches is not None:
        if images or annotations or label_map or plots:
            raise UsageError("--approaches needs no pictures, annotations or plots", remedy="evaluate them one by one")
        _decide(approaches, settings_of, model, compare, as_json=as_json)
        return
    if images is None or annotations is None:
        raise UsageError("nothing to evaluate", remedy="give --approaches DIR, or --images DIR --annotations FILE")
    _measure_boxes(images, annotations, label_map, settings_of, model, threshold, compare, plots, as_json=as_json)


def _decide(
    folder: Path,
    settings_of: "Callable[[Path | None], Settings]",
    model: Path | None,
    compare: tuple[Path, Path] | None,
    *,
    as_json: bool,
) -> None:
    from edge_agent.cli.decisions import measure_decisions, show_decisions

    if compare is None:
        show_decisions(measure_decisions(folder, settings_of(model)), as_json=as_json)
        return
    from edge_agent.mlops.evaluate import compare_decisions

    comparison = compare_decisions(*(measure_decisions(folder, settings_of(one)) for one in compare))
    typer.echo(json.dumps(comparison.as_json(), indent=2) if as_json else comparison.sentence())


def _measure_boxes(
    images: Path,
    annotations: Path,
    label_map: str,
    settings_of: "Callable[[Path | None], Settings]",
    model: Path | None,
    threshold: float | None,
    compare: tuple[Path, Path] | None,
    plots: Path | None,
    *,
    as_json: bool,
) -> None:
    from edge_agent.mlops.coco import parse_label_map
    from edge_agent.mlops.evaluate.truth import read_truth

    truth = read_truth(images, annotations, parse_label_map(label_map))
    if compare:
        _compare(truth, *compare, as_json=as_json)
        return
    from edge_agent.mlops.evaluate import measure

    found, own = _detect(truth, model)
    report = measure(truth, found, own if threshold is None else threshold)
    if plots:
        from edge_agent.mlops.evaluate.plots import write_plots

        write_plots(plots, truth, found, report)
    typer.echo(json.dumps(_clean(asdict(report)), indent=2)) if as_json else _show(report)


def _detect(truth: "GroundTruth", model: Path | None) -> tuple[list["PictureDetections"], float]:
    """Run a model on the pictures; returns its detections and its own threshold."""
    from edge_agent.config.control import DetectorSettings
    from edge_agent.mlops.evaluate import run_detector
    from edge_agent.perception.detector import model_threshold, open_fastest
    from edge_agent.perception.detector.trial import try_model

    try_model(model)
    # As `run` and `detect` open it: the precision that would drive here is what is judged.
    detector = open_fastest(DetectorSettings(model=model, threshold=MIN_SCORE, max_detections=MOST_DETECTIONS))
    try:
        typer.echo(f"edge-agent: judging {detector.info.model} on {detector.info.backend}", err=True)
        return run_detector(detector, truth), model_threshold(DetectorSettings(model=model))
    finally:
        detector.close()


def _compare(truth: "GroundTruth", old: Path, new: Path, *, as_json: bool) -> None:
    from edge_agent.mlops.evaluate import compare, match

    before, after = (match(truth, _detect(truth, model)[0]) for model in (old, new))
    comparison = compare(before, after)
    typer.echo(json.dumps(_clean(asdict(comparison)), indent=2) if as_json else comparison.sentence())


def _clean(value: Any) -> Any:
    """Replace NaN by None: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _show(report: "Report") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    (low50, high50), (low, high) = report.ap50_interval, report.ap_interval
    console.print(f"{report.pictures} pictures, {report.signs} signs")
    console.print(f"AP50    {report.ap50:.3f}  (95% interval {low50:.3f} to {high50:.3f})")
    console.print(f"AP50-95 {report.ap:.3f}  (95% interval {low:.3f} to {high:.3f})")
    point = report.working_point
    figures = f"precision {point.precision:.3f}, recall {point.recall:.3f}, F1 {point.f1:.3f}"
    console.print(f"at the threshold {report.threshold:.2f}: {figures}")
    for title, rows in (("class", report.classes), ("size", report.sizes)):
        console.print(_table(title, rows, Table()))
    points = {
        f"{one.threshold:.2f}": {"precision": one.precision, "recall": one.recall, "f1": one.f1}
        for one in report.points
    }
    console.print(_table("threshold", points, Table()))


def _table(title: str, rows: dict[str, dict[str, float]], table: Any) -> Any:
    table.add_column(title)
    columns = list(next(iter(rows.values()), {}))
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(
            name, *(f"{row[column]:.0f}" if column == "signs" else f"{row[column]:.3f}" for column in columns)
        )
    return table
