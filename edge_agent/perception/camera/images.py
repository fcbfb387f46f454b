"""Read the pictures of a folder in natural order (2.jpg before 10.jpg), whatever their size, depth or channels."""

import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError
from edge_agent.perception.camera.opencv import as_bgr, silence_opencv
from edge_agent.perception.camera.recorded import RecordedPicture

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2"),
        *(".avif", ".heic", ".heif", ".hif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw"),
    }
)
"""Suffixes of pictures, in lower case; also of those that OpenCV may not read: named, not left out silently."""

# Signature of a PNG file, and the name of its last chunk.
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
# The next marker of a JPEG: not a stuffed byte, a restart or a fill byte (ITU-T T.81, B.1.1).
_JPEG, _JPEG_MARKER = b"\xff\xd8", re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


class ImagesReader:
    """Implements recorded.PictureReader on a folder of pictures, or on one picture.

    `skipped` counts pictures that could not be read, `flattened` those with transparency, which is composited onto
    black.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped = 0
        self._unreadable: list[str] = []
        self.flattened = 0
        self._files: list[Path] = []
        self._position = 0
        self._first: RecordedPicture | None = None

    @property
    def notes(self) -> list[str]:
        """Warnings about skipped and flattened pictures so far."""
        notes = []
        if self.skipped:
            names = ", ".join(self._unreadable[:3]) + (", ..." if self.skipped > 3 else "")
            notes.append(f"{self.path}: {self.skipped} of {len(self._files)} pictures could not be read ({names})")
        if self.flattened:
            notes.append(f"{self.path}: {self.flattened} pictures with transparent parts were put on black")
        return notes

    @property
    def damaged(self) -> bool:
        """Whether a picture could not be read."""
        return self.skipped > 0

    def open(self) -> None:
        """List the folder and read the first picture; raises ConfigError when none can be read."""
        self._files = list_images(self.path)
        self._first = self._read_next()
        if self._first is None:
            problem = f"none of its {len(self._files)} pictures can be read" if self._files else "contains no pictures"
            raise ConfigError(f"{self.path}: {problem}", remedy="name a folder with .jpg or .png files, or a video")

    def read(self) -> RecordedPicture | None:
        """Return the next picture that can be read, or None after the last."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return self._read_next()

    def close(self) -> None:
        """Do nothing: no file is open between pictures."""

    def _read_next(self) -> RecordedPicture | None:
        while self._position < len(self._files):
            path = self._files[self._position]
            self._position += 1
            found = read_image(path)
            if found is None:
                self.skipped += 1
                self._unreadable.append(path.name)
                continue
            image, flattened = found
            self.flattened += flattened
            return RecordedPicture(image, self._position - 1, path.name)
        return None


def list_images(path: Path, suffixes: frozenset[str] = SUFFIXES) -> list[Path]:
    """List the files with these suffixes in a folder, not recursively, in natural order; a file lists just itself."""
    if not path.is_dir():
        return [path]
    files = (file for file in path.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith("."))
    return sorted((file for file in files if file.is_file()), key=_natural_key)


def read_image(path: Path) -> tuple[NDArray[np.uint8], bool] | None:
    """Return a picture as (height, width, 3) uint8 BGR, rotated by its EXIF orientation, and whether it was flattened.

    None when the file is not a readable picture.
    """
    silence_opencv()
    try:
        content = np.fromfile(path, np.uint8)
        head = content[:32].tobytes()
        if not head or (head.startswith(_PNG) and not is_whole(content.tobytes())):
            return None  # libpng would print a warning about a truncated PNG
        if _may_have_alpha(head):
            image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
            if image is not None and image.ndim == 3 and image.shape[2] == 4:
                flat = as_bgr(image)
                return None if flat is None else (flat, True)
        image = as_bgr(cv2.imdecode(content, cv2.IMREAD_COLOR))
    except (OSError, cv2.error):
        return None
    return None if image is None else (image, False)


def is_whole(data: bytes) -> bool:
    """Return whether a JPEG or PNG has its end, whatever follows it; True for every other format."""
    # OpenCV fills the missing end of a truncated JPEG with grey without a warning.
    if data.startswith(_PNG):
        return _PNG_END in data
    if not data.startswith(_JPEG):
        return True
    # Segment by segment, because a thumbnail in one of them has an end of its own.
    place = len(_JPEG)
    while (found := _JPEG_MARKER.search(data, place)) is not None:
        marker, place = found.group()[1], found.end()
        if marker == 0xD9:
            return True
        if marker not in {0x01, 0xD8}:
            place += int.from_bytes(data[place : place + 2], "big")
    return False


def _may_have_alpha(head: bytes) -> bool:
    """Return whether a file may have an alpha channel, by its first bytes; others are decoded only once."""
    # Byte 25 of a PNG is its colour type, 4 and 6 with alpha; any WebP and TIFF may have alpha.
    if head.startswith(_PNG):
        return len(head) > 25 and head[25] in {4, 6}
    return head[8:12] == b"WEBP" or head[:4] in {b"II*\0", b"MM\0*"}


def _natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Return a sort key that compares numbers in names as numbers."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
