"""Checks of camera and detector: the source gives pictures, the model runs, knows the signs and sees them upright."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.config import Settings, at_working_point, check_labels, load_rules, threshold_note
from edge_agent.config.control import CaptureSettings
from edge_agent.doctor.check import CheckResult, fail, in_thread, ok, warn
from edge_agent.errors import RetryableError
from edge_agent.faults import CAMERA_LAG_UNKNOWN, DETECTOR_FINDS_NOTHING
from edge_agent.perception.camera import LiveTimeouts, open_camera
from edge_agent.perception.camera.lag import LAG_UNKNOWN
from edge_agent.perception.detector import open_fastest, suggested_threshold
from edge_agent.perception.detector.samples import samples_problem
from edge_agent.perception.detector.tensorrt.cache import cache_dir
from edge_agent.perception.detector.trial import try_model
from edge_agent.perception.vision import Turn
from edge_agent.perception.vision.letterbox import PAD_GREY
from edge_agent.ports import Camera, Detector, Shot

PICTURES = 5
"""How many pictures of a source are looked at."""

# The colours of 99% of a picture's places are closer together than this (largest less smallest of blue, green and red,
# after both pictures' means are made equal) where the camera gives no colour. Real pictures of the track reach 40.
_GREY = 12
# Brightness varies by less than this over a picture that shows nothing; real ones by 33 and more.
_BLANK = 6.0

# Turns that are tried, clockwise in degrees; a camera that is rolled by 25 to 30 is better by 20 too.
_TURNS = (90, 180, 270, -20, 20)
# A detection with this score is evidence. A turn is better where its scores add up, in the mean picture, to so many
# times those of the picture as it is and so much more, and to at least the last: a false sign has less.
_EVIDENCE, _TIMES, _MORE, _LEAST = 0.5, 1.25, 0.5, 0.8


class TakenPictures:
    """The pictures that the camera's check has taken, set upright, for the check of what they show.

    A device cannot be opened twice, and the checks run at once.
    """

    def __init__(self) -> None:
        self._images: tuple[NDArray[np.uint8], ...] = ()
        self._taken = asyncio.Event()

    def put(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Hand over what could be taken."""
        self._images = tuple(images)
        self._taken.set()

    async def get(self) -> tuple[NDArray[np.uint8], ...]:
        """Wait for the camera's check to end; empty where it has no picture."""
        await self._taken.wait()
        return self._images


async def check_camera(settings: CaptureSettings, taken: TakenPictures | None = None) -> CheckResult:
    """Open the source and take a few pictures."""
    shots: list[Shot] = []
    try:
        return await _take(settings, shots)
    finally:
        if taken is not None:
            turn = Turn(settings.rotate, settings.flip)
            taken.put([shot.image if shot.upright else turn.pixels(shot.image) for shot in shots])


async def _take(settings: CaptureSettings, shots: list[Shot]) -> CheckResult:
    if settings.source == "sim":
        return ok("the simulated world needs none")
    started = time.perf_counter()
    camera = open_camera(
        settings.source,
        fps=settings.fps,
        width_hint=settings.camera_width,
        height_hint=settings.camera_height,
        timeouts=LiveTimeouts(open_s=settings.open_timeout_s),
    )
    async with camera:
        first = await camera.grab()
        first_ms = 1000 * (time.perf_counter() - started)
        if first is not None:
            shots += [first, *await _more(camera)]
    if first is None:
        return fail(f"{camera.source} gave no picture", "name a source that has pictures")
    height, width = first.image.shape[:2]
    found = f"{camera.source} gives {width}x{height}, first picture after {first_ms:.0f} ms"
    if first.lag_s is None:
        return warn(f"{found}; {LAG_UNKNOWN}", CAMERA_LAG_UNKNOWN.remedy)
    return ok(found)


async def _more(camera: Camera) -> list[Shot]:
    """Return the next pictures of a source, until it has ended or fails."""
    shots: list[Shot] = []
    while len(shots) < PICTURES - 1:
        try:
            shot = await camera.grab()
        except RetryableError:
            break
        if shot is None:
            break
        shots.append(shot)
    return shots


async def check_picture(settings: Settings, taken: TakenPictures) -> CheckResult:
    """Look at what the pictures show: colour, and signs that stand upright."""
    if settings.capture.source == "sim":
        return ok("the simulated world is in colour and upright")
    images = await taken.get()
    if not images:
        return warn("there is none to look at", "see what is said of the camera")
    if all(_is_blank(image) for image in images):
        return warn("it is dark or shows nothing", "take the lens cap off, and give the track light")
    if all(_is_grey(image) for image in images):
        return warn("it has no colour, by which signs are told apart", "switch the camera's night or infrared mode off")
    if settings.detector.backend == "none":
        return ok("in colour; without a detector nothing else can be said")
    return await in_thread(lambda: _look_for_signs(settings, images))


def _is_blank(image: NDArray[np.uint8]) -> bool:
    return float(_small(image).std()) < _BLANK


def _is_grey(image: NDArray[np.uint8]) -> bool:
    # A night picture may have a tint: one colour everywhere.
    small = _small(image).astype(np.float64)
    balanced = small * (small.mean() / np.maximum(small.mean(axis=(0, 1)), 1.0))
    return float(np.percentile(np.ptp(balanced, axis=2), 99)) < _GREY


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Averaging over an area removes the noise of single pixels, and the colour that a JPEG adds at edges.
    return np.asarray(cv2.resize(image, (80, 60), interpolation=cv2.INTER_AREA), np.uint8)


def _look_for_signs(settings: Settings, images: Sequence[NDArray[np.uint8]]) -> CheckResult:
    """Find signs in the pictures as they are and turned; in the right one there are more, and surer ones."""
    try_model(settings.detector.model)
    # The score that was measured with, whatever this train asks for.
    wanted = settings.detector.model_copy(update={"threshold": _EVIDENCE})
    detector = open_fastest(wanted, cache_dir(os.environ, settings.state.directory))
    try:
        found = [_found_by_turn(detector, image) for image in images]
    finally:
        detector.close()
    turn = better_turn(found)
    if turn == 0:
        seen = any(scores[0] for scores in found)
        return ok("in colour and upright" if seen else "in colour; no sign is in view to tell whether it is upright")
    if turn in {90, 180, 270}:
        capture = settings.capture
        rotate = (capture.rotate + (-turn if capture.flip else turn)) % 360
        where = "upside down" if turn == 180 else "on its side"
        return warn(f"it is {where}: signs are found when it is turned", f"set capture.rotate to {rotate}")
    way = "anticlockwise" if turn > 0 else "clockwise"
    return warn(
        "it is rolled: more signs are found when it is turned a little", f"turn the camera {way}, seen from behind it"
    )


def better_turn(found: Sequence[Mapping[int, float]]) -> int:
    """Return by how many degrees clockwise the pictures must be turned so that clearly more signs are found; 0 if none.

    `found` has for each picture the sum of the signs' scores by turn, 0 included.
    """
    telling = [scores for scores in found if any(scores.values())]
    if not telling:
        return 0
    mean = {turn: sum(scores[turn] for scores in telling) / len(telling) for turn in telling[0]}
    turn = max(mean, key=mean.__getitem__)
    return turn if mean[turn] >= max(_TIMES * mean[0] + _MORE, _LEAST) else 0


def _found_by_turn(detector: Detector, image: NDArray[np.uint8]) -> dict[int, float]:
    """Return the sum of the scores of what is found, for each turn of a (height, width, 3) uint8 BGR picture."""
    return {turn: sum(one.score for one in detector.infer(_turned(image, turn))) for turn in (0, *_TURNS)}


def _turned(image: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """Return a picture turned clockwise; its size stays where the angle is not a right one."""
    if degrees % 90 == 0:
        return Turn(degrees).pixels(image)
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    grey = (PAD_GREY,) * 3
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderValue=grey), np.uint8)


async def check_detector(settings: Settings) -> CheckResult:
    """Load the model, run it on one picture, and check that it knows every sign of the rules."""
    rules = load_rules(settings.policy.rules)
    if settings.detector.backend == "none":
        return warn("off: no signs are seen or obeyed", "set detector.backend to auto")
    suggested = await in_thread(lambda: suggested_threshold(settings.detector))
    at_working_point(settings.detector, rules, suggested)
    info, inference_ms, labels, problem = await in_thread(lambda: _try_detector(settings))
    check_labels(rules, labels)
    if problem:
        return warn(f"{info}: {problem}", DETECTOR_FINDS_NOTHING.remedy)
    found = f"{info}, {inference_ms:.0f} ms a frame, knows the {len(rules.signs)} signs of {rules.source}"
    if note := threshold_note(settings.detector, rules, suggested):
        return warn(f"{found}; {note}", "set min_score of the signs in the sign rules: it alone decides")
    # 0.8 of the frame period: the rest is for everything else between camera and motor.
    if inference_ms > 0.8 * 1000 / settings.capture.fps:
        return warn(found, f"too slow for {settings.capture.fps:g} frames a second: lower capture.fps")
    return ok(found)


def _try_detector(settings: Settings) -> tuple[str, float, tuple[str, ...], str]:
    """Return the model's description, the ms a picture takes, the labels and what is wrong; all in one thread."""
    try_model(settings.detector.model)
    detector = open_fastest(settings.detector, cache_dir(os.environ, settings.state.directory))
    try:
        grey = np.full((settings.capture.camera_height, settings.capture.camera_width, 3), 127, np.uint8)
        detector.infer(grey)  # the first run also allocates memory
        started = time.perf_counter()
        detector.infer(grey)
        inference_ms = 1000 * (time.perf_counter() - started)
        info, problem = detector.info, samples_problem(detector)
    finally:
        detector.close()
    return f"{info.model} on {info.backend} (sha256 {info.sha256[:12]})", inference_ms, info.labels, problem
