"""Reads the pictures of a folder in natural order (2.jpg before 10.jpg), whatever their size, depth or channels.

Knows file names and still-picture formats. Knows nothing of threads or clocks.
"""

import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError
from edge_agent.perception.camera.opencv import as_bgr, silence_opencv
from edge_agent.perception.camera.recorded import RecordedPicture

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2"}
)
"""File name endings that are taken for pictures, in small letters."""

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
"""How a PNG file begins, and the name of its last chunk."""


class ImagesReader:
    """Implements recorded.PictureReader on a folder of pictures, or on one picture.

    A picture that cannot be read is left out and counted in `skipped`; one with see-through parts is laid over black
    and counted in `flattened`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped = 0
        self.flattened = 0
        self._files: list[Path] = []
        self._position = 0
        self._first: RecordedPicture | None = None

    @property
    def notes(self) -> list[str]:
        """Say how many pictures were left out or flattened so far."""
        told = []
        if self.skipped:
            told.append(f"{self.path}: {self.skipped} of {len(self._files)} pictures could not be read")
        if self.flattened:
            told.append(f"{self.path}: {self.flattened} pictures with see-through parts were laid over black")
        return told

    @property
    def damaged(self) -> bool:
        """Whether a picture could not be read."""
        return self.skipped > 0

    def open(self) -> None:
        """List the folder and read the first picture; raises ConfigError when there is none."""
        self._files = list_images(self.path)
        self._first = self._read_next()
        if self._first is None:
            told = f"none of its {len(self._files)} pictures can be read" if self._files else "holds no pictures"
            raise ConfigError(f"{self.path}: {told}", remedy="name a folder with .jpg or .png files, or a video")

    def read(self) -> RecordedPicture | None:
        """Return the next picture that can be read, or None after the last."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return self._read_next()

    def close(self) -> None:
        """Hold nothing open between pictures: nothing to do."""

    def _read_next(self) -> RecordedPicture | None:
        while self._position < len(self._files):
            path = self._files[self._position]
            self._position += 1
            found = read_image(path)
            if found is None:
                self.skipped += 1
                continue
            image, flattened = found
            self.flattened += flattened
            return RecordedPicture(image, self._position - 1, path.name)
        return None


def list_images(path: Path, suffixes: frozenset[str] = SUFFIXES) -> list[Path]:
    """List the files with these endings in a folder (not below it), in natural order; a file is listed by itself."""
    if not path.is_dir():
        return [path]
    files = (file for file in path.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith("."))
    return sorted((file for file in files if file.is_file()), key=_natural)


def read_image(path: Path) -> tuple[NDArray[np.uint8], bool] | None:
    """Read a picture as (height, width, 3) uint8 BGR, turned as its EXIF orientation says, and whether flattened.

    None when the file cannot be read as a picture.
    """
    silence_opencv()
    try:
        content = np.fromfile(path, np.uint8)
        head = content[:32].tobytes()
        if not head or (head.startswith(_PNG) and _PNG_END not in content.tobytes()):
            return None  # a PNG that was cut short would make libpng print its own complaint
        if _may_have_alpha(head):
            image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
            if image is not None and image.ndim == 3 and image.shape[2] == 4:
                flat = as_bgr(image)
                return None if flat is None else (flat, True)
        image = as_bgr(cv2.imdecode(content, cv2.IMREAD_COLOR))
    except (OSError, cv2.error):
        return None
    return None if image is None else (image, False)


def _may_have_alpha(head: bytes) -> bool:
    """Tell from a file's first bytes whether it may have an opacity channel, so that other files are decoded once only.

    PNG keeps its colour type in byte 25 (4 and 6 have opacity); any WebP and TIFF may have it.
    """
    if head.startswith(_PNG):
        return len(head) > 25 and head[25] in {4, 6}
    return head[8:12] == b"WEBP" or head[:4] in {b"II*\0", b"MM\0*"}


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which numbers in names compare as numbers."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
