"""The emulated radio link: carries bytes between BlueZ and the hub at its connection events, in their sequence.

BlueZ answers a write without response when the kernel has queued it, whatever the radio does: a dead radio is noticed
by its supervision timeout, or by answers that do not come.
"""

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after so many seconds."""


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """What a link takes, in seconds; measured with Linux 6.1 and bluetoothd 5.66 (docs/chaos.md).

    `interval_s` is the time between two connection events, `loss` the share of those that carry nothing. `connect_s`
    is from the link to its resolved services, `disconnect_s` and `remove_s` from the call of Disconnect and
    RemoveDevice to the end of the link (a timer of bluetoothd), `power_off_s` the same for the adapter's Powered.
    `orphan_s` is how long the kernel keeps the link of a killed bluetoothd, `supervision_s` how long a link outlives
    the radio, and `report_s` how much later BlueZ tells it.
    """

    interval_s: float = 0.05
    loss: float = 0.0
    connect_s: float = 0.75
    disconnect_s: float = 2.4
    remove_s: float = 2.8
    power_off_s: float = 0.02
    orphan_s: float = 2.0
    supervision_s: float = 0.42
    report_s: float = 0.034


IMMEDIATE = LinkTiming(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""No time at all, for tests of something else; the sequence of what happens stays the same."""


class Radio:
    """One link at a time between BlueZ and a hub.

    Args:
        clock: monotonic seconds.
        later: schedules connection events.
        to_hub: called with each write that reaches the hub, and when.
        to_host: called with each notification that reaches BlueZ.

    `out` is True while nothing passes, which ends the link after its supervision timeout; `stalled` while the link
    lives and carries nothing: what waits then is delivered late, as one burst.
    """

    def __init__(
        self,
        timing: LinkTiming,
        clock: Callable[[], float],
        later: Later,
        to_hub: Callable[[bytes, float], None],
        to_host: Callable[[bytes], None],
    ) -> None:
        self.timing = timing
        self.out = False
        self._stalled = False
        self._clock, self._later = clock, later
        self._to_hub, self._to_host = to_hub, to_host
        self._writes: deque[Callable[[], None]] = deque()
        self._notifications: deque[bytes] = deque()
        # Loss has to be the same in each run of a test.
        self._random = random.Random(0)  # noqa: S311 - no secret
        self._link = 0
        self._is_event_due = False
        self._began_s = 0.0

    @property
    def queued(self) -> int:
        """How many writes BlueZ has accepted that the hub has not received."""
        return len(self._writes)

    @property
    def stalled(self) -> bool:
        """Whether the link lives but carries nothing."""
        return self._stalled

    def stall(self, *, on: bool) -> None:
        """Carry nothing, or go on."""
        self._stalled = on
        self._schedule()

    def open(self) -> None:
        """Begin a new link; nothing is left of the last one."""
        self._link += 1
        self._writes.clear()
        self._notifications.clear()
        self._is_event_due = False
        self._began_s = self._clock()

    def close(self) -> None:
        """End the link; what was not carried is lost."""
        self.open()
        self._stalled = self.out = False

    def write(self, raw: bytes) -> None:
        """Accept a write for the hub."""
        self._append(lambda: self._to_hub(raw, self._clock()))

    def _append(self, act: Callable[[], None]) -> None:
        self._writes.append(act)
        if not self.timing.interval_s and not self._is_blocked():
            self._carry_writes()
        self._schedule()

    def request(self, act: Callable[[], None]) -> None:
        """Do something at the hub when everything before it has reached it."""
        self._append(act)

    def notify(self, raw: bytes) -> None:
        """Accept a notification of the hub; it comes after the answer to the write that caused it."""
        self._notifications.append(raw)
        self._schedule()

    def _is_blocked(self) -> bool:
        return self.out or self._stalled

    def _schedule(self) -> None:
        if self._is_event_due or self._is_blocked() or not (self._writes or self._notifications):
            return
        self._is_event_due = True
        link = self._link
        self._later(self._until_next_s(), lambda: self._event(link))

    def _until_next_s(self) -> float:
        interval_s = self.timing.interval_s
        if not interval_s:
            return 0.0
        elapsed_s = self._clock() - self._began_s
        # Counted with a margin: rounding must not make two events of one.
        return (math.floor(elapsed_s / interval_s + 0.001) + 1) * interval_s - elapsed_s

    def _event(self, link: int) -> None:
        """Exchange what waits: notifications of earlier writes first, since the hub answers at the next event."""
        if link != self._link:
            return
        self._is_event_due = False
        if not self._is_blocked() and self._random.random() >= self.timing.loss:
            while self._notifications:
                self._to_host(self._notifications.popleft())
            self._carry_writes()
        self._schedule()

    def _carry_writes(self) -> None:
        while self._writes:
            self._writes.popleft()()
