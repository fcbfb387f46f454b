"""A HubSession on a fake connection, and a way to run it on a virtual clock."""

import asyncio
from collections.abc import Awaitable, Callable

from edge_agent.errors import RetryableError
from edge_agent.hub.lwp3 import DeviceType, OutputCommand
from edge_agent.hub.session import HubSession
from edge_agent.ports import HubEvent
from edge_agent.simulation.clock import run_virtual

from .fakes import FakeConnection


class SessionRig:
    """A HubSession on a fake connection; records its events, problems and writes."""

    def __init__(self, ports: dict[int, DeviceType] | None = None, motor_port: int | None = None) -> None:
        self.connection = FakeConnection(ports)
        self.events: list[HubEvent] = []
        self.problems: list[RetryableError] = []
        self.opened: list[int] = []
        self.closed = 0
        self.session = HubSession(
            self.connection,
            keep_alive_s=0.2,
            write_limit_s=0.15,
            emit=self.events.append,
            on_problem=self.problems.append,
            motor_port=motor_port,
        )

    def on_open(self) -> None:
        self.opened.append(len(self.connection.taken))

    def on_close(self) -> None:
        self.closed += 1

    @property
    def motor_writes(self) -> list[tuple[int, int | None]]:
        taken = [message for _, message in self.connection.taken]
        return [(one.port, one.power) for one in taken if isinstance(one, OutputCommand)]


def run_session(rig: SessionRig, scenario: Callable[[SessionRig], Awaitable[None]]) -> None:
    """Run a session, await `scenario` once it is open, and end it."""

    async def main() -> None:
        running = asyncio.ensure_future(rig.session.run(rig.on_open, rig.on_close))
        await asyncio.sleep(0.5)
        await scenario(rig)
        rig.connection.drop("end of scenario")
        await running

    run_virtual(main())


async def nothing(_rig: SessionRig) -> None:
    """Do nothing."""
