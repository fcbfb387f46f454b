"""The train under way inside the machine: armed and driving at a moment, its motor's history afterwards."""

import random
import time
from collections.abc import Mapping

from . import service
from .history import last_drive_s
from .order import order
from .service import NotHeldError, until

SETTINGS: Mapping[str, str] = {
    "EDGE_AGENT_HUB__KIND": "ble",
    "EDGE_AGENT_CAPTURE__SOURCE": "/dev/video0",
    # Inference takes most of the one processor here; what the detector sees is not what is tried.
    "EDGE_AGENT_DETECTOR__BACKEND": "none",
    "EDGE_AGENT_CONSOLE__TOKEN": service.TOKEN,
    # The outer machine may be busy for a moment: a train that stops for that measures nothing.
    "EDGE_AGENT_GUARD__LOOP_STALL_MS": "1000",
}
"""All else as shipped: the guard's and the hub's limits are the product's own."""

FAST_PERCENT = 50
TRIES = 5
"""A busy machine may stop the train before the fault does."""

PHASE_S = 0.2
"""Faults are spread over this time: longer than the periods of guard, keep-alive and radio."""


def start() -> None:
    """Start the service with the hub on the air."""
    service.configure(SETTINGS)
    service.run("systemctl", "start", "--no-block", service.UNIT)


def set_off() -> None:
    """Have the train drive, whatever was before: start, re-arm, arm, order, until it is fast. Then a random moment."""
    if service.show("ActiveState") in {"inactive", "failed"}:
        service.run("systemctl", "reset-failed", service.UNIT, check=False)
        service.run("systemctl", "start", "--no-block", service.UNIT)

    def drives() -> bool:
        state = service.order("drive").get("state")
        if state == "fault_latched":
            service.order("rearm", reason="the trial before is over")
        if state == "disarmed":
            service.order("arm")
        return fast()

    for _ in range(TRIES):
        until(drives, "the train drives", limit_s=90, every_s=0.3)
        time.sleep(0.5 + random.uniform(0, PHASE_S))  # noqa: S311
        if fast():
            return
    raise NotHeldError(f"it does not go on driving: {service.status()}")


def fast() -> bool:
    """Tell whether the motor has its power."""
    hub = order("status")
    return hub["motor"] == "drive" and hub["power_percent"] >= FAST_PERCENT


def stopped_ms(at_s: float) -> float:
    """Return the milliseconds from a moment until the motor last ceased to drive; raises NotHeldError if it drives."""
    history = order(f"history {at_s - 60}")["history"]
    stopped_s = last_drive_s(history, at_s)
    if stopped_s == float("inf"):
        raise NotHeldError("the motor still drives")
    if stopped_s == at_s:
        raise NotHeldError("the motor stood before the fault")
    return (stopped_s - at_s) * 1000
