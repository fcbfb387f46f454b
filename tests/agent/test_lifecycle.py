"""A run after a crash waits to be armed; one after an orderly end is armed as the settings say; a hangup ends a run."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.agent import lifecycle
from edge_agent.agent.lifecycle import CrashMarker, Shutdown, ends_at_hangup
from edge_agent.config import Settings


@pytest.fixture(autouse=True)
def _no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_CONTAINER_FILES", ())


def settings(kind: str = "ble", arm: str = "always") -> Settings:
    return Settings.model_validate({"guard": {"arm": arm}, "hub": {"kind": kind}})


def start(environment: dict[str, str], chosen: Settings | None = None, *, end_well: bool = True) -> CrashMarker:
    """Run nothing between the start and the end of a run, and return its marker."""
    with CrashMarker(chosen or settings(), environment) as marker:
        if end_well:
            marker.ended_well()
    return marker


def armed(marker: CrashMarker) -> str:
    return marker.without_auto_arm(settings()).guard.arm


def kill_a_run(environment: dict[str, str]) -> None:
    """Let a process die in the middle of a run."""
    code = (
        "import os, signal\n"
        "from edge_agent.agent.lifecycle import CrashMarker\n"
        "from edge_agent.config import Settings\n"
        "chosen = Settings.model_validate({'guard': {'arm': 'always'}, 'hub': {'kind': 'ble'}})\n"
        "with CrashMarker(chosen, os.environ):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("folder", ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"])
def test_run_after_one_that_died_waits_to_be_armed(folder: str, tmp_path: Path) -> None:
    environment = {folder: str(tmp_path)}
    assert armed(start(environment)) == "always"
    kill_a_run(environment)
    again = start(environment)
    assert (armed(again), again.crashed, again.reason) == ("never", True, "the previous process died")
    assert armed(start(environment)) == "always"


def test_run_after_one_that_failed_waits_to_be_armed(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": str(tmp_path)}
    with pytest.raises(RuntimeError), CrashMarker(settings(), environment):
        raise RuntimeError
    assert armed(start(environment)) == "never"


def test_mark_of_an_earlier_boot_counts_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power is cut every evening; the mark in the state folder outlives that, one in /run does not."""
    boot_id = tmp_path / "boot_id"
    monkeypatch.setattr(lifecycle, "_BOOT_ID", boot_id)
    environment = {"STATE_DIRECTORY": str(tmp_path)}
    for boot in ("first", "second"):
        boot_id.write_text(f"{boot}\n")
        assert armed(start(environment, end_well=False)) == "always"
    assert armed(start(environment)) == "never"


def test_mark_of_a_run_that_goes_on_is_no_crash_but_keeps_another_from_arming(tmp_path: Path) -> None:
    environment = {"STATE_DIRECTORY": str(tmp_path)}
    with CrashMarker(settings(), environment) as first:
        second = start(environment)
        assert (armed(second), second.crashed) == ("never", False)
        assert second.reason == f"another agent runs with the folder {tmp_path}"
        first.ended_well()
    assert armed(start(environment)) == "always"


@pytest.mark.parametrize("folder", ["RUNTIME_DIRECTORY", "STATE_DIRECTORY"])
def test_train_whose_crash_cannot_be_noted_waits_to_be_armed(folder: str) -> None:
    marker = start({folder: "/proc/edge-agent"})
    assert (armed(marker), marker.crashed) == ("never", False)
    assert marker.reason.startswith("a crash cannot be noted in /proc/edge-agent (")


@pytest.mark.parametrize(
    ("mounts", "arm"),
    [
        ("21 1 0:1 / / rw - overlay overlay rw", "never"),
        ("21 1 0:1 / / rw - overlay overlay rw\n22 21 0:2 / {folder} rw - tmpfs tmpfs rw", "never"),
        (
            "21 1 0:1 / / rw - overlay overlay rw\n22 21 8:1 /volumes/1 {folder} rw shared:1 - xfs /dev/sda1 rw",
            "always",
        ),
    ],
    ids=["the container's own layer", "a tmpfs", "a volume"],
)
def test_container_keeps_the_mark_only_in_a_volume(
    mounts: str, arm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(mounts.format(folder=tmp_path))
    monkeypatch.setattr(lifecycle, "_MOUNTS", mountinfo)
    marker = start({"STATE_DIRECTORY": str(tmp_path), "container": "podman"})
    assert armed(marker) == arm
    assert ("mount a volume" in marker.reason) == (arm == "never")


@pytest.mark.parametrize(("kind", "arm"), [("mock", "always"), ("ble", "auto")])
def test_train_that_is_not_real_or_never_arms_itself_leaves_no_file(kind: str, arm: str, tmp_path: Path) -> None:
    start({"STATE_DIRECTORY": str(tmp_path)}, settings(kind, arm), end_well=False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def hangup() -> Iterator[None]:
    """Give the signal's handler back, whatever a test made of it."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


async def test_closed_terminal_brakes_and_ends_the_run(hangup: None) -> None:
    braked: list[str] = []
    shutdown = Shutdown(braked.append, within_s=60.0)
    with shutdown.on_signals(hangup=True):
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            await shutdown.wait()
    shutdown.complete()
    assert braked == ["SIGHUP"]


def test_run_that_is_to_outlive_its_terminal_does_not_end_at_a_hangup(hangup: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    assert not ends_at_hangup()


@pytest.mark.parametrize(("terminal", "ends"), [(True, True), (False, False)])
def test_hangup_ends_a_run_in_a_terminal_only(terminal: bool, ends: bool) -> None:
    code = "from edge_agent.agent.lifecycle import ends_at_hangup; print(ends_at_hangup())"
    child, ours = pty.fork() if terminal else (0, -1)
    if terminal and child == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])  # noqa: S606 - a terminal of its own needs a fork
    if terminal:
        with os.fdopen(ours, "rb", buffering=0) as pipe:
            said = pipe.read(100)
        os.waitpid(child, 0)
    else:
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, start_new_session=True
        ).stdout
    assert said.decode().strip() == str(ends)
