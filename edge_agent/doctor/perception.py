"""Checks of camera and detector: the source gives a picture, the model runs and knows the signs of the rules."""

import os
import time

import numpy as np

from edge_agent.config import Settings, check_labels, load_rules
from edge_agent.config.control import CaptureSettings
from edge_agent.doctor.check import CheckResult, fail, in_thread, ok, warn
from edge_agent.faults import CAMERA_LAG_UNKNOWN, DETECTOR_FINDS_NOTHING
from edge_agent.perception.camera import LiveTimeouts, open_camera
from edge_agent.perception.camera.lag import LAG_UNKNOWN
from edge_agent.perception.detector import open_fastest
from edge_agent.perception.detector.samples import samples_problem
from edge_agent.perception.detector.tensorrt.cache import cache_dir
from edge_agent.perception.detector.trial import try_model


async def check_camera(settings: CaptureSettings) -> CheckResult:
    """Open the source and take one picture."""
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
        shot = await camera.grab()
    if shot is None:
        return fail(f"{camera.source} gave no picture", "name a source that has pictures")
    height, width = shot.image.shape[:2]
    found = (
        f"{camera.source} gives {width}x{height}, first picture after {1000 * (time.perf_counter() - started):.0f} ms"
    )
    if shot.lag_s is None:
        return warn(f"{found}; {LAG_UNKNOWN}", CAMERA_LAG_UNKNOWN.remedy)
    return ok(found)


async def check_detector(settings: Settings) -> CheckResult:
    """Load the model, run it on one picture, and check that it knows every sign of the rules."""
    rules = load_rules(settings.policy.rules)
    if settings.detector.backend == "none":
        return warn("off: no signs are seen or obeyed", "set detector.backend to auto")
    info, inference_ms, labels, problem = await in_thread(lambda: _try_detector(settings))
    check_labels(rules, labels)
    if problem:
        return warn(f"{info}: {problem}", DETECTOR_FINDS_NOTHING.remedy)
    found = f"{info}, {inference_ms:.0f} ms a frame, knows the {len(rules.signs)} signs of {rules.source}"
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
