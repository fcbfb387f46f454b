"""Recording of the bytes between the agent and a hub.

A record is one JSON object per line: `t_ms` since the start of the recording, `dir` (`sent` or `heard`) and `hex`.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from edge_agent.errors import ConfigError, UsageError
from edge_agent.runtime.files import check_no_pipe


class Direction(StrEnum):
    """Direction of the bytes, seen from the agent."""

    SENT = "sent"
    RECEIVED = "heard"


@dataclass(frozen=True, slots=True)
class HubLogRecord:
    """One write or one notification."""

    t_ms: int
    direction: Direction
    data: bytes


class HubLog:
    """Writes records to a file, one line each. A full disk ends the recording, never the drive: see `failed`."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Create or truncate the file; raises UsageError if it cannot be written."""
        try:
            # Line-buffered, so that a crash loses at most one record.
            self._file: IO[str] | None = path.open("w", encoding="ascii", buffering=1)
        except OSError as error:
            raise UsageError(
                f"Cannot write {path}: {error.strerror}", remedy="choose a file in a folder you can write to"
            ) from error
        self._clock = clock
        self._began_s = clock()
        self.failed = False

    def add(self, direction: Direction, data: bytes) -> None:
        """Record bytes; never raises."""
        if self._file is None:
            return
        t_ms = round((self._clock() - self._began_s) * 1000)
        try:
            self._file.write(json.dumps({"t_ms": t_ms, "dir": direction, "hex": data.hex()}) + "\n")
        except OSError:
            self.failed = True
            self.close()

    def close(self) -> None:
        """End the recording; never raises."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                self.failed = True


def read_log(path: Path) -> tuple[HubLogRecord, ...]:
    """Read a recording; raises ConfigError with file and line."""
    records = []
    try:
        check_no_pipe(path)
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, start=1):
                records.append(_record(path, number, line))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {path}", remedy="choose a file written with --hub-log") from error
    return tuple(records)


def _record(path: Path, number: int, line: str) -> HubLogRecord:
    try:
        read = json.loads(line)
        return HubLogRecord(int(read["t_ms"]), Direction(read["dir"]), bytes.fromhex(read["hex"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}:{number}: not a record of a hub log", remedy="delete that line") from error
