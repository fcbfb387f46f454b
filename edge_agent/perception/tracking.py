"""Follow signs from frame to frame: association of boxes by distance, and votes for labels over the last frames.

Pure. In a curve a small sign moves by more than its own width between two frames, so the boxes of one sign need not
overlap: what associates them is how far the detection lies from where the sign is expected, in sizes of the sign, and
that a sign keeps its size. Votes bridge frames in which the detector misses a sign, and keep a single false detection
from counting as one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.events import Box, Detection


@dataclass(frozen=True, slots=True)
class Track:
    """One sign in view. `votes` are its labels in the last frames, newest last, None where it was not detected.

    `box` is in pixels, `speed_px_s` the horizontal and vertical speed of its middle (None until it was detected twice).
    `acted` marks a sign whose rule has been applied: a rule applies once per sign. `least_height_px` is the least
    height of its box so far.
    """

    number: int
    box: Box
    votes: tuple[str | None, ...]
    last_seen_s: float
    acted: bool = False
    speed_px_s: tuple[float, float] | None = None
    least_height_px: float = 0.0


@dataclass(frozen=True, slots=True)
class TrackerParameters:
    """Parameters of the association.

    A detection continues a track when its middle lies within `gate` times the sign's size (the mean of its width and
    height) of where the sign is expected, for each `gate_s` since the sign was last detected; `gate_at_start` while
    the speed of the sign is not known. One with a label that the track has no vote for must lie within
    `relabel_gate`: it may be another sign. The sizes may differ by the factor `max_growth` at most, either way. What
    moves by more than `pan_widths` of its width in `gate_s` is seen in a curve, and must grow by the factor
    `pan_growth`: a sign at the track comes nearer, things far away only pass by. A track keeps `memory` votes, and ends
    when its sign has not been detected for `forget_s`.
    """

    gate: float = 1.2
    gate_at_start: float = 2.5
    gate_s: float = 0.1
    relabel_gate: float = 0.6
    max_growth: float = 1.85
    pan_widths: float = 1.3
    pan_growth: float = 1.02
    memory: int = 10
    forget_s: float = 0.5


def update_tracks(
    tracks: Sequence[Track], detections: Iterable[Detection], now_s: float, parameters: TrackerParameters
) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
    """Update tracks with the detections of one frame; return the tracks that continue and those that have ended.

    `now_s` is when the frame was taken.
    """
    pairs, unpaired = _associate(tracks, list(detections), now_s, parameters)
    updated = [_updated(track, pairs.get(track.number), now_s, parameters) for track in tracks]
    number = max((track.number for track in tracks), default=0)
    started = [
        Track(number + n, d.box, (d.label,), now_s, least_height_px=d.box.height)
        for n, d in enumerate(unpaired, start=1)
    ]
    active = tuple(t for t in (*updated, *started) if now_s - t.last_seen_s <= parameters.forget_s)
    ended = tuple(t for t in updated if now_s - t.last_seen_s > parameters.forget_s)
    return active, ended


def _updated(track: Track, detection: Detection | None, now_s: float, parameters: TrackerParameters) -> Track:
    if detection is not None and detection.still:
        # The same pixels again are the same evidence: the sign is in view, and nothing was learnt of it.
        return replace(track, box=detection.box, last_seen_s=now_s, speed_px_s=(0.0, 0.0))
    votes = (*track.votes, detection.label if detection else None)[-parameters.memory :]
    if detection is None:
        return replace(track, votes=votes)
    elapsed_s = now_s - track.last_seen_s
    (x, y), (old_x, old_y) = _middle(detection.box), _middle(track.box)
    speed = ((x - old_x) / elapsed_s, (y - old_y) / elapsed_s) if elapsed_s > 0 else track.speed_px_s
    least_px = min(track.least_height_px, detection.box.height)
    return replace(track, votes=votes, box=detection.box, last_seen_s=now_s, speed_px_s=speed, least_height_px=least_px)


def _associate(
    tracks: Sequence[Track], detections: list[Detection], now_s: float, parameters: TrackerParameters
) -> tuple[dict[int, Detection], list[Detection]]:
    """Pair tracks with detections; return the pairs by track number and the unpaired detections.

    The same label goes first: of two signs side by side each keeps its own. Then the nearest.
    """
    candidates = sorted(
        (d.label not in t.votes, distance, t.number, n)
        for t in tracks
        for n, d in enumerate(detections)
        if (distance := _distance(t, d, now_s, parameters)) <= 1
    )
    pairs: dict[int, Detection] = {}
    taken: set[int] = set()
    for _, _, number, n in candidates:
        if number not in pairs and n not in taken:
            pairs[number] = detections[n]
            taken.add(n)
    return pairs, [d for n, d in enumerate(detections) if n not in taken]


def _distance(track: Track, detection: Detection, now_s: float, parameters: TrackerParameters) -> float:
    """Return how far it lies from where the sign is expected, as a share of the gate; infinite for another size."""
    size, expected_size = _size(detection.box), _size(track.box)
    if not 1 / parameters.max_growth <= size / expected_size <= parameters.max_growth:
        return math.inf
    elapsed_s = max(now_s - track.last_seen_s, 0.0)
    vx, vy = track.speed_px_s or (0.0, 0.0)
    (x, y), (old_x, old_y) = _middle(detection.box), _middle(track.box)
    away = math.hypot(x - old_x - vx * elapsed_s, y - old_y - vy * elapsed_s)
    steps = max(elapsed_s / parameters.gate_s, 1.0)
    pans = abs(x - old_x) > parameters.pan_widths * steps * max(detection.box.width, track.box.width)
    if pans and size < expected_size * parameters.pan_growth**steps:
        return math.inf
    if detection.label not in track.votes:
        gate = parameters.relabel_gate
    else:
        gate = parameters.gate_at_start if track.speed_px_s is None else parameters.gate
        gate *= steps
    return away / (gate * max(size, expected_size))


def _middle(box: Box) -> tuple[float, float]:
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


def _size(box: Box) -> float:
    return max((box.width + box.height) / 2, 1e-9)
