"""The frozen values that pass along the control path, and of which observers get copies.

Times named `_s` are seconds on the event loop's monotonic clock; times named `_unix_s` are wall-clock seconds and are
for people and observers only: no decision reads them.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
import uuid_utils
from numpy.typing import NDArray


def new_id() -> str:
    """Return a new UUIDv7: ids of events sort by time."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in pixels: left, top, right, bottom, from the picture's top-left corner."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y2 - self.y1

    def scaled(self, x: float, y: float) -> "Box":
        """Return the box in a picture that is `x` times as wide and `y` times as high."""
        return Box(self.x1 * x, self.y1 * y, self.x2 * x, self.y2 * y)

    def iou(self, other: "Box") -> float:
        """Return intersection over union with another box, 0..1."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)


@dataclass(frozen=True, slots=True)
class Detection:
    """A sign found in a picture: label (see signs.py; a user's model may have others), confidence 0..1 and box.

    `still`: the pixels there are those of the picture before, but for noise: it is no new evidence.
    """

    label: str
    score: float
    box: Box
    still: bool = field(default=False, compare=False)


class Picture(Protocol):
    """A picture in two sizes: the camera's own pixels, and what is published.

    `size` and `published_size` are width and height in pixels, of the upright picture. Pixels may be computed on first
    use: work for a thread, not for the event loop.
    """

    size: tuple[int, int]
    published_size: tuple[int, int]

    def pixels(self) -> NDArray[np.uint8]:
        """Return the camera's own pixels, (height, width, 3) uint8 BGR, not to be modified; from any thread."""
        ...

    def published(self) -> NDArray[np.uint8]:
        """Return the picture for observers, (height, width, 3) uint8 BGR, not to be modified; from any thread."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture from the camera, set upright.

    `truth` is the ground truth of a simulated or recorded source, in the camera's own pixels; no detector or policy
    reads it.
    """

    frame_id: str
    sequence: int
    picture: Picture = field(repr=False)
    taken_s: float
    taken_unix_s: float
    truth: tuple[Detection, ...] | None = field(default=None, repr=False)

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture for observers, (height, width, 3) uint8 BGR; work for a thread, not for the event loop."""
        return self.picture.published()

    @property
    def nbytes(self) -> int:
        """The memory of the picture, in bytes; bounds what waits for a slow observer."""
        width, height = self.picture.size
        return 3 * width * height


@dataclass(frozen=True, slots=True)
class Prediction:
    """The detections of one frame; `width`, `height` and all boxes are in the camera's own pixels.

    `published_size` is width and height of the picture that observers get; None where it is the camera's own.
    """

    frame_id: str
    sequence: int
    taken_s: float
    taken_unix_s: float
    width: int
    height: int
    detections: tuple[Detection, ...]
    inference_ms: float
    done_s: float
    published_size: tuple[int, int] | None = None

    def published(self) -> "Prediction":
        """Return the same in pixels of the picture that observers get."""
        width, height = self.published_size or (self.width, self.height)
        x, y = width / self.width, height / self.height
        found = tuple(replace(one, box=one.box.scaled(x, y)) for one in self.detections)
        return replace(self, width=width, height=height, detections=found, published_size=None)


class Action(StrEnum):
    """What a sign asks the train to do."""

    STOP = "stop"
    SLOW = "slow"
    CRUISE = "cruise"
    LIGHTS = "lights"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the signs ask of the train, published when that changes; `frame_id` is the frame that shows the sign."""

    decision_id: str
    frame_id: str | None
    decided_s: float
    taken_s: float | None
    action: Action
    power_percent: int
    sign: str | None
    reason: str


class GuardState(StrEnum):
    """The states of the guard; see control/guard.py for the transitions."""

    INIT = "init"
    DISARMED = "disarmed"
    ARMED_STOPPED = "armed_stopped"
    RUNNING = "running"
    STOPPING = "stopping"
    LINK_LOST = "link_lost"
    FAULT_LATCHED = "fault_latched"


class CommandKind(StrEnum):
    """What was written to the hub."""

    DRIVE = "drive"
    BRAKE = "brake"
    COAST = "coast"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class MotorCommand:
    """A motor or light command as it was written to the hub, with the decision and the frame that caused it."""

    command_id: str
    kind: CommandKind
    power_percent: int
    written_s: float
    reason: str
    decision_id: str | None = None
    frame_id: str | None = None
    taken_s: float | None = None


class Severity(StrEnum):
    """How bad a fault is: `stop` brakes, with `degraded` the train drives on, `info` is for information only."""

    INFO = "info"
    DEGRADED = "degraded"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something is wrong or, with `active` false, no longer so. The codes stand in faults.py and docs/operate.md.

    `event_id` identifies the event in every copy that leaves the train. `dataclasses.replace` gives another event
    another id.
    """

    code: str
    message: str
    remedy: str
    severity: Severity
    at_s: float
    active: bool = True
    event_id: str = field(default_factory=new_id, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class HubStatus:
    """The last known state of the hub; None for what it has not reported yet.

    `brake_confirmed` becomes true when the hub reports that it has executed the last brake, and false with the next
    motor write. `unanswered_s` is since when the hub has owed an answer to a motor write, None where it owes none.
    `answer_s` is the shortest time in which it has answered lately, 0 where that is not known.
    """

    connected: bool
    battery_percent: int | None = None
    voltage_mv: int | None = None
    current_ma: int | None = None
    rssi_dbm: int | None = None
    alerts: frozenset[str] = frozenset()
    button_pressed: bool = False
    brake_confirmed: bool = False
    name: str | None = None
    unanswered_s: float | None = None
    answer_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainState:
    """A snapshot for observers: the guard's state and its reason in words, the power written, the hub's status.

    `cruise_power_percent` is the power for driving where no sign asks for less; `capture_stopped` is whether capturing
    was stopped by command. `ended` says how the run ended, in the last snapshot of a run. `event_id`: see Fault.
    """

    train_id: str
    guard: GuardState
    reason: str
    power_percent: int
    hub: HubStatus
    at_s: float
    at_unix_s: float
    cruise_power_percent: int | None = None
    capture_stopped: bool = False
    ended: str = ""
    event_id: str = field(default_factory=new_id, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The outcome of a command from outside, accepted or refused.

    `channel` is where it came from (`mqtt`, `kafka`, `console`, ...) and `who` its sender, where that is known.
    `command_id` is the sender's id for it, `verb` what was commanded, as far as it could be read. `code` is the cause
    of a refusal, `state` the guard's state after the command or for which the guard refused it, `reason` explains
    either in words.
    """

    channel: str
    who: str | None
    command_id: str | None
    verb: str
    accepted: bool
    code: str | None
    state: str | None
    reason: str
    at_s: float
    event_id: str = field(default_factory=new_id, init=False, compare=False)


Event = Frame | Prediction | Decision | MotorCommand | Fault | TrainState | CommandResult
"""Everything that goes through the Fanout."""
