"""The console's thread: events arrive in order, commands come back, and it ends with the train."""

import asyncio
import contextlib
import sys
import threading

import pytest

from edge_agent.agent.console import MAX_FRAMES, SWITCH_S, EventBridge, LocalCommander, run_in_own_loop
from edge_agent.control.commands import Channel, Command, CommandMessage, CommandRules, parse_command
from edge_agent.errors import FatalError
from edge_agent.events import CommandResult, Event
from edge_agent.runtime.queues import Fanout
from tests.support import events as make
from tests.support.commands import RecordingExecutor, command_handler, done
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

    def execute(command: Command) -> CommandResult:
        threads.append(threading.get_ident())
        return done(command, state="armed_stopped", reason="the operator's stop")

    executor = RecordingExecutor()
    executor.result = execute
    commander = LocalCommander(command_handler(executor, lambda channel: CommandRules(None)))
    results: list[CommandResult | None] = []

    async def work() -> None:
        for verb in ("stop", "drive"):
            message = CommandMessage(Channel.CONSOLE, verb, b'{"id": "an-id"}', sender="Ada")
            results.append(await commander.send("train-1", parse_command(message)))
        await asyncio.Event().wait()

    async with _apart(work):
        await until(lambda: len(results) == 2, "both are answered")
    assert threads == [threading.get_ident()]
    stopped, driven = results
    assert stopped is not None
    assert (stopped.accepted, stopped.state, stopped.reason) == (True, "armed_stopped", "the operator's stop")
    assert driven is not None
    assert not driven.accepted
    assert "no command token" in driven.reason


async def test_train_that_does_not_answer_in_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.agent.console.RESULT_TIMEOUT_S", 0.05)
    executor = RecordingExecutor()
    commander = LocalCommander(command_handler(executor))
    command = parse_command(CommandMessage(Channel.CONSOLE, "stop"))
    results: list[CommandResult | None] = []
    console = threading.Thread(target=lambda: results.append(asyncio.run(commander.send("train-1", command))))
    console.start()
    console.join(30)  # the train's loop stands still meanwhile
    assert results == [None]
    await asyncio.sleep(0)
    assert executor.executed == [command], "it may still obey, and does so without harm"
