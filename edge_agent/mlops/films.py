"""Films of signs, and what is in them: `truth.jsonl` in a folder of films, one line of JSON for each sign.

A film is a video, or a folder of pictures that are taken one after the other. A line has these keys:

- `film`: the video's or folder's name, below the folder of `truth.jsonl`.
- `sign`: the label, as in signs.yaml; null says that the film shows no sign, and stands alone.
- `from`, `to`: the first picture in which a person can read it, and the last before it must have acted; from 0.
- `boxes`: where it is, as `[[picture, x1, y1, x2, y2], ...]` in the film's pixels, interpolated; may be absent.
- `counted`: false for a sign that is in the picture, but need not be obeyed; true where it is absent.
- `of`: a name that films of the same scene share: intervals are drawn over scenes. Absent, the film is its own.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from edge_agent.errors import ConfigError
from edge_agent.events import Box
from edge_agent.runtime.files import read_file

TRUTH = "truth.jsonl"
# A thousand signs with a box for each of a thousand pictures.
_MAX_BYTES = 64 << 20
_KEYS = frozenset({"film", "sign", "from", "to", "boxes", "counted", "of"})
_REMEDY = "correct the line; docs/detector.md describes it"


@dataclass(frozen=True, slots=True)
class FilmedSign:
    """One sign of a film. `first` and `last` are the pictures between which it must act, counted from 0.

    `boxes` are (picture, box) in pixels of the film, in the order of the pictures. `counted`: it must be obeyed.
    """

    label: str
    first: int
    last: int
    boxes: tuple[tuple[int, Box], ...] = ()
    counted: bool = True

    def box_at(self, picture: int) -> Box | None:
        """Return where the sign is in a picture, interpolated; None before its first box and after its last."""
        after = bisect_right(self.boxes, picture, key=lambda one: one[0])
        if after == 0 or (after == len(self.boxes) and picture > self.boxes[-1][0]):
            return None
        start, box = self.boxes[after - 1]
        if picture == start:
            return box
        end, following = self.boxes[after]
        share = (picture - start) / (end - start)
        pairs = zip(_sides(box), _sides(following), strict=True)
        return Box(*(a + share * (b - a) for a, b in pairs))


@dataclass(frozen=True, slots=True)
class Film:
    """A video, or a folder of pictures, with its signs; films of one `scene` are alike."""

    path: Path
    scene: str
    signs: tuple[FilmedSign, ...]


def to_line(film: Film, sign: FilmedSign | None) -> str:
    """Return the line of `truth.jsonl` for a sign, or for a film without signs."""
    row: dict[str, Any] = {"film": film.path.name, "sign": sign.label if sign else None}
    if sign is not None:
        row |= {"from": sign.first, "to": sign.last, "counted": sign.counted}
        row["boxes"] = [[picture, *(round(side, 1) for side in _sides(box))] for picture, box in sign.boxes]
    return json.dumps(row | {"of": film.scene})


def read_films(folder: Path) -> tuple[Film, ...]:
    """Read `truth.jsonl` in `folder`; raises ConfigError that names the line and what is wrong with it."""
    path = folder / TRUTH
    try:
        lines = read_file(path, _MAX_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror if isinstance(error, OSError) else 'it is not UTF-8'}",
            remedy="write one line of JSON a sign; docs/detector.md describes it",
        ) from error
    rows = [_row(f"{path}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise ConfigError(f"{path} names no film", remedy="write one line of JSON a sign")
    return tuple(_film(folder, name, [row for row in rows if row.film == name]) for name in _once(rows))


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the file, checked; `sign` is None for a film without signs."""

    where: str
    film: str
    scene: str
    sign: FilmedSign | None


def _once(rows: Iterable[_Row]) -> Iterable[str]:
    return dict.fromkeys(row.film for row in rows)


def _film(folder: Path, name: str, rows: list[_Row]) -> Film:
    if not (folder / name).exists():
        raise ConfigError(f"{rows[0].where}: there is no film {name!r}", remedy="name a video or a folder of pictures")
    signs = tuple(row.sign for row in rows if row.sign is not None)
    if signs and len(signs) < len(rows):
        raise ConfigError(f"{rows[0].where}: {name!r} has both signs and a line without one", remedy=_REMEDY)
    return Film(folder / name, rows[0].scene, signs)


def _row(where: str, line: str) -> _Row:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON", remedy=_REMEDY) from error
    if not isinstance(raw, dict) or not raw.keys() <= _KEYS:
        raise ConfigError(f"{where}: it must be an object with the keys {', '.join(sorted(_KEYS))}", remedy=_REMEDY)
    film, label, scene = raw.get("film"), raw.get("sign"), raw.get("of", raw.get("film"))
    # A name of one part: no path leads out of the folder.
    if not _is_name(film) or film in {".", ".."} or "/" in film or "\\" in film:
        raise ConfigError(f"{where}: film must be the name of a video or folder beside the file", remedy=_REMEDY)
    if not _is_name(scene) or not (label is None or _is_name(label)):
        raise ConfigError(f"{where}: sign and of must be names", remedy=_REMEDY)
    return _Row(where, film, scene, None if label is None else _sign(where, label, raw))


def _sign(where: str, label: str, raw: dict[str, Any]) -> FilmedSign:
    first, last, counted, boxes = raw.get("from"), raw.get("to"), raw.get("counted", True), raw.get("boxes", [])
    if not (_is_picture(first) and _is_picture(last) and first <= last):
        raise ConfigError(f"{where}: from and to must be numbers of pictures, in this order", remedy=_REMEDY)
    if not isinstance(counted, bool):
        raise ConfigError(f"{where}: counted must be true or false", remedy=_REMEDY)
    if not isinstance(boxes, list) or not all(_is_box(one) for one in boxes):
        raise ConfigError(f"{where}: boxes must be [picture, x1, y1, x2, y2], not empty", remedy=_REMEDY)
    if [one[0] for one in boxes] != sorted({one[0] for one in boxes}):
        raise ConfigError(f"{where}: boxes must be in the order of their pictures", remedy=_REMEDY)
    return FilmedSign(label, first, last, tuple((one[0], Box(*map(float, one[1:]))) for one in boxes), counted)


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 255 and value.isprintable()


def _is_picture(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def _is_box(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 5 or not _is_picture(value[0]):
        return False
    sides = value[1:]
    if not all(isinstance(side, int | float) and not isinstance(side, bool) and abs(side) < 1e6 for side in sides):
        return False
    return all(map(math.isfinite, sides)) and sides[0] < sides[2] and sides[1] < sides[3]


def _sides(box: Box) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2
