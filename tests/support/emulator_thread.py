"""Runs an emulated hub in a thread with an event loop of its own, unaffected by a blocked loop under test."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from edge_agent.errors import FatalError
from edge_agent.hub.emulator.control import control_socket
from edge_agent.hub.emulator.emulator import BluezEmulator
from edge_agent.hub.emulator.radio import IMMEDIATE
from edge_agent.hub.emulator.remote import control_path

T = TypeVar("T")

CALL_LIMIT_S = 15.0
"""Time limit of a call to the other loop; starting the daemon takes longest."""


class EmulatorThread:
    """Serves an emulator from a thread while it is entered.

    Args:
        emulator: not entered yet; by default a City hub whose link takes no time, unlike a real one. Touch it only
            through `call` while the thread runs; reading `writes` and `bus_address` is safe.
    """

    def __init__(self, emulator: BluezEmulator | None = None) -> None:
        self.emulator = emulator or BluezEmulator(timing=IMMEDIATE)
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name="hub-emulator", daemon=True)

    @property
    def bus_address(self) -> str:
        """Value of DBUS_SYSTEM_BUS_ADDRESS for a client of this emulator."""
        return self.emulator.bus_address

    def __enter__(self) -> Self:
        """Start; raises FatalError without a dbus-daemon."""
        self._thread.start()
        self._ready.result(CALL_LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and wait for the thread to end."""
        self._ready.result().call_soon_threadsafe(self._stop.set)
        self._thread.join(CALL_LIMIT_S)
        if self._thread.is_alive():
            raise FatalError("the emulated hub does not stop", remedy="end the process")

    def call(self, act: Callable[[BluezEmulator], T]) -> T:
        """Run `act(emulator)` in the emulator's loop and return its result, awaited if it is a coroutine."""

        async def run() -> Any:
            result: Any = act(self.emulator)
            return await result if asyncio.iscoroutine(result) else result

        outcome: T = asyncio.run_coroutine_threadsafe(run(), self._ready.result()).result(CALL_LIMIT_S)
        return outcome

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        emulator = self.emulator
        async with emulator, control_socket(emulator, control_path(emulator.bus.socket)):
            self._ready.set_result(asyncio.get_running_loop())
            await self._stop.wait()
