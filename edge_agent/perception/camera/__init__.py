"""Cameras behind the Camera port, and the one function that picks one by the name of its source.

Knows which names mean which kind of source. Knows nothing of the simulator, pacing, or what becomes of the pictures.
"""

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.errors import ConfigError
from edge_agent.perception.camera.devices import VideoDevice, device_remedy, is_device, list_devices
from edge_agent.perception.camera.images import SUFFIXES, ImagesReader
from edge_agent.perception.camera.live import LiveCamera, LiveTimeouts
from edge_agent.perception.camera.opencv import open_device, open_stream
from edge_agent.perception.camera.recorded import RecordedCamera
from edge_agent.perception.camera.video import VideoReader

_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp"})


def open_camera(
    source: str,
    *,
    fps: float,
    width_hint: int,
    height_hint: int,
    realtime: bool = True,
    patience: LiveTimeouts | None = None,
) -> LiveCamera | RecordedCamera:
    """Return the camera for any source but the simulator; entering it opens the source.

    Args:
        source: a number or device (`0`, `/dev/video0`), a URL (`rtsp://...`), a video file, or a folder of pictures.
        fps: how often `grab` will be called a second. A video is read at that rate of its own time: each k-th call
            gives the picture at k / fps seconds of the video, however fast the calls follow each other.
        realtime: false gives every picture of a video, whatever its rate and `fps`.
        width_hint: the width in pixels to ask a device for.
        height_hint: the height in pixels to ask a device for.
        patience: how long to wait for a device or stream.

    Raises ConfigError when `source` is none of these.
    """
    patience = patience or LiveTimeouts()
    if source.isdecimal() or is_device(Path(source)):
        path = Path(f"/dev/video{source}") if source.isdecimal() else Path(source)
        opener = partial(open_device, str(path), width_hint, height_hint)
        remedy = partial(device_remedy, path)
        return LiveCamera(str(path), opener, fps=fps, remedy=remedy, patience=patience, stamped=True)
    if "://" in source:
        return _stream(source, fps, patience)
    path = Path(source)
    if (source and path.is_dir()) or (path.is_file() and path.suffix.lower() in SUFFIXES):
        return RecordedCamera(source, ImagesReader(path))
    if path.is_file():
        return RecordedCamera(source, VideoReader(path, fps if realtime else None))
    raise ConfigError(
        f"{source}: no such file or folder",
        remedy="name a video, a folder of pictures, a camera (0, /dev/video0), an rtsp:// address, or sim",
    )


def redact(url: str) -> str:
    """Return `url` without the user name, password and query in it: those never get into a log, report or message."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _stream(source: str, fps: float, patience: LiveTimeouts) -> LiveCamera:
    try:
        shown, scheme = redact(source), urlsplit(source).scheme.lower()
    except ValueError as error:
        raise ConfigError("the stream's address cannot be read", remedy="write it as rtsp://host/path") from error
    if scheme not in _SCHEMES:
        known = ", ".join(sorted(_SCHEMES))
        raise ConfigError(f"{shown}: not a kind of stream that is known", remedy=f"use one of {known}")
    remedy = "check the address, the password and that the camera is on the network"
    return LiveCamera(shown, partial(open_stream, source), fps=fps, remedy=lambda: remedy, patience=patience)


__all__ = [
    "ImagesReader",
    "LiveCamera",
    "LiveTimeouts",
    "RecordedCamera",
    "VideoDevice",
    "VideoReader",
    "device_remedy",
    "list_devices",
    "open_camera",
    "redact",
]
