"""Checks of everything the train needs, each with a result and a remedy.

Comes in: the settings and the environment. Goes out: one CheckResult for each check. The checks run at once in the
event loop, blocking work in daemon threads. None changes anything or moves the train.
"""

import os
from collections.abc import Mapping

from edge_agent.config import Settings
from edge_agent.doctor import connections, perception, system
from edge_agent.doctor.check import Check, CheckResult, Status, run_checks
from edge_agent.runtime import resources

__all__ = ["Check", "CheckResult", "Status", "all_checks", "run_checks"]


def all_checks(settings: Settings, environ: Mapping[str, str]) -> tuple[Check, ...]:
    """Return the checks for these settings, in the order in which they are printed."""
    state = settings.state.directory or resources.state_dir(environ)
    taken = perception.TakenPictures()
    return (
        Check("python", 2, lambda: system.check_python(os.cpu_count() or 1)),
        Check("camera", settings.capture.open_timeout_s + 5, lambda: perception.check_camera(settings.capture, taken)),
        Check("detector", 60, lambda: perception.check_detector(settings)),
        Check("picture", 90, lambda: perception.check_picture(settings, taken)),
        Check("hub", 5, lambda: connections.check_hub(settings.hub)),
        Check("mqtt", 10, lambda: connections.check_mqtt(settings.mqtt, default_id=settings.train.id_is_default)),
        Check("kafka", 10, lambda: connections.check_kafka(settings.kafka)),
        Check("console", 5, lambda: connections.check_console(settings)),
        Check("gpu", 30, lambda: system.check_gpu(settings)),
        Check("disk", 5, lambda: system.check_disk(state, settings.guard.min_free_disk_mb)),
        Check("clock", 5, system.check_clock),
    )
