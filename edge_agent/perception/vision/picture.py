"""A camera's picture in the size that the agent works with, resized when somebody first looks, and once.

Resizing takes longer than all else that the event loop does with a frame; so whoever looks first does it, which is the
detector's thread. Knows pixels and threads. Knows nothing of cameras.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from edge_agent.perception.vision.letterbox import resize


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
