"""The encoded pictures of the last minutes, kept in memory within a byte budget that all trains share.

While there is room every picture is kept for the whole history. When the budget is full, half of it holds every picture
of the last seconds; of older ones, one per second and train is kept, plus the marked ones, on which a sign, a decision
or a brake is based. The oldest are dropped first, marked ones last. Times are arguments, in ms since 1970.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.console.schemas import Boxes

OVERHEAD_BYTES = 1500
"""Memory of a stored picture besides its encoded bytes: ids, this object, its queue entries and its detections."""

THINNED_MS = 1000
"""Thinned-out pictures are this far apart."""

# ITU-T T.81: SOF0 to SOF15 without DHT, JPG and DAC; TEM and RST0 to RST7 have no length.
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_MARKERS_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(slots=True, eq=False)
class StoredPicture:
    """One JPEG or WebP picture. `at_ms` is on the train's clock, `seen_ms` on ours; both in ms since 1970."""

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
    in_memory: bool = True

    @property
    def size(self) -> int:
        """Bytes of the budget that it uses."""
        return len(self.data) + OVERHEAD_BYTES


class PictureHistory:
    """Stores pictures within the budget.

    Args:
        budget_bytes: for the pictures of all trains together.
        history_ms: maximum age.
    """

    def __init__(self, budget_bytes: int, history_ms: int) -> None:
        self.bytes = 0
        self._budget = budget_bytes
        self._history_ms = history_ms
        self._recent_bytes = 0
        # A picture starts in `_recent` and is in exactly one of the three queues, each in the order of arrival.
        self._recent: deque[StoredPicture] = deque()
        self._thinned: deque[StoredPicture] = deque()
        self._marked: deque[StoredPicture] = deque()
        self._last_thinned_ms: dict[str, int] = {}
        self._trains: dict[str, dict[str, StoredPicture]] = {}

    def put(self, picture: StoredPicture) -> None:
        """Store a picture; one whose id is already stored is ignored."""
        pictures = self._trains.setdefault(picture.train_id, {})
        if picture.frame_id in pictures:
            return
        pictures[picture.frame_id] = picture
        self._recent.append(picture)
        self.bytes += picture.size
        self._recent_bytes += picture.size
        self.expire(picture.seen_ms)

    def mark(self, train_id: str, frame_id: str) -> None:
        """Keep a picture longer than unmarked ones."""
        if (picture := self.get(train_id, frame_id)) is not None:
            picture.marked = True

    def get(self, train_id: str, frame_id: str) -> StoredPicture | None:
        """Return a picture, None if it is not stored (any more)."""
        return self._trains.get(train_id, {}).get(frame_id)

    def of_train(self, train_id: str) -> Iterator[StoredPicture]:
        """Yield the pictures of a train in the order of arrival."""
        yield from self._trains.get(train_id, {}).values()

    def remove_train(self, train_id: str) -> None:
        """Drop all pictures of a train."""
        for picture in list(self.of_train(train_id)):
            self._drop(picture)
        self._trains.pop(train_id, None)
        self._last_thinned_ms.pop(train_id, None)

    def expire(self, now_ms: int) -> None:
        """Drop what is too old and what exceeds the budget."""
        oldest_ms = now_ms - self._history_ms
        for queue in (self._recent, self._thinned, self._marked):
            while queue and (queue[0].seen_ms < oldest_ms or not queue[0].in_memory):
                self._drop(self._pop(queue))
        while self.bytes > self._budget and self._recent_bytes > self._budget // 2:
            self._thin_out(self._pop(self._recent))
        while self.bytes > self._budget and self._thinned:
            self._drop_unless_marked(self._pop(self._thinned))
        for queue in (self._marked, self._recent):
            while self.bytes > self._budget and queue:
                self._drop(self._pop(queue))

    def _pop(self, queue: deque[StoredPicture]) -> StoredPicture:
        picture = queue.popleft()
        if queue is self._recent and picture.in_memory:
            self._recent_bytes -= picture.size
        return picture

    def _thin_out(self, picture: StoredPicture) -> None:
        """Keep a picture that is no longer recent if it is marked or the first of its second, else drop it."""
        last_ms = self._last_thinned_ms.get(picture.train_id)
        if picture.marked:
            self._marked.append(picture)
        elif last_ms is None or abs(picture.seen_ms - last_ms) >= THINNED_MS:
            self._last_thinned_ms[picture.train_id] = picture.seen_ms
            self._thinned.append(picture)
        else:
            self._drop(picture)

    def _drop_unless_marked(self, picture: StoredPicture) -> None:
        # It may have been marked after it was thinned out: decisions and late events refer to older frames.
        if picture.marked and picture.in_memory:
            self._marked.append(picture)
        else:
            self._drop(picture)

    def _drop(self, picture: StoredPicture) -> None:
        if not picture.in_memory:
            return
        picture.in_memory = False
        self.bytes -= picture.size
        self._trains.get(picture.train_id, {}).pop(picture.frame_id, None)


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels from the header of a JPEG (ITU-T T.81) or WebP (RFC 9649); None for others.

    Nothing is decoded.
    """
    if data[:2] == b"\xff\xd8":
        return _jpeg_size(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    offset = 2
    while offset + 9 <= len(data):
        if data[offset] != 0xFF:
            return None
        marker = data[offset + 1]
        if marker in _FRAME_MARKERS:
            height, width = data[offset + 5 : offset + 7], data[offset + 7 : offset + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        has_length = marker not in _MARKERS_WITHOUT_LENGTH and marker != 0xFF
        length = int.from_bytes(data[offset + 2 : offset + 4], "big") if has_length else 0
        # 0xFF before a marker is a fill byte: only that one is skipped.
        offset += (1 if marker == 0xFF else 2) + length
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8 ":
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case _:
            return None
