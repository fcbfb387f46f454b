"""What is sent to the service manager, and that nothing fails where there is none."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.agent.systemd import Notifier, report_to_service_manager
from edge_agent.control.guard import Permit
from edge_agent.events import GuardState
from edge_agent.simulation.clock import run_virtual

INIT = Permit(GuardState.INIT, None, "no picture has been understood yet")
RUNNING = Permit(GuardState.RUNNING, 75, "no sign asks for anything else")


class Manager:
    """Receives notifications as systemd does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), **more}

    def received(self) -> list[dict[str, str]]:
        sent = []
        while True:
            try:
                words = self._socket.recv(4096).decode()
            except BlockingIOError:
                return sent
            sent.append(dict(line.split("=", 1) for line in words.splitlines()))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def watched(environment: dict[str, str], permits: list[Permit], seconds_each: float) -> None:
    """Watch a guard that permits one thing after the other, for so long each."""

    async def main() -> None:
        now = [permits[0]]
        task = asyncio.create_task(report_to_service_manager(Notifier(environment), lambda: now[0]))
        for permit in permits:
            now[0] = permit
            await asyncio.sleep(seconds_each)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(main())


def test_ready_is_sent_once_when_the_guard_leaves_its_first_state(manager: Manager) -> None:
    watched(manager.environment(), [INIT, RUNNING], 1.8)
    sent = manager.received()
    assert [fields.get("READY") for fields in sent] == [None, "1"]
    assert sent[0]["STATUS"] == "init: no picture has been understood yet"
    assert sent[1]["STATUS"] == "running: no sign asks for anything else"


def test_train_that_is_not_well_when_it_starts_is_not_ready(manager: Manager) -> None:
    latched = Permit(GuardState.FAULT_LATCHED, None, "the battery is at 5.90 V")
    watched(manager.environment(), [INIT, latched, RUNNING], 1.5)
    sent = manager.received()
    assert [fields["STATUS"].partition(":")[0] for fields in sent if "READY" in fields] == ["running"]
    assert "fault_latched: the battery is at 5.90 V" in [fields.get("STATUS") for fields in sent]


def test_time_to_start_is_extended_by_the_loop_until_ready(manager: Manager) -> None:
    watched(manager.environment(), [INIT, RUNNING], 5.0)
    extended = [fields["EXTEND_TIMEOUT_USEC"] for fields in manager.received() if "EXTEND_TIMEOUT_USEC" in fields]
    assert extended == ["10000000"] * 3


def test_step_that_takes_long_is_named_and_extends_the_time_for_it(manager: Manager) -> None:
    async def main() -> None:
        async with Notifier(manager.environment()).starting("builds the engine"):
            await asyncio.sleep(3.0)
        await asyncio.sleep(5.0)

    run_virtual(main())
    assert manager.received() == [{"STATUS": "starting: builds the engine"}, *[{"EXTEND_TIMEOUT_USEC": "10000000"}] * 2]


def test_end_lifts_the_watchdogs_limit_above_the_processes_own(manager: Manager) -> None:
    Notifier(manager.environment()).stopping("SIGTERM", 5.0)
    assert manager.received() == [{"STOPPING": "1", "STATUS": "stopping: SIGTERM", "WATCHDOG_USEC": "15000000"}]


def test_status_names_what_else_is_wrong_in_one_line(manager: Manager) -> None:
    async def main() -> None:
        task = asyncio.create_task(
            report_to_service_manager(Notifier(manager.environment()), lambda: RUNNING, lambda _: "disk\nfull" * 300)
        )
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(main())
    (sent,) = manager.received()
    assert sent["STATUS"].startswith("running: no sign asks for anything else; disk full")
    assert len(sent["STATUS"]) == 800


def test_sign_of_life_comes_four_times_within_the_watchdogs_limit(manager: Manager) -> None:
    watched(manager.environment(WATCHDOG_USEC="2000000"), [RUNNING], 3.9)  # a socket holds some ten datagrams
    signs = [fields for fields in manager.received() if fields.get("WATCHDOG") == "1"]
    assert len(signs) == 8


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}])
def test_watchdog_that_is_off_or_anothers_gets_no_sign(manager: Manager, environment: dict[str, str]) -> None:
    assert Notifier(manager.environment(**environment)).period_s is None


def test_own_watchdog_is_ours(manager: Manager) -> None:
    environment = manager.environment(WATCHDOG_USEC="2000000", WATCHDOG_PID=str(os.getpid()))
    assert Notifier(environment).period_s == 0.5


def test_no_manager_is_no_fault() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "2000000"})
    assert not notifier
    assert notifier.period_s is None
    notifier.notify(READY="1")


@pytest.mark.parametrize("address", ["/nonexistent/notify", "@edge-agent-nobody"])
def test_manager_that_does_not_listen_is_no_fault(address: str) -> None:
    Notifier({"NOTIFY_SOCKET": address}).notify(READY="1")
