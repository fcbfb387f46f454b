"""A hub's answers over a radio that loses packets, on a virtual clock: when the guard would take it for silent."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from edge_agent.control.guard import Health, Inputs, Limits, PowerRequest, hub_is_silent
from edge_agent.hub.connection import Farewell
from edge_agent.hub.emergency import BrakeTarget
from edge_agent.hub.emulator import EmulatedHub, LinkTiming, Radio
from edge_agent.hub.emulator.protocol import handle_write
from edge_agent.hub.lwp3 import encode
from edge_agent.hub.session import HubSession
from edge_agent.simulation.clock import run_virtual

TICK_S = 0.05
FRAME_S = 0.1


class RadioConnection:
    """Implements HubConnection over an emulated radio."""

    def __init__(self, timing: LinkTiming) -> None:
        loop = asyncio.get_running_loop()
        self.target = BrakeTarget("AA:BB:CC:DD:EE:FF", "Train", "/hub", "/hub/characteristic")
        self.lost = asyncio.Event()
        self.reason = ""
        self.hub = EmulatedHub()
        self._on_notification: Callable[[bytes], None] | None = None
        self.radio = Radio(timing, loop.time, loop.call_later, self._at_hub, self._at_host)
        self.radio.open()

    def _at_hub(self, raw: bytes, now_s: float) -> None:
        for answer in handle_write(self.hub, raw, now_s):
            self.radio.notify(encode(answer))

    def _at_host(self, raw: bytes) -> None:
        if self._on_notification is not None:
            self._on_notification(raw)

    async def send(self, data: bytes) -> None:
        self.radio.write(data)

    async def start_notify(self, on_notification: Callable[[bytes], None]) -> None:
        self._on_notification = on_notification
        subscribed = asyncio.Event()
        self.radio.request(subscribed.set)
        await subscribed.wait()
        for message in self.hub.start_session():
            self.radio.notify(encode(message))

    def drop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.lost.set()

    async def close(self, farewell: Farewell | None = None) -> None:
        self.drop("closed")


@dataclass
class Drive:
    """A train that drives for a while: how often its hub counted as silent, and how long after the radio stalled."""

    alarms: int = 0
    noticed_s: float = math.inf


def drive(timing: LinkTiming, seconds: float, *, stall: bool = False) -> Drive:
    """Renew the power at each frame and look at each tick, as driver and guard do."""
    result = Drive()

    async def main() -> None:
        connection = RadioConnection(timing)
        session = HubSession(
            connection, keep_alive_s=0.2, write_limit_s=0.12, emit=lambda _: None, on_problem=lambda _: None
        )
        running = asyncio.ensure_future(session.run(lambda: None, lambda: None))
        await asyncio.sleep(5)
        assert session.ready
        await session.motor.brake()
        await asyncio.sleep(1)  # the hub has answered once: that is how its interval is known
        clock = asyncio.get_running_loop().time
        end_s, stalled_s, frame_s = clock() + seconds, math.inf, clock()
        while clock() < end_s:
            if clock() >= frame_s:
                frame_s += FRAME_S
                await session.motor.drive(60)
            await asyncio.sleep(TICK_S)
            if stall and stalled_s == math.inf and clock() > end_s - 5:
                connection.radio.stall(on=True)
                stalled_s = clock()
            status = session.status()
            health = Health(clock(), unanswered_s=status.unanswered_s, answer_s=status.answer_s)
            if hub_is_silent(Inputs(clock(), PowerRequest(60, ""), health), Limits()):
                result.alarms += 1
                result.noticed_s = min(result.noticed_s, clock() - stalled_s)
        connection.drop("end")
        await running

    run_virtual(main())
    return result


@pytest.mark.parametrize(
    ("interval_s", "loss", "minutes"), [(0.1, 0.05, 30), (0.05, 0.05, 5), (0.0375, 0.0, 2), (0.2, 0.0, 5)]
)
def test_radio_that_loses_packets_raises_no_false_alarm(interval_s: float, loss: float, minutes: int) -> None:
    assert drive(LinkTiming(interval_s=interval_s, loss=loss), 60 * minutes).alarms == 0


@pytest.mark.parametrize(("interval_s", "bound_s"), [(0.03, 0.5), (0.05, 0.65), (0.1, 1.15)])
def test_radio_that_falls_silent_is_noticed(interval_s: float, bound_s: float) -> None:
    """Within the write period, five to ten intervals (a write may wait for one) and a tick."""
    result = drive(LinkTiming(interval_s=interval_s), 20, stall=True)
    assert 0.2 <= result.noticed_s <= bound_s
