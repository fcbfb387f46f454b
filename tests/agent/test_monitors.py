"""A full disk or a stuck outbox: the train drives on, is not armed again, and reports why."""

import asyncio
from pathlib import Path

import pytest

from edge_agent.agent import monitors as module
from edge_agent.agent.monitors import StorageMonitor, free_mb
from edge_agent.events import Severity
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.simulation.clock import run_virtual

STUCK = FaultReport("outbox_stuck", "database is locked", "end the other program", Severity.DEGRADED)


def stored(least_mb: int = 50) -> tuple[StorageMonitor, list[FaultReport]]:
    reports: list[FaultReport] = []
    return StorageMonitor(Path("/var/lib/edge-agent"), least_mb, FaultReporter(reports.append, lambda: 7.0)), reports


def test_enough_room_is_no_trouble() -> None:
    storage, reports = stored()
    storage.update(50)
    assert (storage.trouble, reports) == ("", [])


def test_too_little_room_forbids_arming_and_is_reported_once_and_when_it_is_over() -> None:
    storage, reports = stored()
    for free in (49, 3):
        storage.update(free)
        assert storage.trouble == f"{free} MB are free in /var/lib/edge-agent"
    storage.update(51)
    assert storage.trouble == ""
    assert [(fault.code, fault.severity, fault.active) for fault in reports] == [
        ("disk_full", Severity.DEGRADED, True),
        ("disk_full", Severity.DEGRADED, False),
    ]
    assert "50 MB" in reports[0].remedy


def test_room_that_is_unknown_is_no_trouble() -> None:
    storage, reports = stored()
    storage.update(None)
    assert (storage.trouble, reports) == ("", [])


def test_outbox_that_is_stuck_forbids_arming_until_it_is_not() -> None:
    storage, _ = stored()
    storage.on_fault(STUCK)
    assert storage.trouble == "the outbox takes nothing: database is locked"
    storage.on_fault(FaultReport("mqtt_lost", "refused", "", Severity.INFO, active=False))
    assert storage.trouble
    storage.on_fault(FaultReport("outbox_stuck", "over", "", Severity.DEGRADED, active=False))
    assert storage.trouble == ""


def test_outbox_that_is_stuck_and_slow_forbids_arming_until_it_is_neither() -> None:
    storage, _ = stored()
    slow = FaultReport("outbox_slow", "500 ms", "", Severity.DEGRADED)
    storage.on_fault(STUCK)
    storage.on_fault(slow)
    storage.on_fault(FaultReport("outbox_stuck", "over", "", Severity.DEGRADED, active=False))
    assert storage.trouble == "the outbox is slow: 500 ms"
    storage.on_fault(FaultReport("outbox_slow", "over", "", Severity.DEGRADED, active=False))
    assert storage.trouble == ""


def test_room_is_found_also_for_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free_mb(tmp_path / "not" / "yet") == pytest.approx(free_mb(tmp_path), abs=100)


def test_disk_is_checked_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = iter([100, 10, 100])
    monkeypatch.setattr(module, "free_mb", lambda _folder: next(rooms, 100))

    async def main() -> list[FaultReport]:
        storage, reports = stored()
        watching = asyncio.create_task(storage.watch())
        await asyncio.sleep(2.5 * module.PERIOD_S)
        watching.cancel()
        return reports

    assert [fault.active for fault in run_virtual(main())] == [True, False]
