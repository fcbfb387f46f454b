"""A hub's side of a link, replayed from a recording."""

import asyncio
from collections.abc import Callable, Iterable

from edge_agent.hub.connection import Farewell
from edge_agent.hub.emergency import BrakeTarget
from edge_agent.hub.recording import Direction, HubLogRecord


class ReplayConnection:
    """Implements HubConnection on a recording: the n-th write yields the notifications that followed it then.

    Writes are not compared with the recording; they are kept in `sent`.
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
        """Record a write and replay what followed it."""
        if self.lost.is_set():
            raise EOFError("no link")
        self.sent.append(data)
        self._replay()

    async def start_notify(self, on_notification: Callable[[bytes], None]) -> None:
        """Replay from now on, beginning with what followed the writes so far."""
        self._on_notification = on_notification
        self._replay()

    def drop(self, reason: str) -> None:
        """Lose the link."""
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    async def close(self, farewell: Farewell | None = None) -> None:
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
