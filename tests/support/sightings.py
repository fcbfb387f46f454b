"""How soon a sign is seen and obeyed, against the simulator's truth: an observer, and percentiles.

A sign counts as readable from the first picture in which it stands whole and its true box is READABLE_PX high, whatever
the rules call near and whatever the detector finds. Two waits follow, told apart because a decision waits for nearness
by rule: until the sighting is confirmed (as many of the last pictures show the sign as its rule asks for), and until
the decision. Knows nothing of how missions are driven.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.config.rules import SignRule
from edge_agent.events import Decision, Detection, Event, Frame, Prediction
from edge_agent.ports import EventSource

READABLE_PX = 16.0
"""About 550 mm away, where the digits of a speed limit are 4 px high: farther than the farthest rule acts (20 px). The
shipped detector finds 118 of 120 such signs in the pictures of one mission (seed 2), and 31 of 53 of 10 to 16 px.
"""

KEPT_FRAMES = 20
_NEXT_SIGN = 0.7
"""A sign of the same kind that is so much lower than the one before is the next one: the train only comes nearer."""


@dataclass
class Passage:
    """One sign while the train comes up to it. Times in seconds; the waits are None for what never came.

    A wait is negative where the agent was sooner than the first readable picture.
    """

    label: str
    readable_s: float | None = None
    confirmed_s: float | None = None
    decided_s: float | None = None
    height_px: float = 0.0
    votes: deque[bool] = field(default_factory=deque)

    @property
    def confirmed_after_s(self) -> float | None:
        """From the first readable picture to the end of the inference that confirmed the sighting."""
        return _difference(self.confirmed_s, self.readable_s)

    @property
    def decided_after_s(self) -> float | None:
        """From the first readable picture to the decision."""
        return _difference(self.decided_s, self.readable_s)


class Judge:
    """An observer that compares what was seen and what acted with what was there.

    `false_decisions` counts decisions for a sign that was not in their picture; `passages` are the signs come up to.
    """

    name = "judge"

    def __init__(self, rules: Mapping[str, SignRule]) -> None:
        self.false_decisions = 0
        self._rules = rules
        self._frames: dict[str, Frame] = {}
        self._open: dict[str, Passage] = {}
        self._over: list[Passage] = []

    @property
    def passages(self) -> list[Passage]:
        """Every sign that became readable, in the order in which they were passed."""
        return [one for one in (*self._over, *self._open.values()) if one.readable_s is not None]

    async def run(self, events: EventSource) -> None:
        while True:
            self.feed(await events.get())

    def feed(self, event: Event) -> None:
        """Take one event, in the order in which they happened."""
        if isinstance(event, Frame):
            self._look(event)
        elif isinstance(event, Prediction) and event.frame_id in self._frames:
            self._count(event, self._frames[event.frame_id])
        elif isinstance(event, Decision) and event.sign is not None and event.frame_id in self._frames:
            self._judge(event.sign, event.decided_s, self._frames[event.frame_id])

    def _look(self, frame: Frame) -> None:
        """Follow, of each kind, the sign that is nearest."""
        self._frames = {**dict(list(self._frames.items())[1 - KEPT_FRAMES :]), frame.frame_id: frame}
        nearest = _nearest(frame.truth or ())
        for label in [label for label in self._open if label not in nearest]:
            self._over.append(self._open.pop(label))
        for label, sign in nearest.items():
            if label in self._rules and _is_whole(sign, frame):  # while it leaves it gets lower
                self._come_nearer(label, sign, frame.taken_s)

    def _come_nearer(self, label: str, sign: Detection, taken_s: float) -> None:
        passage = self._open.get(label)
        if passage is None or sign.box.height < _NEXT_SIGN * passage.height_px:
            if passage is not None:
                self._over.append(passage)
            passage = self._open[label] = Passage(label)
        passage.height_px = sign.box.height
        if passage.readable_s is None and sign.box.height >= READABLE_PX:
            passage.readable_s = taken_s

    def _count(self, prediction: Prediction, frame: Frame) -> None:
        """Note for each sign that is really there whether this picture showed it."""
        for label, sign in _nearest(frame.truth or ()).items():
            passage, rule = self._open.get(label), self._rules.get(label)
            if passage is None or rule is None:
                continue
            passage.votes.append(any(_is_seen(sign, one, rule) for one in prediction.detections))
            while len(passage.votes) > rule.confirm.of:
                passage.votes.popleft()
            if passage.confirmed_s is None and sum(passage.votes) >= rule.confirm.agree:
                passage.confirmed_s = prediction.done_s

    def _judge(self, label: str, decided_s: float, frame: Frame) -> None:
        if label not in _nearest(frame.truth or ()):
            self.false_decisions += 1
        elif label in self._open and self._open[label].decided_s is None:
            self._open[label].decided_s = decided_s


def percentiles(waits_s: Iterable[float | None]) -> dict[str, float | int | None]:
    """Tell p50, p95, the worst and how many there are, of those that are not None; in seconds."""
    ordered = sorted(wait_s for wait_s in waits_s if wait_s is not None)
    return {"p50": _at(ordered, 50), "p95": _at(ordered, 95), "max": _at(ordered, 100), "n": len(ordered)}


def _at(ordered: Sequence[float], percent: int) -> float | None:
    """Return the value that so many percent of all do not exceed."""
    return round(ordered[-(-len(ordered) * percent // 100) - 1], 3) if ordered else None


def _nearest(truth: Iterable[Detection]) -> dict[str, Detection]:
    return {one.label: one for one in sorted(truth, key=lambda one: one.box.height)}


def _is_whole(sign: Detection, frame: Frame) -> bool:
    width, height = frame.picture.size
    box = sign.box
    return box.x1 > 0 and box.y1 > 0 and box.x2 < width and box.y2 < height


def _is_seen(sign: Detection, detection: Detection, rule: SignRule) -> bool:
    """Tell whether a detection is of that sign: its label, sure enough, and on it."""
    return detection.label == sign.label and detection.score >= rule.min_score and detection.box.iou(sign.box) > 0.1


def _difference(later_s: float | None, earlier_s: float | None) -> float | None:
    return None if later_s is None or earlier_s is None else later_s - earlier_s
