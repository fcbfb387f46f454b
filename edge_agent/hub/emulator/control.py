"""Control socket of an emulator: commands that inject faults, one line of JSON each, and the motor as a stream.

A command is `{"order": "slow", "delay_s": 0.2}`, its reply `{"ok": true, "status": {...}}` or `{"ok": false, "error":
"..."}`. After `{"order": "watch"}` the connection sends `{"motor": "drive", "power_percent": 60, "at_s": 12.3}` at once
and for each command to the motor, `at_s` in monotonic seconds; remote.py is the client. Every emulator has such a
socket beside its bus, so that a client that knows the bus finds it.
"""

import asyncio
import contextlib
import inspect
import json
import shlex
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, validate_call

from edge_agent.errors import EdgeAgentError, RetryableError, UsageError
from edge_agent.hub.emulator.bluez import BluezError
from edge_agent.hub.emulator.bus import bind_socket
from edge_agent.hub.emulator.device import MotorSetting
from edge_agent.hub.emulator.emulator import BluezEmulator
from edge_agent.hub.emulator.remote import control_path

_Command = Callable[..., Any]


_HEXADECIMAL = Field(pattern=r"^([0-9A-Fa-f]{2}){1,255}$", examples=["0500040100"])


def _babble(emulator: Any, raw: Annotated[str, _HEXADECIMAL]) -> None:
    """Notify arbitrary bytes, given in hexadecimal."""
    emulator.babble(bytes.fromhex(raw))


EMULATOR_COMMANDS: Mapping[str, _Command] = {
    name.replace("_", "-"): method
    for name, method in vars(BluezEmulator).items()
    if inspect.isfunction(method) and not name.startswith("_") and name != "status"
} | {"babble": _babble}
"""The emulator's public methods but `status`, by name; the first line of each docstring is the help text."""

# A wrong value must not get in: the emulator would fail later, at its next tick, and for everybody.
_CHECKED = {
    method: validate_call(config=ConfigDict(allow_inf_nan=False, coerce_numbers_to_str=True))(method)
    for method in EMULATOR_COMMANDS.values()
}


def describe() -> dict[str, str]:
    """Return each command with its arguments, and what it does."""
    commands = {}
    for name, method in EMULATOR_COMMANDS.items():
        arguments = list(inspect.signature(method).parameters.values())[1:]
        words = " ".join(f"{argument.name}={_example(argument)}" for argument in arguments)
        commands[f"{name} {words}".strip()] = (inspect.getdoc(method) or "").partition("\n")[0]
    return commands


def _example(argument: inspect.Parameter) -> str:
    """Return a value that the order takes, as a shell passes it on: in JSON, text without its quotes."""
    value: Any = argument.default
    if value is inspect.Parameter.empty:
        (info,) = argument.annotation.__metadata__
        (value,) = info.examples
    return shlex.quote(value) if isinstance(value, str) else json.dumps(value)


def _mistake(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    return f"correct {detail['loc'][-1]}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


async def execute(emulator: BluezEmulator, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Execute a command and return the emulator's status after it. Raises UsageError for an invalid one."""
    method = EMULATOR_COMMANDS.get(name.replace("_", "-"))
    if name != "status" and method is None:
        raise UsageError(f"unknown order {name!r}", remedy=f"choose one of {', '.join(EMULATOR_COMMANDS)} and status")
    if method is not None:
        try:
            result = _CHECKED[method](emulator, **arguments)
        except ValidationError as error:
            raise UsageError(f"order {name!r} does not take {dict(arguments)!r:.200}", remedy=_mistake(error)) from None
        except BluezError as error:
            raise UsageError(f"the emulated BlueZ refuses {name!r}: {error}", remedy="check its status") from error
        if inspect.isawaitable(result):
            await result
    return emulator.status()


@contextlib.asynccontextmanager
async def control_socket(emulator: BluezEmulator, path: Path) -> AsyncIterator[None]:
    """Serve commands on a Unix socket, for the emulator of the running loop."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():  # accepted while the server was closing
            writer.close()
            return
        task = asyncio.create_task(_serve_client(emulator, reader, writer), name="hub-emulator-control")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_unix_server(accept, sock=bind_socket(path))
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
    """Serve a hub until cancelled; `on_ready` is called with the bus address once clients can connect.

    Commands are accepted beside the bus, and at `control` if that is given. Raises FatalError without a dbus-daemon.
    """
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(emulator)
        await stack.enter_async_context(control_socket(emulator, control_path(emulator.bus.socket)))
        if control is not None:
            await stack.enter_async_context(control_socket(emulator, control))
        on_ready(emulator.bus_address)
        await asyncio.Event().wait()


def send_command(control: Path, order: str, /, **arguments: Any) -> dict[str, Any]:
    """Send a command to an emulator and return its status after it; blocks.

    Raises RetryableError if no emulator listens there, UsageError if the command is invalid.
    """
    if "order" in arguments:
        raise UsageError(f"order {order!r} does not take an argument 'order'", remedy="`help` lists what it takes")
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10.0)
            connection.connect(str(control))
            connection.sendall(_line({**arguments, "order": order}))
            reply = json.loads(connection.makefile("rb").readline() or b"null")
    except OSError as error:
        raise RetryableError(
            f"no emulated hub is listening at {control}",
            remedy="start one with `edge-agent hub emulate`",
            reason=str(error),
        ) from error
    if not reply:
        raise RetryableError("the emulated hub closed the connection", remedy="start it again")
    if "ok" not in reply:  # the stream of `watch`
        raise UsageError(f"order {order!r} is for programs", remedy="use `status`")
    if not reply["ok"]:
        raise UsageError(reply["error"])
    status: dict[str, Any] = reply["status"]
    return status


async def _serve_client(emulator: BluezEmulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async for line in reader:
            request = _parse(line)
            if request.get("order") == "watch":
                await _stream(emulator, reader, writer)
                return
            writer.write(_line(await _reply(emulator, request)))
            await writer.drain()
    except (ConnectionError, ValueError):
        pass  # the client closed the connection, or sent a line of more than 64 KiB
    finally:
        writer.close()


def _parse(line: bytes) -> dict[str, Any]:
    """Parse a command; return an empty dictionary for an invalid line."""
    with contextlib.suppress(ValueError):
        request = json.loads(line)
        if isinstance(request, dict) and isinstance(request.get("order"), str):
            return request
    return {}


async def _reply(emulator: BluezEmulator, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if not request:
            raise UsageError("that is not an order", remedy='send one line of JSON like {"order": "drop-link"}')
        order = request.pop("order")
        return {"ok": True, "status": await execute(emulator, order, request)}
    except EdgeAgentError as error:
        return {"ok": False, "error": str(error)}


async def _stream(emulator: BluezEmulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue(1000)

    def on_motor(setting: MotorSetting, now_s: float) -> None:
        if queue.full():
            queue.get_nowait()  # a client that does not read loses the oldest
        state = {"motor": setting.kind.value, "power_percent": setting.power_percent, "at_s": now_s}
        queue.put_nowait(_line(state))

    unwatch = emulator.hub.watch(on_motor)
    on_motor(emulator.hub.motor, emulator.clock())
    try:
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(_send_loop(queue, writer))
            await _wait_closed(reader)
            sender.cancel()
    finally:
        unwatch()


async def _wait_closed(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):  # a client that dies with data unread resets the connection
        while await reader.read(1024):
            pass  # nothing more is expected after "watch"


async def _send_loop(queue: asyncio.Queue[bytes], writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(await queue.get())
            await writer.drain()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
