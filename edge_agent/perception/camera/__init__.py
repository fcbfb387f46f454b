"""Cameras: devices, network streams, videos and folders of pictures in, `ports.Shot`s with BGR pictures out.

Each camera reads in a thread of its own; opening, `grab` and closing are awaited on the event loop.
"""

import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.errors import ConfigError
from edge_agent.perception.camera.images import SUFFIXES, ImagesReader as ImagesReader
from edge_agent.perception.camera.live import LiveCamera as LiveCamera, LiveTimeouts as LiveTimeouts
from edge_agent.perception.camera.opencv import VideoCapture, is_mjpeg, open_device
from edge_agent.perception.camera.recorded import RecordedCamera as RecordedCamera
from edge_agent.perception.camera.video import VideoReader as VideoReader
from edge_agent.runtime.permissions import device_problem

# Over these, RTP or the container carries the camera's time stamps.
_STAMPED_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp"})
_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp"})


def open_camera(
    source: str,
    *,
    fps: float,
    width_hint: int,
    height_hint: int,
    realtime: bool = True,
    timeouts: LiveTimeouts | None = None,
) -> LiveCamera | RecordedCamera:
    """Return the camera for any source but the simulator; entering it as a context opens the source.

    Args:
        source: a number or device (`0`, `/dev/video0`), a URL (`rtsp://...`), a video file, or a folder of pictures.
        fps: how many times per second `grab` will be called. Call number k on a video returns the picture at k / fps
            seconds of the video, however fast the calls follow each other.
        realtime: False returns every picture of a video, whatever its frame rate and `fps`.
        width_hint: the width in pixels to ask a device for.
        height_hint: the height in pixels to ask a device for.

    Raises ConfigError when `source` is none of these.
    """
    timeouts = timeouts or LiveTimeouts()
    if source.isdecimal() or is_device(Path(source)):
        path = Path(f"/dev/video{source}") if source.isdecimal() else Path(source)
        opener = partial(open_device, str(path), width_hint, height_hint)
        remedy = partial(device_remedy, path)
        return LiveCamera(str(path), opener, fps=fps, remedy=remedy, timeouts=timeouts, stamped=True)
    if "://" in source:
        return _stream(source, fps, timeouts)
    path = Path(source)
    if (source and path.is_dir()) or (path.is_file() and path.suffix.lower() in SUFFIXES):
        return RecordedCamera(source, ImagesReader(path), any_size=True)
    if path.is_file():
        return RecordedCamera(source, VideoReader(path, fps if realtime else None))
    raise ConfigError(
        f"{source}: no such file or folder",
        remedy="name a video, a folder of pictures, a camera (0, /dev/video0), an rtsp:// address, or sim",
    )


def redact(url: str) -> str:
    """Return `url` without user name, password and query, for logs, reports and messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _stream(source: str, fps: float, timeouts: LiveTimeouts) -> LiveCamera:
    try:
        shown, scheme = redact(source), urlsplit(source).scheme.lower()
    except ValueError as error:
        raise ConfigError("the stream's address cannot be parsed", remedy="write it as rtsp://host/path") from error
    if scheme not in _SCHEMES:
        known = ", ".join(sorted(_SCHEMES))
        raise ConfigError(f"{shown}: unknown kind of stream", remedy=f"use one of {known}")
    # 60 ms that a start without a stream spares.
    from edge_agent.perception.camera.ffmpeg import StreamCapture  # noqa: PLC0415

    remedy = "check the address, the password and that the camera is on the network"

    def has_time_stamps(capture: VideoCapture) -> bool:
        # FFmpeg invents time stamps, at 25 pictures a second, for JPEGs over HTTP and for raw video over TCP.
        return scheme in _STAMPED_SCHEMES or (scheme != "tcp" and not is_mjpeg(capture))

    return LiveCamera(
        shown,
        partial(StreamCapture, source),
        fps=fps,
        remedy=lambda: remedy,
        timeouts=timeouts,
        has_time_stamps=has_time_stamps,
    )


_DEV = Path("/dev")
_SYS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A video device of Linux: its path and the name that its driver reports."""

    path: Path
    name: str


def list_devices(dev: Path = _DEV, sys: Path = _SYS) -> tuple[VideoDevice, ...]:
    """List the video devices by number; of the two that a USB camera often has, only the first delivers pictures."""
    paths = sorted(dev.glob("video[0-9]*"), key=lambda path: (len(path.name), path.name))
    return tuple(VideoDevice(path, _name(sys / path.name / "name")) for path in paths)


def device_remedy(path: Path, dev: Path = _DEV, sys: Path = _SYS) -> str:
    """Return a remedy for a camera at `path` that could not be opened or delivers no pictures."""
    found = list_devices(dev, sys)
    listed = ", ".join(f"{device.path} ({device.name})" if device.name else str(device.path) for device in found)
    if not found:
        return "no camera is connected: plug one in, or use --source sim"
    if not path.exists():
        return f"there is no {path}: use one of {listed}, or plug the camera in"
    refused = device_problem(path)
    if refused is not None:
        return str(refused)
    return f"close other programs that use it, or use another of {listed}"


def is_device(path: Path) -> bool:
    """Return whether `path` is a device, or is below /dev and does not exist."""
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return path.is_absolute() and path.is_relative_to(_DEV)


def _name(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
