"""Motor driver: the only writer of the motor, a task of the event loop.

Power changes in ramp steps. A brake overtakes everything: it interrupts a ramp and a write in progress, waits for no
feedback, and is repeated until the hub confirms it or the link is gone.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog
import uuid_utils

from edge_agent.errors import RetryableError
from edge_agent.events import CommandKind, MotorCommand
from edge_agent.ports import Hub

_log = structlog.get_logger(__name__)

BRAKE_REPEAT_S = 0.1
"""Interval at which an unconfirmed brake is written again."""


@dataclass(frozen=True, slots=True)
class MotorTarget:
    """Setpoint of the motor: a power in percent, or None for braked; with its cause.

    With `hub_silent` a brake that stays unconfirmed drops the link.
    A target with a newer `taken_s` is written even if the power is the same: a write renews the lease of motion,
    and keeps the radio link responsive.
    """

    power_percent: int | None
    reason: str
    decision_id: str | None = None
    frame_id: str | None = None
    taken_s: float | None = None
    hub_silent: bool = False


@dataclass(frozen=True, slots=True)
class Ramp:
    """How power changes: `percent_per_s`, in steps of `step_s`; from standstill it starts at `start_percent`."""

    percent_per_s: float = 150.0
    step_s: float = 0.05
    start_percent: int = 25

    def towards(self, current: int, target: int) -> int:
        """Return the power of the next step on the way from `current` to `target`, both 0..100 percent."""
        stride = max(1, round(self.percent_per_s * self.step_s))
        if target > current:
            # The motor does not turn inside the dead band: skip it.
            return min(target, max(current + stride, self.start_percent))
        return max(target, current - stride)


class Driver:
    """Drives the motor of one hub. `set_target` may be called from the loop at any time; `run` is the task that writes.

    Args:
        hub: where to write.
        adapt: maps the requested power to the one to write (battery compensation, limits).
        publish: called with each command after it was written.
        clock: the event loop's clock.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        ramp: Ramp,
        adapt: Callable[[int], int],
        publish: Callable[[MotorCommand], None],
        clock: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._ramp = ramp
        self._adapt = adapt
        self._publish = publish
        self._clock = clock
        self._target = MotorTarget(None, "not started")
        self._changed = asyncio.Event()
        # The write in progress, if a brake may interrupt it.
        self._interruptible: asyncio.Timeout | None = None
        self._power_percent = 0
        self._failing = False
        self.failed_writes = 0

    @property
    def power_percent(self) -> int:
        """The ramp's last power in percent, before adaptation; 0 when braked."""
        return self._power_percent

    def set_target(self, target: MotorTarget) -> None:
        """Set the target. Never waits; a brake interrupts a write in progress."""
        if target == self._target:
            return
        self._target = target
        self._changed.set()
        if target.power_percent is None and self._interruptible is not None:
            self._interruptible.reschedule(self._clock())

    async def run(self) -> None:
        """Write until cancelled."""
        braked_for: str | None = None
        while True:
            target = self._target
            self._changed.clear()
            if target.power_percent is None:
                # The repetitions of a brake are published once per reason.
                announce = braked_for != target.reason
                settled = await self._brake(target, announce=announce)
                braked_for = target.reason if settled else None
                # A lost link confirms nothing: wait for a new target, not for a confirmation.
                await self._wait(None if settled and self._is_settled() else BRAKE_REPEAT_S)
                # A hub that leaves the brake unanswered too: only the loss of its link stops the motor now.
                if target.hub_silent and target is self._target and not self._is_settled():
                    self._hub.give_up(target.reason)
            else:
                braked_for = None
                await self._step(target, target.power_percent)

    def _is_settled(self) -> bool:
        status = self._hub.status()
        return status.brake_confirmed or not status.connected

    async def brake_now(self, reason: str) -> None:
        """Brake at once, beside `run`: the last write of a run. Raises RetryableError if the link is gone."""
        self.set_target(MotorTarget(None, reason))
        await self._hub.brake()
        self._publish_command(CommandKind.BRAKE, 0, self._target)

    async def _brake(self, target: MotorTarget, *, announce: bool) -> bool:
        self._power_percent = 0
        if not await self._write(self._hub.brake(), interruptible=False):
            return False
        if announce:
            self._publish_command(CommandKind.BRAKE, 0, target)
        return True

    async def _step(self, target: MotorTarget, wanted_percent: int) -> None:
        power_percent = self._ramp.towards(self._power_percent, wanted_percent)
        written_percent = self._adapt(power_percent)
        if await self._write(self._hub.drive(written_percent), interruptible=True):
            self._power_percent = power_percent
            self._publish_command(CommandKind.DRIVE, written_percent, target)
            await self._wait(None if power_percent == wanted_percent else self._ramp.step_s)
        elif self._target.power_percent is not None:
            await self._wait(self._ramp.step_s)

    async def _write(self, call: Coroutine[Any, Any, None], *, interruptible: bool) -> bool:
        """Await one write; return whether the hub took it. A brake interrupts it where `interruptible`."""
        try:
            async with asyncio.timeout(None) as write:
                self._interruptible = write if interruptible else None
                await call
        except RetryableError as error:
            self._on_failure(error)
            return False
        except TimeoutError:
            # Only our own deadline is an interruption; a TimeoutError from below is an error.
            if not write.expired():
                raise
            return False
        finally:
            self._interruptible = None
        self._failing = False
        return True

    def _on_failure(self, error: RetryableError) -> None:
        """Count a failure, and log the first of an outage."""
        self.failed_writes += 1
        # A brake is retried ten times a second, and the pipeline reports a lost link: neither belongs in the log.
        if not self._failing and self._hub.status().connected:
            self._failing = True
            _log.warning("hub_write_failed", error=str(error))

    async def _wait(self, timeout_s: float | None) -> None:
        """Wait for a new target, for at most `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _publish_command(self, kind: CommandKind, power_percent: int, target: MotorTarget) -> None:
        self._publish(
            MotorCommand(
                command_id=str(uuid_utils.uuid7()),
                kind=kind,
                power_percent=power_percent,
                written_s=self._clock(),
                reason=target.reason,
                decision_id=target.decision_id,
                frame_id=target.frame_id,
                taken_s=target.taken_s,
            )
        )
