"""Figures of a detector: AP as the COCO tool has it, precision and recall by threshold, class and size, comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.evaluate.matching import BACKGROUND, IGNORED, Matches, ap_table, bootstrap, match, mean_ap, pair
from edge_agent.mlops.evaluate.truth import GroundTruth, PictureDetections

SIZES_PX = {"small": (0.0, 20.0), "medium": (20.0, 40.0), "large": (40.0, 1e5)}
"""Bounds of the square root of a box's area in pixels; by COCO's own (32 and 96) every toy sign would be small."""
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Precision, recall and F1 at one threshold over all classes; NaN where undefined."""

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of a detector; intervals are 95 percent, by bootstrap over pictures.

    `confusion[truth][found]` counts at `threshold`; its last row and column are background.
    """

    pictures: int
    signs: int
    ap50: float
    ap: float
    ap50_interval: tuple[float, float]
    ap_interval: tuple[float, float]
    classes: dict[str, dict[str, float]]
    sizes: dict[str, dict[str, float]]
    threshold: float
    working_point: OperatingPoint
    points: tuple[OperatingPoint, ...]
    names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]


def measure(
    truth: GroundTruth, detections: Sequence[PictureDetections], threshold: float, *, draws: int = 1000
) -> Report:
    """Compute the report; AP is meaningful only if `detections` include scores far below `threshold`."""
    matches = match(truth, detections)
    table = ap_table(matches)
    ap50, ap = mean_ap(table)
    spread = np.nanpercentile(bootstrap(matches, draws=draws), [2.5, 97.5], axis=0)
    points = tuple(point_at(truth, detections, one) for one in THRESHOLDS)
    return Report(
        pictures=len(truth.pictures),
        signs=sum(len(picture.signs()) for picture in truth.pictures),
        ap50=ap50,
        ap=ap,
        ap50_interval=(float(spread[0, 0]), float(spread[1, 0])),
        ap_interval=(float(spread[0, 1]), float(spread[1, 1])),
        classes=_by_class(truth, detections, table, threshold),
        sizes=_by_size(truth, detections, threshold),
        threshold=threshold,
        working_point=point_at(truth, detections, threshold),
        points=points,
        names=truth.names,
        confusion=confusion(truth, detections, threshold),
    )


def above(found: PictureDetections, threshold: float) -> PictureDetections:
    """Return the detections with a score of at least `threshold`."""
    keep = found.scores >= threshold
    labels = tuple(label for label, kept in zip(found.labels, keep, strict=True) if kept)
    return PictureDetections(found.boxes[keep], found.scores[keep], found.classes[keep], labels)


def point_at(
    truth: GroundTruth, detections: Sequence[PictureDetections], threshold: float, kind: int | None = None
) -> OperatingPoint:
    """Return precision, recall and F1 at an IoU of 0.5, of all classes or of one."""
    correct = detected = signs = 0
    for picture, found in zip(truth.pictures, detections, strict=True):
        kept = above(found, threshold)
        chosen = pair(picture, kept, 0.5)
        if kind is not None:
            chosen = chosen[kept.classes == kind]
        correct += int((chosen >= 0).sum())
        detected += int((chosen != IGNORED).sum())
        signs += len(picture.signs(kind))
    return _point(threshold, correct, detected, signs)


def _point(threshold: float, correct: int, detected: int, signs: int) -> OperatingPoint:
    """Return the operating point of these counts."""
    nan = float("nan")
    f1 = correct / (detected + signs) * 2 if detected + signs else nan
    return OperatingPoint(threshold, correct / detected if detected else nan, correct / signs if signs else nan, f1)


def _by_class(
    truth: GroundTruth, detections: Sequence[PictureDetections], table: NDArray[np.float64], threshold: float
) -> dict[str, dict[str, float]]:
    """Return the figures of each class."""
    rows = {}
    for index, name in enumerate(truth.names):
        signs = sum(len(picture.signs(index)) for picture in truth.pictures)
        point = point_at(truth, detections, threshold, index)
        figures = {"signs": float(signs), "ap50": float(table[0, index]), "ap": float(table[:, index].mean())}
        rows[name] = figures | {"precision": point.precision, "recall": point.recall, "f1": point.f1}
    return rows


def _by_size(
    truth: GroundTruth, detections: Sequence[PictureDetections], threshold: float
) -> dict[str, dict[str, float]]:
    """Return AP50 and recall of each size band."""
    rows = {}
    kept = [above(found, threshold) for found in detections]
    for size, band in SIZES_PX.items():
        matches = match(truth, kept, band)
        signs = sum(int(one.signs.sum()) for one in matches)
        hits = sum(int((one.partners[0] >= 0).sum()) for one in matches)
        ap50, _ = mean_ap(ap_table(match(truth, detections, band)))
        rows[size] = {"signs": float(signs), "ap50": ap50, "recall": hits / signs if signs else float("nan")}
    return rows


def confusion(
    truth: GroundTruth, detections: Sequence[PictureDetections], threshold: float
) -> tuple[tuple[int, ...], ...]:
    """Count truth (rows) against detections (columns), paired by IoU regardless of class; the last is background."""
    size = len(truth.names) + 1
    table = np.zeros((size, size), dtype=np.int64)
    for picture, found in zip(truth.pictures, detections, strict=True):
        kept = above(found, threshold)
        chosen = pair(picture, kept, 0.5, any_class=True)
        for kind, sign in zip(kept.classes.tolist(), chosen.tolist(), strict=True):
            if sign != IGNORED:
                table[picture.classes[sign] if sign >= 0 else BACKGROUND, kind] += 1
        for sign in set(picture.signs().tolist()) - set(chosen.tolist()):
            table[picture.classes[sign], -1] += 1
    return tuple(tuple(int(value) for value in row) for row in table)


@dataclass(frozen=True, slots=True)
class Comparison:
    """AP50 and AP50-95 of two detectors, the gains with 95 percent intervals, and a verdict.

    The verdict is `better` or `worse` where the interval of the gain in AP50 excludes zero, else `undecided`.
    """

    old_ap50: float
    new_ap50: float
    ap50_gain: float
    ap50_interval: tuple[float, float]
    old_ap: float
    new_ap: float
    ap_gain: float
    ap_interval: tuple[float, float]
    verdict: str

    def sentence(self) -> str:
        """Return the comparison as one sentence."""
        low, high = self.ap50_interval
        conclusion = {
            "better": "the new detector is better",
            "worse": "the new detector is worse",
            "undecided": "too few pictures to tell them apart",
        }[self.verdict]
        return (
            f"{conclusion}: AP50 {self.old_ap50:.3f} -> {self.new_ap50:.3f} "
            f"({self.ap50_gain:+.3f}, 95% interval {low:+.3f} to {high:+.3f}), AP50-95 {self.ap_gain:+.3f}"
        )


def compare(old: Sequence[Matches], new: Sequence[Matches], *, draws: int = 1000, seed: int = 0) -> Comparison:
    """Compare two detectors on the same pictures, by a paired bootstrap."""
    gains = bootstrap(new, draws=draws, seed=seed) - bootstrap(old, draws=draws, seed=seed)
    low, high = np.nanpercentile(gains, [2.5, 97.5], axis=0)
    old_ap50, old_ap = mean_ap(ap_table(old))
    new_ap50, new_ap = mean_ap(ap_table(new))
    verdict = "better" if low[0] > 0 else "worse" if high[0] < 0 else "undecided"
    return Comparison(
        old_ap50=old_ap50,
        new_ap50=new_ap50,
        ap50_gain=new_ap50 - old_ap50,
        ap50_interval=(float(low[0]), float(high[0])),
        old_ap=old_ap,
        new_ap=new_ap,
        ap_gain=new_ap - old_ap,
        ap_interval=(float(low[1]), float(high[1])),
        verdict=verdict,
    )
