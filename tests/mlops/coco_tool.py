"""The COCO tool as the reference for our own average precision."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from edge_agent.mlops.evaluate import GroundTruth, PictureDetections
from edge_agent.mlops.evaluate.metrics import SIZES_PX


def coco_figures(truth: GroundTruth, detections: Sequence[PictureDetections]) -> dict[str, float]:
    """Return AP50, AP50-95 and AP50 by size, by faster-coco-eval."""
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(_coco_truth(truth))
        evaluator = COCOeval_faster(reference, reference.loadRes(_coco_results(detections)), "bbox")
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
        for (x1, y1, x2, y2), kind, crowd in zip(
            picture.boxes.tolist(), picture.classes.tolist(), picture.ignored.tolist(), strict=True
        ):
            box = [x1, y1, x2 - x1, y2 - y1]
            row = {"id": len(annotations) + 1, "image_id": image + 1, "category_id": kind + 1, "bbox": box}
            annotations.append(row | {"area": box[2] * box[3], "iscrowd": int(crowd)})
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
