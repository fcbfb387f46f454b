"""What is wrong with a train: a line in the log for each fault, and the summary for the status line."""

import asyncio
from dataclasses import replace

from structlog.testing import capture_logs

from edge_agent.agent.fault_log import FaultLog
from edge_agent.events import Event, Fault, Severity
from edge_agent.runtime.queues import Fanout

FULL = Fault("disk_full", "12 MB are free in /var/lib", "free at least 50 MB", Severity.DEGRADED, 1.0)
BLIND = Fault("blind", "no fresh picture", "check the camera", Severity.STOP, 2.0)
NOTED = Fault("source_noted", "a picture was odd", "", Severity.INFO, 2.0)


def logged(*faults: Fault, before: tuple[Fault, ...] = ()) -> tuple[str, list[str]]:
    """Return the summary for the status line, and the lines of the log."""

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
        summary = asyncio.run(main())
    return summary, [f"{line['log_level']}: {line['event']}" for line in logs]


def test_fault_is_one_line_that_names_the_remedy_and_so_does_the_status() -> None:
    summary, lines = logged(FULL)
    assert summary == "12 MB are free in /var/lib; free at least 50 MB"
    assert lines == [f"warning: {summary}"]


def test_worst_fault_comes_first_and_what_is_over_goes() -> None:
    assert logged(FULL, BLIND)[0].startswith("no fresh picture; check the camera; 12 MB")
    summary, lines = logged(FULL, BLIND, replace(FULL, active=False, message="over"))
    assert summary == "no fresh picture; check the camera"
    assert lines[-1] == "info: fault_over"


def test_observers_fault_with_a_remedy_is_for_somebody_too() -> None:
    settings = Fault("mqtt_settings", "cannot read the password", "create the file", Severity.INFO, 1.0)
    summary, lines = logged(settings, FULL)
    assert summary == "12 MB are free in /var/lib; free at least 50 MB; cannot read the password; create the file"
    assert lines[0] == "warning: cannot read the password; create the file"


def test_what_the_guard_names_already_is_not_repeated() -> None:
    log = FaultLog((FULL, BLIND))
    assert log.summary(BLIND.message).startswith("check the camera; 12 MB are free")


def test_note_is_logged_and_does_not_stand_in_the_status() -> None:
    assert logged(NOTED) == ("", ["info: a picture was odd"])


def test_fault_reported_again_in_the_same_words_is_logged_once() -> None:
    assert len(logged(FULL, FULL)[1]) == 1
    assert len(logged(FULL, replace(FULL, message="11 MB are free in /var/lib"))[1]) == 2


def test_fault_from_before_the_first_observer_is_not_lost() -> None:
    assert logged(before=(FULL,))[0].startswith("12 MB")
