"""Reads that neither hang nor fill the memory, and atomic writes: a file is complete or not there at all."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_agent.errors import FatalError

_PART_BYTES = 1 << 22
_PIPE = "it is a pipe, not a file"


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return a file's content, or its first `max_bytes`.

    Raises OSError where it cannot be read; also for a pipe, from which a read would wait for somebody who writes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, _PIPE, str(path))
        content = bytearray()
        # In parts, since a read reserves the memory for all that it is asked for.
        while part := file.read(min(_PART_BYTES, max_bytes - len(content))):
            content += part
        return bytes(content)


def check_no_pipe(path: Path) -> None:
    """Raise OSError for a pipe: opening it would wait for somebody who writes."""
    if path.is_fifo():
        raise OSError(errno.EINVAL, _PIPE, str(path))


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to; it replaces `target` on success and is removed on failure.

    The path has the target's suffix, for writers that choose a format by it. Raises FatalError with the target's name
    on any OSError, and where the target is no regular file: a device or a pipe would be replaced, not written.
    """
    if target.exists() and not target.is_file():
        raise FatalError(f"{target} is no regular file", remedy="name a file", path=str(target))
    target = target.resolve()  # a link stays, and what it points to is replaced
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
    """Write a file and fsync it, creating its folder; raises FatalError with the file's name.

    What is no regular file (`/dev/stdout`, a named pipe) is written to as it is.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(data)
        return
    with atomic_path(path) as partial:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
