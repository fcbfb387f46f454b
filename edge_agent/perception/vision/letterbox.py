"""Fit pictures into a network's input: aspect ratio kept, grey padding, channels as planes."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.perception.vision.picture import resize

PAD_GREY = 114
"""Value of the padding in all three channels: the one that the YOLO family is trained with."""

_UNIT = np.float32(1 / 255)


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
    """Return where a `width` x `height` picture lies, centred, in an `input_width` x `input_height` input; pixels."""
    scale = min(input_width / width, input_height / height)
    # A picture that would grow by less than this factor is only padded: it stays sharp, and a resize is saved.
    if 1.0 <= scale < 1.05:
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
    """Converts pictures into one preallocated network input.

    `fill` returns the same buffer each time: (1, 3, height, width), RGB, float32 or float16 in 0..1, or uint8 in
    0..255. Not thread-safe.
    """

    def __init__(self, width: int, height: int, dtype: Any = np.float32) -> None:
        self.width = width
        self.height = height
        self._canvas = np.full((height, width, 3), PAD_GREY, np.uint8)
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]
        self.blob: NDArray[Any] = np.empty((1, 3, height, width), dtype)
        # Arithmetic on half floats is slow on a CPU: look up the bit pattern of each pixel value instead.
        self._halves = (np.arange(256) / 255).astype(np.float16).view(np.int16)
        self._shape: tuple[int, ...] = ()
        self._placement = Placement(1.0, 1.0, 0, 0, width, height)

    def fill(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], Placement]:
        """Write `image`, (h, w, 3) uint8 BGR, into the buffer; return the buffer and where the picture lies in it."""
        if image.shape != self._shape:
            self._shape = image.shape
            self._placement = place(image.shape[1], image.shape[0], self.width, self.height)
            self._canvas[...] = PAD_GREY
        placement = self._placement
        inner = self._canvas[
            placement.top : placement.top + placement.height, placement.left : placement.left + placement.width
        ]
        if inner.shape == image.shape:
            inner[...] = image
        else:
            inner[...] = resize(image, placement.width, placement.height)
        # Splitting first makes each plane contiguous, which the multiplication below needs to be fast.
        cv2.split(self._canvas, self._planes)
        for channel, plane in zip(self.blob[0], reversed(self._planes), strict=True):
            self._write(plane, channel)
        return self.blob, placement

    def _write(self, plane: NDArray[Any], channel: NDArray[Any]) -> None:
        """Convert one (height, width) uint8 plane to the data type of the network's input."""
        if channel.dtype == np.uint8:
            channel[...] = plane
        elif channel.dtype == np.float16:
            cv2.LUT(plane, self._halves, channel.view(np.int16))
        else:
            np.multiply(plane, _UNIT, out=channel)
