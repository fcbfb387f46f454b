"""Options of a data set, validated before any work starts, and its folder of background photographs."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_agent.errors import ConfigError, UsageError
from edge_agent.mlops.synth.textures import Image


@dataclass(frozen=True)
class SynthOptions:
    """Options of a data set.

    Args:
        count: number of pictures, at least 1.
        seed: 0 or more; with the other options it determines every byte.
        width: of the pictures in pixels, 64 to 2048.
        height: of the pictures in pixels, 64 to 2048.
        val_fraction: share for validation, 0 to below 1.
        negatives: share of pictures without any sign, 0 to 1.
        artwork_dir: PNG files named `<label>__anything.png` that replace the drawn signs of their labels.
        backgrounds_dir: photographs without signs, used in a third of the pictures.
        clutter: share of pictures crowded with things that resemble signs, 0 to 1.

    Raises:
        UsageError: an option out of its range.
    """

    count: int
    seed: int = 0
    width: int = 320
    height: int = 256
    val_fraction: float = 0.05
    negatives: float = 0.08
    artwork_dir: Path | None = None
    backgrounds_dir: Path | None = None
    clutter: float = 0.15

    def __post_init__(self) -> None:
        checks = (
            (self.count >= 1, "--count", self.count, "at least 1"),
            (self.seed >= 0, "--seed", self.seed, "0 or more"),
            (64 <= self.width <= 2048, "--width", self.width, "from 64 to 2048"),
            (64 <= self.height <= 2048, "--height", self.height, "from 64 to 2048"),
            (0 <= self.val_fraction < 1, "--val-fraction", self.val_fraction, "from 0 to below 1"),
            (0 <= self.negatives <= 1, "--negatives", self.negatives, "from 0 to 1"),
            (0 <= self.clutter <= 1, "--clutter", self.clutter, "from 0 to 1"),
        )
        for valid, name, value, range_text in checks:
            if not valid:
                raise UsageError(f"{name} is {value}", remedy=f"give a number {range_text}", option=name, value=value)

    def is_val(self, index: int) -> bool:
        """Return whether picture `index` is for validation: evenly spread, and at least one of two or more."""
        if self.val_fraction and self.count * self.val_fraction < 1:
            return self.count > 1 and index == self.count - 1
        return int((index + 1) * self.val_fraction) > int(index * self.val_fraction)

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits that contain pictures."""
        return ("train", "val") if self.val_fraction and self.count > 1 else ("train",)


def read_backgrounds(folder: Path | None) -> tuple[Image, ...]:
    """Read the photographs of a folder in order of their names, shrunk to at most 960 pixels; none without a folder.

    Raises:
        ConfigError: no such folder.
        UsageError: no picture in it, or one that cannot be read.
    """
    if folder is None:
        return ()
    if not folder.is_dir():
        raise ConfigError(
            f"no folder of backgrounds at {folder}", remedy="give a folder of photographs", path=str(folder)
        )
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    if not paths:
        raise UsageError(f"no JPEG or PNG file in {folder}", remedy="add photographs without signs", path=str(folder))
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Image:
    picture = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", dtype=np.uint8), cv2.IMREAD_COLOR)
    if picture is None or min(picture.shape[:2]) < 32:
        raise UsageError(f"{path} is not a readable photograph", remedy="remove it or save it again", path=str(path))
    shrink = min(1.0, 960 / max(picture.shape[:2]))
    size = (max(1, int(picture.shape[1] * shrink)), max(1, int(picture.shape[0] * shrink)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
