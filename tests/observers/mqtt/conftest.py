"""Fixtures of the tests against a real broker."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.observers.mqtt.rig import RemoteControl, rig, settings
from tests.support.mosquitto import Mosquitto, subscriber


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
async def remote(broker: Mosquitto) -> AsyncIterator[RemoteControl]:
    async with AsyncExitStack() as stack:
        operator = await stack.enter_async_context(subscriber(broker.port))
        train = await stack.enter_async_context(rig(settings(broker.port)))
        await train.wait_connected()
        yield RemoteControl(broker, train, operator)
