"""Places to listen at: paths of Unix sockets that nobody else uses.

Knows a socket in use from one that a killed process left behind. Knows nothing of what is said there.
"""

import socket
from pathlib import Path

from edge_agent.errors import UsageError


def vacate(path: Path) -> None:
    """Make sure that a socket can be bound at `path`; removes what a killed process left behind.

    Raises UsageError when somebody listens there, or when something else than a socket is in the way.
    """
    if not path.exists():
        return
    if not path.is_socket():
        raise UsageError(f"{path} is in the way and is no socket", remedy="remove it or name another path")
    with socket.socket(socket.AF_UNIX) as visitor:
        try:
            visitor.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise UsageError(f"somebody listens at {path} already", remedy="end that emulator or name another path")


def listen(path: Path) -> socket.socket:
    """Bind a socket at `path` that only this user may speak to; raises UsageError when that cannot be."""
    vacate(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen at {path}", remedy="name a short path in a folder of yours") from error
    return listener
