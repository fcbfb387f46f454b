"""What tests of commands by MQTT share."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.observers.mqtt.rig import rig, settings
from tests.observers.mqtt.stage import Stage
from tests.support.mosquitto import Mosquitto, listening


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
async def stage(broker: Mosquitto) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        person = await stack.enter_async_context(listening(broker.port))
        train = await stack.enter_async_context(rig(settings(broker.port)))
        await train.comes_up()
        yield Stage(broker, train, person)
