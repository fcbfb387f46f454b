"""Motor writes on one link: a brake overtakes all others, and a moving train's power is repeated as a keep-alive.

LWP3 has no heartbeat: only a write shows that a link is dead.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from edge_agent.errors import RetryableError
from edge_agent.hub.errors import LINK, LINK_ERRORS, explain, hub_error, is_gone
from edge_agent.hub.lwp3 import Message, brake, start_power

StillWanted = Callable[[], bool]
_FIRST = asyncio.FIRST_COMPLETED

ATTEMPTS = 3
"""Attempts that may be refused before the link is given up, and how many time limits one may go without an answer."""

PAUSE_S = 0.02
"""Pause after an attempt that was refused."""


def always_wanted() -> bool:
    """Never cancel a write."""
    return True


class LinkWriter:
    """Sends bytes over one link, one call at a time; only a brake overtakes a call that has no answer yet.

    A bluetoothd that stands still does later what it was asked, in that sequence: whatever waits there could move the
    train after it was given up, so there is at most one power, and a brake comes after it.

    Args:
        send: one call; may hang.
        limit_s: a third of how long calls may fail or stay without an answer.
        on_give_up: called with a reason when that time is over, ATTEMPTS were refused, or the other end is gone.
    """

    def __init__(
        self, send: Callable[[bytes], Coroutine[Any, Any, None]], limit_s: float, on_give_up: Callable[[str], None]
    ) -> None:
        self._send = send
        self._limit_s = limit_s
        self._on_give_up = on_give_up
        self._calls: dict[asyncio.Task[None], bytes] = {}
        # Spans writes: a driver that overtakes each write with a newer one must not hide a dead link.
        self._failing_since_s: float | None = None
        self._last_call_s = 0.0

    async def write(self, data: bytes, still_wanted: StillWanted = always_wanted, *, overtakes: bool = False) -> None:
        """Send; return when the Bluetooth stack has accepted the data.

        Raises RetryableError, with a remedy where BlueZ gave a reason, when the link was given up. `still_wanted` is
        called before each attempt; if it returns False, the write is out of date, which raises RetryableError too.
        With `overtakes` it does not wait for calls that have no answer.
        """
        failure: RetryableError = hub_error(LINK)
        refused = 0
        while refused < ATTEMPTS and (left_s := self._left_s()) > 0:
            if not still_wanted():
                raise RetryableError("The write is out of date", remedy="nothing to do")
            call = self._call(data, overtakes)
            await asyncio.wait(self._calls if call is None else {call}, timeout=left_s, return_when=_FIRST)
            if call is None or not call.done():
                continue
            error = EOFError("closed") if call.cancelled() else call.exception()
            if error is None:
                return
            if not isinstance(error, (RetryableError, *LINK_ERRORS)):
                raise error
            failure = explain(error)
            if is_gone(error):
                break
            refused += 1
            await asyncio.sleep(PAUSE_S)
        self._on_give_up("writes to the hub fail")
        raise failure

    def close(self) -> None:
        """Wait for no answer any more."""
        for call in self._calls:
            call.cancel()

    def _left_s(self) -> float:
        """Return for how many seconds calls may go on failing."""
        now_s = asyncio.get_running_loop().time()
        is_over = not self._calls and now_s - self._last_call_s > self._limit_s
        if self._failing_since_s is None or is_over:
            self._failing_since_s = now_s
        return self._failing_since_s + ATTEMPTS * self._limit_s - now_s

    def _call(self, data: bytes, overtakes: bool) -> asyncio.Task[None] | None:
        """Return the call that sends this, one that has no answer yet where it is the same; None: it has to wait."""
        same = next((call for call, sent in self._calls.items() if sent == data), None)
        if same is not None or (self._calls and not overtakes):
            return same
        call = asyncio.ensure_future(self._send(data))
        self._calls[call] = data
        self._last_call_s = asyncio.get_running_loop().time()
        call.add_done_callback(self._on_answer)
        return call

    def _on_answer(self, call: asyncio.Task[None]) -> None:
        del self._calls[call]
        self._last_call_s = call.get_loop().time()
        if not call.cancelled() and call.exception() is None:
            self._failing_since_s = None


WriteCall = Callable[[Message, StillWanted], Coroutine[Any, Any, None]]


class MotorWriter:
    """Drives and brakes the motor.

    Args:
        write: writes one message within its time limit; raises RetryableError when the link is given up.
        port: returns the motor's port, None while unknown.
        fallback_ports: ports to brake while the motor's port is unknown.
        keep_alive_s: while moving, the current power is written again at least this often.

    `has_driven` is whether a power was ever written on this link; `braked_s` is since when only brakes are, on the
    loop's clock, None while a power is.
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
        self.has_driven = False
        self.braked_s: float | None = None

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
        self.has_driven, self.braked_s = True, None
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
        if self.braked_s is None:
            self.braked_s = asyncio.get_running_loop().time()
        for message in self.brakes():
            await self._write(message, always_wanted)

    def brakes(self) -> tuple[Message, ...]:
        """Return the messages that brake: one for the motor's port, or for each port that may be it."""
        port = self._port()
        return tuple(brake(one) for one in ((port,) if port is not None else self._fallback_ports))

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
