"""The catalogue of artwork: by name, the sign it means, the toy's height, and pictures of face and back."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge_agent.signs import Sign
from edge_agent.simulation.artwork import pictograms, plates
from edge_agent.simulation.artwork.plates import TOY, Style

_Face = Callable[[int, Style], NDArray[np.uint8]]


def _limit(words: str, usual_font: str) -> _Face:
    return partial(plates.speed_limit, words=words, usual_font=usual_font)


def _danger(pictogram: pictograms.Painter, scale: float) -> _Face:
    return partial(plates.danger, pictogram=pictogram, scale=scale)


def _mandatory(pictogram: pictograms.Painter, scale: float) -> _Face:
    return partial(plates.mandatory, pictogram=pictogram, scale=scale)


_OTHER_LIMITS = ("5", "10", "20", "40", "60", "70", "80", "90", "100", "110", "120", "130")

_FACES: dict[str, _Face] = {
    "speed_limit_30": _limit("30", "heavy"),
    "speed_limit_50": _limit("50", "thin"),
    **{f"speed_limit_other/{words}": _limit(words, "plain") for words in _OTHER_LIMITS},
    "stop": plates.stop,
    "no_entry": plates.no_entry,
    "danger/exclamation": _danger(pictograms.exclamation, 1.0),
    "danger/level_crossing": _danger(pictograms.fence, 0.8),
    "danger/train": _danger(pictograms.train, 0.75),
    "danger/road_works": _danger(pictograms.digger, 1.0),
    "danger/children": _danger(pictograms.children, 0.95),
    "danger/bend": _danger(pictograms.bend, 1.0),
    "danger/crossroads": _danger(pictograms.crossroads, 0.95),
    "danger/traffic_signals": _danger(pictograms.signals, 1.0),
    "pedestrian_crossing": plates.pedestrian_crossing,
    "traffic_light/red": partial(plates.signal, lit=(True, False, False)),
    "traffic_light/amber": partial(plates.signal, lit=(False, True, False)),
    "traffic_light/green": partial(plates.signal, lit=(False, False, True)),
    "traffic_light/dark": partial(plates.signal, lit=(False, False, False)),
    "traffic_light/walk": partial(plates.foot_signal, lit=(False, True)),
    "traffic_light/wait": partial(plates.foot_signal, lit=(True, False)),
    "traffic_light/printed": partial(plates.foot_signal, lit=(True, True)),
    "other_sign/bus_stop": plates.bus_stop,
    "other_sign/car": _mandatory(pictograms.car, 1.0),
    "other_sign/bicycle": _mandatory(pictograms.bicycle, 1.0),
    "other_sign/straight_on": _mandatory(pictograms.arrow_up, 0.9),
    "other_sign/keep_right": _mandatory(pictograms.arrow_down_right, 0.9),
    "other_sign/no_horn": partial(plates.prohibited, pictogram=pictograms.horn, on_square=True),
    "other_sign/no_bicycles": partial(plates.prohibited, pictogram=pictograms.bicycle, on_square=False),
    "other_sign/parking": partial(plates.parking, letter="P"),
    "other_sign/hospital": partial(plates.parking, letter="H"),
    "other_sign/give_way": plates.give_way,
}

if _unpainted := set(Sign) - {Sign(name.split("/", maxsplit=1)[0]) for name in _FACES}:
    raise ValueError(f"no artwork shows {', '.join(sorted(_unpainted))}: add a face to simulation.artwork.catalogue")


def names() -> tuple[str, ...]:
    """Return the names of all artwork: a label, or a label and a variant after a slash."""
    return tuple(_FACES)


def sign_of(name: str) -> Sign:
    """Return the sign that an artwork means.

    Raises:
        KeyError: no artwork has this name.
    """
    if name not in _FACES:
        raise KeyError(name)
    return Sign(name.split("/", maxsplit=1)[0])


def height_mm(name: str) -> float:
    """Return the height of the toy's face in millimetres.

    Measured on photographs against the track beside the sign: a STOP is 115 px high where a sleeper (8 studs, 64 mm) is
    415 px long and studs (8 mm) are 52 px apart, which makes 17.7 mm by either.

    Raises:
        KeyError: no artwork has this name.
    """
    sign = sign_of(name)
    if sign is Sign.TRAFFIC_LIGHT:
        return 22.0
    return 17.0 if sign is Sign.DANGER else 17.5


def draw(name: str, height_px: int, style: Style = TOY) -> NDArray[np.uint8]:
    """Draw the face of a sign, straight from the front, in flat colours.

    Args:
        name: one of `names()`.
        height_px: height of the picture, at least 1.
        style: the style of the print.

    Returns:
        (height_px, w, 4) uint8, BGRA; alpha is the sign's outline, anti-aliased.

    Raises:
        KeyError: no artwork has this name.
    """
    return _FACES[name](height_px, style)


def draw_back(name: str, height_px: int, style: Style = TOY) -> NDArray[np.uint8]:
    """Draw the back of a sign, dark plastic with the pole's clip, as seen from behind; otherwise as `draw`."""
    face = np.ascontiguousarray(draw(name, height_px, style)[:, ::-1])
    return plates.back(height_px, face, style)
