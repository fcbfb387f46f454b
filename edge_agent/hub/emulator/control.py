"""A control socket for an emulator: one order a line in JSON, one answer a line; and the motor as a stream.

An order is `{"order": "slow", "delay_s": 0.2}`, its answer `{"ok": true, "status": {...}}` or `{"ok": false, "error":
"..."}`. After `{"order": "watch"}` the connection tells `{"motor": "drive", "power_percent": 60, "at_s": 12.3}` for
each command to the motor, `at_s` in monotonic seconds. Knows framing only; orders.py knows the words.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from edge_agent.errors import EdgeAgentError, RetryableError, UsageError
from edge_agent.events import CommandKind
from edge_agent.hub.emulator.device import MotorSetting
from edge_agent.hub.emulator.emulator import BluezEmulator
from edge_agent.hub.emulator.orders import obey
from edge_agent.hub.emulator.sockets import listen

TELL_LIMIT_S = 10.0
_STREAM_LENGTH = 1000


@contextlib.asynccontextmanager
async def control_socket(emulator: BluezEmulator, path: Path) -> AsyncIterator[None]:
    """Take orders at a Unix socket, for the emulator of the running loop."""
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await _converse(emulator, reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(converse, sock=listen(path))
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        _remove(path)


async def serve(
    emulator: BluezEmulator, *, control: Path | None = None, on_ready: Callable[[str], None] = lambda _address: None
) -> None:
    """Serve a hub until cancelled; `on_ready` is told the bus address once clients may connect.

    Raises FatalError when there is no dbus-daemon.
    """
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(emulator)
        if control is not None:
            await stack.enter_async_context(control_socket(emulator, control))
        on_ready(emulator.bus_address)
        await asyncio.Event().wait()


def tell(control: Path, order: str, **arguments: Any) -> dict[str, Any]:
    """Give an emulator an order and return its status after it; blocks.

    Raises RetryableError when no emulator listens there, UsageError when the order does not fit.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TELL_LIMIT_S)
            connection.connect(str(control))
            connection.sendall(_line({"order": order, **arguments}))
            answer = json.loads(connection.makefile("rb").readline() or b"null")
    except OSError as error:
        raise RetryableError(
            f"no emulated hub listens at {control}", remedy="start one with `edge-agent hub emulate`", reason=str(error)
        ) from error
    if not answer:
        raise RetryableError("the emulated hub hung up", remedy="start it again")
    if not answer["ok"]:
        raise UsageError(answer["error"])
    status: dict[str, Any] = answer["status"]
    return status


async def watch_motor(control: Path) -> AsyncIterator[tuple[MotorSetting, float]]:
    """Tell each command to the motor of an emulator in another process, with its monotonic seconds.

    Ends when the emulator does. Raises RetryableError when no emulator listens there.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(control)
    except OSError as error:
        raise RetryableError(
            f"no emulated hub listens at {control}", remedy="start one with `edge-agent hub emulate`"
        ) from error
    try:
        writer.write(_line({"order": "watch"}))
        async for line in reader:
            told = json.loads(line)
            yield MotorSetting(CommandKind(told["motor"]), told["power_percent"]), told["at_s"]
    finally:
        writer.close()


async def _converse(emulator: BluezEmulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async for line in reader:
        try:
            words = json.loads(line)
            order = words.pop("order")
            if order == "watch":
                await _stream(emulator, writer)
                return
            answer = {"ok": True, "status": await obey(emulator, order, words)}
        except EdgeAgentError as error:
            answer = {"ok": False, "error": str(error)}
        except (ValueError, AttributeError, KeyError, TypeError):
            answer = {"ok": False, "error": 'an order is one line of JSON like {"order": "drop-link"}'}
        writer.write(_line(answer))
        await writer.drain()


async def _stream(emulator: BluezEmulator, writer: asyncio.StreamWriter) -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue(_STREAM_LENGTH)

    def told(setting: MotorSetting, now_s: float) -> None:
        if queue.full():
            queue.get_nowait()  # a watcher that does not read loses the oldest
        words = {"motor": setting.kind.value, "power_percent": setting.power_percent, "at_s": now_s}
        queue.put_nowait(_line(words))

    leave_off = emulator.hub.watch(told)
    try:
        while True:
            writer.write(await queue.get())
            await writer.drain()
    finally:
        leave_off()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _line(words: dict[str, Any]) -> bytes:
    return json.dumps(words).encode() + b"\n"
