"""A flood of commands by MQTT: the stop in it always wins. Against a real Mosquitto."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from edge_agent.control.commands import Verb
from tests.observers.mqtt.rig import body, rig, settings
from tests.observers.mqtt.stage import Stage
from tests.support.mosquitto import Mosquitto, listening, until


async def test_stop_behind_a_flood_of_commands_wins_and_holds(stage: Stage) -> None:
    """A thousand valid commands, one stop, and a thousand more that must not undo it."""
    for number in range(1000):
        await stage.send("drive", body(f"a{number}"), 0)
    await stage.send("stop")
    for number in range(1000):
        await stage.send("drive", body(f"b{number}"), 0)
    await stage.send("stop")
    await until(lambda: stage.train.verbs().count(Verb.STOP) == 2, "the stops are obeyed")
    verbs = stage.train.verbs()
    assert verbs[verbs.index(Verb.STOP) :] == [Verb.STOP, Verb.STOP]
    assert verbs.count(Verb.DRIVE) <= 20, "and before it, no more than a second's worth"


async def test_train_listens_again_after_a_flood(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.observers.mqtt.session.SHED_S", 0.1)
    monkeypatch.setattr("edge_agent.observers.mqtt.commands.CALM_S", 0.1)
    for number in range(300):
        await stage.send("drive", body(f"a{number}"), 0)

    async def later() -> bool:
        await stage.send("drive", body(f"b{time.monotonic()}"))
        await asyncio.sleep(0.2)
        return any((command.command_id or "").startswith("b") for command in stage.train.obeyed)

    while not await later():
        pass


async def test_switch_by_which_a_stop_can_come_is_heard_in_a_flood(stage: Stage) -> None:
    for number in range(300):
        await stage.send("drive", body(f"a{number}"), 0)
    for _ in range(10):
        await stage.send("capture", b"start", 0)
    await stage.send("capture", b"stop")
    await until(lambda: Verb.CAPTURE_STOP in stage.train.verbs(), "obeyed")


async def test_flood_of_commands_at_qos_1_does_not_lose_the_stop(tmp_path: Path) -> None:
    """A broker throws away what finds no room in a client's queue; the flood must not stand in it."""
    logging.getLogger("mqtt").setLevel(logging.ERROR)  # aiomqtt tells each publish above ten that waits
    lines = ("allow_anonymous true", "max_inflight_messages 1", "max_queued_messages 5")
    with Mosquitto(tmp_path, *lines) as broker:
        async with listening(broker.port, topics=()) as person, rig(settings(broker.port)) as train:
            await train.comes_up()
            stage = Stage(broker, train, person)
            await asyncio.gather(*(stage.send("drive", b"{}") for _ in range(300)), stage.send("stop"))
            await stage.obeys(Verb.STOP)
