"""The motor's writes on one link: a brake overtakes all others, and a moving train is written to again and again.

LWP3 has no heartbeat: a link that died is noticed by writing. Knows ports and powers. Knows nothing of connecting, nor
why the train should move.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from edge_agent.errors import RetryableError
from edge_agent.hub.writer import always
from edge_agent.lwp3 import Message, brake, start_power

Still = Callable[[], bool]
Write = Callable[[Message, Still], Coroutine[Any, Any, None]]


class Motion:
    """Drives and brakes the motor.

    Args:
        write: writes one message within its time limit; raises RetryableError when the link is given up.
        port: tells the motor's port, None while that is not known.
        fallback_ports: braked while the motor's port is not known.
        keep_alive_s: while moving, the current power is written again at least this often.
    """

    def __init__(
        self, write: Write, port: Callable[[], int | None], fallback_ports: tuple[int, ...], keep_alive_s: float
    ) -> None:
        self._write = write
        self._port = port
        self._fallback_ports = fallback_ports
        self._period_s = keep_alive_s / 2  # twice as often as promised: a late timer breaks no promise
        self._power_percent = 0
        self._written_s = 0.0
        self._moving = asyncio.Event()
        self._driving: asyncio.Task[None] | None = None
        self._revoked = False

    def revoke(self) -> None:
        """Forbid powers until the next brake: somebody outside the loop has braked. Callable from any thread."""
        self._revoked = True

    async def drive(self, power_percent: int) -> None:
        """Set the power; raises RetryableError when it is overtaken by another command, forbidden or not taken."""
        port = self._port()
        if port is None:
            raise RetryableError("The hub's motor is not known yet", remedy="wait until it is connected")
        if self._revoked:
            raise RetryableError("The train was braked from outside the loop", remedy="brake before driving on")
        command = start_power(port, power_percent)
        self._overtake()
        self._set(power_percent)
        task = self._driving = asyncio.ensure_future(self._write(command, lambda: not self._revoked))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            if self._driving is task:
                self._driving = None
        if task.cancelled():
            raise RetryableError("Overtaken by a newer command", remedy="nothing to do")
        task.result()

    async def brake(self) -> None:
        """Brake at once: overtakes a power that is being written, waits for no other brake. Raises RetryableError."""
        await self.hold()
        self._revoked = False

    async def hold(self) -> None:
        """Brake, and leave powers forbidden if they are."""
        self._overtake()
        self._set(0)
        port = self._port()
        for one in (port,) if port is not None else self._fallback_ports:
            await self._write(brake(one), always)

    async def keep_alive(self) -> None:
        """Write the current power again and again while it is not 0; until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._moving.wait()
            wait_s = self._written_s + self._period_s - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elif self._driving is not None or self._revoked:
                await asyncio.sleep(self._period_s)  # a write is under way, or powers are forbidden
            else:
                try:
                    await self.drive(self._power_percent)
                except RetryableError:  # it drops the link where that is dead: its purpose
                    await asyncio.sleep(self._period_s)

    def _overtake(self) -> None:
        if self._driving is not None:
            self._driving.cancel()
            self._driving = None

    def _set(self, power_percent: int) -> None:
        self._power_percent = power_percent
        self._written_s = asyncio.get_running_loop().time()
        if power_percent:
            self._moving.set()
        else:
            self._moving.clear()
