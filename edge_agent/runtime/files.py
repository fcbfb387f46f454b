"""Atomic writes: a file is complete or not there at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_agent.errors import FatalError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to; it replaces `target` on success and is removed on failure.

    The path has the target's suffix, for writers that choose a format by it. Raises FatalError with the target's name
    on any OSError.
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
        with suppress(OSError):  # may fail for the same reason as the write
            partial.unlink()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file and fsync it, creating its folder; raises FatalError with the file's name."""
    with atomic_path(path) as partial:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
