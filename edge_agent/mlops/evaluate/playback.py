"""Play films through the product's own path, on a virtual clock: capture, detector, tracks and policy; no motor.

What is measured here is what the train would do: the pictures are taken at the settings' rate and in their size, by the
detector that would drive on this machine, and the same policy decides.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from edge_agent.control import policy
from edge_agent.errors import ConfigError
from edge_agent.events import Box, Detection, Event, Frame, Prediction
from edge_agent.faults import FaultReporter
from edge_agent.mlops.films import Film
from edge_agent.perception.camera import ImagesReader, RecordedCamera, VideoReader
from edge_agent.perception.camera.recorded import PictureReader, RecordedPicture
from edge_agent.pipeline import Capture, CaptureParameters, DetectorWorker, Inference
from edge_agent.ports import Detector, EventSource
from edge_agent.report import RunStats
from edge_agent.runtime.queues import Fanout, Latest
from edge_agent.simulation.clock import run_virtual

OVERLAP = 0.1
"""A sign acted where its box and the truth's have this IoU: boxes of small signs are loose."""

# Frames that wait for their prediction; two at most on a virtual clock.
_WAITING = 100


@dataclass(frozen=True, slots=True)
class PlaybackOptions:
    """How films are played: as the settings say. `modelled_s` is how long an inference takes on the virtual clock."""

    capture: CaptureParameters
    tuning: policy.Tuning
    max_age_s: float
    modelled_s: float


@dataclass(frozen=True, slots=True)
class FilmAction:
    """A sign acted: its label, the film's picture that it acted in, when it was decided, and where it was seen.

    `at_s` counts from the film's first picture; `sign` is the index of the film's sign in whose place it was seen, None
    where the truth has none there.
    """

    label: str
    picture: int
    at_s: float
    sign: int | None


@dataclass(frozen=True, slots=True)
class Played:
    """What happened in one film: the actions, and when each picture was taken, in seconds from the first."""

    actions: tuple[FilmAction, ...]
    taken_s: dict[int, float]
    length_s: float


def play(
    films: Iterable[Film], opener: Callable[[], Detector], options: PlaybackOptions, tick: Callable[[], None]
) -> list[Played]:
    """Play all films with one detector; `tick` is called after each. Raises ConfigError for a film without pictures."""
    return run_virtual(_play_all(films, opener, options, tick))


async def _play_all(
    films: Iterable[Film], opener: Callable[[], Detector], options: PlaybackOptions, tick: Callable[[], None]
) -> list[Played]:
    played = []
    async with DetectorWorker(opener, modelled_s=options.modelled_s) as worker:
        for film in films:
            played.append(await _play(film, worker, options))
            tick()
    return played


async def _play(film: Film, worker: DetectorWorker, options: PlaybackOptions) -> Played:
    clock = asyncio.get_running_loop().time
    reader = _TruthReader(film, options.capture.fps)
    frames, observers, stats = Latest[Frame](), Fanout[Event](), RunStats(started_s=clock())
    faults = FaultReporter(lambda report: None, clock)
    witness = _Witness(film, options.tuning, reader, clock)
    camera = RecordedCamera(str(film.path), reader, any_size=film.path.is_dir())
    capture = Capture(
        camera,
        frames,
        options.capture,
        observers=observers,
        stats=stats,
        faults=faults,
        clock=clock,
    )
    inference = Inference(
        frames,
        worker,
        max_age_s=options.max_age_s,
        deliver=witness.on_prediction,
        observers=observers,
        stats=stats,
        faults=faults,
        clock=clock,
    )
    async with camera, asyncio.TaskGroup() as group:
        events = observers.subscribe("witness", _WAITING, (Frame,))
        tasks = [group.create_task(inference.run()), group.create_task(witness.follow(events))]
        await capture.run()
        await asyncio.sleep(options.max_age_s)  # the last picture's decision
        for task in tasks:
            task.cancel()
    if stats.invalid:
        raise ConfigError(
            f"{film.path}: {inference.trouble or f'{stats.invalid} of its pictures are of another size'}",
            remedy="make one film of each size",
        )
    return witness.played(1 / options.capture.fps)


class _TruthReader:
    """Implements recorded.PictureReader on a film: puts the signs' boxes beside each picture."""

    def __init__(self, film: Film, fps: float) -> None:
        self._film = film
        self._reader: PictureReader = ImagesReader(film.path) if film.path.is_dir() else VideoReader(film.path, fps)
        self.numbers: list[int] = []
        """The film's pictures in the order in which they were captured."""

    @property
    def notes(self) -> list[str]:
        return self._reader.notes

    @property
    def damaged(self) -> bool:
        return self._reader.damaged

    def open(self) -> None:
        self._reader.open()

    def read(self) -> RecordedPicture | None:
        picture = self._reader.read()
        if picture is None:
            return None
        if not self.numbers or picture.number != self.numbers[-1]:
            self.numbers.append(picture.number)
        places = signs_in(self._film, picture.number)
        return replace(picture, truth=tuple(Detection(self._film.signs[one].label, 1.0, box) for one, box in places))

    def close(self) -> None:
        self._reader.close()


def signs_in(film: Film, picture: int) -> list[tuple[int, Box]]:
    """Return the signs that are in a picture of a film, by index, and where."""
    found = ((index, sign.box_at(picture)) for index, sign in enumerate(film.signs))
    return [(index, box) for index, box in found if box is not None]


class _Witness:
    """Feeds predictions to the policy, as the train's control does, and notes what acts and where."""

    def __init__(self, film: Film, tuning: policy.Tuning, reader: _TruthReader, clock: Callable[[], float]) -> None:
        self._film, self._tuning, self._reader, self._clock = film, tuning, reader, clock
        self._memory = policy.PolicyMemory()
        self._frames: dict[str, tuple[int, tuple[Detection, ...]]] = {}
        self._taken_s: dict[int, float] = {}
        self._actions: list[FilmAction] = []

    async def follow(self, events: EventSource) -> None:
        """Remember which picture each frame is, and the truth in its pixels."""
        while True:
            frame = await events.get()
            assert isinstance(frame, Frame)  # noqa: S101 - subscribed to frames only
            number = self._reader.numbers[frame.sequence]
            self._frames = {frame.frame_id: (number, frame.truth or ())}
            self._taken_s[number] = frame.taken_s

    def on_prediction(self, prediction: Prediction) -> None:
        """Let the policy observe a prediction, and note the signs that act."""
        number, truth = self._frames[prediction.frame_id]
        now_s = self._clock()
        self._memory, acted = policy.observe(self._memory, prediction, now_s, self._tuning)
        for output in acted:
            place = None if output.box is None else self._place(output.box, number, truth)
            self._actions.append(FilmAction(output.sign or "", number, now_s - self._began_s, place))

    @property
    def _began_s(self) -> float:
        return next(iter(self._taken_s.values()))

    def _place(self, box: Box, number: int, truth: tuple[Detection, ...]) -> int | None:
        """Return the index of the sign in whose place a box lies."""
        # The truth has the order in which the reader listed the signs.
        indices = [index for index, _ in signs_in(self._film, number)]
        overlaps = [(box.iou(sign.box), index) for sign, index in zip(truth, indices, strict=True)]
        overlap, index = max(overlaps, default=(0.0, -1))
        return index if overlap >= OVERLAP else None

    def played(self, period_s: float) -> Played:
        """Return what happened; a film lasts until its last picture's period is over."""
        taken_s = {number: taken_s - self._began_s for number, taken_s in self._taken_s.items()}
        return Played(tuple(self._actions), taken_s, max(taken_s.values()) + period_s)
