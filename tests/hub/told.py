"""A session on a fake link, with what it told and wrote."""

import asyncio
from collections.abc import Awaitable, Callable

from edge_agent.errors import RetryableError
from edge_agent.hub.lwp3 import DeviceType, OutputCommand
from edge_agent.hub.session import HubSession
from edge_agent.ports import HubEvent
from edge_agent.simulation.clock import run_virtual

from .fakes import FakeConnection


class Told:
    """A session on a fake link, with what it told."""

    def __init__(self, ports: dict[int, DeviceType] | None = None, motor_port: int | None = None) -> None:
        self.connection = FakeConnection(ports)
        self.events: list[HubEvent] = []
        self.troubles: list[RetryableError] = []
        self.ups: list[int] = []
        self.downs = 0
        self.session = HubSession(
            self.connection,
            keep_alive_s=0.2,
            write_limit_s=0.15,
            emit=self.events.append,
            trouble=self.troubles.append,
            motor_port=motor_port,
        )

    def up(self) -> None:
        self.ups.append(len(self.connection.taken))

    def down(self) -> None:
        self.downs += 1

    @property
    def motor_writes(self) -> list[tuple[int, int | None]]:
        taken = [message for _, message in self.connection.taken]
        return [(one.port, one.power) for one in taken if isinstance(one, OutputCommand)]


def during(told: Told, story: Callable[[Told], Awaitable[None]]) -> None:
    """Run a session, tell `story` once it is up, and end it."""

    async def main() -> None:
        running = asyncio.ensure_future(told.session.run(told.up, told.down))
        await asyncio.sleep(0.5)
        await story(told)
        told.connection.drop("end of story")
        await running

    run_virtual(main())


async def nothing(_told: Told) -> None:
    """No story."""
