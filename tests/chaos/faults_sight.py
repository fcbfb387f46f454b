"""Faults of the camera, of the detector and of what the signs say."""

import asyncio
from collections.abc import Sequence

from edge_agent.events import Decision, Detection

from . import eyes, film
from .eyes import sign
from .stage import Scene
from .trial import Inject, Trial, staged, undisturbed

BLIND = "no fresh picture was understood"
FRAME_MS = 100.0


def _camera(mode: film.Mode) -> Inject:
    async def inject(scene: Scene) -> None:
        scene.mark()
        scene.film.mode = mode

    return inject


def _detector(mode: eyes.Mode) -> Inject:
    async def inject(scene: Scene) -> None:
        scene.mark()
        scene.eyes.mode = mode

    return inject


def _seen(*script: Sequence[Detection]) -> Inject:
    """Have the detector see this; the fault is taken to be the picture that settled it."""

    async def inject(scene: Scene) -> None:
        scene.mark()
        scene.eyes.script = [*map(tuple, script)]
        await scene.until(lambda: _decision(scene), "a sign is obeyed")
        decision = _decision(scene)
        assert decision is not None
        assert decision.taken_s is not None
        scene.fault_s = decision.taken_s

    return inject


def _decision(scene: Scene) -> Decision | None:
    return next((d for d in scene.listener.decisions if d.decided_s >= scene.fault_s and d.sign == "stop"), None)


async def _strangers(scene: Scene) -> None:
    scene.mark()
    scene.eyes.script = [(sign("giraffe"),)]
    await asyncio.sleep(1.0)
    assert scene.view.stats.unknown_signs > 0, "an unknown sign is counted"


STOP, FIFTY, GIRAFFE = sign("stop"), sign("speed_limit_50", x_px=300), sign("giraffe", x_px=400)

TRIALS: tuple[Trial, ...] = (
    staged("camera: a read blocks", "brakes", 450, _camera(film.Mode.BLOCKED), because=BLIND),
    staged("camera: frozen frame", "brakes", 450, _camera(film.Mode.FROZEN), because=BLIND),
    staged("camera: old buffers replayed", "brakes", 450, _camera(film.Mode.OLD_BUFFER), because=BLIND),
    staged("camera: unplugged", "brakes", 450, _camera(film.Mode.UNPLUGGED), because=BLIND),
    staged("camera: wrong size", "brakes", 450, _camera(film.Mode.WRONG_SIZE), because=BLIND),
    staged("inference hangs", "brakes", 450, _detector(eyes.Mode.HANGING), because=BLIND),
    staged("inference raises", "brakes, and the process ends", 450, _detector(eyes.Mode.RAISING), dies_of=RuntimeError),
    staged("inference returns NaN", "brakes", 450, _detector(eyes.Mode.NAN), because=BLIND),
    staged("sign flickers", "obeys it", FRAME_MS, _seen([STOP], [], [STOP], [], [STOP], []), because="stop sign"),
    staged("two signs in conflict", "obeys the stop", FRAME_MS, _seen([FIFTY, STOP]), because="stop sign"),
    staged("unknown sign beside a stop", "obeys the stop", FRAME_MS, _seen([GIRAFFE, STOP]), because="stop sign"),
    undisturbed("unknown sign alone", "drives on, counts it", _strangers),
)
