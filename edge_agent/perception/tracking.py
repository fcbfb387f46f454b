"""Which box of this frame is which sign of the last ones: association by overlap, label votes over the last frames.

Pure. A sign that flickers keeps its track, and a single false box never collects the votes that a rule asks for. Knows
nothing of what a sign means. Sources: greedy IoU association as in SORT (Bewley et al., 2016), without its Kalman
filter: at 10 frames a second boxes of neighbouring frames are grown instead, enough for signs that stand still.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.events import Box, Detection


@dataclass(frozen=True, slots=True)
class Track:
    """One sign in the view. `votes` holds its label in each of the last frames, newest last, None where unseen.

    `acted` tells that its rule has been carried out; a sign acts once.
    """

    number: int
    box: Box
    votes: tuple[str | None, ...]
    last_seen_s: float
    acted: bool = False


@dataclass(frozen=True, slots=True)
class TrackerParameters:
    """How boxes are associated.

    Boxes are grown by `grow` times their size on every side before their overlap is compared with `min_iou`. A track
    keeps `memory` votes. One that was not seen for `forget_s` has left the view.
    """

    min_iou: float = 0.2
    grow: float = 0.5
    memory: int = 10
    forget_s: float = 0.5


def update_tracks(
    tracks: Sequence[Track], detections: Iterable[Detection], now_s: float, how: TrackerParameters
) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
    """Fold one frame's detections into the tracks; return those that live on and those that have left the view."""
    pairs, fresh = _associate(tracks, list(detections), how)
    followed = [_see(track, pairs.get(track.number), now_s, how) for track in tracks]
    number = max((track.number for track in tracks), default=0)
    born = [Track(number + n, d.box, (d.label,), now_s) for n, d in enumerate(fresh, start=1)]
    living = tuple(t for t in (*followed, *born) if now_s - t.last_seen_s <= how.forget_s)
    gone = tuple(t for t in followed if now_s - t.last_seen_s > how.forget_s)
    return living, gone


def _see(track: Track, detection: Detection | None, now_s: float, how: TrackerParameters) -> Track:
    votes = (*track.votes, detection.label if detection else None)[-how.memory :]
    if detection is None:
        return replace(track, votes=votes)
    return replace(track, votes=votes, box=detection.box, last_seen_s=now_s)


def _associate(
    tracks: Sequence[Track], detections: list[Detection], how: TrackerParameters
) -> tuple[dict[int, Detection], list[Detection]]:
    """Pair tracks with detections, best overlap first; return the pairs by track number and the unpaired detections."""
    candidates = sorted(
        (
            (iou(_grown(t.box, how.grow), _grown(d.box, how.grow)), t.number, n)
            for t in tracks
            for n, d in enumerate(detections)
        ),
        reverse=True,
    )
    pairs: dict[int, Detection] = {}
    taken: set[int] = set()
    for overlap, number, n in candidates:
        if overlap < how.min_iou:
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
