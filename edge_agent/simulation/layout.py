"""What stands on the table: a track, signs beside it, the table's edge where the rails end, and how it looks.

A `Layout` is plain frozen data; invent.py makes one up and layout_file.py reads one. Knows nothing of motion or
pictures, and of signs only their names in the artwork.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from edge_agent.simulation import artwork
from edge_agent.simulation.track import Pose, RailTrack

HEAD_MM = 17.5
"""Height of a round sign's head, measured on photographs against the sleepers (64 mm) of the track beside it."""
POLE_MM = 34.0
"""From the table to the lower edge of a sign's head: base, socket and pole; measured likewise."""
BASE_MM = 17.0
"""Side of the square base; measured likewise."""
BASE_HEIGHT_MM = 3.5


@dataclass(frozen=True, slots=True)
class PlacedSign:
    """A sign beside the track.

    Args:
        name: a name of the artwork.
        s_mm: arc length of the track where it stands.
        left_mm: distance from the track's centre line; negative to the right.
        yaw_rad: 0 faces the oncoming train squarely; positive turns it counter-clockwise seen from above.
        back: shows the train its back.
    """

    name: str
    s_mm: float
    left_mm: float
    yaw_rad: float = 0.0
    back: bool = False

    @property
    def label(self) -> str:
        """Label of the vocabulary in signs.py."""
        return artwork.sign_of(self.name).value

    @property
    def head_mm(self) -> float:
        """Height of the head: the artwork tells how tall a sign is against a round one."""
        return HEAD_MM * artwork.height_mm(self.name) / artwork.height_mm("stop")


@dataclass(frozen=True, slots=True)
class RenderStyle:
    """How the picture looks.

    Args:
        seed: of textures, furniture and noise.
        exposure: brightness factor.
        warmth: -1 (blue) to 1 (yellow) white balance.
        haze: 0 to 1, a bright veil over everything.
        shutter_s: exposure time; motion blurs with it.
        sign_light: brightness of the signs' faces against the rest; signs lit from behind look dark.
    """

    seed: int = 0
    exposure: float = 1.0
    warmth: float = 0.0
    haze: float = 0.05
    shutter_s: float = 1 / 60
    sign_light: float = 1.0


@dataclass(frozen=True)
class Layout:
    """A whole little world at rest. The mission begins at `start_mm` and must end before the rails do."""

    track: RailTrack
    signs: tuple[PlacedSign, ...]
    look: RenderStyle = field(default_factory=RenderStyle)
    start_mm: float = 160.0
    time_limit_s: float = 120.0
    side_mm: float = 300.0
    """How far the table reaches beyond the track on the three sides that the rails do not lead over."""

    @property
    def cliff_mm(self) -> float:
        """Arc length where the rails end, which is the table's edge."""
        return self.track.length_mm

    @cached_property
    def sign_poses(self) -> tuple[Pose, ...]:
        """Where each sign stands; the heading is the direction its face looks to, also where it shows its back."""
        return tuple(self._stand(sign) for sign in self.signs)

    def _stand(self, sign: PlacedSign) -> Pose:
        pose = self.track.pose(sign.s_mm)
        x_mm, y_mm = pose.beside(sign.left_mm)
        return Pose(x_mm, y_mm, pose.heading_rad + (0.0 if sign.back else math.pi) + sign.yaw_rad)

    @cached_property
    def table(self) -> tuple[tuple[float, float], ...]:
        """Corners of the table's top, counter-clockwise: a rectangle whose far side lies where the rails end."""
        end = self.track.pose(self.cliff_mm)
        ahead = np.array([math.cos(end.heading_rad), math.sin(end.heading_rad)])
        left = np.array([-ahead[1], ahead[0]])
        points = self.track.sample(50.0)
        along, across = points @ ahead, points @ left
        back, front = along.min() - self.side_mm, end.x_mm * ahead[0] + end.y_mm * ahead[1]
        right_side, left_side = across.min() - self.side_mm, across.max() + self.side_mm
        corners = ((back, right_side), (front, right_side), (front, left_side), (back, left_side))
        return tuple((float(x), float(y)) for x, y in (a * ahead + c * left for a, c in corners))
