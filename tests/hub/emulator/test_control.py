"""The emulator from outside: commands over a socket, the motor as a stream, start and stop of the daemons."""

import asyncio
import contextlib
import gc
import json
import os
import shlex
import shutil
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.hub import _argument
from edge_agent.errors import FatalError, RetryableError, UsageError
from edge_agent.hub.emulator import (
    EMULATOR_COMMANDS,
    BluezEmulator,
    PrivateBus,
    control_socket,
    describe,
    send_command,
    serve,
)
from edge_agent.hub.emulator.server import TICK_S
from edge_agent.hub.lwp3 import brake, encode, start_power
from tests.support.emulator_thread import EmulatorThread

LIMIT_S = 10.0


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[BluezEmulator, Path]]:
    """Serve a hub with a control socket, in the running loop."""
    emulator, control = BluezEmulator(), tmp_path / "control"
    async with emulator, control_socket(emulator, control):
        yield emulator, control


async def send(control: Path, name: str, **arguments: Any) -> dict[str, Any]:
    """Send a command from another thread, as another process would."""
    return await asyncio.to_thread(send_command, control, name, **arguments)


def names(folder: Path) -> set[str]:
    """Return the names of the files in a folder."""
    return {path.name for path in folder.iterdir()}


async def test_command_is_executed_and_answered_with_the_status(served: tuple[BluezEmulator, Path]) -> None:
    emulator, control = served
    status = await send(control, "set-battery", percent=42)
    assert (status["battery_percent"], status["connected"], status["motor"]) == (42, False, "coast")
    assert emulator.hub.battery.percent == 42
    assert await send(control, "status") == status


async def test_every_command_without_arguments_is_executed(served: tuple[BluezEmulator, Path]) -> None:
    _, control = served
    for name in ("press_button", "drop-link", "vanish", "appear", "hold", "kill-bus", "start-bus", "hang", "behave"):
        assert "battery_percent" in await send(control, name)
    assert "links" in await send(control, "babble", raw="050082000a")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("make-coffee", {}, "unknown order 'make-coffee'"),
        ("slow", {}, "does not take"),
        ("slow", {"sugar": 2}, "does not take"),
        ("babble", {"raw": "xyz"}, "does not take"),
        ("raise-alert", {"alert": "hunger"}, "unknown alert 'hunger'; choose one of low_voltage"),
        ("hold", {"holder": "the cat"}, "choose one of nobody"),
        ("hang", {"method": "Coffee"}, "BlueZ has no method 'Coffee'; choose one of Connect, Disconnect"),
    ],
)
async def test_order_that_does_not_fit_is_refused_in_one_line(
    served: tuple[BluezEmulator, Path], name: str, arguments: dict[str, Any], words: str
) -> None:
    _, control = served
    with pytest.raises(UsageError, match=words) as caught:
        await send(control, name, **arguments)
    assert "\n" not in str(caught.value)


async def test_order_that_bluez_refuses_is_refused(served: tuple[BluezEmulator, Path]) -> None:
    _, control = served
    await send(control, "remove-adapter")
    with pytest.raises(UsageError, match="Resource Not Ready"):
        await send(control, "hold", holder="here")
    await send(control, "kill-bus")
    with pytest.raises(UsageError, match="start the bus first"):
        await send(control, "start-bluetoothd")
    await send(control, "start-bus")
    assert "links" in await send(control, "hold", holder="here")


@pytest.mark.parametrize("line", [b"press the button\n", b"[1]\n", b"{}\n", b'{"order": 7}\n'])
async def test_invalid_line_is_refused_and_the_next_is_executed(
    served: tuple[BluezEmulator, Path], line: bytes
) -> None:
    _, control = served
    reader, writer = await asyncio.open_unix_connection(control)
    writer.write(line + b'{"order": "status"}\n')
    answers = [json.loads(await reader.readline()) for _ in range(2)]
    assert [answer["ok"] for answer in answers] == [False, True]
    assert "order" in answers[0]["error"]
    writer.close()
    await writer.wait_closed()


async def test_watcher_that_does_not_read_loses_the_oldest_and_blocks_no_one(
    served: tuple[BluezEmulator, Path],
) -> None:
    emulator, control = served
    reader, writer = await asyncio.open_unix_connection(control, limit=2**16)
    writer.write(b'{"order": "watch"}\n')
    async with asyncio.timeout(LIMIT_S):
        assert json.loads(await reader.readline())["motor"] == "coast", "what it does now comes first"
        emulator.stack.connect()
        for _ in range(1500):  # without a pause: nothing is sent in between
            emulator.stack.write(encode(brake(0)))
        emulator.stack.write(encode(start_power(0, 7)))
        lines = 1
        while json.loads(await reader.readline())["power_percent"] != 7:
            lines += 1
    assert lines == 1000
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(LIMIT_S):
        while emulator.hub.watchers > 1:  # noqa: ASYNC110 - no event announces that the client has gone
            await asyncio.sleep(0.005)


async def test_watcher_that_dies_with_data_unread_is_dropped_in_silence(
    served: tuple[BluezEmulator, Path],
) -> None:
    emulator, control = served
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    watcher = socket.socket(socket.AF_UNIX)
    watcher.connect(str(control))
    watcher.sendall(b'{"order": "watch"}\n')
    async with asyncio.timeout(LIMIT_S):
        while emulator.hub.watchers < 2:  # noqa: ASYNC110 - no event announces it
            await asyncio.sleep(0.005)
        watcher.close()  # what it was sent and has not read makes this a reset
        while emulator.hub.watchers > 1:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
        while any(task.get_name() == "hub-emulator-control" for task in asyncio.all_tasks()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
    gc.collect()  # an exception that was never retrieved is reported when its task is collected
    assert not unhandled


async def test_serving_ends_without_a_trace_when_cancelled(tmp_path: Path) -> None:
    bus, control = PrivateBus(tmp_path / "bus"), tmp_path / "control"
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(BluezEmulator(bus=bus), control=control, on_ready=ready.set_result))
    async with asyncio.timeout(LIMIT_S):
        assert await ready == f"unix:path={tmp_path / 'bus'}"
        conversation = await asyncio.open_unix_connection(control)
        assert names(tmp_path) == {"bus", "bus.hub", "control"}
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    conversation[1].close()
    assert names(tmp_path) == set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_command_to_a_missing_emulator_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="edge-agent hub emulate"):
        send_command(tmp_path / "control", "status")


def test_emulator_that_hangs_up_is_reported(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control"))
        listener.listen()

        def hang_up() -> None:
            listener.accept()[0].close()

        rude = threading.Thread(target=hang_up)
        rude.start()
        with pytest.raises(RetryableError):
            send_command(tmp_path / "control", "status")
        rude.join()


async def test_control_socket_in_use_is_left_alone(served: tuple[BluezEmulator, Path]) -> None:
    emulator, control = served
    with pytest.raises(UsageError, match="another process is listening"):
        async with control_socket(emulator, control):
            pass
    assert "links" in await send(control, "status")


async def test_bus_in_use_is_left_alone(tmp_path: Path) -> None:
    async with BluezEmulator(bus=PrivateBus(tmp_path / "bus")):
        with pytest.raises(UsageError, match="another process is listening"):
            async with BluezEmulator(bus=PrivateBus(tmp_path / "bus")):
                pass
        assert (tmp_path / "bus").is_socket()


async def test_socket_left_over_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    control = tmp_path / "control"
    left_over = socket.socket(socket.AF_UNIX)
    left_over.bind(str(control))
    left_over.close()
    async with BluezEmulator() as emulator, control_socket(emulator, control):
        assert "links" in await send(control, "status")


async def test_file_in_the_way_is_not_touched(tmp_path: Path) -> None:
    precious = tmp_path / "control"
    precious.write_text("precious")
    async with BluezEmulator() as emulator:
        with pytest.raises(UsageError, match="is not a socket"):
            async with control_socket(emulator, precious):
                pass
    assert precious.read_text() == "precious"


async def test_missing_folder_is_reported(tmp_path: Path) -> None:
    async with BluezEmulator() as emulator:
        with pytest.raises(UsageError, match="cannot listen"):
            async with control_socket(emulator, tmp_path / "nowhere" / "control"):
                pass


def test_missing_dbus_daemon_is_reported_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    before = threading.active_count()
    with pytest.raises(FatalError, match="install the package"), EmulatorThread():
        pass
    assert threading.active_count() == before


async def test_bus_starts_without_setpriv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setpriv only ends the daemon with this process; systems without util-linux lack it."""
    program = shutil.which("dbus-daemon")
    assert program is not None
    (tmp_path / "dbus-daemon").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    async with PrivateBus() as bus:
        assert bus.pid is not None


async def test_dbus_daemon_that_cannot_listen_is_reported_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"did not start: .*No such file"):
        async with PrivateBus(tmp_path / "nowhere" / "bus"):
            pass


def test_thread_ends_with_its_bus(emulated: EmulatorThread) -> None:
    with EmulatorThread() as second:
        assert second.bus_address != emulated.bus_address
        process = second.call(lambda emulator: emulator.bus.pid)
        assert process is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert not Path(second.bus_address.removeprefix("unix:path=")).parent.exists()


def test_error_in_the_other_loop_is_raised_here(emulated: EmulatorThread) -> None:
    with pytest.raises(ZeroDivisionError):
        emulated.call(lambda _emulator: 1 / 0)


def test_every_order_is_described() -> None:
    commands = describe()
    assert len(commands) == len(EMULATOR_COMMANDS)
    assert commands["slow delay_s=0.2 method=WriteValue"] == "Delay a D-Bus method."
    assert all(words.endswith(".") for words in commands.values())


def arguments_of(*words: str) -> dict[str, Any]:
    """Return the arguments of an order as the command line reads them."""
    return dict(map(_argument, words))


@pytest.mark.parametrize("line", [line for line in describe() if not line.startswith(("kill-bus", "start-bus"))])
async def test_order_takes_what_its_help_prints(served: tuple[BluezEmulator, Path], line: str) -> None:
    _, control = served
    name, *words = shlex.split(line)
    await send(control, name, **arguments_of(*words))
    await asyncio.sleep(3 * TICK_S)
    tick = next(task for task in asyncio.all_tasks() if task.get_name() == "hub-emulator-tick")
    assert not tick.done()
    driven = {"drive"} if name == "drive-elsewhere" else set()
    assert (await send(control, "status"))["motor"] in {"coast", "brake"} | driven


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("set-battery percent=abc", "percent"),
        ("set-battery percent=NaN", "percent"),
        ("set-battery percent=1e999", "percent"),
        ("set-battery percent=101", "percent"),
        ("set-battery percent=None", "percent"),
        ("set-battery percent=[1]", "percent"),
        ("set-battery", "percent"),
        ("drain percent_per_s=fast", "percent_per_s"),
        ("slow delay_s=-1", "delay_s"),
        ("slow delay_s=soon", "delay_s"),
        ("slow 'delay_s={}'", "delay_s"),
        ("feed voltage_mv=7200 current_ma=lots", "current_ma"),
        ("feed voltage_mv=-1", "voltage_mv"),
        ("plug port=999", "port"),
        ("plug device_type=-5", "device_type"),
        ("silence on=maybe", "on"),
        ("press-button pressed=2", "pressed"),
        ("fail error='no name'", "error"),
        ("fail method=Nothing", "Nothing"),
        ("hold holder=me", "me"),
        ("raise-alert alert=fire", "fire"),
        ("babble raw=xyz", "raw"),
        ("drop-link why=1", "why"),
        ("drop-link self=1", "self"),
        ("drop-link order=vanish", "order"),
        ("watch", "watch"),
        ("fly-away", "fly-away"),
    ],
)
async def test_wrong_order_is_one_line_and_never_poisons_the_emulator(
    served: tuple[BluezEmulator, Path], line: str, told: str
) -> None:
    _, control = served
    before = await send(control, "status")
    name, *words = shlex.split(line)
    with pytest.raises(UsageError) as error:
        await send(control, name, **arguments_of(*words))
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    await asyncio.sleep(3 * TICK_S)
    assert await send(control, "status") == before
    assert (await send(control, "set-battery", percent=55))["battery_percent"] == 55
    tick = next(task for task in asyncio.all_tasks() if task.get_name() == "hub-emulator-tick")
    assert not tick.done()


async def test_false_means_false(served: tuple[BluezEmulator, Path]) -> None:
    emulator, control = served
    await send(control, "silence", **arguments_of("on=True"))
    assert emulator.stack.silent
    await send(control, "silence", **arguments_of("on=False"))
    assert not emulator.stack.silent
