"""Figures of a detector: AP by faster-coco-eval; precision and recall by threshold, class and size; comparisons."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.evaluate.matching import Matches, ap_table, bootstrap, match, mean_ap, pair
from edge_agent.mlops.evaluate.truth import AnnotatedPicture, GroundTruth, PictureDetections

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
    coco = coco_figures(truth, detections)
    spread = np.nanpercentile(bootstrap(matches, draws=draws), [2.5, 97.5], axis=0)
    points = tuple(point_at(truth, detections, one) for one in THRESHOLDS)
    return Report(
        pictures=len(truth.pictures),
        signs=sum(len(picture.classes) for picture in truth.pictures),
        ap50=coco["ap50"],
        ap=coco["ap"],
        ap50_interval=(float(spread[0, 0]), float(spread[1, 0])),
        ap_interval=(float(spread[0, 1]), float(spread[1, 1])),
        classes=_by_class(truth, detections, table, threshold),
        sizes=_by_size(truth, detections, coco, threshold),
        threshold=threshold,
        working_point=point_at(truth, detections, threshold),
        points=points,
        names=truth.names,
        confusion=confusion(truth, detections, threshold),
    )


def coco_figures(truth: GroundTruth, detections: Sequence[PictureDetections]) -> dict[str, float]:
    """Return AP50, AP50-95 and AP50 by size, by faster-coco-eval."""
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 - slow to import

    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(_coco_truth(truth))
        rows = _coco_results(detections)
        if not rows:
            return {"ap50": 0.0, "ap": 0.0, **{f"ap50_{size}": float("nan") for size in SIZES_PX}}
        evaluator = COCOeval_faster(reference, reference.loadRes(rows), "bbox")
        evaluator.params.areaRng = [[0.0, 1e10], *([low**2, high**2] for low, high in SIZES_PX.values())]
        evaluator.params.areaRngLbl = ["all", *SIZES_PX]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = np.asarray(evaluator.eval["precision"])  # overlaps, recalls, classes, sizes, most detections
    figures = {"ap50": _mean(precision[0, :, :, 0, -1]), "ap": _mean(precision[:, :, :, 0, -1])}
    return figures | {f"ap50_{size}": _mean(precision[0, :, :, 1 + i, -1]) for i, size in enumerate(SIZES_PX)}


def _mean(values: NDArray[Any]) -> float:
    """Return the mean of the defined values; COCO marks the others with -1."""
    kept = values[values > -1]
    return float(kept.mean()) if kept.size else float("nan")


def _coco_truth(truth: GroundTruth) -> dict[str, Any]:
    """Return the truth as a COCO data set."""
    annotations: list[dict[str, Any]] = []
    for image, picture in enumerate(truth.pictures):
        for (x1, y1, x2, y2), kind in zip(picture.boxes.tolist(), picture.classes.tolist(), strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            row = {"id": len(annotations) + 1, "image_id": image + 1, "category_id": kind + 1, "bbox": box}
            annotations.append(row | {"area": box[2] * box[3], "iscrowd": 0})
    return {
        "images": [{"id": i + 1, "width": 1, "height": 1} for i in range(len(truth.pictures))],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(truth.names)],
    }


def _coco_results(detections: Sequence[PictureDetections]) -> list[dict[str, Any]]:
    """Return detections as COCO results."""
    rows = []
    for image, found in enumerate(detections):
        for (x1, y1, x2, y2), score, kind in zip(
            found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
        ):
            box = [x1, y1, x2 - x1, y2 - y1]
            rows.append({"image_id": image + 1, "category_id": kind + 1, "bbox": box, "score": score})
    return rows


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
        hit = pair(picture, kept, 0.5) >= 0
        mine = slice(None) if kind is None else kept.classes == kind
        correct += int(hit[mine].sum())
        detected += len(kept.classes[mine])
        signs += len(picture.classes) if kind is None else int((picture.classes == kind).sum())
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
        signs = sum(int((picture.classes == index).sum()) for picture in truth.pictures)
        point = point_at(truth, detections, threshold, index)
        figures = {"signs": float(signs), "ap50": float(table[0, index]), "ap": float(table[:, index].mean())}
        rows[name] = figures | {"precision": point.precision, "recall": point.recall, "f1": point.f1}
    return rows


def _by_size(
    truth: GroundTruth, detections: Sequence[PictureDetections], coco: dict[str, float], threshold: float
) -> dict[str, dict[str, float]]:
    """Return AP50 and recall of each size band."""
    rows = {}
    for size, (low, high) in SIZES_PX.items():
        signs = hits = 0
        for picture, found in zip(truth.pictures, detections, strict=True):
            mine = np.flatnonzero((side_px(picture) >= low) & (side_px(picture) < high))
            chosen = pair(picture, above(found, threshold), 0.5)
            signs += len(mine)
            hits += int(np.isin(mine, chosen).sum())
        recall = hits / signs if signs else float("nan")
        rows[size] = {"signs": float(signs), "ap50": coco[f"ap50_{size}"], "recall": recall}
    return rows


def side_px(picture: AnnotatedPicture) -> NDArray[np.float64]:
    """Return the square root of each box's area in pixels."""
    return np.asarray(np.sqrt((picture.boxes[:, 2:] - picture.boxes[:, :2]).prod(axis=1)))


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
            table[picture.classes[sign] if sign >= 0 else -1, kind] += 1
        for sign in set(range(len(picture.classes))) - set(chosen.tolist()):
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
