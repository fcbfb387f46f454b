"""An emulated hub in a thread with an event loop of its own: it goes on when the loop under test is blocked.

Knows threads and loops. Knows nothing of what the emulator does.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from edge_agent.errors import FatalError
from edge_agent.hub.emulator.control import control_socket
from edge_agent.hub.emulator.emulator import BluezEmulator
from edge_agent.hub.emulator.remote import control_path

T = TypeVar("T")

CALL_LIMIT_S = 15.0
"""Time limit of whatever is asked of the other loop; starting a daemon is the longest of it."""


class EmulatorThread:
    """Serves an emulator from a thread for as long as it is entered.

    Args:
        emulator: not entered yet; a City hub by default. Touch it only through `call` while the thread runs; reading
            `writes` and `bus_address` is safe.
    """

    def __init__(self, emulator: BluezEmulator | None = None) -> None:
        self.emulator = emulator or BluezEmulator()
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name="hub-emulator", daemon=True)

    @property
    def bus_address(self) -> str:
        """What DBUS_SYSTEM_BUS_ADDRESS must be for a client to end up here."""
        return self.emulator.bus_address

    def __enter__(self) -> Self:
        """Start; raises FatalError when there is no dbus-daemon."""
        self._thread.start()
        self._ready.result(CALL_LIMIT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait for the thread to end."""
        self._ready.result().call_soon_threadsafe(self._stop.set)
        self._thread.join(CALL_LIMIT_S)
        if self._thread.is_alive():
            raise FatalError("the emulated hub does not stop", remedy="end the process")

    def call(self, act: Callable[[BluezEmulator], T]) -> T:
        """Run `act(emulator)` in the emulator's loop and return what it returns, awaited where that is due."""

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
