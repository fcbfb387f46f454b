"""Recording bytes and replaying them."""

import asyncio
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError, UsageError
from edge_agent.hub.ble import BleHub
from edge_agent.hub.connection import HubConnection
from edge_agent.hub.recording import Direction, HubLog, HubLogRecord, read_log
from edge_agent.simulation.clock import run_virtual
from tests.hub.fakes import SETTINGS, FakeConnection
from tests.hub.replay import ReplayConnection


def test_recording_read_back_is_what_was_recorded(tmp_path: Path) -> None:
    clock = iter([10.0, 10.0, 10.5])
    log = HubLog(tmp_path / "log.jsonl", clock=lambda: next(clock))
    log.add(Direction.SENT, b"\x01\x02")
    log.add(Direction.RECEIVED, b"\xff")
    log.close()
    assert read_log(tmp_path / "log.jsonl") == (
        HubLogRecord(0, Direction.SENT, b"\x01\x02"),
        HubLogRecord(500, Direction.RECEIVED, b"\xff"),
    )


def test_folder_that_does_not_exist_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot write"):
        HubLog(tmp_path / "none" / "log.jsonl")


def test_disk_full_ends_the_recording_and_nothing_else() -> None:
    log = HubLog(Path("/dev/full"))
    for _ in range(10):
        log.add(Direction.SENT, b"\x00" * 20)
    log.close()
    assert log.failed


@pytest.mark.parametrize("line", ["{}", "[]", "no json", '{"t_ms": 1, "dir": "up", "hex": ""}', '{"t_ms": 1}'])
def test_line_that_is_no_record_is_named_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"t_ms": 0, "dir": "sent", "hex": "00"}\n' + line + "\n", encoding="ascii")
    with pytest.raises(ConfigError, match=r"log\.jsonl:2"):
        read_log(path)


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none"):
        read_log(tmp_path / "none")


async def mission(connection: HubConnection, log: HubLog | None = None) -> tuple[bool, int | None, bool]:
    """Connect, drive and brake on a link; return the results."""

    async def connect() -> HubConnection:
        return connection

    async with BleHub(SETTINGS, log=log, connect=connect) as hub:
        await hub.wait_connected(5)
        connected = hub.status().connected
        await hub.drive(50)
        await hub.brake()
        await asyncio.sleep(0.05)
        assert hub.session is not None
        return connected, hub.session.model.motor_port, hub.status().brake_confirmed


def test_recorded_session_played_back_goes_the_same_way(tmp_path: Path) -> None:
    log = HubLog(tmp_path / "log.jsonl")
    live = run_virtual(mission(FakeConnection(), log))
    log.close()
    replayed = run_virtual(mission(ReplayConnection(read_log(tmp_path / "log.jsonl"))))
    assert live == replayed == (True, 0, True)
