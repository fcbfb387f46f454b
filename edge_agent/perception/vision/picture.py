"""A camera's picture in the two forms that the agent uses: its own pixels, set upright, and the smaller one published.

Networks and rules get the first, observers the second.
"""

import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Box

Size = tuple[int, int]
"""Width and height in pixels."""

_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, slots=True)
class Turn:
    """How a picture is set upright: turned clockwise by `rotate` degrees, then, with `flip`, mirrored left to right.

    `rotate` is 0, 90, 180 or 270.
    """

    rotate: int = 0
    flip: bool = False

    def size(self, size: Size) -> Size:
        """Return the size of a picture of this size after the turn."""
        width, height = size
        return (height, width) if self.rotate in {90, 270} else (width, height)

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a (height, width, 3) uint8 BGR picture set upright; the same array where there is nothing to do."""
        if self.rotate:
            image = np.asarray(cv2.rotate(image, _ROTATIONS[self.rotate]), np.uint8)
        return np.asarray(cv2.flip(image, 1), np.uint8) if self.flip else image

    def box(self, box: Box, size: Size) -> Box:
        """Return where a box of a picture of this size lies after the turn."""
        width, height = size
        if self.rotate == 90:
            box = Box(height - box.y2, box.x1, height - box.y1, box.x2)
        elif self.rotate == 180:
            box = Box(width - box.x2, height - box.y2, width - box.x1, height - box.y1)
        elif self.rotate == 270:
            box = Box(box.y1, width - box.x2, box.y2, width - box.x1)
        if not self.flip:
            return box
        width = self.size(size)[0]
        return Box(width - box.x2, box.y1, width - box.x1, box.y2)


UPRIGHT = Turn()


def fitted(size: Size, room: Size) -> Size:
    """Return the largest size of this shape that has room there; at least one pixel each way."""
    scale = min(room[0] / size[0], room[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


class CameraPicture:
    """Implements events.Picture on what a camera delivered; each form is computed on first use, once, in any thread.

    Args:
        image: (height, width, 3) uint8 BGR, not to be written to any more.
        published_size: width and height of the picture for observers; None for the camera's own.
        turn: how to set it upright.
    """

    # On first use, because turning and resizing take longer than all else that the event loop does with a frame: that
    # way the detector's thread turns it, and the threads of the observers resize it, where there are any.

    __slots__ = ("_image", "_lock", "_published", "_turn", "published_size", "size")

    def __init__(self, image: NDArray[np.uint8], published_size: Size | None = None, turn: Turn = UPRIGHT) -> None:
        self._image, self._turn = image, turn
        self.size = turn.size((image.shape[1], image.shape[0]))
        self.published_size = published_size or self.size
        self._published: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    def pixels(self) -> NDArray[np.uint8]:
        """Return the camera's own pixels, upright, (height, width, 3) uint8 BGR; waits while another thread turns."""
        with self._lock:
            return self._upright()

    def published(self) -> NDArray[np.uint8]:
        """Return the picture for observers, (height, width, 3) uint8 BGR; waits while another thread resizes."""
        with self._lock:
            if self._published is None:
                self._published = resize(self._upright(), *self.published_size)
            return self._published

    def _upright(self) -> NDArray[np.uint8]:
        self._image, self._turn = self._turn.pixels(self._image), UPRIGHT
        return self._image


def resize(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize linearly to exactly `width` x `height` pixels, distorting where the aspect ratios differ.

    Returns the same array when it has that size already.
    """
    # Linear interpolation alone would skip pixels of a much larger picture, and small signs with them; averaging over
    # the whole area at once costs ten times as much as halving.
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    if image.shape[1] == width and image.shape[0] == height:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
