"""The centre line of a track: straights and arcs in millimetres, position and heading by arc length.

World frame: x and y span the table top, z points up, angles are counter-clockwise radians from x. Sizes are those of
LEGO's plastic track, 8 mm to the stud: a straight is 16 studs long, the standard curve ("R40") has a radius of 40 studs
and turns by 22.5 degrees, sleepers are 8 studs wide and 4 studs apart, and the rails' inner faces are 37.5 mm apart.
"""

import bisect
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

STRAIGHT_MM = 128.0
CURVE_RADIUS_MM = 320.0
CURVE_TURN_RAD = math.radians(22.5)
GAUGE_MM = 37.5
SLEEPER_WIDTH_MM = 64.0
SLEEPER_LENGTH_MM = 16.0
SLEEPER_PITCH_MM = 32.0


@dataclass(frozen=True, slots=True)
class Pose:
    """A position on the table top and a heading."""

    x_mm: float
    y_mm: float
    heading_rad: float

    def beside(self, left_mm: float) -> tuple[float, float]:
        """Return the point `left_mm` to the left (negative: to the right) of this position."""
        return (self.x_mm - left_mm * math.sin(self.heading_rad), self.y_mm + left_mm * math.cos(self.heading_rad))


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight (`turn_rad` 0) or an arc that turns left (positive) or right (negative) over `length_mm`."""

    length_mm: float
    turn_rad: float = 0.0

    @property
    def curved(self) -> bool:
        """Whether this is an arc."""
        return self.turn_rad != 0.0

    def after(self, start: Pose, along_mm: float) -> Pose:
        """Return the pose `along_mm` into the segment if it begins at `start`."""
        if not self.curved:
            cos, sin = math.cos(start.heading_rad), math.sin(start.heading_rad)
            return Pose(start.x_mm + along_mm * cos, start.y_mm + along_mm * sin, start.heading_rad)
        radius_mm = self.length_mm / self.turn_rad
        heading_rad = start.heading_rad + along_mm / radius_mm
        return Pose(
            start.x_mm + radius_mm * (math.sin(heading_rad) - math.sin(start.heading_rad)),
            start.y_mm - radius_mm * (math.cos(heading_rad) - math.cos(start.heading_rad)),
            heading_rad,
        )


def straight(pieces: float) -> Segment:
    """Return a straight of `pieces` track pieces."""
    return Segment(pieces * STRAIGHT_MM)


def curve(pieces: float) -> Segment:
    """Return a standard curve of `pieces` track pieces, to the left (positive) or right (negative)."""
    return Segment(abs(pieces) * CURVE_TURN_RAD * CURVE_RADIUS_MM, pieces * CURVE_TURN_RAD)


@dataclass(frozen=True)
class RailTrack:
    """Segments laid end to end from `start`."""

    segments: tuple[Segment, ...]
    start: Pose = Pose(0.0, 0.0, 0.0)

    @cached_property
    def joints(self) -> tuple[tuple[float, Pose], ...]:
        """Arc length and pose at the start of each segment and at the end of the last."""
        at_mm, pose = 0.0, self.start
        joints = [(at_mm, pose)]
        for segment in self.segments:
            at_mm, pose = at_mm + segment.length_mm, segment.after(pose, segment.length_mm)
            joints.append((at_mm, pose))
        return tuple(joints)

    @cached_property
    def _starts_mm(self) -> list[float]:
        return [at_mm for at_mm, _ in self.joints[:-1]]

    @property
    def length_mm(self) -> float:
        """Length of the track."""
        return self.joints[-1][0]

    def segment_index(self, s_mm: float) -> int:
        """Return the index of the segment at arc length `s_mm`; beyond the ends, of the nearest."""
        return max(0, bisect.bisect_right(self._starts_mm, s_mm) - 1)

    def curved(self, s_mm: float) -> bool:
        """Return whether the track is curved at `s_mm`."""
        return s_mm < self.length_mm and self.segments[self.segment_index(s_mm)].curved

    def curvature_per_mm(self, s_mm: float) -> float:
        """Return the curvature at `s_mm`, positive to the left."""
        segment = self.segments[self.segment_index(s_mm)]
        return segment.turn_rad / segment.length_mm if self.curved(s_mm) else 0.0

    def pose(self, s_mm: float) -> Pose:
        """Return position and heading at `s_mm`; beyond the last rail the line continues straight."""
        if s_mm >= self.length_mm:
            return Segment(1.0).after(self.joints[-1][1], s_mm - self.length_mm)
        index = self.segment_index(s_mm)
        at_mm, start = self.joints[index]
        return self.segments[index].after(start, s_mm - at_mm)

    def sample(self, step_mm: float, left_mm: float = 0.0) -> NDArray[np.float64]:
        """Return (n, 2) points about every `step_mm` along the line, both ends included, `left_mm` beside it."""
        s_mm = np.linspace(0, self.length_mm, max(2, round(self.length_mm / step_mm) + 1))
        index = np.clip(np.searchsorted(self._starts_mm, s_mm, side="right") - 1, 0, len(self.segments) - 1)
        at_mm = np.array([joint_mm for joint_mm, _ in self.joints])[index]
        start = np.array([(pose.x_mm, pose.y_mm, pose.heading_rad) for _, pose in self.joints])[index]
        bend = np.array([segment.turn_rad / segment.length_mm for segment in self.segments])[index]
        along = s_mm - at_mm
        heading = start[:, 2] + bend * along
        # The chord of an arc has the length along * sinc(half the angle) and the mean of both headings.
        chord = along * np.sinc(bend * along / 2 / np.pi)
        middle = start[:, 2] + bend * along / 2
        points = start[:, :2] + chord[:, None] * np.stack([np.cos(middle), np.sin(middle)], axis=1)
        out: NDArray[np.float64] = points + left_mm * np.stack([-np.sin(heading), np.cos(heading)], axis=1)
        return out
