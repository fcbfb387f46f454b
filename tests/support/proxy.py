"""A TCP proxy that gives trouble on purpose, in a thread of its own.

`cut` ends every connection (FIN), `reset` ends them with a reset (RST), `refuse` closes the door for new ones too,
`black_hole` keeps connections open and lets nothing through, `delay` holds each piece back for a while, `mend` goes on
as if nothing had been.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Proxy:
    """Forwards connections to `port` at `target_port`."""

    def __init__(self, target_port: int, port: int | None = None) -> None:
        self.port = port or free_port()
        self.connections = 0
        self._target_port = target_port
        self._delay_s = 0.0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open: asyncio.Event | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def cut(self) -> None:
        self._do(self._drop)

    def reset(self) -> None:
        self._do(lambda: self._drop(hard=True))

    def refuse(self) -> None:
        self._do(self._shut)

    def black_hole(self) -> None:
        self._do(lambda: self._set(hole=True))

    def delay(self, delay_s: float) -> None:
        self._do(lambda: self._set(delay_s=delay_s))

    def mend(self) -> None:
        self._do(self._mend)

    def _do(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(make(), self._loop).result(10)

    async def _begin(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _mend(self) -> None:
        await self._set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _set(self, *, hole: bool = False, delay_s: float = 0.0) -> None:
        assert self._open is not None
        self._delay_s = delay_s
        if hole:
            self._open.clear()
        else:
            self._open.set()

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop()

    async def _drop(self, *, hard: bool = False) -> None:
        for writer in list(self._writers):
            if hard:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self) -> None:
        await self._shut()
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        writers = {writer}
        self._writers.add(writer)
        try:
            assert self._open is not None
            await self._open.wait()
            out_reader, out_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            writers.add(out_writer)
            self._writers.add(out_writer)
            await asyncio.gather(self._pipe(reader, out_writer), self._pipe(out_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers -= writers
            for each in writers:
                each.close()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._open is not None
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
        raise ConnectionResetError  # one half that ends ends both
