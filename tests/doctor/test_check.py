"""Checks run at once, each with its time limit, and none hides another."""

import asyncio
import threading

from edge_agent.doctor.check import Check, CheckResult, Status, fail, in_thread, ok, run_checks, warn
from edge_agent.errors import ConfigError


async def test_results_stand_in_the_order_of_the_checks_with_their_names() -> None:
    async def late() -> CheckResult:
        await asyncio.sleep(0)
        return warn("so so", "look")

    async def soon() -> CheckResult:
        return ok("fine")

    results = await run_checks([Check("late", 1, late), Check("soon", 1, soon)])
    assert [(r.name, r.status, r.message, r.remedy) for r in results] == [
        ("late", Status.WARN, "so so", "look"),
        ("soon", Status.OK, "fine", ""),
    ]


async def test_checks_run_at_once() -> None:
    met = asyncio.Barrier(2)

    async def meet() -> CheckResult:
        await met.wait()
        return ok("met")

    results = await run_checks([Check("a", 30, meet), Check("b", 30, meet)])
    assert {r.message for r in results} == {"met"}


async def test_check_that_gives_no_answer_fails_after_its_time_and_the_others_are_reported() -> None:
    async def hang() -> CheckResult:
        await asyncio.Event().wait()
        return ok("never")

    async def soon() -> CheckResult:
        return ok("fine")

    hung, fine = await run_checks([Check("hung", 0.01, hang), Check("fine", 1, soon)])
    assert (hung.status, hung.message) == (Status.FAIL, "no answer within 0.01 s")
    assert fine.status is Status.OK


async def test_thread_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    async def look() -> CheckResult:
        await in_thread(release.wait)
        return ok("never")

    (result,) = await run_checks([Check("x", 0.01, look)])
    assert result.status is Status.FAIL
    left = [thread for thread in threading.enumerate() if thread.name == "doctor"]
    assert all(thread.daemon for thread in left)
    release.set()
    for thread in left:
        thread.join()


async def test_error_of_ours_becomes_message_and_remedy() -> None:
    async def look() -> CheckResult:
        raise ConfigError("no model", remedy="get one")

    (result,) = await run_checks([Check("x", 1, look)])
    assert (result.status, result.message, result.remedy) == (Status.FAIL, "no model", "get one")


async def test_error_of_another_kind_is_reported_and_hides_nothing() -> None:
    async def broken() -> CheckResult:
        await in_thread(lambda: 1 // 0)
        return ok("never")

    async def bad() -> CheckResult:
        return fail("bad", "mend it")

    first, second = await run_checks([Check("x", 1, broken), Check("y", 1, bad)])
    assert first.status is Status.FAIL
    assert first.message.startswith("ZeroDivisionError")
    assert second.message == "bad"
