"""BleHub through bleak, D-Bus and LWP3 bytes against the emulated hub: every fault, every bad input."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Variant
from structlog.testing import capture_logs

from edge_agent.config.control import HubSettings
from edge_agent.errors import RetryableError
from edge_agent.events import CommandKind
from edge_agent.hub import emergency, errors as problems
from edge_agent.hub.ble import BleHub
from edge_agent.hub.emergency import ThreadBrake
from edge_agent.hub.emulator import BluezEmulator, EmulatedHub, HubProfile, PrivateBus
from edge_agent.hub.emulator.objects import ADAPTER_PATH, DEVICE
from edge_agent.hub.lwp3 import OutputCommand, SystemType, decode
from edge_agent.ports import HubEvent
from tests.support.emulator_thread import EmulatorThread

from .conftest import close_bleak, no_free_descriptor, resources

SETTINGS = HubSettings(kind="ble", retry_initial_s=0.01, retry_max_s=0.05, connect_timeout_s=2.0, connect_attempts=1)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that the bus fulfils."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event for what another thread does
            await asyncio.sleep(0.002)


class Driven:
    """A connected hub, with its events and when each came."""

    def __init__(self, hub: BleHub) -> None:
        self.hub = hub
        self.events: list[tuple[float, HubEvent]] = []
        hub.subscribe(lambda event: self.events.append((time.monotonic(), event)))

    async def wait_for(self, kind: str, count: int = 1) -> HubEvent:
        """Wait for the n-th event of a kind."""
        await until(lambda: len(self._of(kind)) >= count)
        return self._of(kind)[count - 1]

    def _of(self, kind: str) -> list[HubEvent]:
        return [event for _, event in self.events if event.kind == kind]


@asynccontextmanager
async def connected(settings: HubSettings = SETTINGS) -> AsyncIterator[Driven]:
    async with BleHub(settings) as hub:
        driven = Driven(hub)
        await hub.wait_connected(10)
        yield driven


def motor_writes(bluez: EmulatorThread) -> list[int | None]:
    """Powers written to port A, oldest first; 127 brakes."""
    messages = [decode(write.raw) for write in bluez.emulator.writes]
    return [message.power for message in messages if isinstance(message, OutputCommand) and message.port == 0]


async def test_hub_is_found_connected_and_known(bluez: EmulatorThread) -> None:
    async with connected() as driven:
        status = driven.hub.status()
        assert (status.connected, status.name, status.battery_percent) == (True, "Train hub", 100)
        assert driven.hub.session is not None
        assert (driven.hub.session.model.motor_port, driven.hub.session.model.light_port) == (0, 1)


async def test_first_write_on_the_wire_is_a_brake(bluez: EmulatorThread) -> None:
    async with connected():
        first = decode(bluez.emulator.writes[0].raw)
    assert isinstance(first, OutputCommand)
    assert first.is_brake


async def test_voltage_and_current_are_reported_in_millivolts_and_milliamperes(bluez: EmulatorThread) -> None:
    async with connected() as driven:
        bluez.call(lambda emulator: emulator.feed(7200, 250))
        await until(lambda: abs((driven.hub.status().voltage_mv or 0) - 7200) <= 60)
        assert abs((driven.hub.status().current_ma or 0) - 250) <= 40


async def test_drive_light_colour_and_brake_reach_the_hub(bluez: EmulatorThread) -> None:
    async with connected() as driven:
        await driven.hub.drive(60)
        await driven.hub.light(70)
        await driven.hub.show("red")
        status = bluez.call(BluezEmulator.status)
        assert (status["motor"], status["power_percent"]) == ("drive", 60)
        assert (status["light_percent"], status["colour"]) == (70, "red")
        await driven.hub.brake()
        await until(lambda: driven.hub.status().brake_confirmed)


async def test_button_and_alert_reach_the_agent(bluez: EmulatorThread) -> None:
    async with connected() as driven:
        bluez.call(lambda emulator: emulator.press_button())
        bluez.call(lambda emulator: emulator.raise_alert("high_current"))
        await driven.wait_for("button_pressed")
        assert (await driven.wait_for("alert")).detail == "high_current"


async def _drop_link(bluez: EmulatorThread) -> None:
    bluez.call(BluezEmulator.drop_link)


async def _vanish(bluez: EmulatorThread) -> None:
    bluez.call(BluezEmulator.vanish)
    bluez.call(BluezEmulator.appear)


async def _adapter_removed(bluez: EmulatorThread) -> None:
    bluez.call(BluezEmulator.remove_adapter)
    bluez.call(BluezEmulator.add_adapter)


async def _adapter_off(bluez: EmulatorThread) -> None:
    bluez.call(BluezEmulator.power_adapter)
    bluez.call(lambda emulator: emulator.power_adapter(on=True))


async def _bluetoothd_killed(bluez: EmulatorThread) -> None:
    bluez.call(BluezEmulator.kill_bluetoothd)
    bluez.call(BluezEmulator.start_bluetoothd)


async def _bus_killed(bluez: EmulatorThread) -> None:
    bluez.call(BluezEmulator.kill_bus)
    bluez.call(BluezEmulator.start_bus)


Trap = Callable[[EmulatorThread], Awaitable[None]]


@pytest.mark.parametrize("trap", [_drop_link, _vanish, _adapter_removed, _adapter_off, _bluetoothd_killed, _bus_killed])
async def test_trap_is_noticed_and_the_link_comes_back_with_a_brake_first(bluez: EmulatorThread, trap: Trap) -> None:
    async with connected() as driven:
        await driven.hub.drive(60)
        before = len(bluez.emulator.writes)
        await trap(bluez)
        await driven.wait_for("disconnected")
        await driven.wait_for("connected", count=2)
        after = [decode(write.raw) for write in bluez.emulator.writes[before:]]
        powers = [message.power for message in after if isinstance(message, OutputCommand)]
        resumed = powers[powers.index(127) :]
        assert 60 not in resumed
        await driven.hub.drive(50)


@pytest.mark.parametrize("fault", [BluezEmulator.hang, BluezEmulator.mute, BluezEmulator.busy])
async def test_writes_that_do_not_return_drop_the_link_and_stop_the_motor(
    bluez: EmulatorThread, fault: Callable[[BluezEmulator], None]
) -> None:
    async with connected() as driven:
        await driven.hub.drive(60)
        bluez.call(fault)
        with pytest.raises(RetryableError):
            await driven.hub.brake()
        assert not driven.hub.status().connected
        bluez.call(BluezEmulator.behave)
        await driven.wait_for("connected", count=2)
        assert bluez.call(BluezEmulator.status)["motor"] == "brake"


@pytest.mark.parametrize(
    "methods",
    [
        ("GetManagedObjects",),
        ("StartDiscovery",),
        ("StopDiscovery",),
        ("Connect",),
        ("Connect", "Disconnect"),
        ("StartNotify",),
        ("StartNotify", "Disconnect"),
    ],
)
async def test_connecting_to_a_stack_that_hangs_ends_and_is_tried_again(
    bluez: EmulatorThread, monkeypatch: pytest.MonkeyPatch, methods: tuple[str, ...]
) -> None:
    for limit in (
        "connection.CLOSE_LIMIT_S",
        "connection.NOTIFY_LIMIT_S",
        "bluez_monitor.BUS_LIMIT_S",
        "discovery.SCAN_CALL_LIMIT_S",
        "connection.PAUSE_S",
    ):
        monkeypatch.setattr(f"edge_agent.hub.{limit}", 0.1)
    for method in methods:
        bluez.call(partial(BluezEmulator.hang, method=method))
    async with BleHub(SETTINGS.model_copy(update={"connect_timeout_s": 0.2})) as hub:
        driven = Driven(hub)
        if methods != ("StopDiscovery",):  # that one does not prevent a connection
            await driven.wait_for("disconnected")
        bluez.call(BluezEmulator.behave)
        await driven.wait_for("connected")
        await hub.drive(40)


async def test_moving_train_notices_a_silent_death_without_a_signal(bluez: EmulatorThread) -> None:
    async with connected() as driven:
        await driven.hub.drive(60)
        bluez.call(BluezEmulator.hang)
        await driven.wait_for("disconnected")


async def test_link_left_by_a_dead_process_is_taken_over(bluez: EmulatorThread) -> None:
    bluez.call(lambda emulator: emulator.stack.advertise())
    bluez.call(lambda emulator: emulator.stack.connect())
    async with connected():
        assert bluez.call(BluezEmulator.status)["links"] == 1
        assert motor_writes(bluez)[0] == 127


async def test_stalled_loop_is_braked_from_outside_where_no_descriptor_is_left(
    bluez: EmulatorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven, prove = threading.Event(), ThreadBrake.prove

    def proving(brake: ThreadBrake) -> None:
        prove(brake)
        proven.set()

    monkeypatch.setattr(ThreadBrake, "prove", proving)
    async with connected() as driven:
        await asyncio.to_thread(proven.wait, 10)
        await driven.hub.drive(60)
        braking = threading.Thread(target=driven.hub.emergency_brake)
        with no_free_descriptor():
            braking.start()
            braking.join(10)  # the loop stands still here
        assert motor_writes(bluez)[-1] == 127


async def test_watchdogs_brake_reaches_the_hub_while_the_loop_stands_still(bluez: EmulatorThread) -> None:
    async with connected() as driven:
        await driven.hub.drive(60)
        await asyncio.to_thread(lambda: None)  # the pool's thread exists
        braking = asyncio.get_running_loop().run_in_executor(None, driven.hub.emergency_brake)
        deadline_s = time.monotonic() + 5
        while motor_writes(bluez)[-1] != 127 and time.monotonic() < deadline_s:
            time.sleep(0.002)  # noqa: ASYNC251 - the stall
        assert motor_writes(bluez)[-1] == 127
        await braking
        with pytest.raises(RetryableError):
            await driven.hub.drive(61)
        await driven.hub.brake()
        await driven.hub.drive(62)
        assert 61 not in motor_writes(bluez)


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (BluezEmulator.remove_adapter, problems.NO_ADAPTER),
        (BluezEmulator.power_adapter, problems.ADAPTER_OFF),
        (BluezEmulator.vanish, problems.NO_HUB),
        (BluezEmulator.hold, problems.NO_HUB),
        (lambda emulator: emulator.hold("here"), problems.HELD),
        (BluezEmulator.kill_bluetoothd, problems.NO_BLUETOOTHD),
        (BluezEmulator.kill_bus, problems.NO_BUS),
        (BluezEmulator.unplug, problems.NO_MOTOR),
    ],
)
async def test_bad_input_is_named_and_the_hub_stays_disconnected(
    bluez: EmulatorThread, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[BluezEmulator], object], code: str
) -> None:
    monkeypatch.setattr("edge_agent.hub.ble.SEARCH_S", 0.1)
    monkeypatch.setattr("edge_agent.hub.session.MOTOR_LIMIT_S", 0.1)
    bluez.call(prepare)
    async with BleHub(SETTINGS) as hub:
        driven = Driven(hub)
        await driven.wait_for("disconnected")
        assert isinstance(hub.problem, problems.HubError)
        assert hub.problem.code == code
        assert not hub.status().connected


async def test_another_kind_of_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.hub.ble.SEARCH_S", 0.1)
    profile = HubProfile(name="Crane", system_type=SystemType.TECHNIC)
    with EmulatorThread(BluezEmulator(EmulatedHub(profile))) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        async with BleHub(SETTINGS) as hub:
            await Driven(hub).wait_for("disconnected")
            assert "Technic Hub" in str(hub.problem)
        await close_bleak()


async def test_no_permission_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorThread(BluezEmulator(bus=PrivateBus(permitted=False))) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        async with BleHub(SETTINGS) as hub:
            event = await Driven(hub).wait_for("disconnected")
            assert "group `bluetooth`" in event.detail
        await close_bleak()


async def test_reconnects_leak_neither_tasks_nor_threads_nor_descriptors(bluez: EmulatorThread) -> None:
    """EDGE_AGENT_SOAK_RECONNECTS=1000 makes it a soak test."""
    rounds = int(os.environ.get("EDGE_AGENT_SOAK_RECONNECTS", "20"))
    async with connected() as driven:
        bluez.call(BluezEmulator.drop_link)
        await driven.wait_for("connected", count=2)
        await asyncio.sleep(0.2)  # what follows a connection is written
        before = resources()
        for count in range(3, 3 + rounds):
            bluez.call(BluezEmulator.drop_link)
            await driven.wait_for("connected", count=count)
        await asyncio.sleep(0.2)
        assert resources() == before


@pytest.fixture
async def real_bluez(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmulatorThread]:
    """Serve a hub whose link takes as long as on a real Bluetooth stack."""
    with EmulatorThread(BluezEmulator()) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        yield thread
        await close_bleak()


def _add_headset(emulator: BluezEmulator) -> None:
    """Let something else be connected by the same adapter."""
    path = f"{ADAPTER_PATH}/dev_00_11_22_33_44_55"
    emulator.stack.tree.add(path, {DEVICE: {"Connected": Variant("b", True), "UUIDs": Variant("as", [])}})


def _search(emulator: BluezEmulator) -> None:
    """Let another program search for devices."""
    emulator.stack.start_scan("another")


@pytest.mark.parametrize(
    ("prepare", "settings", "power_cycles"),
    [
        (lambda emulator: None, SETTINGS, 1),
        (_add_headset, SETTINGS, 0),
        (_search, SETTINGS, 0),
        (lambda emulator: None, SETTINGS.model_copy(update={"may_power_cycle": False}), 0),
    ],
    ids=["alone", "headset", "search", "forbidden"],
)
async def test_link_of_a_hub_that_confirms_no_brake_is_cut_by_the_adapter_if_nothing_else_uses_it(
    real_bluez: EmulatorThread, prepare: Callable[[BluezEmulator], None], settings: HubSettings, power_cycles: int
) -> None:
    with capture_logs() as logs:
        async with connected(settings) as driven:
            await driven.hub.drive(60)
            await until(lambda: motor_writes(real_bluez)[-1] == 60)
            real_bluez.call(prepare)
            real_bluez.call(BluezEmulator.lock_up)
            driven.hub.give_up("the hub has not answered")
            await until(lambda: real_bluez.emulator.hub.motor.kind is not CommandKind.DRIVE)
            real_bluez.call(BluezEmulator.behave)
            await driven.wait_for("connected", count=2)
            assert "the hub has not answered" in (await driven.wait_for("disconnected")).detail
    assert [log["event"] for log in logs].count("adapter_power_cycle") == power_cycles
    assert motor_writes(real_bluez)[-1] == 127


async def test_brake_that_is_confirmed_needs_no_power_cycle(
    real_bluez: EmulatorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.hub.connection.GRACE_S", 5.0)  # the machine may be busy
    with capture_logs() as logs:
        async with connected() as driven:
            await driven.hub.drive(60)
            driven.hub.give_up("the hub has not answered")
            await until(lambda: motor_writes(real_bluez)[-1] == 127)
            await driven.wait_for("connected", count=2)
    assert "adapter_power_cycle" not in [log["event"] for log in logs]


async def test_bluetoothd_that_stood_still_delivers_one_power_at_most_and_then_the_brake(
    real_bluez: EmulatorThread,
) -> None:
    async with connected() as driven:
        await driven.hub.drive(60)
        await until(lambda: motor_writes(real_bluez)[-1] == 60)
        before = len(motor_writes(real_bluez))
        real_bluez.call(BluezEmulator.freeze_bluetoothd)
        with suppress(RetryableError):
            while True:
                await driven.hub.drive(50)
        await asyncio.sleep(0.2)
        real_bluez.call(lambda emulator: emulator.freeze_bluetoothd(False))
        await driven.wait_for("connected", count=2)
        late = motor_writes(real_bluez)[before:]
        assert 127 in late
        assert late[: late.index(127)] in ([], [50], [60])
        assert set(late[late.index(127) :]) == {127}


def _abort(emulator: BluezEmulator) -> None:
    """Abort each connection at once, with the signals of a link that came and went."""
    emulator.fail("Connect", text="le-connection-abort-by-local")
    add = emulator.stack.tree.change

    def flap(path: str, interface: str, changes: Any) -> None:
        add(path, interface, changes)

    emulator.stack.tree.change = flap  # type: ignore[method-assign]
    check = emulator.server.methods._check

    def abort(name: str, path: str) -> None:
        if name == "Connect" and emulator.server.methods.faults.errors:
            for state in (True, False):
                add(path, DEVICE, {"Connected": Variant("b", state)})
            emulator.connects = getattr(emulator, "connects", 0) + 1  # type: ignore[attr-defined]
        check(name, path)

    emulator.server.methods._check = abort  # type: ignore[method-assign]


async def test_bluez_that_aborts_each_connection_at_once_is_asked_with_pauses(bluez: EmulatorThread) -> None:
    """Left alone, bleak asks thousands of times a second."""
    bluez.call(_abort)
    settings = SETTINGS.model_copy(update={"connect_attempts": 3, "retry_initial_s": 5.0, "retry_max_s": 5.0})
    async with BleHub(settings) as hub:
        await Driven(hub).wait_for("disconnected")
        assert bluez.emulator.connects == 3  # type: ignore[attr-defined]


async def test_attempts_to_connect_have_each_the_time_that_is_set(bluez: EmulatorThread) -> None:
    calls: list[float] = []

    def count(emulator: BluezEmulator) -> None:
        emulator.hang("Connect")
        handle = emulator.server.methods.handle

        def counting(call: Any) -> Any:
            if call.member == "Connect":
                calls.append(time.monotonic())
            return handle(call)

        emulator.server.methods.handle = counting  # type: ignore[method-assign]

    bluez.call(count)
    how = {"connect_timeout_s": 0.3, "connect_attempts": 3, "retry_initial_s": 5.0, "retry_max_s": 5.0}
    async with BleHub(SETTINGS.model_copy(update=how)) as hub:
        await Driven(hub).wait_for("disconnected")
        assert len(calls) == 3
        assert min(later - earlier for earlier, later in pairwise(calls)) >= 0.3
        bluez.call(BluezEmulator.behave)


@pytest.mark.parametrize(
    ("method", "error", "code", "says"),
    [
        ("StartDiscovery", "org.bluez.Error.InProgress", problems.SEARCHING, "end the other program that searches"),
        ("StartDiscovery", "org.bluez.Error.Strange", problems.LINK, "org.bluez.Error.Strange"),
        ("GetManagedObjects", "org.freedesktop.systemd1.UnitMasked", problems.MASKED, "systemctl unmask bluetooth"),
    ],
)
async def test_refusal_of_bluez_has_a_line_of_its_own_or_its_name(
    bluez: EmulatorThread, method: str, error: str, code: str, says: str
) -> None:
    bluez.call(lambda emulator: emulator.fail(method, error))
    async with BleHub(SETTINGS) as hub:
        assert says in (await Driven(hub).wait_for("disconnected")).detail
        assert isinstance(hub.problem, problems.HubError)
        assert hub.problem.code == code


async def test_adapter_that_the_kernel_has_and_bluetoothd_not_is_named(
    bluez: EmulatorThread, kernel_adapters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a suspend that has lost the adapter's firmware."""
    monkeypatch.setattr("edge_agent.hub.discovery.ADAPTER_LIMIT_S", 0.1)
    (kernel_adapters / "hci0").mkdir()
    (kernel_adapters / "hci0:64").mkdir()  # a link of the adapter
    bluez.call(BluezEmulator.remove_adapter)
    async with BleHub(SETTINGS) as hub:
        assert "firmware" in (await Driven(hub).wait_for("disconnected")).detail


async def test_bluetoothd_that_has_just_started_gets_time_for_its_adapter(
    bluez: EmulatorThread, kernel_adapters: Path
) -> None:
    (kernel_adapters / "hci0").mkdir()
    bluez.call(BluezEmulator.remove_adapter)
    asyncio.get_running_loop().call_later(0.3, bluez.call, BluezEmulator.add_adapter)
    async with connected() as driven:
        assert driven.events[0][1].kind == "connected"


async def test_machine_without_bluetooth_says_so_at_once(
    bluez: EmulatorThread, kernel_adapters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel_adapters.rmdir()
    bluez.call(BluezEmulator.kill_bluetoothd)
    async with BleHub(SETTINGS) as hub:
        await Driven(hub).wait_for("disconnected")
        assert isinstance(hub.problem, problems.HubError)
        assert hub.problem.code == problems.NO_ADAPTER
    assert emergency.main([]) == 1
    assert "There is no Bluetooth adapter" in capsys.readouterr().err


async def test_name_that_is_set_fits_the_advertised_and_the_gap_name(bluez: EmulatorThread) -> None:
    """After a connection BlueZ knows the hub by its GAP name, another than the one that it advertises."""

    def rename(emulator: BluezEmulator) -> None:
        names = {name: Variant("s", "LEGO Hub") for name in ("Name", "Alias")}
        emulator.stack.tree.change(emulator.stack.device_path, DEVICE, names)

    bluez.call(lambda emulator: emulator.stack.advertise())
    async with connected(SETTINGS.model_copy(update={"name": "Train hub"})) as driven:
        bluez.call(rename)
        bluez.call(BluezEmulator.drop_link)
        await driven.wait_for("connected", count=2)
