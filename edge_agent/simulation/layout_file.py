"""Read a layout from a YAML file, strictly: all mistakes are reported at once, each with its line.

track:              # pieces laid end to end: straights of 128 mm, curves of 22.5 degrees (negative to the right)
- straight: 9
- curve: -4
signs:
- {name: stop, at_mm: 820, left_mm: -70, yaw_deg: 8}
look: {seed: 3, exposure: 0.9}
camera: {height_mm: 95, pitch_deg: 1.5, roll_deg: 0}
"""

import json
import math
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from edge_agent.config.base import Section
from edge_agent.config.diagnostics import SettingsProblem, SettingsTree, close_match, problems_of, raise_if_any
from edge_agent.config.yaml_file import read_yaml
from edge_agent.simulation import artwork
from edge_agent.simulation.layout import CameraMount, Layout, PlacedSign, RenderStyle
from edge_agent.simulation.track import RailTrack, Segment, curve, straight

_MAX_PIECES = 400
_MAX_SIGNS = 200
_MAX_TABLE_M = 50
_MAX_TRACK_M = 500
"""What is drawn of a larger table (either side) or a longer track takes gigabytes."""


class _Piece(Section):
    straight: Annotated[float, Field(gt=0, le=200)] | None = None
    curve: Annotated[float, Field(ge=-16, le=16)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.straight is None) == (self.curve is None):
            raise ValueError("must be either `straight: PIECES` or `curve: PIECES`")
        if self.curve == 0:
            raise ValueError("a curve of 0 pieces does nothing; remove it")
        return self

    def segment(self) -> Segment:
        return straight(self.straight) if self.straight is not None else curve(self.curve or 0.0)


class _Sign(Section):
    name: str
    at_mm: float = Field(ge=0)
    left_mm: float = Field(ge=-1000, le=1000)
    yaw_deg: float = Field(0.0, ge=-90, le=90)
    back: bool = False
    counts: bool = True

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in artwork.names():
            raise ValueError(f"no sign is called '{name}'{close_match(name, artwork.names())}")
        return name

    @field_validator("left_mm")
    @classmethod
    def _off_the_track(cls, left_mm: float) -> float:
        if abs(left_mm) < 45:
            raise ValueError("must be at least 45 mm from the track's middle (either side), or the train hits the sign")
        return left_mm

    def placed(self) -> PlacedSign:
        return PlacedSign(self.name, self.at_mm, self.left_mm, math.radians(self.yaw_deg), self.back, self.counts)


class _RenderStyle(Section):
    seed: int = Field(0, ge=0, le=2**32 - 1)
    exposure: float = Field(1.0, ge=0.05, le=3)
    warmth: float = Field(0.0, ge=-1, le=1)
    haze: float = Field(0.05, ge=0, le=1)
    shutter_s: float = Field(1 / 60, ge=0, le=0.1)
    sign_light: float = Field(1.0, ge=0.1, le=1.5)


class _CameraMount(Section):
    height_mm: float = Field(95.0, ge=60, le=400)
    pitch_deg: float = Field(1.5, ge=-20, le=45)
    roll_deg: float = Field(0.0, ge=-45, le=45)

    def mount(self) -> CameraMount:
        return CameraMount(self.height_mm, math.radians(self.pitch_deg), math.radians(self.roll_deg))


class _LayoutFile(Section):
    track: tuple[_Piece, ...] = Field(min_length=1, max_length=_MAX_PIECES)
    signs: tuple[_Sign, ...] = Field((), max_length=_MAX_SIGNS)
    look: _RenderStyle = _RenderStyle()
    camera: _CameraMount = _CameraMount()
    start_mm: float = Field(160.0, ge=0)
    time_limit_s: float = Field(120.0, gt=0, le=86400)
    side_mm: float = Field(300.0, ge=60, le=5000)

    def layout(self) -> Layout:
        return Layout(
            RailTrack(tuple(piece.segment() for piece in self.track)),
            tuple(sign.placed() for sign in self.signs),
            RenderStyle(**self.look.model_dump()),
            self.start_mm,
            self.time_limit_s,
            self.side_mm,
            self.camera.mount(),
        )


def load_layout(path: Path) -> Layout:
    """Read a layout; raises one ConfigError with a line for each problem: file, line, column, key, remedy."""
    tree = read_yaml(path)
    try:
        parsed = _LayoutFile.model_validate_json(json.dumps(tree.values))
    except ValidationError as error:
        found = [] if tree.problems and not tree.values else problems_of(error, tree, _LayoutFile)
        raise_if_any([*tree.problems, *found])
        raise  # not reached: a ValidationError has at least one error
    layout = parsed.layout()
    raise_if_any([*tree.problems, *_too_large(layout, tree), *_off_the_rails(layout, tree)])
    return layout


def _too_large(layout: Layout, tree: SettingsTree) -> list[SettingsProblem]:
    """Return a problem where the track, or the table that it needs, is too large."""
    corner, beside, _, opposite = layout.table
    sides_m = [math.dist(corner, other) / 1000 for other in (beside, opposite)]
    place = tree.place_of(("track",))
    where = place.exact() if place else ""
    if max(sides_m) > _MAX_TABLE_M:
        text = f"needs a table of {sides_m[0]:.0f} by {sides_m[1]:.0f} m; shorten it to {_MAX_TABLE_M} m either way"
        return [SettingsProblem(where, "track", text)]
    if layout.cliff_mm > _MAX_TRACK_M * 1000:
        text = f"is {layout.cliff_mm / 1000:.0f} m long; shorten it to {_MAX_TRACK_M} m"
        return [SettingsProblem(where, "track", text)]
    return []


def _off_the_rails(layout: Layout, tree: SettingsTree) -> list[SettingsProblem]:
    """Return a problem for each position beyond the end of the track."""
    ends = f"lies beyond the rails, which end at {layout.cliff_mm:.0f} mm"
    wrong: list[tuple[str | int, ...]] = [
        ("signs", index, "at_mm") for index, sign in enumerate(layout.signs) if sign.s_mm > layout.cliff_mm
    ]
    if layout.start_mm >= layout.cliff_mm:
        wrong.append(("start_mm",))
    places = ((at, tree.place_of(at)) for at in wrong)
    return [SettingsProblem(place.exact() if place else "", ".".join(map(str, at)), ends) for at, place in places]
