"""Implements `ports.Hub` for a LEGO City Hub over Bluetooth: connects, reconnects forever, one session per link."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Self

import structlog

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

_log = structlog.get_logger(__name__)


async def reconnect_forever(
    attempt: Callable[[], Awaitable[None]],
    *,
    initial_s: float,
    longest_s: float,
    on_failure: Callable[[RetryableError], None],
    jitter: Callable[[], float] = random.random,
) -> None:
    """Await `attempt` repeatedly until cancelled.

    `attempt` returns when a link that was established is lost: the next attempt follows at once. It raises
    RetryableError when none was established: `on_failure` is called, and a pause of `initial_s` to `longest_s` follows.
    """
    loop = asyncio.get_running_loop()
    backoff = Backoff(longest_s, initial_s, jitter)
    while True:
        began_s, lived = loop.time(), False
        try:
            await attempt()
            # A link that breaks right away must not be retried without a pause.
            lived = loop.time() - began_s >= initial_s
        except RetryableError as error:
            on_failure(error)
        if lived:
            backoff.reset()
        await asyncio.sleep(0.0 if lived else backoff.next_s())


async def _to_the_end(call: Coroutine[Any, Any, None]) -> None:
    """Await a call of bounded time, even if this task is cancelled meanwhile: it may be what stops the motor."""
    task = asyncio.ensure_future(call)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


SEARCH_S = 10.0
"""Duration of one search for an advertising hub."""


PROVE_S = 10.0
"""Interval at which the watchdog's connection to BlueZ is tried while there is a link."""

Connect = Callable[[], Awaitable[HubConnection]]


class BleHub:
    """Implements `ports.Hub` for a LEGO City Hub (88009).

    Args:
        settings: which hub, and its time limits.
        log: records bytes in both directions; the caller closes it.
        connect: establishes a link; None for BlueZ. For tests and recordings.
        search_s: duration of one search; None for SEARCH_S.

    Emits, besides button presses and alerts, `connected` (detail: the hub's name) once it has braked, enabled the hub's
    alerts and found the motor, and `disconnected` (detail: reason and remedy) when the link is lost and whenever the
    reason why there is none changes. `problem` is that reason until the next `connected`; `links` counts those.
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
        self._on_bluez = connect is None
        self._session: HubSession | None = None
        self._last_status = HubStatus(connected=False)
        self._motor_port: int | None = None
        self._address: str | None = None
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

    async def __aexit__(self, *_: object) -> None:
        """Brake if there is a link, then disconnect."""
        if self._session is not None:
            with contextlib.suppress(RetryableError, TimeoutError):
                # Time limit of the last brake at exit.
                async with asyncio.timeout(1.0):
                    await self._session.motor.brake()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, *self._brake_tasks, return_exceptions=True)
            self._task = None
        self._loop = None
        await self._monitor.close()
        self._thread_brake.close()

    async def wait_connected(self, limit_s: float) -> None:
        """Wait for the link; raises the RetryableError in `problem` when it is not established in time."""
        try:
            async with asyncio.timeout(limit_s):
                while not self.status().connected:
                    self._connected.clear()
                    await self._connected.wait()
        except TimeoutError:
            # A hub that has announced ports but no motor lacks one, even if the wait was too short to report it.
            waits_for_motor = self._session is not None and self._session.model.ports
            raise self.problem or (no_motor() if waits_for_motor else hub_error(NO_HUB)) from None

    @property
    def session(self) -> HubSession | None:
        """The session of the current link, also while it is being opened."""
        return self._session

    def status(self) -> HubStatus:
        """Return the last known state."""
        return self._last_status if self._session is None else self._session.status()

    def subscribe(self, callback: Callable[[HubEvent], None]) -> None:
        """Call `callback` in the loop for each HubEvent, and soon with the current problem, if there is one."""
        self._callbacks.append(callback)
        if self.problem is not None and self._loop is not None:
            self._loop.call_soon(callback, HubEvent("disconnected", str(self.problem)))

    async def drive(self, power_percent: int) -> None:
        """Set the motor's power, -100..100; 0 coasts. Raises RetryableError if the write failed or was overtaken."""
        await self._ready().motor.drive(power_percent)

    async def brake(self) -> None:
        """Brake the motor now, even on a link that is not ready yet. Raises RetryableError if the write failed."""
        if self._session is None:
            raise self._link_error()
        await self._session.motor.brake()

    async def light(self, brightness_percent: int) -> None:
        """Set the head light, 0..100."""
        await self._ready().light(brightness_percent)

    async def show(self, colour: str) -> None:
        """Show a colour on the hub's own RGB light; raises ValueError for an unknown colour."""
        number = Colour.__members__.get(colour.upper())
        if number is None:
            raise ValueError(f"{colour!r} is not a colour of the hub's light")
        await self._ready().show(number)

    def emergency_brake(self) -> None:
        """Brake without the event loop, from a thread that found the loop stalled. Blocks for at most a second.

        From then on powers are refused until a brake through the loop. Raises RetryableError if neither the brake nor
        dropping the link worked.
        """
        session, loop = self._session, self._loop
        if session is not None:
            session.motor.revoke()
        if loop is not None:
            # A write that was stuck in the loop must not come last: brake once more as soon as the loop runs.
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._hold)
        self._thread_brake.brake()

    def give_up(self, reason: str) -> None:
        """Drop the link in the quickest way that stops the motor, and connect anew; nothing happens without a link."""
        if self._session is not None:
            self._session.connection.drop(reason)

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
        """Return why there is no link."""
        # The same error may be raised many times, and each time its traceback would grow.
        return (self.problem or hub_error(LINK)).with_traceback(None)

    async def _connect_bluez(self) -> HubConnection:
        return await connect(self._settings, self._monitor, self._search_s, self._address)

    async def _attempt(self) -> None:
        """Establish one link and keep it until it is lost; raises RetryableError when it was not established."""
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
        # Until the hub has announced its motor, the watchdog's brake has to reach every port.
        self._thread_brake.set_target(connection.target, PORTS)
        links = self.links
        proving = asyncio.create_task(self._prove_brake(), name="hub-prove-brake")
        try:
            await session.run(lambda: self._on_open(session), lambda: self._report_loss(session))
        finally:
            proving.cancel()
            self._close_session(session)
            await _to_the_end(connection.close(session.farewell()))
        # A link that never opened is a failed attempt, so that the pauses grow.
        if self.links == links:
            raise RetryableError(f"The link failed: {connection.reason}", code=LINK)

    async def _prove_brake(self) -> None:
        """Keep the watchdog's own connection open and tried, until cancelled; there is none behind a fake link."""
        reported = ""
        while self._on_bluez:
            error = ""
            try:
                await asyncio.to_thread(self._thread_brake.prove)
            except RetryableError as problem:
                error = str(problem)
            if error and error != reported:
                _log.warning("watchdog_cannot_brake", error=error)
            reported = error
            await asyncio.sleep(PROVE_S)

    def _on_open(self, session: HubSession) -> None:
        # The next link brakes this port first.
        self._motor_port = session.model.motor_port
        self._address = session.connection.target.address
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
        # Every attempt may fail for the same reason: emit only a change.
        changed = self.problem is None or str(error) != str(self.problem)
        self.problem = error
        if changed:
            self._emit(HubEvent("disconnected", str(error)))

    def _emit(self, event: HubEvent) -> None:
        for callback in tuple(self._callbacks):
            callback(event)
