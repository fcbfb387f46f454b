"""The pictures of the last minutes, within a budget of bytes that all trains share.

Knows times and sizes. Knows nothing of what is in a picture. Pure: clocks are arguments.

While there is room every picture stays for the whole history. Where there is not, half of the budget holds every
picture of the last seconds; of what is older, one a second stays for each train, and the marked ones: those that a
sign, a decision or a brake rests on. The oldest go first, marked ones last.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.console.schemas import Boxes

OVERHEAD_BYTES = 1500
"""What a kept picture costs beside its bytes: ids, this object, its places in the queues, what was found in it."""

SPARSE_MS = 1000
"""Of pictures that are thinned out one stays in this time."""


@dataclass(slots=True, eq=False)
class StoredPicture:
    """One encoded picture. `at_ms` is by the train's clock, `seen_ms` by ours; both in ms since 1970."""

    train_id: str
    frame_id: str
    sequence: int
    at_ms: int
    seen_ms: int
    width: int
    height: int
    data: bytes = field(repr=False)
    boxes: Boxes | None = None
    marked: bool = False
    here: bool = True

    @property
    def size(self) -> int:
        """Bytes that it takes of the budget."""
        return len(self.data) + OVERHEAD_BYTES


class PictureHistory:
    """Keeps what the budget allows.

    Args:
        budget_bytes: for the pictures of all trains together.
        history_ms: nothing is kept longer.
    """

    def __init__(self, budget_bytes: int, history_ms: int) -> None:
        self.bytes = 0
        self._budget = budget_bytes
        self._history_ms = history_ms
        self._recent_bytes = 0
        self._recent: deque[StoredPicture] = deque()
        self._sparse: deque[StoredPicture] = deque()
        self._marked: deque[StoredPicture] = deque()
        self._last_sparse_ms: dict[str, int] = {}
        self._trains: dict[str, dict[str, StoredPicture]] = {}

    def put(self, picture: StoredPicture) -> None:
        """Keep a picture; one whose id is known already is not kept twice."""
        shelf = self._trains.setdefault(picture.train_id, {})
        if picture.frame_id in shelf:
            return
        shelf[picture.frame_id] = picture
        self._recent.append(picture)
        self.bytes += picture.size
        self._recent_bytes += picture.size
        self.expire(picture.seen_ms)

    def mark(self, train_id: str, frame_id: str) -> None:
        """Have a picture stay longer than others."""
        if (picture := self.get(train_id, frame_id)) is not None:
            picture.marked = True

    def get(self, train_id: str, frame_id: str) -> StoredPicture | None:
        """Return a picture, None where it is not here (any more)."""
        return self._trains.get(train_id, {}).get(frame_id)

    def of(self, train_id: str) -> Iterator[StoredPicture]:
        """Yield the pictures of a train, in the order in which they came."""
        yield from self._trains.get(train_id, {}).values()

    def forget(self, train_id: str) -> None:
        """Drop everything of a train."""
        for picture in list(self.of(train_id)):
            self._drop(picture)
        self._trains.pop(train_id, None)
        self._last_sparse_ms.pop(train_id, None)

    def expire(self, now_ms: int) -> None:
        """Drop what is too old, and what the budget has no room for."""
        oldest_ms = now_ms - self._history_ms
        for queue in (self._recent, self._sparse, self._marked):
            while queue and (queue[0].seen_ms < oldest_ms or not queue[0].here):
                self._drop(self._leave(queue))
        while self.bytes > self._budget and self._recent_bytes > self._budget // 2:
            self._settle(self._leave(self._recent))
        while self.bytes > self._budget and self._sparse:
            self._demote(self._leave(self._sparse))
        for queue in (self._marked, self._recent):
            while self.bytes > self._budget and queue:
                self._drop(self._leave(queue))

    def _leave(self, queue: deque[StoredPicture]) -> StoredPicture:
        picture = queue.popleft()
        if queue is self._recent and picture.here:
            self._recent_bytes -= picture.size
        return picture

    def _settle(self, picture: StoredPicture) -> None:
        """Find a place for a picture that is not recent any more."""
        last_ms = self._last_sparse_ms.get(picture.train_id)
        if picture.marked:
            self._marked.append(picture)
        elif last_ms is None or abs(picture.seen_ms - last_ms) >= SPARSE_MS:
            self._last_sparse_ms[picture.train_id] = picture.seen_ms
            self._sparse.append(picture)
        else:
            self._drop(picture)

    def _demote(self, picture: StoredPicture) -> None:
        """Drop a thinned-out picture; one that was marked since then stays with its like."""
        if picture.marked and picture.here:
            self._marked.append(picture)
        else:
            self._drop(picture)

    def _drop(self, picture: StoredPicture) -> None:
        if not picture.here:
            return
        picture.here = False
        self.bytes -= picture.size
        self._trains.get(picture.train_id, {}).pop(picture.frame_id, None)
