"""Bounded reads, and atomic writes: the content of the target after success and after failures."""

import os
import threading
from pathlib import Path

import pytest

from edge_agent.errors import FatalError
from edge_agent.runtime.files import atomic_path, read_file, write_atomic


def test_read_returns_the_content_or_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_file(tmp_path / "file", 100) == b"0123456789"
    assert read_file(tmp_path / "file", 4) == b"0123"
    assert read_file(Path("/dev/null"), 100) == b""
    assert read_file(Path("/dev/zero"), 10_000_000) == bytes(10_000_000)


def test_read_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a pipe, not a file"):
        read_file(tmp_path / "pipe", 100)
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path, 100)


def test_write_whole_makes_the_folder_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "report.json", b"{}")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.json"]
    assert (tmp_path / "new" / "report.json").read_bytes() == b"{}"


def test_write_that_fails_keeps_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"old")

    class BrokenError(Exception):
        pass

    def write() -> None:
        with atomic_path(target) as partial:
            assert partial.suffix == ".mp4"
            partial.write_bytes(b"half")
            raise BrokenError

    with pytest.raises(BrokenError):
        write()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("clip.mp4", b"old")]


def test_folder_that_cannot_be_made_is_reported_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FatalError, match=r"x\.json could not be written: .*; free some space or choose another folder"):
        write_atomic(tmp_path / "file" / "x.json", b"{}")


def test_device_or_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    """As root `--report /dev/null` would turn the device into a file, for every program of the machine."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"{}")
    reader.join()
    assert read == [b"{}"]
    assert pipe.is_fifo()
    with pytest.raises(FatalError, match="no regular file"), atomic_path(pipe):
        pass


def test_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "report.json").write_bytes(b"old")
    link = tmp_path / "report.json"
    link.symlink_to(tmp_path / "there" / "report.json")
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "there" / "report.json").read_bytes() == b"new"
