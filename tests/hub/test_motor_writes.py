"""LinkWriter: resends twice, then gives up the link within three time limits of the first stuck write."""

import asyncio
from collections.abc import Awaitable, Callable

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

    def __init__(self, *replies: Callable[[], Awaitable[None]]) -> None:
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


async def hang() -> None:
    await asyncio.Event().wait()


def refuse(error: Exception) -> Callable[[], Awaitable[None]]:
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


def test_write_that_hangs_is_resent_twice_then_the_link_is_given_up_within_500_ms() -> None:
    async def main() -> FakeLink:
        link = FakeLink(hang, hang, hang, hang)
        with pytest.raises(RetryableError):
            await link.writer.write(b"x")
        return link

    link = run_virtual(main())
    assert link.sent == [b"x"] * 3
    [(reason, given_up_s)] = link.given_up
    assert reason == "writes to the hub fail"
    assert given_up_s == pytest.approx(ATTEMPTS * LIMIT_S)
    assert ATTEMPTS * LIMIT_S < 0.5


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
        link = FakeLink(hang, refuse(IN_PROGRESS))
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


def test_hang_of_long_ago_does_not_count_against_a_new_write() -> None:
    async def main() -> FakeLink:
        link = FakeLink(hang, hang)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await link.writer.write(b"old")
        await asyncio.sleep(30)
        await link.writer.write(b"new")
        return link

    link = run_virtual(main())
    assert (link.sent, link.given_up) == ([b"old", b"new", b"new"], [])


def test_write_that_is_out_of_date_is_not_resent() -> None:
    async def main() -> FakeLink:
        link = FakeLink(hang)
        still = iter([True, False])
        with pytest.raises(RetryableError):
            await link.writer.write(b"x", lambda: next(still))
        return link

    link = run_virtual(main())
    assert (link.sent, link.given_up) == ([b"x"], [])
