"""How long each part of the benchmark takes, and the settings that it runs the agent with.

Knows seconds and settings. Knows nothing of how anything is measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.config import Settings, load

LEAST_FOR_P99 = 6000
"""Samples below which a 99th percentile is only an indication."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of one block of each kind, how often the blocks go there and back, and counts.

    `arms` is the paced comparison (goals 1, 2, 4, 6), `flat` flat out, `five` the five processes, `slow` the detector
    that is too slow, `idle` the idle loop, `memory` the one long run, `starts` how many starts of each kind, `ticks`
    and `tick_s` the pace, `scale_s` each crowd of agents, `holed_s` two agents whose memory is compared.
    """

    arms_s: float
    arm_rounds: int
    flat_s: float
    five_s: float
    five_rounds: int
    slow_s: float
    idle_s: float
    memory_s: float
    starts: int
    ticks: int
    tick_s: float
    scale_s: float
    holed_s: float


QUICK = Plan(5, 1, 2, 4, 1, 8, 3, 10, 1, 1_000, 0.01, 6, 6)
"""Two minutes: what can be seen at once."""
FULL = Plan(78, 4, 10, 15, 2, 150, 15, 600, 8, 36_000, 0.01, 30, 60)
"""A little more than an hour: over 6,000 frames in each arm of the paced comparison, 36,000 frames for memory."""

_LENIENT: Mapping[str, object] = {
    # A pause is to be measured, not to end the drive: the limits are as wide as they go.
    "capture.source": "memory",
    "capture.max_age_ms": 5000,
    "hub.kind": "mock",
    "guard.arm": "always",
    "guard.lease_ms": 2000,
    "guard.latch_ms": 60_000,
    "guard.loop_stall_ms": 2000,
    "guard.min_free_disk_mb": 0,
    "console.enabled": False,
    "console.metrics": False,
    "log.level": "error",
}


def bench_settings(changes: Mapping[str, object]) -> Settings:
    """Return the shipped settings with guards that do not end a drive on a busy machine, no page, and `changes`."""
    return load(None, {**_LENIENT, **changes}, profile=None).settings
