"""The emulated radio and what BlueZ makes of it: what is accepted, when it arrives, how long a link's end takes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from edge_agent.events import CommandKind
from edge_agent.hub.emulator import EmulatedHub, LinkTiming, Radio
from edge_agent.hub.emulator.bluez import NOT_CONNECTED, BluezError, BluezStack
from edge_agent.hub.emulator.objects import ADAPTER_PATH, CHARACTERISTIC, DEVICE
from edge_agent.hub.lwp3 import brake, encode, start_power
from edge_agent.simulation.clock import run_virtual

DRIVE, BRAKE = encode(start_power(0, 60)), encode(brake(0))


class Link:
    """A radio on the running loop, and what it has carried."""

    def __init__(self, timing: LinkTiming | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.at_hub: list[tuple[bytes, float]] = []
        self.at_host: list[tuple[bytes, float]] = []
        self.radio = Radio(
            timing or LinkTiming(),
            loop.time,
            loop.call_later,
            lambda raw, at_s: self.at_hub.append((raw, round(at_s, 3))),
            lambda raw: self.at_host.append((raw, round(loop.time(), 3))),
        )
        self.radio.open()


def test_writes_and_answers_wait_for_the_next_connection_event() -> None:
    async def main() -> Link:
        link = Link()
        await asyncio.sleep(0.02)
        link.radio.write(b"a")
        link.radio.write(b"b")
        link.radio.notify(b"x")
        await asyncio.sleep(0.1)
        return link

    link = run_virtual(main())
    assert link.at_hub == [(b"a", 0.05), (b"b", 0.05)]
    assert link.at_host == [(b"x", 0.05)]


def test_writes_of_a_stalled_link_arrive_late_as_one_burst() -> None:
    async def main() -> Link:
        link = Link()
        link.radio.stall(on=True)
        for n in range(100):
            link.radio.write(bytes((n,)))
            await asyncio.sleep(0.1)
        assert (link.radio.queued, link.at_hub) == (100, [])
        link.radio.stall(on=False)
        await asyncio.sleep(0.1)
        return link

    link = run_virtual(main())
    assert [raw[0] for raw, _ in link.at_hub] == list(range(100))
    assert len({at_s for _, at_s in link.at_hub}) == 1


def test_lost_packets_delay_and_keep_the_sequence() -> None:
    async def main() -> Link:
        link = Link(LinkTiming(interval_s=0.1, loss=0.5))
        for n in range(50):
            link.radio.write(bytes((n,)))
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        return link

    link = run_virtual(main())
    assert [raw[0] for raw, _ in link.at_hub] == list(range(50))
    assert 15 < len({at_s for _, at_s in link.at_hub}) < 35, "half of the connection events carry nothing"


def test_new_link_carries_nothing_of_the_last() -> None:
    async def main() -> Link:
        link = Link()
        link.radio.write(b"old")
        link.radio.close()
        link.radio.open()
        link.radio.write(b"new")
        await asyncio.sleep(1)
        return link

    assert [raw for raw, _ in run_virtual(main()).at_hub] == [b"new"]


class Stack:
    """An emulated BlueZ on the running loop with a running train, and when its motor stopped."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clock = loop.time
        self.stopped_s: float | None = None
        self.finished_s: float | None = None
        self.signals: list[tuple[str, str]] = []
        self.bluez = BluezStack(EmulatedHub(on_motor=self.on_motor), loop.time, loop.call_later)
        self.bluez.add_adapter()

    def on_motor(self, setting: Any, now_s: float) -> None:
        self.stopped_s = None if setting.kind is CommandKind.DRIVE else now_s

    async def run(self) -> None:
        self.bluez.connect()
        await asyncio.sleep(1)
        self.bluez.start_notify("me")
        self.bluez.write(DRIVE)
        await asyncio.sleep(0.5)
        self.began_s = self.clock()
        self.bluez.tree.send = lambda message: self.signals.append((message.member, str(message.body)))

    def finish(self, _error: BluezError | None) -> None:
        self.finished_s = self.clock()


def stack(scenario: Callable[[Stack], Coroutine[Any, Any, None]]) -> Stack:
    """Drive, act, and wait for five seconds."""

    async def main() -> Stack:
        one = Stack()
        await one.run()
        await scenario(one)
        await asyncio.sleep(5)
        return one

    return run_virtual(main())


@pytest.mark.parametrize(
    ("act", "stops_after_s", "answers_after_s"),
    [
        (lambda one: one.bluez.disconnect(one.finish), 2.4, 2.4),
        (lambda one: one.bluez.remove_device(one.finish), 2.8, 2.8),
        (lambda one: one.bluez.power(on=False, finish=one.finish), 0.02, 0.02),
        (lambda one: one.bluez.crash(), 2.0, None),
        (lambda one: one.bluez.remove_adapter(), 0.42, None),
        (lambda one: one.bluez.lose_radio(), 0.42, None),
        (lambda one: one.bluez.drop_link(), 0.0, None),
    ],
)
def test_end_of_a_link_takes_what_was_measured(
    act: Callable[[Stack], None], stops_after_s: float, answers_after_s: float | None
) -> None:
    async def scenario(one: Stack) -> None:
        act(one)

    one = stack(scenario)
    assert one.stopped_s is not None
    assert one.stopped_s - one.began_s == pytest.approx(stops_after_s)
    answered_s = None if one.finished_s is None else one.finished_s - one.began_s
    assert answered_s == (None if answers_after_s is None else pytest.approx(answers_after_s))
    assert not one.bluez.connected
    assert not one.bluez.linked


def test_brake_that_is_written_while_bluez_disconnects_still_arrives() -> None:
    async def scenario(one: Stack) -> None:
        one.bluez.disconnect(one.finish)
        await asyncio.sleep(1)
        one.bluez.write(BRAKE)
        await asyncio.sleep(0.1)
        assert one.bluez.hub.motor.kind is CommandKind.BRAKE

    stack(scenario)


def test_adapter_that_is_pulled_says_connected_false_then_powered_false_before_its_objects_go() -> None:
    async def scenario(one: Stack) -> None:
        one.bluez.remove_adapter()

    signals = stack(scenario).signals
    told = [
        what
        for member, body in signals
        for what in ("Connected", "Powered", "InterfacesRemoved")
        if what in member + body
    ]
    assert told[:2] == ["Connected", "Powered"]
    assert set(told[2:]) == {"InterfacesRemoved"}


def test_link_out_of_range_is_told_34_ms_after_it_ended() -> None:
    async def scenario(one: Stack) -> None:
        one.bluez.lose_radio()
        one.bluez.write(BRAKE)  # accepted, and lost
        await asyncio.sleep(0.44)
        assert one.bluez.connected
        assert not one.bluez.linked
        await asyncio.sleep(0.03)
        assert not one.bluez.connected

    assert stack(scenario).bluez.writes[-1].raw == DRIVE


def test_hub_of_a_killed_bluetoothd_cannot_be_connected_until_the_kernel_lets_it_go() -> None:
    async def scenario(one: Stack) -> None:
        one.bluez.crash()
        one.bluez.add_adapter()
        with pytest.raises(BluezError):
            one.bluez.connect()
        await asyncio.sleep(2.1)
        one.bluez.connect()

    assert stack(scenario).bluez.connected


def test_disconnecting_what_is_not_connected_is_refused() -> None:
    async def scenario(one: Stack) -> None:
        one.bluez.drop_link()
        with pytest.raises(BluezError) as caught:
            one.bluez.disconnect()
        assert caught.value.error == NOT_CONNECTED

    stack(scenario)


def test_subscription_and_connection_that_a_lost_link_ends_are_answered_with_an_error() -> None:
    async def scenario(one: Stack) -> None:
        errors: list[BluezError | None] = []
        one.bluez.drop_link()
        one.bluez.connect(errors.append)
        one.bluez.connect(errors.append)
        one.bluez.drop_link()
        one.bluez.connect()
        await asyncio.sleep(1)
        one.bluez.start_notify("me", errors.append)
        one.bluez.start_notify("me too", errors.append)
        one.bluez.drop_link()
        assert len(errors) == 4
        assert None not in errors

    stack(scenario)


def test_objects_of_a_hub_that_is_forgotten_go_and_its_value_is_told_to_nobody() -> None:
    async def scenario(one: Stack) -> None:
        one.bluez.vanish()

    one = stack(scenario)
    assert one.bluez.device_path not in one.bluez.tree
    assert ADAPTER_PATH in one.bluez.tree
    assert not any(CHARACTERISTIC in body and "Value" in body for _, body in one.signals)
    assert any(DEVICE in body for _, body in one.signals)
