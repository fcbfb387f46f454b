"""The cameras that Linux knows of, and what to tell a user whose camera does not open.

Knows /dev and /sys. Knows nothing of OpenCV or pictures.
"""

import stat
from dataclasses import dataclass
from pathlib import Path

from edge_agent.runtime.permissions import device_problem

_DEV = Path("/dev")
_SYS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A video device: its path and the name that its driver gives it."""

    path: Path
    name: str


def list_devices(dev: Path = _DEV, sys: Path = _SYS) -> tuple[VideoDevice, ...]:
    """List the video devices by number. A USB camera often brings two, of which only the first gives pictures."""
    paths = sorted(dev.glob("video[0-9]*"), key=lambda path: (len(path.name), path.name))
    return tuple(VideoDevice(path, _name(sys / path.name / "name")) for path in paths)


def device_remedy(path: Path, dev: Path = _DEV, sys: Path = _SYS) -> str:
    """Say what to do about the camera at `path`, which could not be opened or gives no pictures."""
    found = list_devices(dev, sys)
    listed = ", ".join(f"{device.path} ({device.name})" if device.name else str(device.path) for device in found)
    if not found:
        return "no camera is connected to this machine: plug one in, or use --source sim"
    if not path.exists():
        return f"there is no {path}: use one of {listed}, or plug the camera in"
    refused = device_problem(path)
    if refused is not None:
        return str(refused)
    return f"close other programs that use it, or use another of {listed}"


def is_device(path: Path) -> bool:
    """Tell whether `path` is a device, or would be one if it were there."""
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return path.is_absolute() and path.is_relative_to(_DEV)


def _name(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
