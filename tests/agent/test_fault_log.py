"""What is wrong with a train: a line in the log for each fault, and the words for the status line."""

import asyncio
from dataclasses import replace

from structlog.testing import capture_logs

from edge_agent.agent.fault_log import FaultLog
from edge_agent.events import Event, Fault, Severity
from edge_agent.runtime.queues import Fanout

FULL = Fault("disk_full", "12 MB are free in /var/lib", "free at least 50 MB", Severity.DEGRADED, 1.0)
BLIND = Fault("blind", "no fresh picture", "check the camera", Severity.STOP, 2.0)
NOTED = Fault("source_noted", "a picture was odd", "", Severity.INFO, 2.0)


def told(*faults: Fault, before: tuple[Fault, ...] = ()) -> tuple[str, list[str]]:
    """Return the words for the status line, and the lines of the log."""

    async def main() -> str:
        fanout: Fanout[Event] = Fanout()
        log = FaultLog(before)
        task = asyncio.create_task(log.run(fanout.subscribe("notices", 10)))
        for fault in faults:
            fanout.publish(fault)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return log.summary()

    with capture_logs() as logs:
        words = asyncio.run(main())
    return words, [f"{line['log_level']}: {line['event']}" for line in logs]


def test_fault_is_one_line_that_says_what_to_do_and_so_does_the_status() -> None:
    words, lines = told(FULL)
    assert words == "12 MB are free in /var/lib; free at least 50 MB"
    assert lines == [f"warning: {words}"]


def test_worst_fault_comes_first_and_what_is_over_goes() -> None:
    assert told(FULL, BLIND)[0].startswith("no fresh picture; check the camera; 12 MB")
    words, lines = told(FULL, BLIND, replace(FULL, active=False, message="over"))
    assert words == "no fresh picture; check the camera"
    assert lines[-1] == "info: fault_over"


def test_observers_fault_with_a_remedy_is_for_somebody_too() -> None:
    settings = Fault("mqtt_settings", "cannot read the password", "create the file", Severity.INFO, 1.0)
    words, lines = told(settings, FULL)
    assert words == "12 MB are free in /var/lib; free at least 50 MB; cannot read the password; create the file"
    assert lines[0] == "warning: cannot read the password; create the file"


def test_what_the_guard_says_already_is_not_said_twice() -> None:
    log = FaultLog((FULL, BLIND))
    assert log.summary(BLIND.message).startswith("check the camera; 12 MB are free")


def test_note_is_logged_and_does_not_stand_in_the_status() -> None:
    assert told(NOTED) == ("", ["info: a picture was odd"])


def test_fault_told_again_in_the_same_words_is_logged_once() -> None:
    assert len(told(FULL, FULL)[1]) == 1
    assert len(told(FULL, replace(FULL, message="11 MB are free in /var/lib"))[1]) == 2


def test_fault_from_before_anybody_listened_is_not_lost() -> None:
    assert told(before=(FULL,))[0].startswith("12 MB")
