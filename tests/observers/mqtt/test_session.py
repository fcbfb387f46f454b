"""A session with a broker ends with its link, and when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import cast

import pytest
from aiomqtt import Message

from edge_agent.config import Mqtt
from edge_agent.faults import Notice
from edge_agent.observers.mqtt.client import Connection
from edge_agent.observers.mqtt.errors import LinkError
from edge_agent.observers.mqtt.messages import Messages, Outgoing
from edge_agent.observers.mqtt.send_queue import Lanes
from edge_agent.observers.mqtt.session import Counts, Session


class Breaking:
    """A connection that breaks when told to."""

    def __init__(self) -> None:
        self.broken = asyncio.Event()

    async def subscribe(self, topics: Mapping[str, int]) -> tuple[str, ...]:
        return ()

    async def publish(self, message: Outgoing) -> bool:
        return True

    def fits(self, message: Outgoing) -> bool:
        return True

    async def messages(self) -> AsyncIterator[Message]:
        await self.broken.wait()
        raise LinkError(Notice("mqtt_unreachable", "gone"))
        yield  # a generator


async def begin(connection: Breaking) -> "asyncio.Task[None]":
    up = asyncio.Event()
    session = Session(
        cast("Connection", connection),
        Lanes(10),
        Messages(Mqtt(), "train-1"),
        topics={},
        shed={},
        listening=lambda: None,
        greeting=list,
        receive=lambda message: False,
        up=up.set,
        deny=lambda topic, what: None,
        counts=Counts(),
    )
    task = asyncio.create_task(session.run())
    await up.wait()
    await asyncio.sleep(0)
    return task


async def test_session_ends_with_its_link() -> None:
    connection = Breaking()
    task = await begin(connection)
    connection.broken.set()
    with pytest.raises(LinkError):
        await task


async def test_end_that_is_asked_for_just_when_the_link_breaks_is_not_forgotten() -> None:
    connection = Breaking()
    task = await begin(connection)
    connection.broken.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
