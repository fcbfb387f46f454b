"""Match detections with signs at each IoU threshold, as COCO does, and compute average precision.

Matches are kept per picture, so that a bootstrap can draw pictures again without matching again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.evaluate.truth import AnnotatedPicture, GroundTruth, PictureDetections

OVERLAPS = np.linspace(0.5, 0.95, 10)
"""The ten IoU thresholds over which COCO averages; by `linspace` as there, because 0.5 + 2 * 0.05 is above 0.6."""
BACKGROUND, IGNORED = -1, -2
"""Partners of a detection that has found no sign: one counts as false, the other does not count at all."""
_LEVELS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One picture: partners (thresholds, K) of its K detections as of `pair`, their scores and classes.

    `signs` is the number of signs per class.
    """

    partners: NDArray[np.int64]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]
    signs: NDArray[np.int64]


def iou(
    found: NDArray[np.float64], signs: NDArray[np.float64], crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """IoU of (M, 4) with (N, 4) boxes -> (M, N); with a `crowd` (N,) the share of the first box that lies in it."""
    left_top = np.maximum(found[:, None, :2], signs[None, :, :2])
    right_bottom = np.minimum(found[:, None, 2:], signs[None, :, 2:])
    inter = (right_bottom - left_top).clip(0).prod(axis=2)
    area_found, area_signs = (found[:, 2:] - found[:, :2]).prod(axis=1)[:, None], (signs[:, 2:] - signs[:, :2]).prod(1)
    union = area_found + area_signs[None] - inter
    return np.asarray(inter / (union if crowd is None else np.where(crowd, area_found, union)).clip(1e-9))


def pair(
    picture: AnnotatedPicture,
    found: PictureDetections,
    least: float,
    *,
    any_class: bool = False,
    outside: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Return for each detection the index of its sign, or BACKGROUND, or IGNORED.

    Best score first, each gets the free sign of highest IoU; without one, an ignored box, which is never used up, or
    one of the signs that are `outside` (K,) of what is measured.
    """
    overlaps = iou(found.boxes, picture.boxes, picture.ignored)
    if not any_class:
        same = (found.classes[:, None] == picture.classes[None]) | (picture.classes < 0)
        overlaps = np.where(same, overlaps, 0.0)
    ignored = picture.ignored if outside is None else picture.ignored | outside
    groups = [which for which in (~ignored, ignored) if which.any()]
    chosen = np.full(len(found.scores), BACKGROUND, dtype=np.int64)
    free = np.ones(len(picture.classes), dtype=bool)
    for index in np.argsort(-found.scores, kind="stable"):
        for which in groups:
            row = np.where(free & which, overlaps[index], 0.0)
            best = int(row.argmax())
            if row[best] >= least:
                free[best] = picture.ignored[best]
                chosen[index] = IGNORED if ignored[best] else best
                break
    return chosen


def match(
    truth: GroundTruth, detections: Sequence[PictureDetections], sides_px: tuple[float, float] | None = None
) -> list[Matches]:
    """Match every picture at every IoU threshold; as COCO does, only boxes with `sides_px` (low, high) count."""
    made = []
    for picture, found in zip(truth.pictures, detections, strict=True):
        outside = None if sides_px is None else ~_within(picture.boxes, *sides_px)
        partners = np.stack([pair(picture, found, float(least), outside=outside) for least in OVERLAPS])
        counted = ~picture.ignored
        if outside is not None and sides_px is not None:
            counted &= ~outside
            partners[(partners == BACKGROUND) & ~_within(found.boxes, *sides_px)] = IGNORED
        signs = np.bincount(picture.classes[counted], minlength=len(truth.names))
        made.append(Matches(partners, found.scores, found.classes, signs))
    return made


def _within(boxes: NDArray[np.float64], low_px: float, high_px: float) -> NDArray[np.bool_]:
    """Return which boxes have a square root of their area in [low, high)."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray((area >= low_px**2) & (area < high_px**2))


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
    partners = np.concatenate([one.partners for one in matches], axis=1)
    scores = np.concatenate([one.scores for one in matches])
    classes = np.concatenate([one.classes for one in matches])
    signs = np.sum([one.signs for one in matches], axis=0)
    table = np.full((len(OVERLAPS), len(signs)), np.nan)
    for index, count in enumerate(signs):
        for row in range(len(OVERLAPS)):
            mine = (classes == index) & (partners[row] != IGNORED)
            table[row, index] = average_precision(scores[mine], partners[row, mine] >= 0, int(count))
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
