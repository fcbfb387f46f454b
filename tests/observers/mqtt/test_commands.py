"""Commands by MQTT: who is obeyed, what is answered, and that a stop always wins. Against a real Mosquitto."""

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
from tests.observers.mqtt.rig import ROOT, body, rig, settings
from tests.observers.mqtt.stage import Stage
from tests.support import events as make
from tests.support.commands import done
from tests.support.mosquitto import Mosquitto, listening, until


def shown(command_id: str, word: str) -> bytes:
    """Return a command that shows a token of its own."""
    return json.dumps(json.loads(body(command_id)) | {"token": word}).encode()


@pytest.mark.parametrize(
    ("name", "payload", "verb"),
    [
        ("stop", b"", Verb.STOP),
        ("stop", b"\xff\xfe{", Verb.STOP),
        ("emergency_stop", b"x" * 9000, Verb.EMERGENCY_STOP),
        ("disarm", b'{"token": "guess"}', Verb.DISARM),
        ("arm", b"OFF", Verb.DISARM),
        ("capture", b'{"value": "stop"}', Verb.CAPTURE_STOP),
    ],
)
async def test_stop_of_anybody_is_obeyed_and_answered(stage: Stage, name: str, payload: bytes, verb: Verb) -> None:
    await stage.send(name, payload)
    await stage.obeys(verb)
    answer = await stage.reply(name)
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
async def test_moving_command_with_everything_in_order_is_obeyed_and_answered(
    stage: Stage, name: str, more: dict[str, Any], verb: Verb
) -> None:
    await stage.send(name, body("c-7", **more))
    await stage.obeys(verb)
    answer = await stage.reply(name)
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
    stage: Stage, make_body: Callable[[], bytes], code: Code
) -> None:
    await stage.send("drive", make_body())
    answer = await stage.reply("drive")
    assert (answer["accepted"], answer["code"]) == (False, code.value)
    assert stage.train.obeyed == []


async def test_replayed_command_is_obeyed_once(stage: Stage) -> None:
    recorded = body("c-1")
    await stage.send("drive", recorded)
    await stage.send("drive", recorded)
    answer = await stage.reply("drive", 2)
    assert answer["code"] == Code.REPLAYED
    await stage.obeys(Verb.DRIVE)


async def test_command_that_was_retained_before_the_train_came_moves_nothing(broker: Mosquitto) -> None:
    async with listening(broker.port) as person:
        await person.client.publish(f"{ROOT}/drive/set", body(), qos=1, retain=True)
        async with rig(settings(broker.port)) as train:
            (reply, *_) = await person.hears(f"{ROOT}/drive/reply")
            assert json.loads(bytes(reply.payload))["code"] == Code.RETAINED
            assert train.obeyed == []


async def test_command_sent_with_the_retain_flag_while_the_train_listens_moves_nothing(stage: Stage) -> None:
    await stage.send("drive", body(), retain=True)
    assert (await stage.reply("drive"))["code"] == Code.RETAINED
    assert stage.train.obeyed == []


async def test_retained_stop_is_obeyed(broker: Mosquitto) -> None:
    async with listening(broker.port) as person:
        await person.client.publish(f"{ROOT}/stop/set", b"now", qos=1, retain=True)
        async with rig(settings(broker.port)) as train:
            await until(lambda: train.verbs() == [Verb.STOP], "obeys")


async def test_train_without_a_token_obeys_only_stops(broker: Mosquitto) -> None:
    async with listening(broker.port) as person, rig(settings(broker.port, command_token=None)) as train:
        await train.comes_up()
        stage = Stage(broker, train, person)
        await stage.send("drive", body())
        assert (await stage.reply("drive"))["code"] == Code.NO_TOKEN_SET
        await stage.send("stop")
        await stage.obeys(Verb.STOP)


async def test_token_file_that_changes_is_obeyed_at_once(broker: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "token"
    config = settings(broker.port, command_token=None, command_token_file=file)
    async with listening(broker.port) as person, rig(config) as train:
        await train.comes_up()
        stage = Stage(broker, train, person)
        await stage.send("drive", body("c-1"))
        assert (await stage.reply("drive"))["code"] == Code.NO_TOKEN_SET
        file.write_text("first\n")
        await stage.send("drive", shown("c-2", "first"))
        await stage.reply("drive", 2)
        file.write_text("second\n")
        await stage.send("drive", shown("c-3", "first"))
        assert (await stage.reply("drive", 3))["code"] == Code.WRONG_TOKEN
        assert [command.command_id for command in train.obeyed] == ["c-2"]


def answering(topic: str, correlation: bytes) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = topic
    properties.CorrelationData = correlation
    return properties


async def test_answer_goes_to_the_response_topic_with_the_correlation_data(stage: Stage) -> None:
    await stage.send("drive", body("c-9"), properties=answering("console/7/answers", b"\x01\x02"))
    (message, *_) = await stage.person.hears("console/7/answers")
    assert getattr(message.properties, "CorrelationData", None) == b"\x01\x02"
    attributes = dict(getattr(message.properties, "UserProperty", []))
    assert (attributes["type"], attributes["correlationid"]) == ("dev.edge-agent.reply.v1", "c-9")
    assert not stage.person.on(f"{ROOT}/drive/reply")


@pytest.mark.parametrize(
    "topic", ["edge-agent/train-2/stop/set", f"{ROOT}/availability", "homeassistant/device/x/config", "$SYS/x"]
)
async def test_answer_to_a_topic_that_is_not_the_senders_goes_to_our_own(stage: Stage, topic: str) -> None:
    await stage.send("stop", properties=answering(topic, b"c"))
    answer = await stage.reply("stop")
    assert answer["accepted"]
    assert len([message for message in stage.person.on(topic) if b"train_time" in bytes(message.payload)]) == 0


async def test_answer_with_the_older_protocol_goes_to_our_own_topic(broker: Mosquitto) -> None:
    async with listening(broker.port) as person, rig(settings(broker.port, version="3.1.1")) as train:
        await train.comes_up()
        stage = Stage(broker, train, person)
        await stage.send("drive", body("c-9"))
        answer = await stage.reply("drive")
    assert (answer["type"], answer["correlationid"]) == ("dev.edge-agent.reply.v1", "c-9")
    assert answer["data"]["accepted"] is True


async def test_train_that_refuses_says_so(stage: Stage) -> None:
    def refuse(command: Command) -> CommandResult:
        return done(command, accepted=False, state="fault_latched", reason="re-arm it first")

    stage.train.executor.result = refuse
    await stage.send("drive", body())
    answer = await stage.reply("drive")
    assert (answer["accepted"], answer["code"], answer["state"]) == (False, Code.FAILED, "fault_latched")


async def test_pictures_on_request_come_for_as_long_as_asked(stage: Stage) -> None:
    await stage.send("image", body(duration_s=30))
    assert (await stage.reply("image"))["accepted"]
    stage.train.publish(make.frame())
    await stage.person.hears(f"{ROOT}/image")
    stage.train.mirror._images_until_s = time.monotonic()  # half a minute has passed
    stage.train.publish(make.frame(2), make.fault())
    await stage.person.hears(f"{ROOT}/fault")
    assert len(stage.person.on(f"{ROOT}/image")) == 1
    assert stage.train.verbs() == [Verb.IMAGE], "which the train is told, for its observers"


async def test_pictures_are_not_shown_to_who_has_no_token(stage: Stage) -> None:
    await stage.send("image", json.dumps({"duration_s": 30}).encode())
    assert (await stage.reply("image"))["code"] == Code.NO_TOKEN
    stage.train.publish(make.frame(), make.fault())
    await stage.person.hears(f"{ROOT}/fault")
    assert not stage.person.on(f"{ROOT}/image")


async def test_no_command_is_taken_where_they_are_off(broker: Mosquitto) -> None:
    async with listening(broker.port) as person, rig(settings(broker.port, commands=False)) as train:
        await train.comes_up()
        await person.client.publish(f"{ROOT}/stop/set", b"", qos=1)
        train.publish(make.fault())
        await person.hears(f"{ROOT}/fault")
        assert train.obeyed == []


async def test_home_assistant_that_starts_gets_the_device_again_and_then_availability(broker: Mosquitto) -> None:
    config = settings(broker.port, home_assistant={"enabled": True})
    topic = "homeassistant/device/edge_agent_train_1/config"
    async with rig(config, before=[make.state()]) as train, listening(broker.port) as person:
        await train.comes_up()
        for said in (topic, f"{ROOT}/availability", f"{ROOT}/state"):
            await person.hears(said)
        person.forget()
        await person.client.publish("homeassistant/status", home_assistant.BIRTH)
        await person.hears(f"{ROOT}/state")
        greeting = [
            m.topic.value for m in person.heard if m.topic.value not in (f"{ROOT}/telemetry", "homeassistant/status")
        ]
    assert greeting[:3] == [topic, f"{ROOT}/availability", f"{ROOT}/state"]
