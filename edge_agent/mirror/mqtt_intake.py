"""Where events come into the mirror's thread: numbered, written, sorted into lanes, added up for telemetry.

Knows which events are news. Knows nothing of brokers. Belongs to the mirror's thread.
"""

import itertools
from dataclasses import dataclass, replace

import structlog

from edge_agent.events import Event, Frame, Prediction, TrainState
from edge_agent.mirror.compat import Pairs
from edge_agent.mirror.handover import Handover
from edge_agent.mirror.mqtt_lanes import Lanes, Pair, Parcel, Picture
from edge_agent.mirror.mqtt_messages import ROUTES, Messages, Outgoing
from edge_agent.mirror.mqtt_payloads import Meter, TelemetryData
from edge_agent.wire import Stamp

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Handed:
    """An event on its way into the thread.

    `shown` tells that a frame is wanted as a picture, `speed_mm_s` comes with a state where it is known.
    """

    event: Event
    offset_s: float
    shown: bool = False
    speed_mm_s: float | None = None


class Intake:
    """Takes events in.

    Args:
        handover: where they come from.
        lanes: where they wait.
        messages: writes them.
        train_id: whose events they are.
        first_sequence: the number of the first; larger than any of an earlier run.
        compat: also match frames and predictions for the original demo's consumers.
    """

    def __init__(
        self,
        handover: Handover[Handed],
        lanes: Lanes,
        messages: Messages,
        *,
        train_id: str,
        first_sequence: int,
        compat: bool,
    ) -> None:
        self.frames = 0
        """Frames that the camera gave; counted by the train's loop."""
        self.state: Outgoing | None = None
        """The newest state of the train."""
        self._handover = handover
        self._lanes = lanes
        self._messages = messages
        self._train_id = train_id
        self._sequence = itertools.count(first_sequence)
        self._meter = Meter()
        self._told: TrainState | None = None
        self._pairs = Pairs() if compat else None

    def stamp(self, offset_s: float = 0.0) -> Stamp:
        """Return the stamp of the next message."""
        return Stamp(self._train_id, next(self._sequence), offset_s)

    def take(self) -> None:
        """Take in what was handed over."""
        self._handover.look()
        while (handed := self._handover.take()) is not None:
            try:
                self._take_in(handed)
            except Exception:  # noqa: BLE001 - an event that cannot be written must not take the others with it
                self._lanes.dropped[type(handed.event).__name__.lower()] += 1
                _log.exception("event_not_written")

    def telemetry(self, period_s: float) -> TelemetryData:
        """Return the figures of the last `period_s` and start the next."""
        dropped = sum(self._lanes.dropped.values()) + self._handover.lost
        return self._meter.read(self.frames, period_s, waiting=len(self._lanes), dropped=dropped)

    def _take_in(self, handed: Handed) -> None:
        event, stamp = handed.event, self.stamp(handed.offset_s)
        if self._pairs is not None and (pair := self._pairs.match(event)) is not None:
            self._lanes.show_original(Pair(*pair))
        if isinstance(event, Frame):
            if handed.shown:
                self._lanes.show(Picture(event, stamp))
            return
        parcel = Parcel(ROUTES[type(event)].name, self._messages.event(event, stamp))
        if isinstance(event, TrainState):
            self._meter.state(event, handed.speed_mm_s)
            lasting, self.state = _lasting(event), parcel.message
            if lasting == self._told:
                return
            self._told = lasting
        elif isinstance(event, Prediction):
            self._meter.prediction(event)
        self._lanes.add(parcel)


def _lasting(state: TrainState) -> TrainState:
    """Return a state without what changes all the time, which telemetry tells."""
    hub = replace(state.hub, voltage_mv=None, current_ma=None, rssi_dbm=None)
    return replace(state, hub=hub, at_s=0.0, at_unix_s=0.0)
