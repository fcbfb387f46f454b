"""The console's thread: a loop of its own, and the train's events on their way into it.

Knows threads and loops. Knows nothing of what is served. The train's loop spends one append on an event; what the
viewers cost is spent elsewhere, see docs/decisions/0016-viewers-in-a-thread.md.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from edge_agent.errors import FatalError
from edge_agent.events import Event, Frame
from edge_agent.mirror.handover import Handover
from edge_agent.mirror.loop_thread import LoopThread
from edge_agent.ports import EventSource
from edge_agent.threads import in_daemon_thread

SWITCH_S = 0.0005
"""How long a thread may hold the interpreter while another waits; Python's own 5 ms would be the train's delay."""

MAX_EVENTS = 1000
MAX_FRAMES = 8
_END_S = 2.0


class Crossing:
    """Carries events from the train's loop into another one: a Sink on this side, an EventSource on the other.

    What finds no room is lost and counted: the console falls behind, never the train.
    """

    name = "console"

    def __init__(self) -> None:
        self.dropped = 0
        self._handover: Handover[Event] = Handover(self._wake, max_items=MAX_EVENTS, max_bulky=MAX_FRAMES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        """Count the events that wait."""
        return len(self._handover)

    async def run(self, events: EventSource) -> None:
        """Carry until cancelled. In the train's loop."""
        while True:
            event = await events.get()
            if self._loop is not None and not self._handover.offer(event, bulky=isinstance(event, Frame)):
                self.dropped += 1

    async def get(self) -> Event:
        """Wait for the oldest event. In the other loop, by one reader."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._handover.look()
            self._filled.clear()
            event = self._handover.take()
            if event is not None:
                return event
            await self._filled.wait()

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._filled.set)


async def run_apart(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `work` in a thread and a loop of its own until cancelled; raises FatalError where it ends by itself."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    async def main() -> None:
        try:
            await work()
        finally:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

    thread = LoopThread(name, main, lambda: None)
    with _quick_switches():
        thread.start()
        try:
            await ended.wait()
            raise FatalError(f"the {name} ended by itself; see the log")
        finally:
            thread.cancel()
            await in_daemon_thread(lambda: thread.join(_END_S), f"{name}-end")


@contextlib.contextmanager
def _quick_switches() -> Iterator[None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
