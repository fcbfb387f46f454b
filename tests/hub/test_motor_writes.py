"""LinkWriter: one write in flight, overtaken by a brake only; gives up a link whose writes fail or get no answer."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from bleak.exc import BleakDBusError, BleakError

from edge_agent.errors import RetryableError
from edge_agent.hub.motor import ATTEMPTS, LinkWriter
from edge_agent.simulation.clock import run_virtual

LIMIT_S = 0.15
IN_PROGRESS = BleakDBusError("org.bluez.Error.InProgress", ["In Progress"])
UNKNOWN_OBJECT = BleakDBusError("org.freedesktop.DBus.Error.UnknownObject", ["gone"])


class FakeLink:
    """A link that replies as given, with a record of the writes."""

    def __init__(self, *replies: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.replies = list(replies)
        self.sent: list[bytes] = []
        self.given_up: list[tuple[str, float]] = []
        self.writer = LinkWriter(self.send, LIMIT_S, self.on_give_up)

    async def send(self, data: bytes) -> None:
        self.sent.append(data)
        if self.replies:
            await self.replies.pop(0)()

    def on_give_up(self, reason: str) -> None:
        self.given_up.append((reason, asyncio.get_running_loop().time()))


async def slow() -> None:
    await asyncio.sleep(0.1)


async def hang() -> None:
    await asyncio.Event().wait()


def refuse(error: Exception) -> Callable[[], Coroutine[Any, Any, None]]:
    async def reply() -> None:
        raise error

    return reply


def test_write_that_is_taken_is_sent_once() -> None:
    async def main() -> FakeLink:
        link = FakeLink()
        await link.writer.write(b"x")
        return link

    link = run_virtual(main())
    assert (link.sent, link.given_up) == ([b"x"], [])


def test_write_that_hangs_is_sent_once_and_the_link_is_given_up_within_500_ms() -> None:
    """A stack that stands still does later what it was asked: there must not be more of it than one write."""

    async def main() -> FakeLink:
        link = FakeLink(hang, hang, hang, hang)
        with pytest.raises(RetryableError):
            await link.writer.write(b"x")
        return link

    link = run_virtual(main())
    assert link.sent == [b"x"]
    [(reason, given_up_s)] = link.given_up
    assert reason == "writes to the hub fail"
    assert given_up_s == pytest.approx(ATTEMPTS * LIMIT_S)
    assert ATTEMPTS * LIMIT_S < 0.5


def test_newer_write_waits_for_the_one_in_flight_and_only_a_brake_overtakes_it() -> None:
    async def main() -> FakeLink:
        link = FakeLink(slow, hang)
        first = asyncio.ensure_future(link.writer.write(b"first"))
        await asyncio.sleep(0.01)
        waiting = asyncio.ensure_future(link.writer.write(b"waits"))
        await asyncio.sleep(0.01)
        assert link.sent == [b"first"]
        brake = asyncio.ensure_future(link.writer.write(b"brake", overtakes=True))
        again = asyncio.ensure_future(link.writer.write(b"brake", overtakes=True))
        await first
        waiting.cancel()
        await asyncio.gather(waiting, brake, again, return_exceptions=True)
        return link

    link = run_virtual(main())
    assert link.sent == [b"first", b"brake"], "a brake that has no answer is not sent twice"
    assert len(link.given_up) >= 1


def test_newer_write_is_sent_when_the_one_in_flight_has_its_answer() -> None:
    async def main() -> FakeLink:
        link = FakeLink(slow)
        first = asyncio.ensure_future(link.writer.write(b"first"))
        await asyncio.sleep(0.01)
        await link.writer.write(b"second")
        await first
        return link

    link = run_virtual(main())
    assert (link.sent, link.given_up) == ([b"first", b"second"], [])


def test_closed_link_ends_what_waits_for_an_answer() -> None:
    async def main() -> FakeLink:
        link = FakeLink(hang)
        writing = asyncio.ensure_future(link.writer.write(b"x"))
        await asyncio.sleep(0.01)
        link.writer.close()
        with pytest.raises(RetryableError):
            await writing
        assert asyncio.get_running_loop().time() == pytest.approx(0.01)
        return link

    run_virtual(main())


def test_error_that_is_not_of_the_link_is_not_hidden() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await FakeLink(refuse(ZeroDivisionError())).writer.write(b"x")

    run_virtual(main())


@pytest.mark.parametrize("error", [IN_PROGRESS, BleakError("anything"), OSError("socket"), KeyError("race")])
def test_write_that_is_refused_thrice_gives_the_link_up(error: Exception) -> None:
    async def main() -> FakeLink:
        link = FakeLink(*[refuse(error)] * 3)
        with pytest.raises(RetryableError):
            await link.writer.write(b"x")
        return link

    link = run_virtual(main())
    assert len(link.sent) == 3
    assert len(link.given_up) == 1


@pytest.mark.parametrize("error", [UNKNOWN_OBJECT, EOFError(), ConnectionResetError()])
def test_write_to_what_is_gone_gives_the_link_up_at_once(error: Exception) -> None:
    async def main() -> FakeLink:
        link = FakeLink(refuse(error))
        with pytest.raises(RetryableError):
            await link.writer.write(b"x")
        return link

    link = run_virtual(main())
    assert (len(link.sent), link.given_up) == (1, [("writes to the hub fail", 0.0)])


def test_write_that_succeeds_at_last_keeps_the_link() -> None:
    async def main() -> FakeLink:
        link = FakeLink(refuse(IN_PROGRESS), refuse(IN_PROGRESS))
        await link.writer.write(b"x")
        return link

    link = run_virtual(main())
    assert (len(link.sent), link.given_up) == (3, [])


def test_writes_that_overtake_each_other_do_not_hide_a_dead_link() -> None:
    """Each write is cancelled before its time limit; the total time counts."""

    async def main() -> FakeLink:
        link = FakeLink(*[hang] * 100)
        while not link.given_up and asyncio.get_running_loop().time() < 5:
            write = asyncio.ensure_future(link.writer.write(b"x"))
            await asyncio.wait({write}, timeout=0.05)
            write.cancel()
            await asyncio.gather(write, return_exceptions=True)
        return link

    link = run_virtual(main())
    assert link.given_up[0][1] <= 0.5


def test_refusal_of_long_ago_does_not_count_against_a_new_write() -> None:
    async def main() -> FakeLink:
        link = FakeLink(refuse(IN_PROGRESS), refuse(IN_PROGRESS), slow)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await link.writer.write(b"old")
        await asyncio.sleep(30)
        await link.writer.write(b"new")
        return link

    link = run_virtual(main())
    assert (link.sent, link.given_up) == ([b"old", b"new", b"new"], [])


def test_write_that_is_out_of_date_is_not_resent() -> None:
    async def main() -> FakeLink:
        link = FakeLink(refuse(IN_PROGRESS))
        still = iter([True, False])
        with pytest.raises(RetryableError):
            await link.writer.write(b"x", lambda: next(still))
        return link

    link = run_virtual(main())
    assert (link.sent, link.given_up) == ([b"x"], [])
