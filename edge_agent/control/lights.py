"""Lights: the head light blinks when a sign acts, the hub's own light shows the guard's state.

An observer with a queue of its own, so that a slow write to a light never delays the motor.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from edge_agent.errors import RetryableError
from edge_agent.events import Decision, GuardState, TrainState
from edge_agent.ports import EventSource, Hub

_log = structlog.get_logger(__name__)

BLINKS = 2
BLINK_S = 0.25

COLOURS = {
    GuardState.INIT: "white",
    GuardState.DISARMED: "blue",
    GuardState.ARMED_STOPPED: "yellow",
    GuardState.RUNNING: "green",
    GuardState.STOPPING: "orange",
    # Visible for a moment after a reconnect, before the guard has noticed it.
    GuardState.LINK_LOST: "purple",
    GuardState.FAULT_LATCHED: "red",
}


class Lights:
    """Implements `ports.Sink` on the lights of one hub.

    Args:
        hub: the hub whose lights are set.
        percent: brightness of the head light when on, 0..100.
    """

    name = "lights"
    wants = (TrainState, Decision)

    def __init__(self, hub: Hub, percent: int) -> None:
        self._hub = hub
        self._percent = percent
        self._shown: GuardState | None = None

    async def run(self, events: EventSource) -> None:
        """Follow the events until cancelled."""
        while True:
            event = await events.get()
            if isinstance(event, TrainState):
                await self._show(event)
            elif isinstance(event, Decision) and event.sign is not None:
                await self._blink()

    async def _show(self, state: TrainState) -> None:
        if not state.hub.connected:
            self._shown = None  # after a reconnect the colour is unknown
        elif state.guard is not self._shown and await self._try(self._hub.show, COLOURS[state.guard]):
            self._shown = state.guard

    async def _blink(self) -> None:
        for percent in (0, self._percent) * BLINKS:
            if not await self._try(self._hub.light, percent):
                return
            await asyncio.sleep(BLINK_S)

    async def _try(self, write: Callable[..., Awaitable[None]], value: int | str) -> bool:
        try:
            await write(value)
        except RetryableError as error:
            _log.debug("light_not_written", error=str(error))
            return False
        return True
