"""Writing a file whole or not at all.

Knows temporary names and full disks. Knows nothing of what is written.
"""

import os
from pathlib import Path

from edge_agent.errors import FatalError


def write_whole(path: Path, data: bytes) -> None:
    """Write under a temporary name in the same folder, then rename; raises FatalError naming the file."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise FatalError(
            f"{path} could not be written: {reason}", remedy="free some space or choose another folder", path=str(path)
        ) from error
