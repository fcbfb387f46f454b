"""Fits a picture into a network's input: resized with its shape kept, padded with grey, as planes of numbers.

Knows pixels and buffers. Knows nothing of networks' outputs or where the picture came from.
"""

import threading
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

PAD_GREY = 114
"""Value of the border, in all three channels: what the YOLO family is trained with."""

_UNIT = np.float32(1 / 255)
_NO_RESAMPLING_UNTIL = 1.05
"""A picture that would grow by less than this is only padded: it stays sharp, and a resize is saved."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in the network's input: its scale along each axis, and its offset in input pixels."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    width: int
    height: int


def place(width: int, height: int, input_width: int, input_height: int) -> Placement:
    """Say where a `width` x `height` picture goes, centred, in an `input_width` x `input_height` input; pixels."""
    scale = min(input_width / width, input_height / height)
    if 1.0 <= scale < _NO_RESAMPLING_UNTIL:
        scale = 1.0
    new_width = max(1, min(input_width, round(width * scale)))
    new_height = max(1, min(input_height, round(height * scale)))
    return Placement(
        scale_x=new_width / width,
        scale_y=new_height / height,
        left=(input_width - new_width) // 2,
        top=(input_height - new_height) // 2,
        width=new_width,
        height=new_height,
    )


class Letterbox:
    """Turns pictures into one preallocated network input, over and over.

    `fill` returns the same buffer each time: (1, 3, height, width), RGB, float32 or float16 in 0..1, or uint8 in
    0..255. Not for use by two threads at once.
    """

    def __init__(self, width: int, height: int, dtype: Any = np.float32) -> None:
        self.width = width
        self.height = height
        self._canvas = np.full((height, width, 3), PAD_GREY, np.uint8)
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]
        self.blob: NDArray[Any] = np.empty((1, 3, height, width), dtype)
        # For half floats, whose arithmetic is slow on a CPU: the number of each pixel value, looked up bit by bit.
        self._halves = (np.arange(256) / 255).astype(np.float16).view(np.int16)
        self._shape: tuple[int, ...] = ()
        self._placement = Placement(1.0, 1.0, 0, 0, width, height)

    def fill(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], Placement]:
        """Write `image`, (h, w, 3) uint8 BGR, into the buffer; return the buffer and where the picture lies in it."""
        if image.shape != self._shape:
            self._shape = image.shape
            self._placement = place(image.shape[1], image.shape[0], self.width, self.height)
            self._canvas[...] = PAD_GREY
        spot = self._placement
        inner = self._canvas[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width]
        if inner.shape == image.shape:
            inner[...] = image
        else:
            inner[...] = resize(image, spot.width, spot.height)
        # Splitting first makes each plane contiguous, which is what the multiplication below needs to be fast.
        cv2.split(self._canvas, self._planes)
        for channel, plane in zip(self.blob[0], reversed(self._planes), strict=True):
            self._write(plane, channel)
        return self.blob, spot

    def _write(self, plane: NDArray[Any], channel: NDArray[Any]) -> None:
        """Convert one (height, width) uint8 plane to the numbers that the network wants."""
        if channel.dtype == np.uint8:
            channel[...] = plane
        elif channel.dtype == np.float16:
            cv2.LUT(plane, self._halves, channel.view(np.int16))
        else:
            np.multiply(plane, _UNIT, out=channel)


def resize(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize to exactly `width` x `height` pixels, squeezing where the shapes differ; the same array when it fits.

    Linear. A much larger picture is halved first, as often as it takes, because linear alone would skip pixels and
    with them small signs; averaging over whole areas at once costs ten times as much.
    """
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    if image.shape[1] == width and image.shape[0] == height:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


class ResizedPicture:
    """Implements events.Picture.

    Args:
        image: (h, w, 3) uint8 BGR, which nobody writes to any more.
        width: in pixels, of what is to be seen.
        height: the same.
    """

    __slots__ = ("_fits", "_height", "_image", "_lock", "_width")

    def __init__(self, image: NDArray[np.uint8], width: int, height: int) -> None:
        self._image = image
        self._width, self._height = width, height
        self._fits = False
        self._lock = threading.Lock()

    @classmethod
    def of(cls, image: NDArray[np.uint8]) -> "ResizedPicture":
        """Return a picture as it is."""
        return cls(image, image.shape[1], image.shape[0])

    def pixels(self) -> NDArray[np.uint8]:
        """Return (height, width, 3) uint8 BGR; who comes while another resizes waits for it."""
        with self._lock:
            if not self._fits:
                self._image, self._fits = resize(self._image, self._width, self._height), True
            return self._image
