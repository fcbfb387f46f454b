"""Plots of a report: precision and recall, the confusion matrix, and the pictures with most mistakes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edge_agent.mlops.evaluate.matching import BACKGROUND, pair
from edge_agent.mlops.evaluate.metrics import Report, above
from edge_agent.mlops.evaluate.truth import AnnotatedPicture, GroundTruth, PictureDetections
from edge_agent.runtime.files import write_atomic

_GREEN, _RED, _YELLOW = (60, 200, 60), (60, 60, 230), (40, 200, 240)  # BGR: found, false, missed
_TILE = (480, 360)


def write_plots(
    folder: Path, truth: GroundTruth, detections: Sequence[PictureDetections], report: Report
) -> list[Path]:
    """Write `curves.png`, `confusion.png` and `worst.png`; raises FatalError naming a file that cannot be written."""
    made = {
        "curves.png": curves(report),
        "confusion.png": confusion_plot(report),
        "worst.png": worst(truth, detections, report.threshold),
    }
    for name, data in made.items():
        write_atomic(folder / name, data)
    return [folder / name for name in made]


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure that needs no window system."""
    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def curves(report: Report) -> bytes:
    """Plot precision, recall and F1 over the threshold; returns a PNG."""
    figure = _figure(6, 4)
    axes = figure.subplots()
    thresholds = [point.threshold for point in report.points]
    for name in ("precision", "recall", "f1"):
        axes.plot(thresholds, [getattr(point, name) for point in report.points], label=name)
    axes.axvline(report.threshold, color="grey", linestyle="--", linewidth=1)
    axes.set(xlabel="threshold", ylim=(0, 1.02), title=f"AP50 {report.ap50:.3f}, AP50-95 {report.ap:.3f}")
    axes.grid(alpha=0.3)
    axes.legend()
    return _png(figure)


def confusion_plot(report: Report) -> bytes:
    """Plot the confusion matrix; returns a PNG."""
    names = [*report.names, "background"]
    table = np.array(report.confusion)
    figure = _figure(2 + 0.7 * len(names), 1.5 + 0.6 * len(names))
    axes = figure.subplots()
    axes.imshow(np.sqrt(table), cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="detected", ylabel="annotated")
    for (row, column), count in np.ndenumerate(table):
        if count:
            axes.text(column, row, str(count), ha="center", va="center")
    return _png(figure)


def mistakes(picture: AnnotatedPicture, found: PictureDetections) -> int:
    """Count false detections and missed signs."""
    chosen = pair(picture, found, 0.5)
    return int((chosen == BACKGROUND).sum()) + len(picture.signs()) - int((chosen >= 0).sum())


def worst(truth: GroundTruth, detections: Sequence[PictureDetections], threshold: float, *, most: int = 9) -> bytes:
    """Draw the pictures with most mistakes, three per row: found green, false red, missed yellow; returns a PNG."""
    kept = [above(found, threshold) for found in detections]
    counts = [mistakes(picture, found) for picture, found in zip(truth.pictures, kept, strict=True)]
    order = sorted(range(len(counts)), key=lambda index: -counts[index])[:most]
    tiles = [_tile(truth.pictures[index], kept[index], truth.names) for index in order]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 3)
    sheet = np.vstack([np.hstack(tiles[row : row + 3]) for row in range(0, len(tiles), 3)])
    return cv2.imencode(".png", sheet)[1].tobytes()


def _tile(picture: AnnotatedPicture, found: PictureDetections, names: Sequence[str]) -> NDArray[np.uint8]:
    """Return one picture with its boxes as a tile."""
    image = cv2.imread(str(picture.path), cv2.IMREAD_COLOR)
    tile = np.zeros((_TILE[1], _TILE[0], 3), np.uint8)
    if image is None:
        return tile
    scale = min(_TILE[0] / image.shape[1], _TILE[1] / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    chosen = pair(picture, found, 0.5)
    for index in sorted(set(picture.signs().tolist()) - set(chosen.tolist())):
        _draw(small, picture.boxes[index] * scale, _YELLOW, names[picture.classes[index]])
    for box, score, label, sign in zip(found.boxes, found.scores, found.labels, chosen, strict=True):
        if sign >= BACKGROUND:
            _draw(small, box * scale, _GREEN if sign >= 0 else _RED, f"{label} {score:.2f}")
    cv2.putText(small, picture.path.name, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile


def _draw(image: Any, box: NDArray[np.float64], colour: tuple[int, int, int], text: str) -> None:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, 1)
    cv2.putText(image, text, (x1, max(y1 - 3, 9)), cv2.FONT_HERSHEY_SIMPLEX, 0.33, colour, 1, cv2.LINE_AA)
