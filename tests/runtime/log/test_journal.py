"""Log lines as fields of the systemd journal."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from edge_agent.runtime import log
from edge_agent.runtime.log import journal


class Receiver:
    """Reads the native protocol as journald does."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def fields(self) -> dict[str, str]:
        data, found = self._socket.recv(1 << 20), {}
        while data:
            line, _, data = data.partition(b"\n")
            if b"=" in line:
                name, _, value = line.partition(b"=")
            else:
                name, length = line, int.from_bytes(data[:8], "little")
                value, data = data[8 : 8 + length], data[9 + length :]
            found[name.decode()] = value.decode()
        return found


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    receiver = Receiver(tmp_path / "socket")
    yield receiver
    receiver.close()


@contextmanager
def under_systemd(folder: Path, *, connected: bool = True, socket_path: str | None = None) -> Iterator[Path]:
    """Make stderr a file that systemd declares to be the journal, if `connected`; yield the file."""
    path = folder / "stderr"
    with path.open("w") as stream, pytest.MonkeyPatch.context() as patch:
        identity = os.fstat(stream.fileno())
        patch.setattr(sys, "stderr", stream)
        patch.setenv("JOURNAL_STREAM", f"{identity.st_dev}:{identity.st_ino}" if connected else "1:2")
        patch.setattr(journal.Journal.__init__, "__defaults__", (socket_path or str(folder / "socket"),))
        log.configure("info", "auto")
        try:
            yield path
        finally:
            structlog.reset_defaults()


def test_line_reads_by_itself_and_has_its_values_as_fields(receiver: Receiver) -> None:
    assert journal.Journal(receiver.path).send(
        {"event": "sign", "level": "warning", "sign": "stop", "power_percent": 0}
    )
    assert receiver.fields() == {
        "MESSAGE": "sign sign=stop power_percent=0",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "edge-agent",
        "EDGE_AGENT_EVENT": "sign",
        "EDGE_AGENT_SIGN": "stop",
        "EDGE_AGENT_POWER_PERCENT": "0",
    }


def test_value_of_several_lines_arrives_whole(receiver: Receiver) -> None:
    trace = "Traceback:\n  one=1\n  two"
    assert journal.Journal(receiver.path).send({"event": "observer_failed", "exception": trace, "häus-lich": "ü"})
    received = receiver.fields()
    assert received["EDGE_AGENT_EXCEPTION"] == trace
    assert received["MESSAGE"] == "observer_failed häus-lich=ü"
    assert received["EDGE_AGENT_H_US_LICH"] == "ü"


def test_stream_that_is_the_journal_gets_fields_with_the_place_in_the_code(receiver: Receiver, tmp_path: Path) -> None:
    with under_systemd(tmp_path):
        structlog.get_logger().debug("not shown")
        structlog.get_logger().error("camera_lost", source="/dev/video0")
    received = receiver.fields()
    assert (received["PRIORITY"], received["MESSAGE"]) == ("3", "camera_lost source=/dev/video0")
    assert received["CODE_FILE"] == __file__
    assert received["CODE_FUNC"] == "test_stream_that_is_the_journal_gets_fields_with_the_place_in_the_code"


def test_failure_reaches_the_journal_as_an_error(receiver: Receiver, tmp_path: Path) -> None:
    with under_systemd(tmp_path):
        log.failure("no camera; plug one in")
    assert receiver.fields()["PRIORITY"] == "3"


@pytest.mark.parametrize("how", [{"socket_path": "/nonexistent/journal"}, {"connected": False}])
def test_line_that_the_journal_does_not_take_is_json_on_the_stream(how: dict[str, Any], tmp_path: Path) -> None:
    with under_systemd(tmp_path, **how) as stream:
        structlog.get_logger().info("hello", who="you")
        log.failure("no camera; plug one in")
    first, second = stream.read_text().splitlines()
    assert (json.loads(first)["event"], json.loads(first)["who"]) == ("hello", "you")
    assert second == "edge-agent: no camera; plug one in"
