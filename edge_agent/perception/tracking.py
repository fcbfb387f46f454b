"""Follow signs from frame to frame: association of boxes by distance, and votes for labels over the last frames.

Pure. In a curve a small sign moves by more than its own width between two frames, so the boxes of one sign need not
overlap: what associates them is how far the detection lies from where the sign is expected, in sizes of the sign, and
that a sign keeps its size. Where a curve begins or ends the whole picture starts or stops to move sideways, by as much
as the train's speed allows: so much further a sign may be, but no higher or lower. Votes bridge frames in which the
detector misses a sign, and keep a single false detection from counting as one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.events import Box, Detection


@dataclass(frozen=True, slots=True)
class Track:
    """One sign in view. `votes` are its labels in the last frames, newest last, None where it was not surely detected.

    `box` is in pixels, `speed_px_s` the horizontal and vertical speed of its middle (None until it was detected twice),
    `first` when it was detected first, and how large. `acted` marks a sign whose rule has been applied: a rule applies
    once per sign. `least_height_px` is the least height of its box so far.
    """

    number: int
    box: Box
    votes: tuple[str | None, ...]
    last_seen_s: float
    acted: bool = False
    speed_px_s: tuple[float, float] | None = None
    least_height_px: float = 0.0
    first: "FirstSighting | None" = None


@dataclass(frozen=True, slots=True)
class FirstSighting:
    """When a sign was detected first, in seconds, and how large its box was, in pixels."""

    at_s: float
    size_px: float


@dataclass(frozen=True, slots=True)
class TrackerParameters:
    """Parameters of the association.

    A detection continues a track when its middle lies within `gate` times the sign's size (the mean of its width and
    height) of where the sign is expected, sideways for each `gate_s` since the sign was last detected; `gate_at_start`
    while the speed of the sign is not known. One with a label that the track has no vote for must lie within
    `relabel_gate`: it may be another sign. The sizes may differ by the factor `max_growth` at most, more after a missed
    frame. What moves by more than `pan_widths` of its width in `gate_s` is seen in a curve, and is a vote only if it
    grows by the factor `pan_growth`, since it was last or first detected: a sign at the track comes nearer, things far
    away only pass by. A track keeps `memory` votes, and ends when its sign has not been detected for `forget_s`.
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
    tracks: Sequence[Track],
    detections: Iterable[Detection],
    now_s: float,
    parameters: TrackerParameters,
    *,
    faint: Iterable[Detection] = (),
    turn_px_s: float = 0.0,
) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
    """Update tracks with the detections of one frame; return the tracks that continue and those that have ended.

    Args:
        now_s: when the frame was taken.
        faint: detections too unsure to be votes; they only tell where the sign of a track is now.
        turn_px_s: how fast the picture moves sideways when the train turns at the speed that it may have now.
    """
    sure = list(detections)
    expect = _Expectation(now_s, turn_px_s, parameters)
    pairs, unpaired = _associate(tracks, sure, expect)
    missing = [track for track in tracks if track.number not in pairs]
    shadows, _ = _associate(missing, list(faint), expect)
    updated = [_updated(t, pairs.get(t.number), shadows.get(t.number), expect) for t in tracks]
    number = max((track.number for track in tracks), default=0)
    started = [
        Track(n, d.box, (d.label,), now_s, least_height_px=d.box.height, first=FirstSighting(now_s, _size(d.box)))
        for n, d in enumerate(unpaired, start=number + 1)
    ]
    active = tuple(t for t in (*updated, *started) if now_s - t.last_seen_s <= parameters.forget_s)
    ended = tuple(t for t in updated if now_s - t.last_seen_s > parameters.forget_s)
    return active, ended


def _updated(track: Track, sure: Detection | None, faint: Detection | None, expect: "_Expectation") -> Track:
    detection = sure or faint
    if detection is not None and detection.still:
        # The same pixels again are the same evidence: the sign is in view, and nothing was learnt of it.
        return replace(track, box=detection.box, last_seen_s=expect.now_s, speed_px_s=(0.0, 0.0))
    vote = sure.label if sure is not None and not expect.only_passes_by(track, sure) else None
    votes = (*track.votes, vote)[-expect.parameters.memory :]
    if detection is None:
        return replace(track, votes=votes)
    now_s = expect.now_s
    elapsed_s = now_s - track.last_seen_s
    (x, y), (old_x, old_y) = _middle(detection.box), _middle(track.box)
    speed = ((x - old_x) / elapsed_s, (y - old_y) / elapsed_s) if elapsed_s > 0 else track.speed_px_s
    least_px = min(track.least_height_px, detection.box.height)
    return replace(track, votes=votes, box=detection.box, last_seen_s=now_s, speed_px_s=speed, least_height_px=least_px)


def _associate(
    tracks: Sequence[Track], detections: list[Detection], expect: "_Expectation"
) -> tuple[dict[int, Detection], list[Detection]]:
    """Pair tracks with detections; return the pairs by track number and the unpaired detections.

    The same label goes first: of two signs side by side each keeps its own. Then the nearest.
    """
    candidates = sorted(
        (d.label not in t.votes, distance, t.number, n)
        for t in tracks
        for n, d in enumerate(detections)
        if (distance := expect.distance(t, d)) < math.inf
    )
    pairs: dict[int, Detection] = {}
    taken: set[int] = set()
    for _, _, number, n in candidates:
        if number not in pairs and n not in taken:
            pairs[number] = detections[n]
            taken.add(n)
    return pairs, [d for n, d in enumerate(detections) if n not in taken]


@dataclass(frozen=True, slots=True)
class _Expectation:
    """Where and how large the signs of tracks are expected at a time."""

    now_s: float
    turn_px_s: float
    parameters: TrackerParameters

    def distance(self, track: Track, detection: Detection) -> float:
        """Return how far a detection is from where the sign is expected, in gates; infinite where it is another's."""
        size, expected_size = _size(detection.box), _size(track.box)
        elapsed_s, steps = self._since(track.last_seen_s)
        growth = self.parameters.max_growth
        # Unseen for a while, a near sign has grown more; none shrinks, but for boxes that shake.
        if not 1 / growth <= size / expected_size <= growth * math.sqrt(steps):
            return math.inf
        vx, vy = track.speed_px_s or (0.0, 0.0)
        (x, y), (old_x, old_y) = _middle(detection.box), _middle(track.box)
        aside, upward = abs(x - old_x - vx * elapsed_s), y - old_y - vy * elapsed_s
        size = max(size, expected_size)
        if detection.label not in track.votes:
            return _within(math.hypot(aside, upward) / (self.parameters.relabel_gate * size))
        gate = self.parameters.gate_at_start if track.speed_px_s is None else self.parameters.gate
        turn = self.turn_px_s * elapsed_s
        if math.hypot(max(0.0, aside - turn) / steps, upward) > gate * size:
            return math.inf
        return math.hypot(aside, upward) / (gate * size)

    def only_passes_by(self, track: Track, detection: Detection) -> bool:
        """Return whether it moves sideways as in a curve without coming nearer, as far things do."""
        parameters, size = self.parameters, _size(detection.box)
        _, steps = self._since(track.last_seen_s)
        aside = abs(_middle(detection.box)[0] - _middle(track.box)[0])
        if aside <= parameters.pan_widths * steps * max(detection.box.width, track.box.width):
            return False
        if size >= _size(track.box) * parameters.pan_growth**steps:
            return False
        # Between two frames a small box may shake by more than it grows.
        first = track.first
        return first is None or size < first.size_px * parameters.pan_growth ** self._since(first.at_s)[1]

    def _since(self, at_s: float) -> tuple[float, float]:
        """Return the time since then in seconds, and in steps of `gate_s`, at least one."""
        elapsed_s = max(self.now_s - at_s, 0.0)
        return elapsed_s, max(elapsed_s / self.parameters.gate_s, 1.0)


def _within(distance: float) -> float:
    return distance if distance <= 1 else math.inf


def _middle(box: Box) -> tuple[float, float]:
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


def _size(box: Box) -> float:
    return max((box.width + box.height) / 2, 1e-9)


def turn_px_s(speed_mm_s: float, side_px: float) -> float:
    """Return how fast a picture moves sideways in a curve; `side_px` is its longer side.

    In LEGO's curve, of radius 40 studs (320 mm), with a webcam's angle of view, 62 degrees along the longer side.
    """
    focal_px = side_px / 2 / math.tan(math.radians(62) / 2)
    return speed_mm_s / 320.0 * focal_px
