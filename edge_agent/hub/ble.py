"""The train's hub over Bluetooth, behind the Hub door.

Puts the parts together: the bus watch, finding and connecting, a session for each link, connecting again for ever, and
the brake that needs no event loop. Knows nothing of BlueZ's or LEGO's details, nor of what the train should do.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from edge_agent.config.control import HubSettings as Settings
from edge_agent.errors import RetryableError
from edge_agent.events import HubStatus
from edge_agent.hub.bluez_monitor import BluezMonitor
from edge_agent.hub.connection import HubConnection, connect
from edge_agent.hub.emergency import PORTS, ThreadBrake
from edge_agent.hub.errors import LINK, NO_HUB, hub_error, no_motor
from edge_agent.hub.lwp3 import Colour
from edge_agent.hub.recording import HubLog
from edge_agent.hub.session import HubSession
from edge_agent.ports import HubEvent
from edge_agent.runtime.backoff import Backoff


async def reconnect_forever(
    attempt: Callable[[], Awaitable[None]],
    *,
    initial_s: float,
    longest_s: float,
    on_failure: Callable[[RetryableError], None],
    jitter: Callable[[], float] = random.random,
) -> None:
    """Await `attempt` again and again until cancelled.

    `attempt` returns after a link that had come up was lost: the next one follows at once, unless the link lived for
    less than `initial_s`. It raises RetryableError when none came up: `failed` is told. Then a pause follows.
    """
    loop = asyncio.get_running_loop()
    backoff = Backoff(longest_s, initial_s, jitter)
    while True:
        began_s, lived = loop.time(), False
        try:
            await attempt()
            lived = loop.time() - began_s >= initial_s
        except RetryableError as error:
            on_failure(error)
        if lived:
            backoff.reset()
        await asyncio.sleep(0.0 if lived else backoff.next_s())


SEARCH_S = 10.0
"""How long one search for an advertising hub lasts."""

EXIT_BRAKE_LIMIT_S = 1.0
"""How long the last brake may take when leaving."""

Connect = Callable[[], Awaitable[HubConnection]]


class BleHub:
    """Implements `ports.Hub` for a LEGO City Hub (88009).

    Args:
        settings: which hub, and its time limits.
        log: records bytes both ways, where given; the caller closes it.
        connect: makes a link; None takes BlueZ's. For tests and recordings.
        search_s: how long one search may last; SEARCH_S where it is not given.

    Emits, besides button presses and alerts, `connected` (detail: the hub's name) when it has braked, enabled its
    alerts and found the motor, and `disconnected` (detail: why, and what to do) when the link is lost and whenever the
    reason why there is none changes. `problem` keeps that reason until the next `connected`; `links` counts those.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        log: HubLog | None = None,
        connect: Connect | None = None,
        search_s: float | None = None,
    ) -> None:
        self.name = settings.name or "LEGO hub"
        self.problem: RetryableError | None = None
        self.links = 0
        self._settings = settings
        self._log = log
        self._monitor = BluezMonitor()
        self._search_s = SEARCH_S if search_s is None else search_s
        self._connect = connect or self._connect_bluez
        self._session: HubSession | None = None
        self._last_status = HubStatus(connected=False)
        self._motor_port: int | None = None
        self._callbacks: list[Callable[[HubEvent], None]] = []
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_brake = ThreadBrake()
        self._brake_tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start connecting, in the background."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(
            reconnect_forever(
                self._attempt,
                initial_s=self._settings.retry_initial_s,
                longest_s=self._settings.retry_max_s,
                on_failure=self._report_problem,
            ),
            name="hub-link",
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Brake if there is a link, and let go of it."""
        if self._session is not None:
            with contextlib.suppress(RetryableError, TimeoutError):
                async with asyncio.timeout(EXIT_BRAKE_LIMIT_S):
                    await self._session.motor.brake()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, *self._brake_tasks, return_exceptions=True)
            self._task = None
        self._loop = None
        await self._monitor.close()
        self._thread_brake.close()

    async def wait_connected(self, limit_s: float) -> None:
        """Wait for the link; raises what is in the way (see `problem`) when it does not come up in time.

        A hub that is linked and has announced a part of its ports, but no motor, lacks that: however short the wait.
        """
        try:
            async with asyncio.timeout(limit_s):
                while not self.status().connected:
                    self._connected.clear()
                    await self._connected.wait()
        except TimeoutError:
            waits_for_motor = self._session is not None and self._session.model.ports
            raise self.problem or (no_motor() if waits_for_motor else hub_error(NO_HUB)) from None

    @property
    def session(self) -> HubSession | None:
        """The session of the present link, also while it is being opened."""
        return self._session

    def status(self) -> HubStatus:
        """Tell the last known state."""
        return self._last_status if self._session is None else self._session.status()

    def subscribe(self, callback: Callable[[HubEvent], None]) -> None:
        """Have `callback` called in the loop for each HubEvent; what is in the way already is told soon."""
        self._callbacks.append(callback)
        if self.problem is not None and self._loop is not None:
            self._loop.call_soon(callback, HubEvent("disconnected", str(self.problem)))

    async def drive(self, power_percent: int) -> None:
        """Set the motor's power, -100..100; 0 coasts. Raises RetryableError when it was not taken or was overtaken."""
        await self._ready().motor.drive(power_percent)

    async def brake(self) -> None:
        """Brake the motor now, also on a link that is not ready yet. Raises RetryableError when it was not taken."""
        if self._session is None:
            raise self._link_error()
        await self._session.motor.brake()

    async def light(self, brightness_percent: int) -> None:
        """Set the head light, 0..100."""
        await self._ready().light(brightness_percent)

    async def show(self, colour: str) -> None:
        """Show a colour on the hub's own RGB light; raises ValueError for one it does not have."""
        number = Colour.__members__.get(colour.upper())
        if number is None:
            raise ValueError(f"{colour!r} is no colour of the hub's light")
        await self._ready().show(number)

    def emergency_brake(self) -> None:
        """Brake without the event loop; for a thread that saw the loop stall. Blocks a second at most.

        Powers are refused from then on until somebody brakes through the loop. Raises RetryableError when neither
        the brake nor dropping the link worked.
        """
        session, loop = self._session, self._loop
        if session is not None:
            session.motor.revoke()
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._hold)  # a write that was stuck in the loop must not have the last word
        self._thread_brake.brake()

    def _hold(self) -> None:
        if self._session is not None:
            task = asyncio.ensure_future(self._hold_session(self._session))
            self._brake_tasks.add(task)
            task.add_done_callback(self._brake_tasks.discard)

    async def _hold_session(self, session: HubSession) -> None:
        with contextlib.suppress(RetryableError):
            await session.motor.hold()

    def _ready(self) -> HubSession:
        if self._session is None or not self._session.ready:
            raise self._link_error()
        return self._session

    def _link_error(self) -> RetryableError:
        """Return why there is no link. Without the traceback of the last time, which would grow with each."""
        return (self.problem or hub_error(LINK)).with_traceback(None)

    async def _connect_bluez(self) -> HubConnection:
        return await connect(self._settings, self._monitor, self._search_s)

    async def _attempt(self) -> None:
        """Make one link and stay with it until it is lost; raises RetryableError when it did not come up."""
        connection = await self._connect()
        session = self._session = HubSession(
            connection,
            keep_alive_s=self._settings.keep_alive_ms / 1000,
            write_limit_s=self._settings.write_timeout_ms / 1000,
            emit=self._emit,
            on_problem=self._report_problem,
            log=self._log,
            motor_port=self._motor_port,
        )
        self._thread_brake.set_target(connection.target, PORTS)
        links = self.links
        try:
            await session.run(lambda: self._on_open(session), lambda: self._report_loss(session))
        finally:
            self._close_session(session)
            await connection.close()
        if self.links == links:
            raise RetryableError(f"The link failed: {connection.reason}", code=LINK)

    def _on_open(self, session: HubSession) -> None:
        self._motor_port = session.model.motor_port
        self._thread_brake.set_target(
            session.connection.target, PORTS if self._motor_port is None else (self._motor_port,)
        )
        self.name = session.model.name or session.connection.target.name
        self.problem = None
        self.links += 1
        self._connected.set()
        self._emit(HubEvent("connected", self.name))

    def _report_loss(self, session: HubSession) -> None:
        self._close_session(session)
        reason = session.connection.reason or "closed by us"
        self._report_problem(RetryableError(f"The link was lost: {reason}", code=LINK))

    def _close_session(self, session: HubSession) -> None:
        self._session = None
        self._thread_brake.set_target(None)
        self._last_status = replace(session.status(), connected=False)

    def _report_problem(self, error: RetryableError) -> None:
        changed = self.problem is None or str(error) != str(self.problem)
        self.problem = error
        if changed:
            self._emit(HubEvent("disconnected", str(error)))

    def _emit(self, event: HubEvent) -> None:
        for callback in tuple(self._callbacks):
            callback(event)
