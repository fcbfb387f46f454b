"""Bytes between the agent and a hub, recorded to a file and played back without one.

A record is one JSON object a line: `t_ms` since the recording began, `dir` (`sent` or `heard`), `hex`. Knows nothing of
what the bytes mean.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from edge_agent.errors import ConfigError, UsageError
from edge_agent.hub.emergency import BrakeTarget


class Direction(StrEnum):
    """Which way bytes went, seen from the agent."""

    SENT = "sent"
    RECEIVED = "heard"


@dataclass(frozen=True, slots=True)
class HubLogRecord:
    """One write or one notification."""

    t_ms: int
    direction: Direction
    data: bytes


class HubLog:
    """Appends records to a file, a line at a time. A disk that is full ends the recording, never the driving."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the file anew; raises UsageError when that does not work."""
        try:
            self._file: IO[str] | None = path.open("w", encoding="ascii", buffering=1)
        except OSError as error:
            raise UsageError(
                f"Cannot write {path}: {error.strerror}", remedy="name a file in a folder you may write to"
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
    """Read a recording; raises ConfigError that names file and line."""
    records = []
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, start=1):
                records.append(_record(path, number, line))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {path}", remedy="name a file written with --hub-log") from error
    return tuple(records)


def _record(path: Path, number: int, line: str) -> HubLogRecord:
    try:
        read = json.loads(line)
        return HubLogRecord(int(read["t_ms"]), Direction(read["dir"]), bytes.fromhex(read["hex"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}:{number}: not a record of bytes", remedy="delete that line") from error


class ReplayConnection:
    """A Connection that replies as a recorded hub did: after the n-th write come the notifications that came then.

    What is written is not compared with the recording; `sent` keeps it.
    """

    def __init__(
        self, records: Iterable[HubLogRecord], *, address: str = "00:00:00:00:00:00", name: str = "recorded"
    ) -> None:
        self.target = BrakeTarget(address, name, "/replay", "/replay/characteristic")
        self.lost = asyncio.Event()
        self.reason = ""
        self.sent: list[bytes] = []
        self._on_notification: Callable[[bytes], None] | None = None
        self._replies: list[list[bytes]] = [[]]
        for record in records:
            if record.direction is Direction.SENT:
                self._replies.append([])
            else:
                self._replies[-1].append(record.data)
        self._replayed = 0

    async def send(self, data: bytes) -> None:
        """Take a write, and answer it if somebody listens."""
        if self.lost.is_set():
            raise EOFError("no link")
        self.sent.append(data)
        self._replay()

    async def start_notify(self, on_notification: Callable[[bytes], None]) -> None:
        """Begin to answer, with what came before and after the writes so far."""
        self._on_notification = on_notification
        self._replay()

    def drop(self, reason: str) -> None:
        """Lose the link."""
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    async def close(self) -> None:
        """Lose the link."""
        self.drop("closed")

    def _replay(self) -> None:
        if self._on_notification is None:
            return
        upto = min(len(self.sent) + 1, len(self._replies))
        for replies in self._replies[self._replayed : upto]:
            for data in replies:
                self._on_notification(data)
        self._replayed = max(self._replayed, upto)
