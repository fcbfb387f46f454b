"""Paths of the files shipped with the agent (in a wheel or a checkout) and of its state folder."""

from collections.abc import Mapping
from pathlib import Path

from edge_agent.errors import FatalError

_PACKAGE = Path(__file__).resolve().parents[1]


def config_dir(package: Path = _PACKAGE) -> Path:
    """Return the folder with agent.yaml, signs.yaml and the profiles; raises FatalError when it is missing."""
    return _shipped_dir("config", "agent.yaml", package)


def engines_dir(package: Path = _PACKAGE) -> Path:
    """Return the folder with the shipped detector and its manifest; raises FatalError when it is missing."""
    return _shipped_dir("engines", "", package)


def state_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder for files that outlive the process; it may not exist yet.

    `STATE_DIRECTORY` is what systemd sets for `StateDirectory=` (several are joined by colons; the first is ours);
    else the XDG base directory specification's `XDG_STATE_HOME`, else its default.
    """
    systemd = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if systemd:
        return Path(systemd)
    xdg = environ.get("XDG_STATE_HOME", "")
    home = Path(environ.get("HOME") or "/var/lib")
    return (Path(xdg) if xdg else home / ".local" / "state") / "edge-agent"


def _shipped_dir(name: str, must_hold: str, package: Path) -> Path:
    """Return the first of the wheel's and the checkout's folder `name` that exists (and holds `must_hold`)."""
    candidates = (package / "_data" / name, package.parent / name)
    for folder in candidates:
        if (folder / must_hold).exists():
            return folder
    raise FatalError(
        f"the agent's folder '{name}' is neither at {candidates[0]} nor at {candidates[1]}",
        remedy="install edge-agent again, or run it from a complete checkout",
    )
