"""Follow signs from frame to frame: greedy association of boxes by overlap, and votes for labels over the last frames.

Pure. Association as in SORT (Bewley et al., 2016), but without its Kalman filter: at 10 frames a second, growing the
boxes is enough for signs that stand still. Votes bridge frames in which the detector misses a sign, and keep a single
false detection from counting as one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.events import Box, Detection


@dataclass(frozen=True, slots=True)
class Track:
    """One sign in view. `votes` are its labels in the last frames, newest last, None where it was not detected.

    `box` is in pixels. `acted` marks a sign whose rule has been applied: a rule applies once per sign.
    """

    number: int
    box: Box
    votes: tuple[str | None, ...]
    last_seen_s: float
    acted: bool = False


@dataclass(frozen=True, slots=True)
class TrackerParameters:
    """Parameters of the association.

    Boxes are grown by `grow` times their size on every side before their IoU is compared with `min_iou`. A track
    keeps `memory` votes, and ends when its sign has not been detected for `forget_s`.
    """

    min_iou: float = 0.2
    grow: float = 0.5
    memory: int = 10
    forget_s: float = 0.5


def update_tracks(
    tracks: Sequence[Track], detections: Iterable[Detection], now_s: float, parameters: TrackerParameters
) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
    """Update tracks with the detections of one frame; return the tracks that continue and those that have ended."""
    pairs, unpaired = _associate(tracks, list(detections), parameters)
    updated = [_updated(track, pairs.get(track.number), now_s, parameters) for track in tracks]
    number = max((track.number for track in tracks), default=0)
    started = [Track(number + n, d.box, (d.label,), now_s) for n, d in enumerate(unpaired, start=1)]
    active = tuple(t for t in (*updated, *started) if now_s - t.last_seen_s <= parameters.forget_s)
    ended = tuple(t for t in updated if now_s - t.last_seen_s > parameters.forget_s)
    return active, ended


def _updated(track: Track, detection: Detection | None, now_s: float, parameters: TrackerParameters) -> Track:
    votes = (*track.votes, detection.label if detection else None)[-parameters.memory :]
    if detection is None:
        return replace(track, votes=votes)
    return replace(track, votes=votes, box=detection.box, last_seen_s=now_s)


def _associate(
    tracks: Sequence[Track], detections: list[Detection], parameters: TrackerParameters
) -> tuple[dict[int, Detection], list[Detection]]:
    """Pair tracks with detections, best overlap first; return the pairs by track number and the unpaired detections."""
    candidates = sorted(
        (
            (iou(_grown(t.box, parameters.grow), _grown(d.box, parameters.grow)), t.number, n)
            for t in tracks
            for n, d in enumerate(detections)
        ),
        reverse=True,
    )
    pairs: dict[int, Detection] = {}
    taken: set[int] = set()
    for overlap, number, n in candidates:
        if overlap < parameters.min_iou:
            break
        if number not in pairs and n not in taken:
            pairs[number] = detections[n]
            taken.add(n)
    return pairs, [d for n, d in enumerate(detections) if n not in taken]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.width * a.height + b.width * b.height - shared)


def _grown(box: Box, by: float) -> Box:
    dx, dy = box.width * by, box.height * by
    return Box(box.x1 - dx, box.y1 - dy, box.x2 + dx, box.y2 + dy)
