"""A train at a real broker, and somebody who commands it."""

import json
from dataclasses import dataclass
from typing import Any

from edge_agent.control.commands import Verb
from tests.observers.mqtt.rig import ROOT, Rig
from tests.support.mosquitto import Listener, Mosquitto, until


@dataclass
class Stage:
    """A train, somebody who commands it, and the broker between them."""

    broker: Mosquitto
    train: Rig
    person: Listener

    async def send(self, name: str, payload: bytes = b"", qos: int = 1, **more: Any) -> None:
        await self.person.client.publish(f"{ROOT}/{name}/set", payload, qos, **more)

    async def reply(self, name: str, count: int = 1) -> dict[str, Any]:
        """Return the answer to the command that was sent last by this name."""
        messages = await self.person.hears(f"{ROOT}/{name}/reply", count)
        answer = json.loads(bytes(messages[-1].payload))
        assert isinstance(answer, dict)
        return answer

    async def obeys(self, *verbs: Verb) -> None:
        await until(lambda: self.train.verbs() == list(verbs), f"obeys {verbs}: {self.train.verbs()}")
