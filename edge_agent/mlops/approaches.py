"""Make approaches from labelled pictures: films in which the train comes up to one sign of a real picture.

A picture is scaled about the point that the train heads for, so that the sign's height is what it would be at each
distance; then shaken, brightened and darkened, blurred by motion, made noisy and compressed, as a small camera does.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, UsageError
from edge_agent.events import Box
from edge_agent.mlops.coco import CocoFile, CocoImage, load_json
from edge_agent.mlops.films import TRUTH, Film, FilmedSign, to_line
from edge_agent.runtime.files import write_atomic

FOCUS = (0.5, 165 / 480)
"""Where the train heads for: the point that the picture grows about, as shares of its width and height."""

SIZE_PX_MM = 9333 / 640
"""A toy sign is 17.5 mm high and the focal length 533 px at a width of 640: h px = 9333 / d mm."""

START_PX, GROWTH, REACH = 10 / 640, 1.6, 1.34
"""The sign is 10 px high at first (of a width of 640) and grows to 1.6 times its height in the picture; it is used
where that is 1.34 times its rule's near_height_px (at a width of 640): nearer than where it must act."""

READABLE_PX = 17 / 640
"""A person can read a sign from this height on (of a width of 640), 550 mm away: its digits are 4 px high."""

JITTER_PX, GAIN, NOISE, JPEG = 1.5, (0.7, 1.35), 2.5, (65, 92)
BLUR_PX, STRONG_BLUR_PX, STRONGLY_BLURRED = 6.0, 9.0, 0.12

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ApproachOptions:
    """How the train comes up to each sign: speed in mm/s, pictures a second, and how many films a sign.

    `near_px` are the heights by label at which a sign must act (`near_height_px` of signs.yaml); signs of other labels
    are shown, but no film comes up to them. `only` are patterns of the pictures' file names, all where empty.
    """

    near_px: Mapping[str, float]
    seed: int = 0
    seeds: int = 2
    speed_mm_s: float = 400.0
    fps: float = 10.0
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelledSign:
    """A sign of a picture; `usable` where a film may come up to it."""

    label: str
    box: Box
    usable: bool


def make(
    images: Path,
    annotations: Path,
    out: Path,
    options: ApproachOptions,
    *,
    finer: Path | None = None,
    label_map: Mapping[str, str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Write the approaches and their `truth.jsonl` into an empty folder; return how many there are by label.

    Args:
        images: folder of the pictures.
        annotations: their boxes in COCO form.
        finer: a file of finer labels: `{"signs": [{"file", "label", "box_xyxy", "sure", "hard"}, ...]}`.
        label_map: from our labels to the annotations' names, where they differ.
        tick: called after each picture.

    The same options give the same films. Raises ConfigError for a bad file, UsageError for a folder that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder", remedy="name another, or remove it")
    by_file = read_finer(finer) if finer else {}
    names = {name: label for label, name in (label_map or {}).items()}
    if len(names) < len(label_map or {}):
        raise UsageError("two labels stand for one class of the annotations", remedy="name finer labels")
    coco = CocoFile(annotations, frozenset(names) | frozenset(options.near_px))
    counts: dict[str, int] = {}
    lines: list[str] = []
    for index, picture in enumerate(coco.read(images)):
        if not options.only or any(fnmatch(picture.path.name, pattern) for pattern in options.only):
            signs = merge(_signs(picture, coco.categories, names), by_file.get(picture.path.name, ()))
            for film in _films(picture, signs, out, options, index):
                lines += [to_line(film, sign) for sign in film.signs]
                label = next(sign.label for sign in film.signs if sign.counted)
                counts[label] = counts.get(label, 0) + 1
        tick()
    if not lines:
        raise ConfigError(f"{annotations}: no sign is large enough for an approach", remedy="label larger signs")
    write_atomic(out / TRUTH, ("\n".join(lines) + "\n").encode())
    return counts


def read_finer(path: Path) -> dict[str, tuple[LabelledSign, ...]]:
    """Read a file of finer labels by picture; one that is not `sure`, or `hard`, is shown and not used."""
    raw = load_json(path)
    found: dict[str, list[LabelledSign]] = {}
    for number, row in enumerate(raw.get("signs") or () if isinstance(raw, dict) else ()):
        try:
            box = Box(*(float(side) for side in row["box_xyxy"]))
            sign = LabelledSign(str(row["label"]), box, bool(row.get("sure", True)) and not row.get("hard", False))
            found.setdefault(str(row["file"]), []).append(sign)
        except (TypeError, ValueError, KeyError) as error:
            raise ConfigError(
                f"{path}: signs[{number}] is not a finer label", remedy="give file, label, box_xyxy"
            ) from error
    if not found:
        raise ConfigError(f"{path}: has no list `signs`", remedy="name a file of finer labels")
    return {file: tuple(signs) for file, signs in found.items()}


def merge(coarse: Sequence[LabelledSign], finer: Sequence[LabelledSign]) -> tuple[LabelledSign, ...]:
    """Return the finer labels, and those signs that have none; boxes that share half of their area are one sign."""
    rest = [sign for sign in coarse if all(sign.box.iou(one.box) < 0.5 for one in finer)]
    return (*finer, *rest)


def _signs(picture: CocoImage, categories: Mapping[Any, str], names: Mapping[str, str]) -> tuple[LabelledSign, ...]:
    rows = zip(picture.boxes.tolist(), picture.categories, picture.ignored.tolist(), strict=True)
    return tuple(
        LabelledSign(names.get(categories[one], categories[one]), Box(*box), usable=not ignored)
        for box, one, ignored in rows
    )


def _films(
    picture: CocoImage, signs: Sequence[LabelledSign], out: Path, options: ApproachOptions, index: int
) -> Iterator[Film]:
    """Write the films of one picture, and yield them with their truth."""
    image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigError(f"{picture.path} is not a readable picture", remedy="remove it or save it again")
    pixels = np.asarray(image, np.uint8)
    for number, sign in enumerate(signs):
        scales = _scales(sign, options, pixels.shape[1], pixels.shape[0])
        if not scales:
            continue
        for seed in range(options.seeds):
            rng = np.random.default_rng([options.seed, seed, index, number])
            offsets = rng.normal(0, JITTER_PX, (len(scales), 2))
            poses = [_Pose(scale, x, y) for scale, (x, y) in zip(scales, offsets.tolist(), strict=True)]
            path = out / f"{picture.path.stem}-{number}-{sign.label}-{seed}"
            _write(path, pixels, poses, rng)
            truth = tuple(
                filmed
                for one in signs
                if (filmed := _filmed(one, poses, pixels.shape[1], pixels.shape[0], counted=one is sign))
            )
            yield Film(path, picture.path.name, truth)


def _scales(sign: LabelledSign, options: ApproachOptions, width: int, height: int) -> list[float]:
    """Return the scale of each picture of an approach; none where the sign is not used."""
    near_px = options.near_px.get(sign.label)
    if near_px is None or not sign.usable:
        return []
    start_mm, step_mm = SIZE_PX_MM / START_PX, options.speed_mm_s / options.fps
    scales = []
    for number in range(math.ceil(start_mm / step_mm)):
        scale = SIZE_PX_MM * width / (start_mm - number * step_mm) / sign.box.height
        if scale > GROWTH or not _is_whole(_Pose(scale).place(sign.box, width, height), width, height):
            break
        scales.append(scale)
    reaches = bool(scales) and scales[-1] * sign.box.height >= REACH * near_px * width / 640
    return scales if reaches else []


@dataclass(frozen=True, slots=True)
class _Pose:
    """How the picture lies in a frame: scaled about the focus, and moved by (x, y) px."""

    scale: float
    x: float = 0.0
    y: float = 0.0

    def origin(self, width: int, height: int) -> tuple[float, float]:
        """Return where the picture's top-left corner lies."""
        rest = 1 - self.scale
        return FOCUS[0] * width * rest + self.x, FOCUS[1] * height * rest + self.y

    def place(self, box: Box, width: int, height: int) -> Box:
        """Return where a box of the picture lies in the frame."""
        left, top, scale = *self.origin(width, height), self.scale
        return Box(left + scale * box.x1, top + scale * box.y1, left + scale * box.x2, top + scale * box.y2)


def _is_whole(box: Box, width: int, height: int) -> bool:
    return box.x1 >= 0 and box.y1 >= 0 and box.x2 <= width and box.y2 <= height


def _filmed(sign: LabelledSign, poses: Sequence[_Pose], width: int, height: int, *, counted: bool) -> FilmedSign | None:
    """Return the truth of one sign, while it is whole; None where it never is."""
    places = [(number, pose.place(sign.box, width, height)) for number, pose in enumerate(poses)]
    whole = tuple((number, box) for number, box in places if _is_whole(box, width, height))
    if not whole:
        return None
    last = whole[-1][0]
    readable = (number for number, box in whole if box.height >= READABLE_PX * width)
    return FilmedSign(sign.label, next(readable, last), last, whole, counted)


def _write(folder: Path, image: Picture, poses: Sequence[_Pose], rng: np.random.Generator) -> None:
    """Write the pictures of one approach."""
    folder.mkdir(parents=True)
    around = np.asarray(cv2.GaussianBlur(image, (0, 0), image.shape[1] / 25), np.uint8)
    gain = rng.uniform(*GAIN)
    for number, pose in enumerate(poses):
        gain = float(np.clip(gain * math.exp(rng.normal(0, 0.05)), *GAIN))
        strong = rng.random() < STRONGLY_BLURRED
        length_px = STRONG_BLUR_PX if strong else rng.uniform(0, BLUR_PX)
        frame = _blur(_view(image, around, pose), length_px, rng.uniform(0, math.pi))
        noisy = frame.astype(np.float32) * gain + rng.standard_normal(frame.shape, np.float32) * NOISE
        quality = int(rng.integers(JPEG[0], JPEG[1] + 1))
        _, data = cv2.imencode(".jpg", noisy.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        (folder / f"{number:03}.jpg").write_bytes(data.tobytes())


def _view(image: Picture, around: Picture, pose: _Pose) -> Picture:
    """Return the picture in its pose, (h, w, 3) uint8, over its own blurred copy."""
    height, width = image.shape[:2]
    left, top = pose.origin(width, height)
    # Linear interpolation skips pixels when it halves or more: average first.
    halved = 1.0
    while pose.scale * halved < 0.5:
        halved *= 2
        image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    scale_x, scale_y = pose.scale * width / image.shape[1], pose.scale * height / image.shape[0]
    # A pixel's centre lies half a pixel from its corner.
    matrix = np.array([[scale_x, 0, left + scale_x / 2 - 0.5], [0, scale_y, top + scale_y / 2 - 0.5]])
    canvas = around.copy()
    cv2.warpAffine(
        image, matrix, (width, height), dst=canvas, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )
    return canvas


def _blur(image: Picture, length_px: float, angle: float) -> Picture:
    """Blur along a line of this length, drawn at an eighth of a pixel."""
    if length_px <= 1:
        return image
    side = 2 * math.ceil(length_px / 2) + 3
    fine = np.zeros((8 * side, 8 * side), np.uint8)
    middle, x, y = 4 * side, 4 * length_px * math.cos(angle), 4 * length_px * math.sin(angle)
    start, end = (round(middle - x), round(middle - y)), (round(middle + x), round(middle + y))
    cv2.line(fine, start, end, 255, 8)
    kernel = cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
