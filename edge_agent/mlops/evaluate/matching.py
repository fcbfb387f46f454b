"""Match detections with signs at each IoU threshold, as COCO does, and compute average precision.

Matches are kept per picture, so that a bootstrap can draw pictures again without matching again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.evaluate.truth import AnnotatedPicture, GroundTruth, PictureDetections

OVERLAPS = np.arange(0.5, 0.96, 0.05)
"""The ten IoU thresholds over which COCO averages."""
_LEVELS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One picture: hits (thresholds, K) of its K detections, their scores and classes; number of signs per class."""

    hits: NDArray[np.bool_]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]
    signs: NDArray[np.int64]


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of (M, 4) with (N, 4) boxes -> (M, N)."""
    left_top = np.maximum(a[:, None, :2], b[None, :, :2])
    right_bottom = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (right_bottom - left_top).clip(0).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    return np.asarray(inter / (area_a[:, None] + area_b[None] - inter).clip(1e-9))


def pair(
    picture: AnnotatedPicture, found: PictureDetections, least: float, *, any_class: bool = False
) -> NDArray[np.int64]:
    """Return for each detection the index of its sign, or -1: best score first, each the free sign of highest IoU."""
    overlaps = iou(found.boxes, picture.boxes)
    if not any_class:
        overlaps = np.where(found.classes[:, None] == picture.classes[None], overlaps, 0.0)
    chosen = np.full(len(found.scores), -1, dtype=np.int64)
    free = np.ones(len(picture.classes), dtype=bool)
    for index in np.argsort(-found.scores, kind="stable"):
        row = np.where(free, overlaps[index], 0.0)
        if row.size and row.max() >= least:
            chosen[index] = int(row.argmax())
            free[chosen[index]] = False
    return chosen


def match(truth: GroundTruth, detections: Sequence[PictureDetections]) -> list[Matches]:
    """Match every picture at every IoU threshold."""
    made = []
    for picture, found in zip(truth.pictures, detections, strict=True):
        hits = np.stack([pair(picture, found, float(least)) >= 0 for least in OVERLAPS])
        signs = np.bincount(picture.classes, minlength=len(truth.names))
        made.append(Matches(hits, found.scores, found.classes, signs))
    return made


def average_precision(scores: NDArray[np.float64], hits: NDArray[np.bool_], signs: int) -> float:
    """Return COCO's 101-point average precision of one class at one IoU threshold; NaN without signs."""
    if signs == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    recall = found / signs
    precision = found / np.arange(1, len(found) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _LEVELS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(at, len(precision))].mean())


def ap_table(matches: Sequence[Matches]) -> NDArray[np.float64]:
    """Return (thresholds, classes) average precisions over pictures; NaN for a class without signs."""
    hits = np.concatenate([one.hits for one in matches], axis=1)
    scores = np.concatenate([one.scores for one in matches])
    classes = np.concatenate([one.classes for one in matches])
    signs = np.sum([one.signs for one in matches], axis=0)
    table = np.full((len(OVERLAPS), len(signs)), np.nan)
    for index, count in enumerate(signs):
        mine = classes == index
        for row in range(len(OVERLAPS)):
            table[row, index] = average_precision(scores[mine], hits[row, mine], int(count))
    return table


def bootstrap(matches: Sequence[Matches], *, draws: int = 1000, seed: int = 0) -> NDArray[np.float64]:
    """Return (draws, 2) AP50 and AP50-95 of pictures drawn with replacement; equal seeds draw equal pictures."""
    rng = np.random.default_rng(seed)
    made = np.empty((draws, 2))
    for row in range(draws):
        table = ap_table([matches[i] for i in rng.integers(len(matches), size=len(matches))])
        made[row] = mean_ap(table)
    return made


def mean_ap(table: NDArray[np.float64]) -> tuple[float, float]:
    """Return AP50 and AP50-95 of a table, means over the classes that have signs; NaN when none has."""
    if np.isnan(table).all():
        return float("nan"), float("nan")
    return float(np.nanmean(table[0])), float(np.nanmean(table))
