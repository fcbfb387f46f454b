"""What has arrived from the broker and waits to be looked at: bounded, stops first, floods out.

Knows what kind a message is of, because it is told. Knows nothing of what it asks for. aiomqtt's own queue grows
without bound, or throws the newest away: a stop that comes behind a flood must neither wait nor be lost.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from aiomqtt import Message

MAX_WAITING = 64
MAX_PER_S = 20
"""More commands than this in a second are a flood, unless told otherwise."""

CALM_S = 2.0
"""A flood is over when commands have come more slowly than that for this long."""

RECENT_S = 10.0
"""A flood that ended with a connection may go on with the next one for this long."""


class Kind(Enum):
    """What a message is: a command that stops, any other command, or no command."""

    STOP = auto()
    COMMAND = auto()
    OTHER = auto()


class Inbox(asyncio.Queue[Message]):
    """A queue of messages in two lanes, made for aiomqtt, which calls nothing but `put_nowait`, `get` and `qsize`.

    A stop is taken first, and throws out the commands that wait: they were given before it. Of a flood of commands
    nothing is taken but its beginning, whoever sends it: otherwise a command of it would undo the stop. Where a lane is
    full, a further stop is as good as those that wait, and the oldest of the others goes.

    Args:
        kind: tells what a message is.
        discarded: is told how many messages nobody will look at.
        flooded: is called when a flood begins.
        max_per_s: more commands than this in a second are a flood.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        kind: Callable[[Message], Kind],
        discarded: Callable[[int], None],
        flooded: Callable[[], None],
        *,
        max_per_s: int = MAX_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = kind
        self._discarded = discarded
        self._flooded = flooded
        self._clock = clock
        self._stops: deque[Message] = deque()
        self._others: deque[tuple[Kind, Message]] = deque()
        self._arrivals: deque[float] = deque(maxlen=max_per_s)
        self._flood_until_s = -float("inf")
        self._told = False
        super().__init__()

    def qsize(self) -> int:
        """Count what waits."""
        return len(self._stops) + len(self._others)

    def empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._stops and not self._others

    def reconnected(self) -> None:
        """Forget the commands of the last connection, but not a flood that it ended."""
        self._forget_commands()
        if self._clock() - self._flood_until_s < RECENT_S:
            self.distrust()

    def distrust(self) -> None:
        """Take no command until it has been calm for a while: nobody has listened, and the flood may go on."""
        self._flood_until_s = self._clock() + CALM_S
        self._told = False

    def _init(self, maxsize: int) -> None:
        """Do nothing: the lanes are there."""

    def _put(self, item: Message) -> None:
        kind = self._kind(item)
        if kind is Kind.STOP:
            self._forget_commands()
            if len(self._stops) < MAX_WAITING:
                self._stops.append(item)
            else:
                self._discarded(1)
        elif kind is Kind.COMMAND and self._floods():
            self._discarded(1)
        else:
            if len(self._others) >= MAX_WAITING:
                self._others.popleft()
                self._discarded(1)
            self._others.append((kind, item))

    def _get(self) -> Message:
        return self._stops.popleft() if self._stops else self._others.popleft()[1]

    def _forget_commands(self) -> None:
        waited = len(self._others)
        self._others = deque(other for other in self._others if other[0] is not Kind.COMMAND)
        self._discarded(waited - len(self._others))

    def _floods(self) -> bool:
        """Note that a command has arrived, and tell whether it belongs to a flood."""
        now_s = self._clock()
        was = now_s < self._flood_until_s
        fast = len(self._arrivals) == self._arrivals.maxlen and now_s - self._arrivals[0] < 1.0
        self._arrivals.append(now_s)
        if fast:
            self._flood_until_s = now_s + CALM_S
        if fast and not (was and self._told):
            self._told = True
            self._flooded()
        return was or fast
