"""One train as the console knows it: folded from what it says, event by event.

Knows payloads and what follows from what. Knows nothing of transports, viewers or other trains. Pure: clocks are
arguments, in milliseconds since 1970.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, replace

from edge_agent.console.schemas import Boxes, FaultView, Item, Link, Links, SignData, Train
from edge_agent.console.timeline import Timeline
from edge_agent.events import Severity
from edge_agent.observers.cloudevents import AnswerData, CommandData, DecisionData, FaultData, PredictionData, StateData
from edge_agent.observers.cloudevents.payloads import HubData, from_rfc3339

STALE_MS = 3000
"""A train that says nothing for this long is stale: it tells its state every second."""

SIGN_GAP_MS = 1000
"""A sign that was out of view for this long is seen anew."""

_RATE_MS = 5000
_MAX_FAULTS = 100
_MAX_BOXES = 200
"""What was found in older frames is known as long as their pictures are kept."""

_CLOCK_MS = 60_000


@dataclass(frozen=True, slots=True)
class EventRef:
    """What every event says of itself: id, cause, and when, by the train's clock."""

    event_id: str
    cause: str | None
    at_ms: int


class FrameRate:
    """Frames a second, over the last seconds in which there were any."""

    def __init__(self) -> None:
        self._at_ms: deque[int] = deque(maxlen=1000)

    def add(self, at_ms: int) -> None:
        """Count a frame."""
        if self._at_ms and at_ms < self._at_ms[-1]:
            self._at_ms.clear()  # the clock was set back, or the train began anew
        self._at_ms.append(at_ms)
        while self._at_ms[0] < at_ms - _RATE_MS:
            self._at_ms.popleft()

    def per_s(self) -> float:
        """Return the rate."""
        if len(self._at_ms) < 2 or self._at_ms[-1] == self._at_ms[0]:
            return 0.0
        return (len(self._at_ms) - 1) * 1000 / (self._at_ms[-1] - self._at_ms[0])


class ClockOffset:
    """How far a train's clock is ahead of ours, at least: nothing can arrive before it was sent.

    How far it is behind cannot be told from a slow way here, so that counts as age.
    """

    def __init__(self) -> None:
        self._since_ms = 0
        self._now_ms = 0
        self._before_ms = 0

    def hear(self, at_ms: int, seen_ms: int) -> None:
        """Take note of a moment by the train's clock, and of when it was heard by ours."""
        if not 0 <= seen_ms - self._since_ms < _CLOCK_MS:
            self._since_ms, self._before_ms, self._now_ms = seen_ms, self._now_ms, 0
        self._now_ms = max(self._now_ms, at_ms - seen_ms)

    def to_ours(self, at_ms: int) -> int:
        """Return a moment of the train's clock on ours."""
        return at_ms - max(self._now_ms, self._before_ms)


class LateEventFilter:
    """Tells what is news from what comes late: an outbox that drains sends the past beside the present.

    Where nothing newer was heard for STALE_MS, what comes counts as news whatever its time: clocks may be set back.
    """

    def __init__(self) -> None:
        self._at_ms = self._seen_ms = 0

    def take(self, at_ms: int, seen_ms: int) -> bool:
        """Take note of something of `at_ms` by the train's clock; True where it is not older than what came before."""
        if at_ms < self._at_ms and 0 <= seen_ms - self._seen_ms < STALE_MS:
            return False
        self._at_ms, self._seen_ms = at_ms, seen_ms
        return True


class TrainProjection:
    """Folds what one train says; `timeline`, `view` and `boxes` tell what it came to."""

    def __init__(self, train_id: str) -> None:
        self.train_id = train_id
        self.name = train_id
        self.seen_ms = 0
        self.timeline = Timeline()
        self.ahead = ClockOffset()
        self.links: Links | None = None
        self.speed_mm_s: float | None = None
        self._state: StateData | None = None
        self._news: dict[str, LateEventFilter] = {}
        self._faults: dict[str, FaultView] = {}
        self._troubles: dict[str, str] = {}
        self._frames, self._predictions = FrameRate(), FrameRate()
        self._last_sequence: int | None = None
        self._dropped = 0
        self._boxes: OrderedDict[str, Boxes] = OrderedDict()
        self._in_view: dict[str, int] = {}
        self._last_sign: str | None = None
        self._written: tuple[str, str | None] | None = None

    def view(self, now_ms: int) -> Train:
        """Return the train as it is at `now_ms` of our clock."""
        stale = now_ms - self.seen_ms > STALE_MS
        fps = 0.0 if stale else max(self._frames.per_s(), self._predictions.per_s())
        return Train(
            id=self.train_id,
            name=self.name,
            seen_ms=self.seen_ms,
            stale=stale,
            state=self._state,
            faults=tuple(self._faults.values()),
            links=self._links_now(stale=stale),
            fps=round(fps, 1),
            dropped=self._dropped,
            speed_mm_s=None if self.speed_mm_s is None else round(self.speed_mm_s, 1),
            last_sign=self._last_sign,
        )

    def boxes(self, frame_id: str) -> Boxes | None:
        """Return what was found in a frame, None where that is not known (any more)."""
        return self._boxes.get(frame_id)

    def on_frame(self, at_ms: int) -> bool:
        """Count a frame; False where it comes late: it belongs into the history, it is not what the train sees."""
        fresh = self._is_news("frame", at_ms)
        if fresh:
            self._frames.add(at_ms)
        return fresh

    def on_state(self, state: StateData, stamp: EventRef) -> None:
        """Take the train's word on itself."""
        if self._is_news("state", stamp.at_ms):
            self._state = state

    def on_prediction(self, data: PredictionData, stamp: EventRef) -> tuple[Boxes, bool, list[Item]]:
        """Keep what was found; return it, whether it is news, and the signs that came into view."""
        taken_ms = from_rfc3339(data.taken_at)
        fresh = self._is_news("prediction", taken_ms)
        if fresh:
            self._predictions.add(taken_ms)
            self._count_dropped(data.frame_sequence)
        boxes = Boxes(
            data.frame_id,
            taken_ms,
            data.inference_ms,
            data.latency_ms,
            data.width,
            data.height,
            data.detections,
        )
        self._boxes[data.frame_id] = boxes
        if len(self._boxes) > _MAX_BOXES:
            self._boxes.popitem(last=False)
        return boxes, fresh, [item for item in self._signs(boxes, stamp) if self.timeline.add(item)]

    def on_decision(self, data: DecisionData, stamp: EventRef) -> Item | None:
        """Return the decision's item; its cause is the sight of its sign, where that is known."""
        sight = self.timeline.last(lambda item: isinstance(item.data, SignData) and item.data.label == data.sign)
        cause = sight.id if sight is not None and data.sign is not None else stamp.cause
        return self._add(Item(stamp.event_id, "decision", stamp.at_ms, data.frame_id, cause, data.latency_ms, data))

    def on_command(self, data: CommandData, stamp: EventRef) -> Item | None:
        """Return the command's item; None for one that only renews the last, or is a step on the way to its power."""
        written = (data.kind.value, data.decision_id)
        if written == self._written:
            return None
        self._written = written
        return self._add(
            Item(stamp.event_id, "command", stamp.at_ms, data.frame_id, stamp.cause, data.latency_ms, data)
        )

    def on_fault(self, data: FaultData, stamp: EventRef) -> Item | None:
        """Keep a fault until it is over, and return its item; `info` is only told, it is not a condition."""
        item = Item(stamp.event_id, "fault", stamp.at_ms, None, stamp.cause, None, data)
        if not self._is_news("fault", stamp.at_ms):
            return self._add(item)
        if data.code.startswith("mqtt"):
            self._troubles["mqtt"] = data.message if data.active else ""
        if not data.active:
            self._faults.pop(data.code, None)
        elif data.severity is not Severity.INFO and (data.code in self._faults or len(self._faults) < _MAX_FAULTS):
            began_ms = self._faults[data.code].at_ms if data.code in self._faults else stamp.at_ms
            self._faults[data.code] = FaultView(data.code, data.message, data.remedy, data.severity, True, began_ms)
        return self._add(item)

    def on_answer(self, data: AnswerData, stamp: EventRef) -> Item | None:
        """Return the item of the train's answer to a command from outside."""
        return self._add(Item(stamp.event_id, "answer", stamp.at_ms, None, stamp.cause, None, data))

    def _links_now(self, *, stale: bool) -> Links:
        """Return how the connections are: as the train's own console knows them, else as far as its events tell."""
        links = self.links
        if links is None:
            mqtt = self._troubles.get("mqtt")
            words = "nothing is heard by it" if stale else "heard by it"
            links = Links(mqtt=Link(False, mqtt) if mqtt else None, kafka=Link(not stale, words))
        return replace(links, hub=_hub_link(self._state.hub)) if self._state else links

    def _is_news(self, kind: str, at_ms: int) -> bool:
        return self._news.setdefault(kind, LateEventFilter()).take(at_ms, self.seen_ms)

    def _signs(self, boxes: Boxes, stamp: EventRef) -> list[Item]:
        fresh: list[Item] = []
        for found in boxes.detections:
            last_ms = self._in_view.get(found.label)
            self._in_view[found.label] = boxes.at_ms
            if last_ms is not None and abs(boxes.at_ms - last_ms) <= SIGN_GAP_MS:
                continue
            self._last_sign = found.label
            data = SignData(found.label, found.score, found.box)
            item_id = f"{boxes.frame_id}.{found.label}"
            fresh.append(Item(item_id, "sign", stamp.at_ms, boxes.frame_id, boxes.frame_id, boxes.latency_ms, data))
        while len(self._in_view) > _MAX_FAULTS:
            del self._in_view[next(iter(self._in_view))]
        return fresh

    def _count_dropped(self, sequence: int) -> None:
        last = self._last_sequence
        if last is not None and sequence > last:
            self._dropped += sequence - last - 1
        elif last is not None and sequence < last - 100:
            self._dropped = 0  # the train's program began anew
        self._last_sequence = sequence

    def _add(self, item: Item) -> Item | None:
        return item if self.timeline.add(item) else None


def _hub_link(hub: HubData) -> Link:
    if not hub.connected:
        return Link(False, "not connected")
    words = [hub.name or "connected"]
    if hub.rssi_dbm is not None:
        words.append(f"{hub.rssi_dbm} dBm")
    return Link(True, ", ".join(words))
