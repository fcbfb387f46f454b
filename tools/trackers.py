"""Measure how well signs are followed through the generated worlds: one track a sign, and one sign a track.

`python -m tools.trackers [--worlds 20] [--speeds 200 400 600 780] [--libraries norfair bytetrack ocsort]` drives
through each world at a constant speed, takes the boxes that a detector could find, shakes them and loses some, and
prints for each tracker: of the signs that must be obeyed, the share that is one track from its first sighting to its
last (whole), tracks a sign (1.00 is best), and how many tracks hold two signs (mixed). The libraries have to be
installed beside the project; nothing else uses them.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from edge_agent.events import Box, Detection
from edge_agent.perception.tracking import Track, TrackerParameters, turn_px_s, update_tracks
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.layout import Layout
from edge_agent.simulation.view import CameraView, Optics, SeenSign, see

PERIOD_S = 0.1
_AWAY_PICTURES = 4
_FACING, _VISIBLE, _LEAST_PX = 0.5, 0.6, 12.0


@dataclass(frozen=True)
class Sighting:
    """A detection and the sign that it is of, by its place in the layout."""

    sign: int
    detection: Detection


Drive = list[list[Sighting]]
"""The sightings of each picture of one drive."""
Follow = Callable[[float, list[Detection]], list[int | None]]
"""Takes the time and a picture's detections; returns the track of each, None where it has none yet."""


def sightings(layout: Layout, speed_mm_s: float) -> Drive:
    """Return what can be seen in the pictures of a drive at a constant speed."""
    optics, pictures = Optics(mount=layout.mount), []
    for s_mm in np.arange(layout.start_mm, layout.cliff_mm, speed_mm_s * PERIOD_S):
        seen = see(layout, CameraView.at(optics, layout.track.pose(float(s_mm))))
        pictures.append([Sighting(one.index, Detection(one.sign.label, 0.9, one.box)) for one in seen if _found(one)])
    return pictures


def _found(one: SeenSign) -> bool:
    return one.front and one.facing > _FACING and one.visible > _VISIBLE and one.box.height > _LEAST_PX


def spoilt(drive: Drive, misses: str, rng: Generator) -> Drive:
    """Shake the boxes, and lose none, two of five in a row, or a third of them at random."""
    count: dict[int, int] = defaultdict(int)
    out: Drive = []
    for picture in drive:
        kept = []
        for one in picture:
            count[one.sign] += 1
            lost = {"none": False, "2 in a row": count[one.sign] % 5 in {4, 0}, "a third": rng.random() < 1 / 3}[misses]
            if not lost:
                kept.append(Sighting(one.sign, _shaken(one.detection, rng)))
        out.append(kept)
    return out


def _shaken(detection: Detection, rng: Generator) -> Detection:
    box = detection.box
    x1, y1, x2, y2 = (float(v) for v in rng.normal(0, 0.5 + 0.02 * box.height, 4))
    return Detection(detection.label, detection.score, Box(box.x1 + x1, box.y1 + y1, box.x2 + x2, box.y2 + y2))


class Ours:
    """The project's tracker; called as `Follow` says."""

    def __init__(self, speed_mm_s: float) -> None:
        self._turn_px_s = turn_px_s(speed_mm_s, 600)
        self._tracks: tuple[Track, ...] = ()
        self._names: dict[tuple[int, Box], int] = {}
        self._next = 0
        self._ids: dict[int, int] = {}

    def __call__(self, now_s: float, detections: list[Detection]) -> list[int | None]:
        """Return the track of each detection."""
        before = {track.number for track in self._tracks}
        self._tracks, _ = update_tracks(self._tracks, detections, now_s, TrackerParameters(), turn_px_s=self._turn_px_s)
        for track in self._tracks:
            if track.number not in before:  # numbers are used again once no higher one is left
                self._next += 1
                self._ids[track.number] = self._next
        by_box = {track.box: self._ids[track.number] for track in self._tracks if track.last_seen_s == now_s}
        return [by_box.get(detection.box) for detection in detections]


def _norfair() -> Follow:
    import norfair  # type: ignore[import-not-found]  # noqa: PLC0415 - not a dependency of the project

    tracker = norfair.Tracker(
        norfair.distances.create_normalized_mean_euclidean_distance(400, 600),
        distance_threshold=0.15,
        initialization_delay=0,
        hit_counter_max=5,
    )

    def follow(now_s: float, detections: list[Detection]) -> list[int | None]:
        del now_s
        points = [np.array([[one.box.x1, one.box.y1], [one.box.x2, one.box.y2]]) for one in detections]
        given = [
            norfair.Detection(p, label=d.label, data=n) for n, (p, d) in enumerate(zip(points, detections, strict=True))
        ]
        tracks = tracker.update(given)
        found = {id(track.last_detection): track.global_id for track in tracks}
        return [found.get(id(one)) for one in given]

    return follow


def _motpy() -> Follow:
    import motpy  # type: ignore[import-not-found]  # noqa: PLC0415

    tracker = motpy.MultiObjectTracker(dt=PERIOD_S, tracker_kwargs={"max_staleness": 5})

    def follow(now_s: float, detections: list[Detection]) -> list[int | None]:
        del now_s
        boxes = [np.array([one.box.x1, one.box.y1, one.box.x2, one.box.y2]) for one in detections]
        tracker.step([motpy.Detection(box, one.score) for box, one in zip(boxes, detections, strict=True)])
        tracks = tracker.active_tracks(min_steps_alive=0)
        # It gives its tracks' boxes, which are smoothed, and not whose detection is whose.
        boxes_of = [(Box(*track.box), hash(track.id)) for track in tracks]
        nearest = [sorted((-one.box.iou(box), name) for box, name in boxes_of) for one in detections]
        return [found[0][1] if found else None for found in nearest]

    return follow


def _roboflow(name: str) -> Follow:
    import supervision  # type: ignore[import-not-found]  # noqa: PLC0415
    import trackers  # type: ignore[import-not-found]  # noqa: PLC0415

    how: dict[str, Any] = {"lost_track_buffer": 5, "frame_rate": 30, "minimum_consecutive_frames": 1}
    if name != "CBIoUTracker":  # its boxes are enlarged instead
        how["minimum_iou_threshold"] = 0.01
    tracker = getattr(trackers, name)(**how)

    def follow(now_s: float, detections: list[Detection]) -> list[int | None]:
        del now_s
        boxes = np.array([[d.box.x1, d.box.y1, d.box.x2, d.box.y2] for d in detections]).reshape(-1, 4)
        marks = {"mark": np.arange(len(boxes))}
        kinds = np.zeros(len(boxes), int)
        found = tracker.update(
            supervision.Detections(boxes, confidence=np.full(len(boxes), 0.9), class_id=kinds, data=marks)
        )
        pairs = zip(found.data.get("mark", ()), () if found.tracker_id is None else found.tracker_id, strict=True)
        by_mark = {int(mark): int(track) for mark, track in pairs if track >= 0}
        return [by_mark.get(n) for n in range(len(boxes))]

    return follow


LIBRARIES: dict[str, Callable[[], Follow]] = {
    "norfair": _norfair,
    "motpy": _motpy,
    "bytetrack": lambda: _roboflow("ByteTrackTracker"),
    "ocsort": lambda: _roboflow("OCSORTTracker"),
    "cbiou": lambda: _roboflow("CBIoUTracker"),
}
"""Norfair (BSD), motpy (MIT), and ByteTrack, OC-SORT and C-BIoU of the package `trackers` (Apache 2)."""


def measure(layout: Layout, drive: Drive, follow: Follow) -> tuple[int, int, int, int]:
    """Return how many signs there are to obey, how many are one track, how many tracks they have, how many mixed."""
    tracks: dict[int, list[int]] = defaultdict(list)
    seen: dict[int, int] = defaultdict(int)
    last: dict[int, int] = {}
    signs: dict[int, set[int]] = defaultdict(set)
    for number, picture in enumerate(drive):
        for one, track in zip(picture, follow(number * PERIOD_S, [one.detection for one in picture]), strict=True):
            if number - last.get(one.sign, number) > _AWAY_PICTURES:
                tracks[one.sign].clear()
                seen[one.sign] = 0  # it was out of view: what counts is the approach
            last[one.sign] = number
            seen[one.sign] += 1
            if track is not None:  # some give a first detection none yet
                tracks[one.sign].append(track)
                signs[track].add(one.sign)
    meant = [n for n, sign in enumerate(layout.signs) if sign.counts and seen[n] >= 3]
    whole = sum(len(set(tracks[n])) == 1 for n in meant)
    return len(meant), whole, sum(len(set(tracks[n])) for n in meant), sum(len(held) > 1 for held in signs.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="One track a sign, one sign a track?")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--speeds", type=float, nargs="+", default=[200.0, 400.0, 600.0, 780.0])
    parser.add_argument("--libraries", nargs="*", choices=sorted(LIBRARIES), default=[])
    asked = parser.parse_args()
    makers: dict[str, Any] = {"ours": Ours, **{name: lambda _, n=name: LIBRARIES[n]() for name in asked.libraries}}
    for speed_mm_s in asked.speeds:
        worlds = [default_layout(seed) for seed in range(1, asked.worlds + 1)]
        drives = [sightings(layout, speed_mm_s) for layout in worlds]
        for misses in ("none", "2 in a row", "a third"):
            for name, make in makers.items():
                rng = np.random.default_rng(1)
                pairs = zip(worlds, drives, strict=True)
                found = [measure(layout, spoilt(drive, misses, rng), make(speed_mm_s)) for layout, drive in pairs]
                meant, whole, tracks, mixed = (sum(column) for column in zip(*found, strict=True))
                sys.stdout.write(
                    f"{speed_mm_s:.0f} mm/s, misses {misses:10s} {name:12s} whole {whole / meant:.1%} of {meant}, "
                    f"tracks a sign {tracks / meant:.2f}, mixed {mixed}\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
