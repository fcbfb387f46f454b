"""Videos and fake captures for the camera tests."""

import queue
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray


def grey(value: int, width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """Return a plain picture."""
    return np.full((height, width, 3), value, np.uint8)


def write_video(path: Path, frames: int, fps: float = 10.0, kind: str = "mp4v") -> Path:
    """Write a video whose frame n has about the grey value 4 n."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*kind), fps, (96, 64))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(grey(4 * number))
    writer.release()
    return path


def write_stamped(path: Path, pictures: dict[float, NDArray[np.uint8]], codec: str = "mpeg4") -> Path:
    """Write a video with time stamps in seconds and pictures of any size, each decodable without the others."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, options={"g": "1", "flags": "+qscale", "global_quality": "354"})
        stream.height, stream.width = next(iter(pictures.values())).shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time_s, picture in pictures.items():
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


SPOILT = np.zeros((0, 0, 3), np.uint8)
"""A picture that cannot be decoded, for FakeCapture."""


class FakeCapture:
    """A capture that returns what the test puts in: a picture, None for a failed read; else it blocks."""

    def __init__(self, *pictures: NDArray[np.uint8] | None, opened: bool = True) -> None:
        self.released = threading.Event()
        self.blocked = threading.Event()
        self._picture: NDArray[np.uint8] | None = None
        self._stamp_ms = 0.0
        self._opened = opened
        self._queue: queue.Queue[tuple[NDArray[np.uint8] | None, float]] = queue.Queue()
        for picture in pictures:
            self.give(picture)

    def give(self, picture: NDArray[np.uint8] | None, stamp_ms: float = 0.0) -> None:
        """Let the next read return `picture`, with the driver's stamp."""
        self._queue.put((picture, stamp_ms))

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self._opened

    def grab(self) -> bool:
        if self._queue.empty():
            self.blocked.set()
        self._picture, self._stamp_ms = self._queue.get()
        return self._picture is not None

    def retrieve(self) -> tuple[bool, Any]:
        return (False, None) if self._picture is SPOILT else (True, self._picture)

    def get(self, prop: int, /) -> float:
        return self._stamp_ms if prop == cv2.CAP_PROP_POS_MSEC else 0.0

    def release(self) -> None:
        self.released.set()
