"""Commands by MQTT: which are obeyed, what the reply is, and that a stop always wins. Against a real Mosquitto."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.control.commands import Code, Command, Verb
from edge_agent.events import CommandResult
from edge_agent.observers.mqtt import home_assistant
from tests.observers.mqtt.rig import ROOT, RemoteControl, body, rig, settings
from tests.support import events as make
from tests.support.commands import done
from tests.support.mosquitto import Mosquitto, subscriber, until


def shown(command_id: str, word: str) -> bytes:
    """Return a command with the given token."""
    return json.dumps(json.loads(body(command_id)) | {"token": word}).encode()


@pytest.mark.parametrize(
    ("name", "payload", "verb"),
    [
        ("stop", b"", Verb.STOP),
        ("stop", b"\xff\xfe{", Verb.STOP),
        ("emergency_stop", b"x" * 9000, Verb.EMERGENCY_STOP),
        ("disarm", b'{"token": "guess"}', Verb.DISARM),
        ("emergency_stop", b"x" * 1_000_000, Verb.EMERGENCY_STOP),
        ("arm", b"OFF", Verb.DISARM),
        ("arm", b"off ", Verb.DISARM),
        ("arm", json.dumps({"reason": "x" * 5000, "value": "off"}).encode(), Verb.DISARM),
        ("capture", b'{"value": "stop"}', Verb.CAPTURE_STOP),
    ],
    ids=range(9),
)
async def test_stop_of_anybody_is_obeyed(remote: RemoteControl, name: str, payload: bytes, verb: Verb) -> None:
    await remote.send(name, payload)
    await remote.wait_executed(verb)
    answer = await remote.reply(name)
    assert (answer["accepted"], answer["state"]) == (True, "running")


@pytest.mark.parametrize(
    ("name", "more", "verb"),
    [
        ("drive", {}, Verb.DRIVE),
        ("arm", {"value": "ON"}, Verb.ARM),
        ("rearm", {"reason": "track is clear"}, Verb.REARM),
        ("capture", {"value": "start"}, Verb.CAPTURE_START),
        ("power", {"power_percent": 60}, Verb.POWER),
    ],
)
async def test_moving_command_within_the_rules_is_obeyed_and_answered(
    remote: RemoteControl, name: str, more: dict[str, Any], verb: Verb
) -> None:
    await remote.send(name, body("c-7", **more))
    await remote.wait_executed(verb)
    answer = await remote.reply(name)
    assert (answer["command"], answer["id"], answer["accepted"], answer["code"]) == (name, "c-7", True, None)
    assert answer["train_time"].startswith("20")


@pytest.mark.parametrize(
    ("make_body", "code"),
    [
        (lambda: b"", Code.MALFORMED),
        (lambda: b"ON", Code.MALFORMED),
        (lambda: json.dumps({"id": "c-1", "issued_at": 0}).encode(), Code.NO_TOKEN),
        (lambda: shown("c-1", "guess"), Code.WRONG_TOKEN),
        (lambda: body(issued_at=time.time() - 60), Code.STALE),
        (lambda: body(issued_at=time.time() + 600), Code.EARLY),
        (lambda: body(issued_at=None), Code.NO_TIME),
        (lambda: body(id=""), Code.NO_ID),
    ],
    ids=lambda value: value.value if isinstance(value, Code) else "",
)
async def test_moving_command_that_breaks_a_rule_moves_nothing_and_is_answered(
    remote: RemoteControl, make_body: Callable[[], bytes], code: Code
) -> None:
    await remote.send("drive", make_body())
    answer = await remote.reply("drive")
    assert (answer["accepted"], answer["code"]) == (False, code.value)
    assert remote.train.obeyed == []


async def test_replayed_command_is_obeyed_once(remote: RemoteControl) -> None:
    recorded = body("c-1")
    await remote.send("drive", recorded)
    await remote.send("drive", recorded)
    answer = await remote.reply("drive", 2)
    assert answer["code"] == Code.REPLAYED
    await remote.wait_executed(Verb.DRIVE)


async def test_command_that_was_retained_before_the_train_connected_moves_nothing(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as operator:
        await operator.client.publish(f"{ROOT}/drive/set", body(), qos=1, retain=True)
        async with rig(settings(broker.port)) as train:
            (reply, *_) = await operator.wait_for(f"{ROOT}/drive/reply")
            assert json.loads(bytes(reply.payload))["code"] == Code.RETAINED
            assert train.obeyed == []


async def test_command_with_the_retain_flag_moves_nothing(
    remote: RemoteControl,
) -> None:
    await remote.send("drive", body(), retain=True)
    assert (await remote.reply("drive"))["code"] == Code.RETAINED
    assert remote.train.obeyed == []


async def test_retained_stop_is_obeyed(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as operator:
        await operator.client.publish(f"{ROOT}/stop/set", b"now", qos=1, retain=True)
        async with rig(settings(broker.port)) as train:
            await until(lambda: train.verbs() == [Verb.STOP], "obeys")


async def test_train_without_a_token_obeys_only_stops(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as operator, rig(settings(broker.port, command_token=None)) as train:
        await train.wait_connected()
        remote = RemoteControl(broker, train, operator)
        await remote.send("drive", body())
        assert (await remote.reply("drive"))["code"] == Code.NO_TOKEN_SET
        await remote.send("stop")
        await remote.wait_executed(Verb.STOP)


async def test_token_file_that_changes_is_obeyed_at_once(broker: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "token"
    config = settings(broker.port, command_token=None, command_token_file=file)
    async with subscriber(broker.port) as operator, rig(config) as train:
        await train.wait_connected()
        remote = RemoteControl(broker, train, operator)
        await remote.send("drive", body("c-1"))
        assert (await remote.reply("drive"))["code"] == Code.NO_TOKEN_SET
        file.write_text("first\n")
        await remote.send("drive", shown("c-2", "first"))
        await remote.reply("drive", 2)
        file.write_text("second\n")
        await remote.send("drive", shown("c-3", "first"))
        assert (await remote.reply("drive", 3))["code"] == Code.WRONG_TOKEN
        assert [command.command_id for command in train.obeyed] == ["c-2"]


def answering(topic: str, correlation: bytes) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = topic
    properties.CorrelationData = correlation
    return properties


async def test_answer_goes_to_the_response_topic_with_the_correlation_data(remote: RemoteControl) -> None:
    topic = f"{ROOT}/drive/reply/console-7"
    await remote.send("drive", body("c-9"), properties=answering(topic, b"\x01\x02"))
    (message, *_) = await remote.operator.wait_for(topic)
    assert getattr(message.properties, "CorrelationData", None) == b"\x01\x02"
    attributes = dict(getattr(message.properties, "UserProperty", []))
    assert (attributes["type"], attributes["correlationid"]) == ("dev.edge-agent.reply.v1", "c-9")
    assert not remote.operator.on(f"{ROOT}/drive/reply")


@pytest.mark.parametrize(
    "topic",
    [
        "edge-agent/train-2/stop/set",
        "edge-agent/train-2/state",
        f"{ROOT}/availability",
        f"{ROOT}/drive/reply/x",
        f"{ROOT}/stop/set",
        "homeassistant/device/x/config",
        "console/7/answers",
        "$SYS/x",
    ],
)
async def test_answer_to_a_topic_outside_of_the_replies_goes_to_our_own(remote: RemoteControl, topic: str) -> None:
    await remote.send("stop", properties=answering(topic, b"c"))
    answer = await remote.reply("stop")
    assert answer["accepted"]
    assert len([message for message in remote.operator.on(topic) if b"train_time" in bytes(message.payload)]) == 0


async def test_answer_with_the_older_protocol_goes_to_our_own_topic(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as operator, rig(settings(broker.port, version="3.1.1")) as train:
        await train.wait_connected()
        remote = RemoteControl(broker, train, operator)
        await remote.send("drive", body("c-9"))
        answer = await remote.reply("drive")
    assert (answer["type"], answer["correlationid"]) == ("dev.edge-agent.reply.v1", "c-9")
    assert answer["data"]["accepted"] is True


async def test_refusal_by_the_train_is_in_the_reply(remote: RemoteControl) -> None:
    def refuse(command: Command) -> CommandResult:
        return done(command, accepted=False, state="fault_latched", reason="re-arm it first")

    remote.train.executor.result = refuse
    await remote.send("drive", body())
    answer = await remote.reply("drive")
    assert (answer["accepted"], answer["code"], answer["state"]) == (False, Code.FAILED, "fault_latched")


async def test_pictures_on_request_come_for_as_long_as_asked(remote: RemoteControl) -> None:
    await remote.send("image", body(duration_s=30))
    assert (await remote.reply("image"))["accepted"]
    remote.train.publish(make.frame())
    await remote.operator.wait_for(f"{ROOT}/image")
    remote.train.mirror._images_until_s = time.monotonic()  # half a minute has passed
    remote.train.publish(make.frame(2), make.fault())
    await remote.operator.wait_for(f"{ROOT}/fault")
    assert len(remote.operator.on(f"{ROOT}/image")) == 1
    assert remote.train.verbs() == [Verb.IMAGE], "the train gets it too, for its other observers"


async def test_pictures_are_not_published_without_a_token(remote: RemoteControl) -> None:
    await remote.send("image", json.dumps({"duration_s": 30}).encode())
    assert (await remote.reply("image"))["code"] == Code.NO_TOKEN
    remote.train.publish(make.frame(), make.fault())
    await remote.operator.wait_for(f"{ROOT}/fault")
    assert not remote.operator.on(f"{ROOT}/image")


async def test_no_command_is_taken_where_they_are_off(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as operator, rig(settings(broker.port, commands=False)) as train:
        await train.wait_connected()
        await operator.client.publish(f"{ROOT}/stop/set", b"", qos=1)
        train.publish(make.fault())
        await operator.wait_for(f"{ROOT}/fault")
        assert train.obeyed == []


async def test_home_assistant_that_starts_gets_the_device_again_and_then_availability(broker: Mosquitto) -> None:
    config = settings(broker.port, home_assistant={"enabled": True})
    topic = "homeassistant/device/edge_agent_train_1/config"
    async with rig(config, before=[make.state()]) as train, subscriber(broker.port) as operator:
        await train.wait_connected()
        for expected in (topic, f"{ROOT}/availability", f"{ROOT}/state"):
            await operator.wait_for(expected)
        operator.clear()
        await operator.client.publish("homeassistant/status", home_assistant.BIRTH)
        await operator.wait_for(f"{ROOT}/state")
        others = (f"{ROOT}/telemetry", f"{ROOT}/echo/set", "homeassistant/status")
        topics = [message.topic.value for message in operator.received if message.topic.value not in others]
    assert topics[:3] == [topic, f"{ROOT}/availability", f"{ROOT}/state"]
