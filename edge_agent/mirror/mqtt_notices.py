"""What the mirror to MQTT says about itself: each trouble once when it comes, and once when it is over.

Knows when to say something. Knows nothing of connections.
"""

import time
from collections.abc import Callable

from edge_agent.mirror.mqtt_problems import UNREACHABLE
from edge_agent.mirror.notice import Notice

PATIENCE_S = 5.0
"""An outage shorter than this is not worth telling people."""

_DENIED = "mqtt_denied"
_WORDS = {
    "read": ("does not let us read {topics}: no commands come in by it", "allow the train's user to read it"),
    "write": ("does not take what we publish to {topics}", "allow the train's user to write it"),
    "size": ("takes no messages as large as those to {topics}", "raise the broker's max_packet_size"),
}


class Notices:
    """Turns what happens to the link into notices."""

    def __init__(self, tell: Callable[[Notice], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._down_s: float | None = None
        self._told: Notice | None = None
        self._denied: set[tuple[str, str]] = set()

    def down(self, notice: Notice) -> None:
        """Note that the link does not work; told when that lasts, or when only a person can mend it."""
        now_s = self._clock()
        self._down_s = now_s if self._down_s is None else self._down_s
        lasting = now_s - self._down_s >= PATIENCE_S or notice.code != UNREACHABLE
        if not lasting or (self._told is not None and self._told.code == notice.code):
            return
        self._over()
        self._told = notice
        self._tell(notice)

    def up(self) -> None:
        """Note that the link works."""
        self._down_s = None
        self._over()

    def denied(self, topic: str, what: str) -> None:
        """Note that the broker denies us a topic; told once for each."""
        if (topic, what) in self._denied:
            return
        self._denied.add((topic, what))
        words, remedy = _WORDS[what]
        topics = ", ".join(sorted(name for name, denied in self._denied if denied == what))
        self._tell(Notice(_DENIED, f"the MQTT broker {words.format(topics=topics)}", remedy))

    def _over(self) -> None:
        if self._told is not None:
            self._tell(Notice(self._told.code, active=False))
            self._told = None
