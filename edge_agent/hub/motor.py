"""Motor writes on one link: a brake overtakes all others, and a moving train's power is repeated as a keep-alive.

LWP3 has no heartbeat: only a write shows that a link is dead.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from edge_agent.errors import RetryableError
from edge_agent.hub.errors import LINK, LINK_ERRORS, explain, hub_error, is_gone
from edge_agent.hub.lwp3 import Message, brake, start_power
from edge_agent.runtime.timeouts import TimeLimitError, finish_within

ATTEMPTS = 3
"""Attempts before the link is dropped: after 360 ms at 120 ms each."""

PAUSE_S = 0.02
"""Pause after an attempt that was refused, rather than timed out."""


def always_wanted() -> bool:
    """Never cancel a write."""
    return True


class LinkWriter:
    """Sends bytes over one link.

    Args:
        send: one attempt; may hang.
        limit_s: time limit of one attempt.
        on_give_up: called with a reason when the last attempt has failed, or the other end is gone.

    The link is given up when for `ATTEMPTS` x `limit_s` some write was in progress and none succeeded.
    """

    def __init__(
        self, send: Callable[[bytes], Awaitable[None]], limit_s: float, on_give_up: Callable[[str], None]
    ) -> None:
        self._send = send
        self._limit_s = limit_s
        self._on_give_up = on_give_up
        # Spans writes: a driver that cancels each write with a newer one must not hide a dead link.
        self._stuck_since_s: float | None = None
        self._last_attempt_s = 0.0

    async def write(self, data: bytes, still_wanted: Callable[[], bool] = always_wanted) -> None:
        """Send; return when the Bluetooth stack has accepted the data.

        Raises RetryableError, with a remedy where BlueZ gave a reason, when the link was given up. `still_wanted` is
        called before each attempt; if it returns False, the write is out of date, which raises RetryableError too.
        """
        failure: RetryableError = hub_error(LINK)
        for _ in range(ATTEMPTS):
            if not still_wanted():
                raise RetryableError("The write is out of date", remedy="nothing to do")
            left_s = self._start_attempt()
            if left_s <= 0:
                break
            try:
                await finish_within(self._attempt(data), min(self._limit_s, left_s), "Writing to the hub")
            except TimeLimitError:
                pass  # the next attempt follows immediately
            except LINK_ERRORS as error:
                failure = explain(error)
                if is_gone(error):
                    break
                await asyncio.sleep(PAUSE_S)
            else:
                self._stuck_since_s = None
                return
            finally:
                self._last_attempt_s = asyncio.get_running_loop().time()
        self._on_give_up("writes to the hub fail")
        raise failure

    def _start_attempt(self) -> float:
        """Record the start of an attempt; return for how many seconds attempts may go on failing."""
        now_s = asyncio.get_running_loop().time()
        if self._stuck_since_s is None or now_s - self._last_attempt_s > self._limit_s:
            self._stuck_since_s = now_s
        self._last_attempt_s = now_s
        return self._stuck_since_s + ATTEMPTS * self._limit_s - now_s

    async def _attempt(self, data: bytes) -> None:
        await self._send(data)


StillWanted = Callable[[], bool]
WriteCall = Callable[[Message, StillWanted], Coroutine[Any, Any, None]]


class MotorWriter:
    """Drives and brakes the motor.

    Args:
        write: writes one message within its time limit; raises RetryableError when the link is given up.
        port: returns the motor's port, None while unknown.
        fallback_ports: ports to brake while the motor's port is unknown.
        keep_alive_s: while moving, the current power is written again at least this often.
    """

    def __init__(
        self, write: WriteCall, port: Callable[[], int | None], fallback_ports: tuple[int, ...], keep_alive_s: float
    ) -> None:
        self._write = write
        self._port = port
        self._fallback_ports = fallback_ports
        self._period_s = keep_alive_s / 2  # twice as often as promised, so that a late timer still keeps the limit
        self._power_percent = 0
        self._written_s = 0.0
        self._moving = asyncio.Event()
        self._driving: asyncio.Task[None] | None = None
        self._revoked = False

    def revoke(self) -> None:
        """Forbid powers until the next `brake`: a thread outside the loop has braked. Callable from any thread."""
        self._revoked = True

    async def drive(self, power_percent: int) -> None:
        """Set the power; raises RetryableError when it is overtaken by another command, forbidden, or failed."""
        port = self._port()
        if port is None:
            raise RetryableError("The hub's motor is not known yet", remedy="wait until it is connected")
        if self._revoked:
            raise RetryableError("The train was braked from outside the loop", remedy="brake before driving on")
        command = start_power(port, power_percent)
        self._cancel_drive()
        self._note_power(power_percent)
        task = self._driving = asyncio.ensure_future(self._write(command, lambda: not self._revoked))
        try:
            # Not `await task`: a brake cancels the task, which must not look like a cancellation of the caller.
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            # A newer command may have taken its place.
            if self._driving is task:
                self._driving = None
        if task.cancelled():
            raise RetryableError("Overtaken by a newer command", remedy="nothing to do")
        task.result()

    async def brake(self) -> None:
        """Brake at once and permit powers again. Cancels a power that is being written. Raises RetryableError."""
        await self.hold()
        # Only after a brake that was written are powers permitted again.
        self._revoked = False

    async def hold(self) -> None:
        """Brake, but leave powers forbidden if they are."""
        self._cancel_drive()
        self._note_power(0)
        port = self._port()
        for one in (port,) if port is not None else self._fallback_ports:
            await self._write(brake(one), always_wanted)

    async def keep_alive(self) -> None:
        """Repeat the current power while it is not 0, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._moving.wait()
            wait_s = self._written_s + self._period_s - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elif self._driving is not None or self._revoked:
                await asyncio.sleep(self._period_s)  # a write is in progress, or powers are forbidden
            else:
                try:
                    await self.drive(self._power_percent)
                except RetryableError:  # dropping a dead link is the purpose of this write
                    await asyncio.sleep(self._period_s)

    def _cancel_drive(self) -> None:
        if self._driving is not None:
            self._driving.cancel()
            self._driving = None

    def _note_power(self, power_percent: int) -> None:
        self._power_percent = power_percent
        self._written_s = asyncio.get_running_loop().time()
        if power_percent:
            self._moving.set()
        else:
            self._moving.clear()
