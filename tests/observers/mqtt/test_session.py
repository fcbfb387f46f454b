"""A session with a broker ends with its link, and when it is cancelled."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import cast

import pytest
from aiomqtt import Message

from edge_agent.faults import MQTT_UNREACHABLE
from edge_agent.observers.mqtt.client import MqttConnection
from edge_agent.observers.mqtt.errors import MqttLinkError
from edge_agent.observers.mqtt.messages import OutgoingMessage
from edge_agent.observers.mqtt.send_queue import SendQueue
from edge_agent.observers.mqtt.session import MqttCounts, MqttSession


class BreakingConnection:
    """A connection that breaks when `broken` is set."""

    def __init__(self) -> None:
        self.broken = asyncio.Event()

    async def subscribe(self, topics: Mapping[str, int]) -> tuple[str, ...]:
        return ()

    async def publish(self, message: OutgoingMessage) -> None:
        pass

    async def messages(self) -> AsyncIterator[Message]:
        await self.broken.wait()
        raise MqttLinkError(MQTT_UNREACHABLE, "gone", "")
        yield  # a generator


async def begin(connection: BreakingConnection) -> "asyncio.Task[None]":
    up = asyncio.Event()
    session = MqttSession(
        cast("MqttConnection", connection),
        SendQueue(10),
        image=lambda frame: OutgoingMessage("image", b""),
        topics={},
        stop_topics={},
        shed={},
        before_resubscribe=lambda: None,
        birth=list,
        receive=lambda message: False,
        up=up.set,
        report_denied=lambda topic, what: None,
        counts=MqttCounts(),
    )
    task = asyncio.create_task(session.run())
    await up.wait()
    await asyncio.sleep(0)
    return task


async def test_session_ends_with_its_link() -> None:
    connection = BreakingConnection()
    task = await begin(connection)
    connection.broken.set()
    with pytest.raises(MqttLinkError):
        await task


async def test_cancellation_in_the_moment_in_which_the_link_breaks_is_not_lost() -> None:
    connection = BreakingConnection()
    task = await begin(connection)
    connection.broken.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
