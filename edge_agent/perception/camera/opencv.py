"""OpenCV captures for devices, with bounded waits and without output of their own."""

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

_ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

_QUIET = {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # AV_LOG_QUIET of libavutil/log.h
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "2",  # seconds that one read of a device may block; OpenCV's default is 10
}


class VideoCapture(Protocol):
    """The methods of cv2.VideoCapture that cameras use."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Return whether pictures can be read."""

    def grab(self) -> bool:
        """Block until the next picture; False when there is none."""

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the picture that was grabbed; (False, None) when it cannot be decoded."""

    def get(self, propId: int, /) -> float:  # noqa: N803 - OpenCV's name
        """Return a property; 0 when unknown."""

    def release(self) -> None:
        """Close the source."""


def silence_opencv() -> None:
    """Keep OpenCV and FFmpeg from printing to stderr, since errors are reported by the caller.

    Variables that the user has set are kept.
    """
    # FFmpeg and V4L2 read these from the environment only, on first use.
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # OpenCV 4, OpenCV 5
    set_level(0)  # cv::utils::logging::LOG_LEVEL_SILENT


def open_device(device: str, width: int, height: int) -> VideoCapture:
    """Open a camera of this machine and request `width` x `height` pixels; the driver picks the nearest it supports."""
    silence_opencv()
    if sys.platform != "linux" and device.isdecimal():
        capture = cv2.VideoCapture(int(device))
    else:
        capture = cv2.VideoCapture(device, _backend(cv2.CAP_V4L2))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a queue in the driver only makes pictures older
    return capture


def to_bgr(frame: "VideoFrame") -> NDArray[np.uint8]:
    """Return a frame as (height, width, 3) uint8 BGR, turned as its container says."""
    image = frame.to_ndarray(format="bgr24")
    rotation = _ROTATIONS.get(frame.rotation % 360)
    return np.asarray(image if rotation is None else cv2.rotate(image, rotation), np.uint8)


def is_mjpeg(capture: VideoCapture) -> bool:
    """Return whether an open source is a sequence of JPEG pictures."""
    return int(capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"MJPG")


def as_bgr(image: Any) -> NDArray[np.uint8] | None:
    """Return a decoded picture as (height, width, 3) uint8 BGR, or None when it is not a picture.

    Grey becomes BGR, 16 bits become 8, and alpha is composited onto black.
    """
    if not isinstance(image, np.ndarray) or image.size == 0 or image.ndim not in {2, 3}:
        return None
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        return None
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 3:
        return np.asarray(image, np.uint8)
    if channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if channels == 4:
        alpha = image[:, :, 3:].astype(np.uint16)
        return np.asarray((image[:, :, :3] * alpha + 127) // 255, np.uint8)
    return None


def _backend(preferred: int) -> int:
    """Return `preferred` if this build of OpenCV has it, else let OpenCV choose; builds for a Jetson differ."""
    return preferred if preferred in cv2.videoio_registry.getBackends() else cv2.CAP_ANY
