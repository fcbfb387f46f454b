"""Grabs a picture from the camera at each tick and puts it into the slot of the newest frame."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
import uuid_utils

from edge_agent.errors import FatalError, RetryableError
from edge_agent.events import Detection, Event, Frame
from edge_agent.faults import CAMERA_CHANGED, CAMERA_LAG_UNKNOWN, CAMERA_LATE, CAMERA_LOST, FaultReporter
from edge_agent.perception.camera.lag import LAG_UNKNOWN
from edge_agent.perception.vision import UPRIGHT, CameraPicture, Turn, fitted
from edge_agent.ports import Camera, Shot
from edge_agent.report import RunStats
from edge_agent.runtime.queues import Fanout, Latest, pace

_log = structlog.get_logger(__name__)

LATE_TICK_S = 0.010
"""A tick later than this is counted as late in the run report."""

LATE_PICTURE_S, PUNCTUAL_PICTURE_S = 0.2, 0.1
"""A picture with a larger lag is reported as late, until one with a smaller lag than the second comes."""


@dataclass(frozen=True, slots=True)
class CaptureParameters:
    """How frames are captured: rate, how to set them upright, and for how long a lost camera is tried again.

    `width` and `height` are those of the published picture in pixels: exactly, or with `keep_aspect` at most, so that
    it has the camera's shape. With a `retry_for_s` of None a lost camera is tried again forever.
    """

    fps: float
    width: int
    height: int
    retry_for_s: float | None = 60.0
    keep_aspect: bool = True
    turn: Turn = UPRIGHT


class Capture:
    """The first task of the pipeline: pictures in, frames out.

    Args:
        camera: an open camera.
        frames: the slot of the newest frame.
        observers: get a copy of each frame.
        faults: by the event loop's clock.
        clock: the event loop's clock.
    """

    def __init__(
        self,
        camera: Camera,
        frames: Latest[Frame],
        parameters: CaptureParameters,
        *,
        observers: Fanout[Event],
        stats: RunStats,
        faults: FaultReporter,
        clock: Callable[[], float],
    ) -> None:
        self._camera = camera
        self._frames = frames
        self._parameters = parameters
        self._observers = observers
        self._stats = stats
        self._faults = faults
        self._clock = clock
        self._paused = False
        self._last_serial: int | None = None
        self._size: tuple[int, ...] | None = None

    def pause(self, paused: bool) -> None:
        """Pause or resume capturing; without fresh frames the guard brakes."""
        self._paused = paused

    async def run(self) -> None:
        """Capture until the source has ended; raises FatalError when a lost camera does not come back in time."""
        async for tick in pace(1 / self._parameters.fps, self._clock):
            self._stats.tick(tick.late_s, LATE_TICK_S)
            if self._paused:
                continue
            try:
                shot = await self._camera.grab()
            except RetryableError as error:
                self._lost(error)
                continue
            if shot is None:
                return
            if self._faults.clear(CAMERA_LOST, "the camera is back"):
                _log.info("camera_back", source=self._camera.source)
            self._publish(shot)

    def _publish(self, shot: Shot) -> None:
        if shot.serial == self._last_serial:
            self._stats.repeated += 1
            return
        self._last_serial = shot.serial
        self._report_lag(shot.lag_s)
        if not self._fits(shot):
            self._stats.invalid += 1
            return
        frame = Frame(
            frame_id=str(uuid_utils.uuid7()),
            sequence=self._stats.captured,
            picture=self._picture(shot),
            taken_s=shot.taken_s,
            taken_unix_s=time.time() - (self._clock() - shot.taken_s),
            truth=_turned_truth(shot, self._turn(shot)),
        )
        self._stats.captured += 1
        self._frames.put(frame)
        self._observers.publish(frame)

    def _picture(self, shot: Shot) -> CameraPicture:
        room, turn = (self._parameters.width, self._parameters.height), self._turn(shot)
        upright = turn.size((shot.image.shape[1], shot.image.shape[0]))
        published = fitted(upright, room) if self._parameters.keep_aspect else room
        return CameraPicture(shot.image, published, turn)

    def _turn(self, shot: Shot) -> Turn:
        return UPRIGHT if shot.upright else self._parameters.turn

    def _report_lag(self, lag_s: float | None) -> None:
        if lag_s is None:
            self._faults.report(CAMERA_LAG_UNKNOWN, LAG_UNKNOWN)
        elif lag_s > LATE_PICTURE_S:
            self._faults.report(CAMERA_LATE, f"the camera's pictures arrive {lag_s:.1f} s late")
        elif lag_s < PUNCTUAL_PICTURE_S:
            self._faults.clear(CAMERA_LATE, "the camera's pictures are in time again")

    def _fits(self, shot: Shot) -> bool:
        """Return whether a picture is as large as the first one; the pictures of a folder may differ."""
        # Another size is another mode, crop or camera: distances would be misread.
        size = shot.image.shape
        if self._size is None or shot.any_size:
            self._size = size
        if size == self._size:
            self._faults.clear(CAMERA_CHANGED, "the pictures have their size again")
            return True
        self._faults.report(
            CAMERA_CHANGED,
            f"the camera's pictures are {_width_by_height(size)} now, and were {_width_by_height(self._size)}",
        )
        return False

    def _lost(self, error: RetryableError) -> None:
        if self._faults.report(CAMERA_LOST, error.message):
            _log.warning("camera_lost", source=self._camera.source, error=str(error))
        since_s, limit_s = self._faults.since_s(CAMERA_LOST), self._parameters.retry_for_s
        if limit_s is not None and since_s is not None and self._clock() - since_s > limit_s:
            raise FatalError(f"the camera '{self._camera.source}' was lost and did not come back in {limit_s:g} s")


def _width_by_height(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"


def _turned_truth(shot: Shot, turn: Turn) -> tuple[Detection, ...] | None:
    """Return the source's ground truth in pixels of the upright picture, None where it has none."""
    if shot.truth is None:
        return None
    size = shot.image.shape[1], shot.image.shape[0]
    return tuple(replace(one, box=turn.box(one.box, size)) for one in shot.truth)
