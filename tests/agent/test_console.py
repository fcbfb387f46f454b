"""The console's thread: events come across in order, commands come back, and its end is the train's to say."""

import asyncio
import contextlib
import sys
import threading

import pytest

from edge_agent.agent.console import MAX_FRAMES, SWITCH_S, EventBridge, LocalCommander, run_in_own_loop
from edge_agent.console.commands import CommandReply, OutgoingCommand
from edge_agent.control.commands import Acknowledgement, Authorizer, CommandHandler, CommandRules, parse_command
from edge_agent.errors import FatalError
from edge_agent.events import Event
from edge_agent.runtime.queues import Fanout
from tests.support import events as make
from tests.support.mosquitto import until


@contextlib.asynccontextmanager
async def _apart(work: object) -> object:
    task = asyncio.create_task(run_in_own_loop("console", work))  # type: ignore[arg-type]
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_events_cross_in_order_into_another_thread() -> None:
    crossing, fanout = EventBridge(), Fanout[Event]()
    seen: list[tuple[int, Event]] = []

    async def work() -> None:
        while True:
            seen.append((threading.get_ident(), await crossing.get()))

    carry = asyncio.create_task(crossing.run(fanout.subscribe("console", 100)))
    async with _apart(work):
        sent: list[Event] = []
        while not seen:  # what comes before the other loop listens is not waited for
            sent.append(make.state())
            fanout.publish(sent[-1])
            await asyncio.sleep(0.01)
        more = make.one_of_each()
        for event in more:
            fanout.publish(event)
        await until(lambda: bool(seen) and seen[-1][1] is more[-1], "all came")
    carry.cancel()
    assert [event for _, event in seen][-len(more) :] == more
    assert {thread for thread, _ in seen}.isdisjoint({threading.get_ident()})


async def test_thread_that_does_not_keep_up_loses_frames_and_the_train_does_not_wait() -> None:
    crossing, fanout = EventBridge(), Fanout[Event]()
    carry = asyncio.create_task(crossing.run(fanout.subscribe("console", 100)))
    waiting = asyncio.create_task(crossing.get())
    await asyncio.sleep(0)
    for number in range(MAX_FRAMES + 5):
        fanout.publish(make.frame(number))
    await asyncio.sleep(0)
    assert crossing.dropped == 5
    for task in (carry, waiting):
        task.cancel()
    await asyncio.gather(carry, waiting, return_exceptions=True)


async def test_work_that_ends_by_itself_is_a_failure_and_the_interpreter_is_as_before() -> None:
    before_s, within_s = sys.getswitchinterval(), []

    async def work() -> None:
        within_s.append(sys.getswitchinterval())

    with pytest.raises(FatalError, match="the console ended by itself"):
        await run_in_own_loop("console", work)
    assert within_s == [pytest.approx(SWITCH_S)]
    assert sys.getswitchinterval() == pytest.approx(before_s)


async def test_cancelling_ends_the_thread() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    async with _apart(work):
        await until(lambda: any(thread.name == "console" for thread in threading.enumerate()), "it runs")
    assert not any(thread.name == "console" for thread in threading.enumerate())


async def test_command_is_obeyed_in_the_trains_loop_and_answered_in_the_consoles() -> None:
    threads: list[int] = []

    def obey(*_: object) -> Acknowledgement:
        threads.append(threading.get_ident())
        return Acknowledgement(True, "armed_stopped", "the operator's stop")

    desk = CommandHandler(Authorizer(), lambda: CommandRules(None), obey=obey, refuse=lambda *_: None)
    helmsman, replies = LocalCommander(desk), []
    body = b'{"id": "an-id"}'

    async def work() -> None:
        for verb in ("stop", "drive"):
            replies.append(await helmsman.send(OutgoingCommand("train-1", verb, parse_command(verb, body), "Ada")))
        await asyncio.Event().wait()

    async with _apart(work):
        await until(lambda: len(replies) == 2, "both are answered")
    assert threads == [threading.get_ident()]
    assert replies[0] == CommandReply(True, "armed_stopped", "the operator's stop")
    assert replies[1] is not None
    assert not replies[1].accepted
    assert "no command token" in replies[1].reason
