"""The one owner of the motor: turns what the guard permits into writes to the hub.

Power changes in ramp steps; a brake overtakes everything: it interrupts a ramp and a write that is under way, waits for
no feedback and is repeated until the hub confirms it or the link is gone. Knows nothing of signs or of why.
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
"""An unconfirmed brake is written again this often."""


@dataclass(frozen=True, slots=True)
class MotorTarget:
    """Where the motor should be: a power, or (None) braked; with what caused it.

    A target with a newer `taken_s` is written even when the power is the same: that renews the train's lease of motion
    and keeps the radio link quick.
    """

    power_percent: int | None
    reason: str
    decision_id: str | None = None
    frame_id: str | None = None
    taken_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ramp:
    """How power may change: `percent_per_s`, in steps of `step_s`, never resting inside the dead band."""

    percent_per_s: float = 150.0
    step_s: float = 0.05
    start_percent: int = 25

    def towards(self, current: int, target: int) -> int:
        """Return the power of the next step on the way from `current` to `target`, both 0..100 percent."""
        stride = max(1, round(self.percent_per_s * self.step_s))
        if target > current:
            return min(target, max(current + stride, self.start_percent))
        return max(target, current - stride)


class Driver:
    """Owns the motor of one hub. `aim` is called from the loop at any time; `run` is the task that writes.

    Args:
        hub: where to write.
        adapt: maps the power that is asked for to the one to write (battery compensation, limits).
        publish: is called with each command after it was written.
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
        self._under_way: asyncio.Timeout | None = None
        """The write that a brake may cut short."""
        self._power_percent = 0
        self._failing = False
        self.failed_writes = 0

    @property
    def power_percent(self) -> int:
        """The power on the ramp that was written last, before adaptation; 0 when braked."""
        return self._power_percent

    def aim(self, target: MotorTarget) -> None:
        """Set where the motor should be. Never waits; a brake interrupts whatever is under way."""
        if target == self._target:
            return
        self._target = target
        self._changed.set()
        if target.power_percent is None and self._under_way is not None:
            self._under_way.reschedule(self._clock())

    async def run(self) -> None:
        """Write until cancelled."""
        braked_for: str | None = None
        while True:
            target = self._target
            self._changed.clear()
            if target.power_percent is None:
                announce = braked_for != target.reason
                settled = await self._brake(target, announce=announce)
                braked_for = target.reason if settled else None
                await self._wait(None if settled and self._settled() else BRAKE_REPEAT_S)
            else:
                braked_for = None
                await self._step(target, target.power_percent)

    def _settled(self) -> bool:
        status = self._hub.status()
        return status.brake_confirmed or not status.connected

    async def brake_now(self, reason: str) -> None:
        """Brake at once, beside `run`: the last write of a run. Raises RetryableError when the link is gone."""
        self.aim(MotorTarget(None, reason))
        await self._hub.brake()
        self._note(CommandKind.BRAKE, 0, self._target)

    async def _brake(self, target: MotorTarget, *, announce: bool) -> bool:
        self._power_percent = 0
        if not await self._write(self._hub.brake(), interruptible=False):
            return False
        if announce:
            self._note(CommandKind.BRAKE, 0, target)
        return True

    async def _step(self, target: MotorTarget, wanted_percent: int) -> None:
        power_percent = self._ramp.towards(self._power_percent, wanted_percent)
        written_percent = self._adapt(power_percent)
        if await self._write(self._hub.drive(written_percent), interruptible=True):
            self._power_percent = power_percent
            self._note(CommandKind.DRIVE, written_percent, target)
            await self._wait(None if power_percent == wanted_percent else self._ramp.step_s)
        elif self._target.power_percent is not None:
            await self._wait(self._ramp.step_s)

    async def _write(self, call: Coroutine[Any, Any, None], *, interruptible: bool) -> bool:
        """Carry out one write; return whether it was taken. An interruptible one is given up for a brake."""
        try:
            async with asyncio.timeout(None) as write:
                self._under_way = write if interruptible else None
                await call
        except RetryableError as error:
            self._failed(error)
            return False
        except TimeoutError:
            if not write.expired():
                raise
            return False
        finally:
            self._under_way = None
        self._failing = False
        return True

    def _failed(self, error: RetryableError) -> None:
        """Count a failure, and log the first of an outage: a brake is tried again ten times a second.

        That there is no link is told by whoever watches the hub.
        """
        self.failed_writes += 1
        if not self._failing and self._hub.status().connected:
            self._failing = True
            _log.warning("hub_write_failed", error=str(error))

    async def _wait(self, timeout_s: float | None) -> None:
        """Wait for a new target, at most for `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _note(self, kind: CommandKind, power_percent: int, target: MotorTarget) -> None:
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
