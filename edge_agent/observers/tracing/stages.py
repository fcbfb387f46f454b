"""From events to the stages of each frame: when it waited, was looked at, and led to a command.

Knows events and their times. Knows nothing of OpenTelemetry. Pure. Everything that is told is told by events that are
published anyway: the control path does nothing for it.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.events import Event, Frame, MotorCommand, Prediction

KEPT = 64
"""So many frames may be open; an older one is told as it is."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a frame, from and to in seconds on the loop's clock."""

    name: str
    from_s: float
    to_s: float


@dataclass(slots=True)
class FrameTrace:
    """A frame and what came of it: `outcome` is the command's kind, `seen` without one, or `dropped`."""

    frame_id: str
    sequence: int
    taken_s: float
    stages: list[Stage] = field(default_factory=list)
    signs: tuple[str, ...] = ()
    outcome: str = "dropped"

    @property
    def ended_s(self) -> float:
        """When its last stage ended."""
        return max((stage.to_s for stage in self.stages), default=self.taken_s)


class StageCollector:
    """Folds events; what is finished comes out in the order in which the frames were taken."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, FrameTrace] = OrderedDict()

    def fold(self, event: Event) -> Iterator[FrameTrace]:
        """Take an event in; yields the frames that are finished by it."""
        match event:
            case Frame():
                self._open[event.frame_id] = FrameTrace(event.frame_id, event.sequence, event.taken_s)
                while len(self._open) > KEPT:
                    yield self._open.popitem(last=False)[1]
            case Prediction():
                yield from self._predicted(event)
            case MotorCommand():
                self._commanded(event)
            case _:
                pass

    def rest(self) -> Iterator[FrameTrace]:
        """Yield what is still open, at the end."""
        while self._open:
            yield self._open.popitem(last=False)[1]

    def _predicted(self, event: Prediction) -> Iterator[FrameTrace]:
        """Note the stages up to the prediction; older frames are finished then: their command would have come."""
        if event.frame_id not in self._open:
            return
        while next(iter(self._open)) != event.frame_id:
            yield self._open.popitem(last=False)[1]
        traced = self._open[event.frame_id]
        began_s = max(event.taken_s, event.done_s - event.inference_ms / 1000)
        traced.stages += [Stage("wait", event.taken_s, began_s), Stage("inference", began_s, event.done_s)]
        traced.signs = tuple(one.label for one in event.detections)
        traced.outcome = "seen"

    def _commanded(self, event: MotorCommand) -> None:
        """Note the first command that a frame caused."""
        traced = self._open.get(event.frame_id or "")
        if traced is None or traced.outcome != "seen":
            return
        traced.stages.append(Stage("drive", traced.ended_s, max(event.written_s, traced.ended_s)))
        traced.outcome = event.kind.value
