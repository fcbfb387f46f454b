"""Writing a file whole or not at all.

Knows temporary names and full disks. Knows nothing of what is written.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_agent.errors import FatalError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a name in the same folder to write to; it becomes the target when all went well, and is removed when not.

    The name ends as the target's does, for writers that choose a format by it. Raises FatalError naming the target when
    the disk or the folder refuses.
    """
    partial = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FatalError(
            f"{target} could not be written: {reason}",
            remedy="free some space or choose another folder",
            path=str(target),
        ) from error
    finally:
        with suppress(OSError):  # what keeps us from writing may keep us from looking too
            partial.unlink()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is on the disk when this returns, and make its folder; raises FatalError naming the file."""
    with atomic_path(path) as partial:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
