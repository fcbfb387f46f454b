"""The state and timeline of one train, folded from its events.

Performs no I/O; the same for the train's own events and for those from Kafka. Times are arguments, in ms since 1970.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edge_agent.console.schemas import Boxes, FaultView, Item, Link, Links, SignData, Train
from edge_agent.events import Severity
from edge_agent.observers.cloudevents import AnswerData, CommandData, DecisionData, FaultData, PredictionData, StateData
from edge_agent.observers.cloudevents.payloads import HubData, from_rfc3339

STALE_MS = 3000
"""A train without events for this long is stale: it publishes its state every second."""

MAX_ITEMS = 1000
"""Timeline items per train, about 0.5 kB each."""

_RATE_MS = 5000
_MAX_FAULTS = 100
_MAX_LABELS = 100

_CLOCK_WINDOW_MS = 60_000


@dataclass(frozen=True, slots=True)
class EventRef:
    """What every event has: id, id of its cause, and its time on the train's clock."""

    event_id: str
    cause: str | None
    at_ms: int


class Timeline:
    """The newest items of one train, at most MAX_ITEMS; duplicates are dropped."""

    def __init__(self, max_items: int = MAX_ITEMS) -> None:
        self._items: deque[Item] = deque()
        self._by_id: dict[str, Item] = {}
        self._max_items = max_items

    def add(self, item: Item) -> bool:
        """Add an item; return False if it is a duplicate."""
        if item.id in self._by_id:
            return False
        self._items.append(item)
        self._by_id[item.id] = item
        if len(self._items) > self._max_items:
            oldest = self._items.popleft()
            del self._by_id[oldest.id]
        return True

    def get(self, item_id: str | None) -> Item | None:
        """Return an item by its id."""
        return self._by_id.get(item_id) if item_id is not None else None

    def last(self, matches: Callable[[Item], bool]) -> Item | None:
        """Return the newest item for which `matches` is true."""
        return next(filter(matches, reversed(self._items)), None)

    def between(self, since_ms: int | None, before_ms: int | None, limit: int) -> list[Item]:
        """Return the newest `limit` items with `since_ms <= at_ms < before_ms`, oldest first."""
        found = (
            item
            for item in self._items
            if (before_ms is None or item.at_ms < before_ms) and (since_ms is None or item.at_ms >= since_ms)
        )
        # Sorted because items of a draining outbox arrive late.
        return sorted(found, key=lambda item: item.at_ms)[-limit:]

    def chain(self, frame_id: str) -> tuple[Item, ...]:
        """Return the items of a frame with their causes and effects (sign, decision, command), oldest first."""
        wanted = {item.id for item in self._items if item.frame_id == frame_id}
        for item_id in tuple(wanted):
            wanted.update(self._ancestors(item_id))
        # A cause is stored before its effects, so one pass finds all descendants.
        for item in self._items:
            if item.cause in wanted:
                wanted.add(item.id)
        return tuple(item for item in self._items if item.id in wanted)

    def _ancestors(self, item_id: str) -> Iterator[str]:
        # `visited` ends the walk where items from the network name each other as causes.
        visited = {item_id}
        item = self._by_id.get(item_id)
        while item is not None and (item := self.get(item.cause)) is not None and item.id not in visited:
            visited.add(item.id)
            yield item.id


class FrameRate:
    """Frames per second over the last seconds in which there were any."""

    def __init__(self) -> None:
        self._at_ms: deque[int] = deque(maxlen=1000)

    def add(self, at_ms: int) -> None:
        """Count a frame."""
        if self._at_ms and at_ms < self._at_ms[-1]:
            self._at_ms.clear()  # the clock was set back
        self._at_ms.append(at_ms)
        while self._at_ms[0] < at_ms - _RATE_MS:
            self._at_ms.popleft()

    def per_s(self) -> float:
        """Return the rate."""
        if len(self._at_ms) < 2 or self._at_ms[-1] == self._at_ms[0]:
            return 0.0
        return (len(self._at_ms) - 1) * 1000 / (self._at_ms[-1] - self._at_ms[0])


class ClockOffset:
    """A lower bound of how far a train's clock is ahead of ours: nothing arrives before it was sent.

    A clock that is behind cannot be told apart from network delay, so that counts as age.
    """

    def __init__(self) -> None:
        # The maxima of the current and of the previous window, so that a clock that was corrected is forgotten.
        self._since_ms = 0
        self._current_ms = 0
        self._previous_ms = 0

    def observe(self, at_ms: int, seen_ms: int) -> None:
        """Record a time on the train's clock and when it arrived on ours."""
        if not 0 <= seen_ms - self._since_ms < _CLOCK_WINDOW_MS:
            self._since_ms, self._previous_ms, self._current_ms = seen_ms, self._current_ms, 0
        self._current_ms = max(self._current_ms, at_ms - seen_ms)

    def to_ours(self, at_ms: int) -> int:
        """Convert a time on the train's clock to ours."""
        return at_ms - max(self._current_ms, self._previous_ms)


class LateEventFilter:
    """Separates current events from late ones: a draining outbox sends old events between new ones.

    If nothing newer has arrived for STALE_MS, an event counts as current whatever its time: clocks may be set back.
    """

    def __init__(self) -> None:
        self._at_ms = self._seen_ms = 0

    def accept(self, at_ms: int, seen_ms: int) -> bool:
        """Record an event of `at_ms` on the train's clock; return True if it is not older than an earlier one."""
        if at_ms < self._at_ms and 0 <= seen_ms - self._seen_ms < STALE_MS:
            return False
        self._at_ms, self._seen_ms = at_ms, seen_ms
        return True


class TrainProjection:
    """Folds the events of one train into `timeline`, `view` and `boxes`."""

    def __init__(self, train_id: str) -> None:
        self.train_id = train_id
        self.name = train_id
        self.seen_ms = 0
        self.timeline = Timeline()
        self.clock_offset = ClockOffset()
        self.links: Links | None = None
        self.speed_mm_s: float | None = None
        self._state: StateData | None = None
        self._filters: dict[str, LateEventFilter] = {}
        self._faults: dict[str, FaultView] = {}
        self._mqtt_fault = ""
        self._frame_rate, self._prediction_rate = FrameRate(), FrameRate()
        self._last_sequence: int | None = None
        self._dropped = 0
        self._boxes: OrderedDict[str, Boxes] = OrderedDict()
        self._last_in_view_ms: dict[str, int] = {}
        self._last_sign: str | None = None
        self._last_command: tuple[str, str | None] | None = None

    def view(self, now_ms: int) -> Train:
        """Return the state of the train at `now_ms` on our clock."""
        stale = now_ms - self.seen_ms > STALE_MS
        fps = 0.0 if stale else max(self._frame_rate.per_s(), self._prediction_rate.per_s())
        return Train(
            id=self.train_id,
            name=self.name,
            seen_ms=self.seen_ms,
            stale=stale,
            state=self._state,
            faults=tuple(self._faults.values()),
            links=self._current_links(stale=stale),
            fps=round(fps, 1),
            dropped=self._dropped,
            speed_mm_s=None if self.speed_mm_s is None else round(self.speed_mm_s, 1),
            last_sign=self._last_sign,
        )

    def boxes(self, frame_id: str) -> Boxes | None:
        """Return the detections of a frame, None if they are not known (any more)."""
        return self._boxes.get(frame_id)

    def on_frame(self, at_ms: int) -> bool:
        """Count a frame; return False for a late one, which belongs to the history only."""
        current = self._is_newest("frame", at_ms)
        if current:
            self._frame_rate.add(at_ms)
        return current

    def on_state(self, state: StateData, ref: EventRef) -> None:
        """Store the state that the train reports."""
        if self._is_newest("state", ref.at_ms):
            self._state = state

    def on_prediction(self, data: PredictionData, ref: EventRef) -> tuple[Boxes, bool, list[Item]]:
        """Store detections; return them, whether they are current, and items of the signs that came into view."""
        taken_ms = from_rfc3339(data.taken_at)
        current = self._is_newest("prediction", taken_ms)
        if current:
            self._prediction_rate.add(taken_ms)
            self._count_dropped(data.frame_sequence)
        boxes = Boxes(
            data.frame_id, taken_ms, data.inference_ms, data.latency_ms, data.width, data.height, data.detections
        )
        self._boxes[data.frame_id] = boxes
        # Keeps the detections of the newest frames; those of older frames are stored with their picture.
        if len(self._boxes) > 200:
            self._boxes.popitem(last=False)
        return boxes, current, [item for item in self._new_signs(boxes, ref) if self.timeline.add(item)]

    def on_decision(self, data: DecisionData, ref: EventRef) -> Item | None:
        """Return the item of a decision; its cause is the sighting of its sign, if known."""
        sighting = self.timeline.last(lambda item: isinstance(item.data, SignData) and item.data.label == data.sign)
        cause = sighting.id if sighting is not None and data.sign is not None else ref.cause
        return self._add(Item(ref.event_id, "decision", ref.at_ms, data.frame_id, cause, data.latency_ms, data))

    def on_command(self, data: CommandData, ref: EventRef) -> Item | None:
        """Return the item of a motor command; None if it only renews the last one or is a step of its power ramp."""
        command = (data.kind.value, data.decision_id)
        if command == self._last_command:
            return None
        self._last_command = command
        return self._add(Item(ref.event_id, "command", ref.at_ms, data.frame_id, ref.cause, data.latency_ms, data))

    def on_fault(self, data: FaultData, ref: EventRef) -> Item | None:
        """Return the item of a fault, and keep the fault while it is active; `info` faults are never kept."""
        item = Item(ref.event_id, "fault", ref.at_ms, None, ref.cause, None, data)
        if not self._is_newest("fault", ref.at_ms):
            return self._add(item)
        if data.code.startswith("mqtt"):
            self._mqtt_fault = data.message if data.active else ""
        if not data.active:
            self._faults.pop(data.code, None)
        elif data.severity is not Severity.INFO and (data.code in self._faults or len(self._faults) < _MAX_FAULTS):
            raised_ms = self._faults[data.code].at_ms if data.code in self._faults else ref.at_ms
            self._faults[data.code] = FaultView(data.code, data.message, data.remedy, data.severity, True, raised_ms)
        return self._add(item)

    def on_command_result(self, data: AnswerData, ref: EventRef) -> Item | None:
        """Return the item of the train's answer to a command."""
        return self._add(Item(ref.event_id, "answer", ref.at_ms, None, ref.cause, None, data))

    def _current_links(self, *, stale: bool) -> Links:
        """Return the state of the connections: on the train as reported, elsewhere as far as events tell."""
        links = self.links
        if links is None:
            text = "no events arrive" if stale else "events arrive"
            links = Links(mqtt=Link(False, self._mqtt_fault) if self._mqtt_fault else None, kafka=Link(not stale, text))
        return replace(links, hub=_hub_link(self._state.hub)) if self._state else links

    def _is_newest(self, kind: str, at_ms: int) -> bool:
        return self._filters.setdefault(kind, LateEventFilter()).accept(at_ms, self.seen_ms)

    def _new_signs(self, boxes: Boxes, ref: EventRef) -> list[Item]:
        items: list[Item] = []
        for detection in boxes.detections:
            label = detection.label
            last_ms = self._last_in_view_ms.get(label)
            self._last_in_view_ms[label] = boxes.at_ms
            # A sign that was out of view for this long counts as a new one.
            if last_ms is not None and abs(boxes.at_ms - last_ms) <= 1000:
                continue
            self._last_sign = label
            data = SignData(label, detection.score, detection.box)
            item_id = f"{boxes.frame_id}.{label}"
            items.append(Item(item_id, "sign", ref.at_ms, boxes.frame_id, boxes.frame_id, boxes.latency_ms, data))
        # Labels come from the network: whoever invents new ones must not fill the memory.
        while len(self._last_in_view_ms) > _MAX_LABELS:
            del self._last_in_view_ms[next(iter(self._last_in_view_ms))]
        return items

    def _count_dropped(self, sequence: int) -> None:
        last = self._last_sequence
        if last is not None and sequence > last:
            self._dropped += sequence - last - 1
        elif last is not None and sequence < last - 100:
            self._dropped = 0  # the agent was restarted
        self._last_sequence = sequence

    def _add(self, item: Item) -> Item | None:
        return item if self.timeline.add(item) else None


def _hub_link(hub: HubData) -> Link:
    if not hub.connected:
        return Link(False, "not connected")
    parts = [hub.name or "connected"]
    if hub.rssi_dbm is not None:
        parts.append(f"{hub.rssi_dbm} dBm")
    return Link(True, ", ".join(parts))
