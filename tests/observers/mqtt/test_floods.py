"""A flood of commands by MQTT: the stop in it always wins. Against a real Mosquitto."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from edge_agent.control.commands import Verb
from tests.observers.mqtt.rig import RemoteControl, body, rig, settings
from tests.support.mosquitto import Mosquitto, subscriber, until


async def test_stop_behind_a_flood_of_commands_wins_and_holds(remote: RemoteControl) -> None:
    """A thousand valid commands, one stop, and a thousand more that must not undo it."""
    for number in range(1000):
        await remote.send("drive", body(f"a{number}"), 0)
    await remote.send("stop")
    for number in range(1000):
        await remote.send("drive", body(f"b{number}"), 0)
    await remote.send("stop")
    await until(lambda: remote.train.verbs().count(Verb.STOP) == 2, "the stops are obeyed")
    verbs = remote.train.verbs()
    assert verbs[verbs.index(Verb.STOP) :] == [Verb.STOP, Verb.STOP]
    assert verbs.count(Verb.DRIVE) <= 20, "before it, no more than the rate of a second"


async def test_train_subscribes_again_after_a_flood(remote: RemoteControl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.observers.mqtt.session.SHED_S", 0.1)
    monkeypatch.setattr("edge_agent.observers.mqtt.commands.CALM_S", 0.1)
    for number in range(300):
        await remote.send("drive", body(f"a{number}"), 0)

    async def later() -> bool:
        await remote.send("drive", body(f"b{time.monotonic()}"))
        await asyncio.sleep(0.2)
        return any((command.command_id or "").startswith("b") for command in remote.train.obeyed)

    while not await later():
        pass


async def test_switch_by_which_a_stop_can_come_is_obeyed_in_a_flood(remote: RemoteControl) -> None:
    for number in range(300):
        await remote.send("drive", body(f"a{number}"), 0)
    for _ in range(10):
        await remote.send("capture", b"start", 0)
    await remote.send("capture", b"stop")
    await until(lambda: Verb.CAPTURE_STOP in remote.train.verbs(), "obeyed")


async def test_flood_of_commands_at_qos_1_does_not_lose_the_stop(tmp_path: Path) -> None:
    """A broker drops what does not fit into a client's queue, so the flood must not fill it."""
    logging.getLogger("mqtt").setLevel(logging.ERROR)  # aiomqtt warns of each pending publish above ten
    lines = ("allow_anonymous true", "max_inflight_messages 1", "max_queued_messages 5")
    with Mosquitto(tmp_path, *lines) as broker:
        async with subscriber(broker.port, topics=()) as operator, rig(settings(broker.port)) as train:
            await train.wait_connected()
            remote = RemoteControl(broker, train, operator)
            await asyncio.gather(*(remote.send("drive", b"{}") for _ in range(300)), remote.send("stop"))
            await remote.wait_executed(Verb.STOP)


@pytest.mark.parametrize("qos", [0, 1])
async def test_flood_of_plain_stops_loses_no_stop_of_another_kind(remote: RemoteControl, qos: int) -> None:
    for _ in range(10):
        await asyncio.gather(*(remote.send("stop", qos=0) for _ in range(100)))
    await remote.send("emergency_stop", qos=qos)
    await remote.send("disarm", qos=qos)
    for verb in (Verb.EMERGENCY_STOP, Verb.DISARM):
        await until(lambda verb=verb: verb in remote.train.verbs(), f"obeys {verb}")  # type: ignore[misc]


async def test_stops_of_any_size_leave_the_way_free_for_the_next(remote: RemoteControl) -> None:
    """With a limit of packets that is announced, a broker may keep such a message at the head of its queue."""
    for _ in range(30):
        await remote.send("stop", b"x" * 100_000)
        await remote.send("disarm", b"x" * 100_000)
    await remote.send("emergency_stop")
    await until(lambda: Verb.EMERGENCY_STOP in remote.train.verbs(), "obeyed")
