"""Faults of the camera and of the detector, and contradicting signs."""

import asyncio
from collections.abc import Sequence

from edge_agent.events import Decision, Detection

from . import fake_camera, fake_detector
from .fake_detector import sign
from .rig import Rig
from .trial import Inject, Trial, fault_trial, harmless_trial

BLIND = "no fresh picture was understood"
FRAME_MS = 100.0


def _camera(mode: fake_camera.Mode) -> Inject:
    async def inject(rig: Rig) -> None:
        rig.mark()
        rig.camera.mode = mode

    return inject


def _detector(mode: fake_detector.Mode) -> Inject:
    async def inject(rig: Rig) -> None:
        rig.mark()
        rig.detector.mode = mode

    return inject


def _seen(*script: Sequence[Detection]) -> Inject:
    """Make the detector return these; the fault begins with the frame in which the sign was confirmed."""

    async def inject(rig: Rig) -> None:
        rig.mark()
        rig.detector.script = [*map(tuple, script)]
        await rig.until(lambda: _decision(rig), "a sign acts")
        decision = _decision(rig)
        assert decision is not None
        assert decision.taken_s is not None
        rig.fault_s = decision.taken_s

    return inject


def _decision(rig: Rig) -> Decision | None:
    return next((d for d in rig.listener.decisions if d.decided_s >= rig.fault_s and d.sign == "stop"), None)


async def _unknown_sign(rig: Rig) -> None:
    rig.mark()
    rig.detector.script = [(sign("giraffe"),)]
    await asyncio.sleep(1.0)
    assert rig.view.stats.unknown_signs > 0, "an unknown sign is counted"


STOP, FIFTY, GIRAFFE = sign("stop"), sign("speed_limit_50", x_px=300), sign("giraffe", x_px=400)

TRIALS: tuple[Trial, ...] = (
    fault_trial("camera: a read blocks", "brakes", 450, _camera(fake_camera.Mode.BLOCKED), reason=BLIND),
    fault_trial("camera: frozen frame", "brakes", 450, _camera(fake_camera.Mode.FROZEN), reason=BLIND),
    fault_trial("camera: old buffers replayed", "brakes", 450, _camera(fake_camera.Mode.OLD_BUFFER), reason=BLIND),
    fault_trial("camera: unplugged", "brakes", 450, _camera(fake_camera.Mode.UNPLUGGED), reason=BLIND),
    fault_trial("camera: wrong size", "brakes", 450, _camera(fake_camera.Mode.WRONG_SIZE), reason=BLIND),
    fault_trial("inference hangs", "brakes", 450, _detector(fake_detector.Mode.HANGING), reason=BLIND),
    fault_trial(
        "inference raises",
        "brakes, and the process ends",
        450,
        _detector(fake_detector.Mode.RAISING),
        dies_of=RuntimeError,
    ),
    fault_trial("inference returns NaN", "brakes", 450, _detector(fake_detector.Mode.NAN), reason=BLIND),
    fault_trial("sign flickers", "obeys it", FRAME_MS, _seen(*[[STOP], []] * 20), reason="stop sign"),
    fault_trial("two signs in conflict", "obeys the stop", FRAME_MS, _seen([FIFTY, STOP]), reason="stop sign"),
    fault_trial("unknown sign beside a stop", "obeys the stop", FRAME_MS, _seen([GIRAFFE, STOP]), reason="stop sign"),
    harmless_trial("unknown sign alone", "drives on, counts it", _unknown_sign),
)
