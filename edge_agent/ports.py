"""The ports of the control path, as Protocols: Camera, Detector, Hub and Sink.

Adapters on the layers above implement them: real devices, the simulator and mocks alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Detection, Event, HubStatus


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture as it came from the camera: (height, width, 3) uint8 BGR of any size.

    `taken_s` is the loop's clock at the exposure, as precisely as the adapter knows it. `serial` grows by one with each
    new picture of the source, so that the same picture returned twice is recognised. `truth` is the ground truth, where
    the source has one. `lag_s` is by how much a stream's picture is later than its fastest one, in seconds, and is
    counted in `taken_s`; None where the stream has no time stamps, so that its age cannot be known. `any_size` is
    True where pictures may differ in size, as in a folder. `upright` is True where nothing is to be turned, however the
    camera is mounted: in the simulator, and in recordings of the agent, which are set upright.
    """

    image: NDArray[np.uint8] = field(repr=False)
    taken_s: float
    serial: int
    truth: tuple[Detection, ...] | None = field(default=None, repr=False)
    lag_s: float | None = 0.0
    any_size: bool = False
    upright: bool = False


class Camera(Protocol):
    """A source of pictures. Blocking calls are threaded inside the adapter."""

    source: str
    """What the user asked for: `sim`, `0`, `/dev/video0`, `rtsp://...`, a file or a folder."""
    live: bool
    """True for a device, a stream, or the simulator in real time: pictures may be missed."""

    async def __aenter__(self) -> Self:
        """Open the source; raises ConfigError or RetryableError with a remedy when it cannot."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source; never raises and never blocks the loop."""
        ...

    async def grab(self) -> Shot | None:
        """Return the newest picture (live) or the next one (file, folder); None when the source has ended.

        Returns promptly: a live source that has nothing new returns the last picture again (same `serial`) or waits for
        at most one frame period. Raises RetryableError when the device is gone; a later call may succeed again.
        """
        ...


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """Backend (`onnxruntime`, `tensorrt`, ...), file name and sha256 of the model, input size, labels by class id."""

    backend: str
    model: str
    sha256: str
    input_width: int
    input_height: int
    labels: tuple[str, ...]


class Detector(Protocol):
    """Finds signs in a picture. All calls, `close` included, come from the same worker thread."""

    info: DetectorInfo

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Find signs in a (height, width, 3) uint8 BGR picture; boxes in its pixels, highest score first.

        Raises FatalError when the network's output is not a number (NaN, infinity) or of another shape.
        """
        ...

    def close(self) -> None:
        """Release the backend's resources."""
        ...


@dataclass(frozen=True, slots=True)
class HubEvent:
    """An event of the hub; `detail` is its name or reason.

    `kind` is `connected`, `disconnected`, `button_pressed`, `alert`, `refused` (a command to the motor was refused) or
    `shared` (a command to the motor was carried out that the agent has not written).
    """

    kind: str
    detail: str = ""


class Hub(Protocol):
    """The actuator: one train motor, one light. Only the driver calls `drive`, `brake` and `coast`.

    Every write raises RetryableError when the link is lost or the call takes longer than its time limit.
    """

    name: str

    async def __aenter__(self) -> Self:
        """Start connecting, and reconnecting forever, in the background; the first write on a link is a brake."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Brake if connected, then disconnect; never raises."""
        ...

    def status(self) -> HubStatus:
        """Return the last known state, without I/O."""
        ...

    def subscribe(self, callback: Callable[[HubEvent], None]) -> None:
        """Call `callback` in the event loop for each HubEvent."""
        ...

    async def drive(self, power_percent: int) -> None:
        """Set the motor's power, -100..100; 0 coasts."""
        ...

    async def brake(self) -> None:
        """Brake the motor; returns when the write has been accepted, not when the hub confirms it."""
        ...

    def emergency_brake(self) -> None:
        """Brake from any thread, without the event loop (it may be stuck); powers are refused until the next `brake`.

        May block for some tenths of a second. Raises RetryableError when the write failed.
        """
        ...

    def give_up(self, reason: str) -> None:
        """Drop a link on which the hub does not answer, in the quickest way that stops the motor; it connects anew."""
        ...

    async def light(self, brightness_percent: int) -> None:
        """Set the head light, 0..100."""
        ...

    async def show(self, colour: str) -> None:
        """Show a colour on the hub's RGB light: off, pink, purple, blue, cyan, green, yellow, orange, red or white."""
        ...


class Sink(Protocol):
    """An observer: gets copies of events from a bounded queue. The control path never waits for it."""

    name: str

    async def run(self, events: "EventSource") -> None:
        """Consume until cancelled."""
        ...


class EventSource(Protocol):
    """The reading end of a Fanout subscription."""

    dropped: int

    async def get(self) -> Event:
        """Wait for the next event."""
        ...

    def __len__(self) -> int:
        """Return the number of events that wait."""
        ...
