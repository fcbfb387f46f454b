"""BleHub on a fake connection: what guard and driver see of links that come and go."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from edge_agent.errors import RetryableError
from edge_agent.hub.ble import BleHub
from edge_agent.hub.connection import HubConnection
from edge_agent.hub.errors import NO_HUB, hub_error
from edge_agent.hub.lwp3 import (
    DeviceType,
    HubAction,
    HubActionType as HubActionCode,
    HubProperty,
    HubPropertyUpdate,
    OutputCommand,
)
from edge_agent.ports import Hub, HubEvent
from edge_agent.simulation.clock import run_virtual

from .fakes import SETTINGS, FakeConnection


def as_hub(hub: Hub) -> Hub:
    """Let mypy check BleHub against the Protocol."""
    return hub


class FakeRadio:
    """Returns the given links in turn, or raises."""

    def __init__(self, *links: FakeConnection | RetryableError) -> None:
        self.links = list(links)
        self.made: list[FakeConnection] = []

    async def connect(self) -> HubConnection:
        link = self.links.pop(0) if self.links else FakeConnection()
        if isinstance(link, RetryableError):
            raise link
        self.made.append(link)
        return link


def with_hub(radio: FakeRadio, scenario: Callable[[BleHub, list[HubEvent]], Awaitable[None]]) -> list[HubEvent]:
    """Run a scenario with a hub; return all events."""
    events: list[HubEvent] = []

    async def main() -> None:
        hub = BleHub(SETTINGS, connect=radio.connect)
        hub.subscribe(events.append)
        async with as_hub(hub):
            await scenario(hub, events)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())
    return events


def test_hub_connects_by_itself_and_says_so() -> None:
    async def scenario(hub: BleHub, events: list[HubEvent]) -> None:
        assert not hub.status().connected
        await hub.wait_connected(5)
        assert hub.status().connected
        assert events == [HubEvent("connected", "Train")]

    with_hub(FakeRadio(), scenario)


def test_link_lost_is_reported_at_once_and_made_again_with_a_brake_first() -> None:
    radio = FakeRadio()

    async def scenario(hub: BleHub, events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        await asyncio.sleep(10)
        await hub.drive(60)
        radio.made[0].drop("the hub disconnected")
        assert not hub.status().connected
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert events[1].kind == "disconnected"
        await hub.wait_connected(5)

    events = with_hub(radio, scenario)
    assert [event.kind for event in events[:3]] == ["connected", "disconnected", "connected"]
    first = radio.made[1].taken[0][1]
    assert isinstance(first, OutputCommand)
    assert first.is_brake
    assert 60 not in radio.made[1].powers
    assert radio.made[0].closed


def test_reconnect_never_resumes_motion_by_itself() -> None:
    radio = FakeRadio()

    async def scenario(hub: BleHub, _events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        await hub.drive(60)
        radio.made[0].drop("gone")
        await asyncio.sleep(30)

    with_hub(radio, scenario)
    assert set(radio.made[-1].powers) == {127}


def test_no_link_is_reported_once_per_reason_and_tried_until_there_is_one() -> None:
    radio = FakeRadio(*[hub_error(NO_HUB)] * 20)

    async def scenario(hub: BleHub, events: list[HubEvent]) -> None:
        with pytest.raises(RetryableError, match="No hub in range"):
            await hub.wait_connected(5)
        assert [event.kind for event in events] == ["disconnected"]
        assert "green button" in events[0].detail
        await hub.wait_connected(300)
        assert hub.problem is None

    events = with_hub(radio, scenario)
    assert [event.kind for event in events] == ["disconnected", "connected", "disconnected"]


def test_hub_without_motor_stays_disconnected_and_says_why() -> None:
    async def scenario(hub: BleHub, events: list[HubEvent]) -> None:
        with pytest.raises(RetryableError, match="no motor"):
            await hub.wait_connected(10)
        assert not hub.status().connected
        assert [event.kind for event in events] == ["disconnected"]
        await hub.brake()  # allowed: a brake does no harm

    with_hub(FakeRadio(FakeConnection({1: DeviceType.LIGHT})), scenario)


def test_hub_whose_motor_is_not_announced_in_time_is_not_called_out_of_range() -> None:
    async def scenario(hub: BleHub, _events: list[HubEvent]) -> None:
        with pytest.raises(RetryableError, match="no motor"):
            await hub.wait_connected(1)  # less than a session waits before it reports the problem

    with_hub(FakeRadio(FakeConnection({1: DeviceType.LIGHT})), scenario)


def test_write_that_hangs_drops_the_link_within_500_ms_and_a_new_one_is_made() -> None:
    radio = FakeRadio()

    async def scenario(hub: BleHub, events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        await asyncio.sleep(10)
        radio.made[0].hang = True
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(RetryableError):
            await hub.brake()
        assert asyncio.get_running_loop().time() - began_s <= 0.5
        await hub.wait_connected(5)
        assert [event.kind for event in events] == ["connected", "disconnected", "connected"]

    with_hub(radio, scenario)


def test_dead_link_of_a_moving_train_is_noticed_by_the_keep_alive() -> None:
    """Without a callback or a signal, only a write shows it."""
    radio = FakeRadio()

    async def scenario(hub: BleHub, events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        await asyncio.sleep(10)
        await hub.drive(50)
        radio.made[0].hang = True
        await asyncio.sleep(0.2 + 0.5)
        assert [event.kind for event in events][:2] == ["connected", "disconnected"]

    with_hub(radio, scenario)


def test_leaving_brakes_last_and_lets_go() -> None:
    radio = FakeRadio()

    async def scenario(hub: BleHub, _events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        await hub.drive(50)

    with_hub(radio, scenario)
    assert radio.made[0].powers[-2:] == [50, 127]
    assert radio.made[0].closed


def test_leaving_a_hub_that_hangs_takes_a_second_at_most() -> None:
    radio = FakeRadio()
    times: list[float] = []

    async def main() -> None:
        async with BleHub(SETTINGS, connect=radio.connect) as hub:
            await hub.wait_connected(5)
            radio.made[0].hang = True
            times.append(asyncio.get_running_loop().time())
        times.append(asyncio.get_running_loop().time())

    run_virtual(main())
    assert times[1] - times[0] <= 1.0


def test_leaving_while_still_searching_is_quiet() -> None:
    async def scenario(_hub: BleHub, _events: list[HubEvent]) -> None:
        await asyncio.sleep(1)

    with_hub(FakeRadio(*[hub_error(NO_HUB)] * 1000), scenario)


def test_button_reaches_the_subscriber() -> None:
    radio = FakeRadio()

    async def scenario(hub: BleHub, events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        radio.made[0].notify(HubPropertyUpdate(HubProperty.BUTTON, True))
        assert events[-1] == HubEvent("button_pressed")
        assert hub.status().button_pressed

    with_hub(radio, scenario)


def test_hub_that_switches_itself_off_is_reported_with_its_reason() -> None:
    radio = FakeRadio()

    async def scenario(hub: BleHub, events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        radio.made[0].notify(HubAction(HubActionCode.WILL_SWITCH_OFF))
        await asyncio.sleep(0.01)
        assert "switches itself off" in events[1].detail

    with_hub(radio, scenario)


def test_colour_that_does_not_exist_is_refused() -> None:
    async def scenario(hub: BleHub, _events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        await hub.show("green")
        with pytest.raises(ValueError, match="mauve"):
            await hub.show("mauve")

    with_hub(FakeRadio(), scenario)


async def test_outside_brake_during_a_stall_has_the_last_word() -> None:
    """The loop stalls with a power about to be written; the watchdog's thread brakes meanwhile."""
    radio = FakeRadio()
    async with BleHub(SETTINGS, connect=radio.connect) as hub:
        await hub.wait_connected(5)
        await hub.drive(60)
        late = asyncio.ensure_future(hub.drive(61))
        thread = asyncio.get_running_loop().run_in_executor(None, hub.emergency_brake)
        time.sleep(0.05)  # noqa: ASYNC251 - the stall
        with pytest.raises(RetryableError):
            await late
        with pytest.raises(RetryableError):
            await thread  # there is no D-Bus behind a fake link
        await asyncio.sleep(0.01)
        assert radio.made[0].powers[-1] == 127
        with pytest.raises(RetryableError):
            await hub.drive(62)
        await hub.brake()
        await hub.drive(63)
        assert radio.made[0].powers[-1] == 63


def test_a_thousand_reconnects_leave_no_task_behind() -> None:
    radio = FakeRadio()

    async def scenario(hub: BleHub, _events: list[HubEvent]) -> None:
        await hub.wait_connected(5)
        tasks = len(asyncio.all_tasks())
        for _ in range(1000):
            await asyncio.sleep(1)
            radio.made[-1].drop("again")
            await asyncio.sleep(0)
            await hub.wait_connected(5)
        assert hub.links == 1001
        assert len(asyncio.all_tasks()) == tasks
        del radio.made[:-1]

    with_hub(radio, scenario)
