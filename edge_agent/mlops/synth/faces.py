"""The sign faces of a data set: our artwork in several print runs, and the pictures of an artwork folder."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, UsageError
from edge_agent.mlops.synth.textures import Image
from edge_agent.mlops.synth.view import Points, near
from edge_agent.signs import LABELS, Sign
from edge_agent.simulation import artwork
from edge_agent.simulation.artwork.glyphs import FONTS

FACE_PX = 192
VARIANTS = 10
_LEVELS = 4


@dataclass(frozen=True)
class Face:
    """One flat sign, ready to be rendered into a scene.

    Args:
        label: its label, one of `signs.LABELS`.
        height_mm: height of the toy.
        levels: (h, w, 4) uint8 BGRA, a mipmap: each half the size of the one before.
        back: (h, w, 4) uint8 BGRA, of the size of the first level.
        hull: (N, 2) outline in fractions of width and height.
        plain: mean BGR of the face, towards which a print fades.
        edge: BGR of the plate's rim.
    """

    label: str
    height_mm: float
    levels: tuple[Image, ...]
    back: Image
    hull: Points
    plain: NDArray[np.float32]
    edge: tuple[int, int, int]

    @property
    def aspect(self) -> float:
        """Width over height."""
        height, width = self.levels[0].shape[:2]
        return float(width / height)


class Faces:
    """The faces of one data set: each artwork in `VARIANTS` print runs, rendered on first use.

    Args:
        seed: of the data set.
        folder: PNG files named `<label>__anything.png`, which replace the artwork of their labels.

    Raises:
        ConfigError: there is no such folder.
        UsageError: the folder contains no PNG file, or one that cannot be used.
    """

    def __init__(self, seed: int, folder: Path | None = None) -> None:
        self._seed = seed
        self._own = tuple(artwork.names())
        self._files = _read_folder(folder) if folder else {}
        self._by_label: dict[str, list[str]] = {label: [] for label in LABELS}
        for name in self._own:
            if artwork.sign_of(name).value not in {label for label, _ in self._files.values()}:
                self._by_label[artwork.sign_of(name).value].append(name)
        for name, (label, _) in self._files.items():
            self._by_label[label].append(name)
        self._made: dict[tuple[str, int], Face] = {}

    def pick(self, rng: Generator, label: str) -> Face:
        """Return a random face with this label."""
        choices = self._by_label[label]
        name = choices[int(rng.integers(len(choices)))]
        variant = int(rng.integers(VARIANTS))
        key = (name, variant)
        if key not in self._made:
            self._made[key] = self._make(name, variant)
        return self._made[key]

    def _make(self, name: str, variant: int) -> Face:
        if name in self._files:
            label, picture = self._files[name]
            return _face(
                label, artwork.height_mm("stop"), picture, np.ascontiguousarray(artwork.draw_back("stop", FACE_PX))
            )
        rng = np.random.default_rng([self._seed, 11, self._own.index(name), variant])
        style = artwork.TOY if variant < 3 else _print_run(rng)
        picture = artwork.draw(name, FACE_PX, style)
        back = artwork.draw_back(name, FACE_PX, style)
        return _face(artwork.sign_of(name).value, artwork.height_mm(name), picture, back)


def _print_run(rng: Generator) -> artwork.Style:
    """Return a random print style: font, rims, sizes and colours."""
    fonts = [*FONTS, "", ""]
    return artwork.Style(
        font=fonts[int(rng.integers(len(fonts)))],
        rim=float(rng.uniform(0.02, 0.11)),
        ring=float(rng.uniform(0.045, 0.11)),
        digits=float(rng.uniform(0.36, 0.5)),
        border=float(rng.uniform(0.035, 0.07)),
        pictogram=float(rng.uniform(0.85, 1.15)),
        yellow=near(rng, (8, 200, 248), 14),
        red=near(rng, _dulled(rng, (42, 24, 210)), 14),
        blue=near(rng, (200, 105, 12), 16),
        black=near(rng, (22, 20, 20), 4) if rng.random() < 0.7 else near(rng, (70, 68, 68), 14),
        back=((92, 88, 86), (40, 38, 38), (150, 150, 150), (215, 215, 215))[int(rng.integers(4))],
    )


def _dulled(rng: Generator, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return a colour that has turned pale or brown, as in a third of the prints, or the same colour."""
    share = float(rng.uniform(0.2, 0.65)) if rng.random() < 0.35 else 0.0
    towards = np.array((150, 145, 185) if rng.random() < 0.6 else (60, 62, 110))
    mixed = np.array(colour) * (1 - share) + towards * share
    return (int(mixed[0]), int(mixed[1]), int(mixed[2]))


def _face(label: str, height_mm: float, picture: Image, back: Image) -> Face:
    alpha = picture[..., 3]
    outlines, _ = cv2.findContours((alpha > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.vstack(outlines))[:, 0].astype(float) + 0.5
    middle = hull.mean(axis=0)
    hull = middle + (hull - middle) * (1 + 1.0 / picture.shape[0])  # from the pixels' centres to the outline
    levels = [picture]
    for _ in range(_LEVELS - 1):
        last = levels[-1]
        size = (max(2, last.shape[1] // 2), max(2, last.shape[0] // 2))
        levels.append(np.asarray(cv2.resize(last, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
    weight = alpha.astype(np.float32)[..., None] / 255
    plain = (picture[..., :3] * weight).sum(axis=(0, 1)) / weight.sum()
    padded = cv2.copyMakeBorder(alpha, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0,))
    inside = cv2.erode(padded, np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    rim = np.median(picture[inside < alpha][:, :3], axis=0)
    edge = (int(rim[0]), int(rim[1]), int(rim[2]))
    fractions = hull / np.array([picture.shape[1], picture.shape[0]])
    return Face(label, height_mm, tuple(levels), back, fractions, plain.astype(np.float32), edge)


@lru_cache(maxsize=4)
def _read_folder(folder: Path) -> dict[str, tuple[str, Image]]:
    """Read the pictures of an artwork folder: label and picture by file name."""
    if not folder.is_dir():
        raise ConfigError(f"no artwork folder at {folder}", remedy="give a folder with PNG files", path=str(folder))
    found: dict[str, tuple[str, Image]] = {}
    for path in sorted(folder.glob("*.png")):
        found[path.name] = (_label_of(path), _read_png(path))
    if not found:
        raise UsageError(
            f"the artwork folder {folder} contains no PNG file",
            remedy="add files named <label>__anything.png, for example stop__mine.png",
            path=str(folder),
        )
    return found


def _label_of(path: Path) -> str:
    label = path.stem.split("__", maxsplit=1)[0]
    if label not in {sign.value for sign in Sign}:
        raise UsageError(
            f"{path} does not start with a label",
            remedy=f"name it <label>__anything.png, with a label out of {', '.join(LABELS)}",
            path=str(path),
        )
    return label


def _read_png(path: Path) -> Image:
    picture = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8:
        raise UsageError(
            f"{path} is not a PNG picture with transparency (8 bits, RGBA)",
            remedy="save it again with an alpha channel, or remove it",
            path=str(path),
        )
    rows, columns = np.nonzero(picture[..., 3] > 127)
    if len(rows) < 16:
        raise UsageError(f"{path} is transparent all over", remedy="save it again with a visible sign", path=str(path))
    picture = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    width = max(8, round(FACE_PX * picture.shape[1] / picture.shape[0]))
    return np.asarray(cv2.resize(picture, (width, FACE_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8)
