"""What is published of the train's events. Against a real Mosquitto."""

import base64
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aiomqtt import Message

from edge_agent.events import Event, Fault, Frame, GuardState, TrainState
from edge_agent.observers.cloudevents import EncodedImage, Envelope, PredictionData, from_cloudevent
from edge_agent.observers.mqtt.session import MqttSession
from tests.observers.mqtt.rig import ROOT, rig, settings
from tests.support import events as make, mqtt_messages
from tests.support.mosquitto import Mosquitto, subscriber, until

EVENT_TOPICS = ["prediction", "decision", "command", "fault", "answer", "state"]


def envelope(message: Message) -> Envelope:
    """Read a message as any consumer of CloudEvents would."""
    properties = getattr(message.properties, "UserProperty", [])
    return mqtt_messages.read(bytes(message.payload), getattr(message.properties, "ContentType", None), properties)


def documents(consumer: Any, name: str) -> list[Any]:
    return [json.loads(payload) for payload in consumer.payloads(f"{ROOT}/{name}")]


async def test_events_arrive_on_their_topics_as_binary_cloudevents(broker: Mosquitto) -> None:
    events = make.one_of_each()
    async with subscriber(broker.port) as consumer, rig(settings(broker.port)) as train:
        await train.wait_connected()
        train.publish(*events)
        for name in EVENT_TOPICS:
            (message, *_) = await consumer.wait_for(f"{ROOT}/{name}")
            read = envelope(message)
            assert (read.kind, read.train_id, read.partitionkey) == (name, "train-1", "train-1")
            from_cloudevent(read)
    decision, command = (envelope(consumer.on(f"{ROOT}/{name}")[0]) for name in ("decision", "command"))
    assert command.causationid == decision.id
    assert not consumer.on(f"{ROOT}/image"), "images are off"


async def test_events_arrive_as_structured_cloudevents_with_the_older_protocol(broker: Mosquitto) -> None:
    async with (
        subscriber(broker.port, modern=False) as consumer,
        rig(settings(broker.port, version="3.1.1", images=True)) as train,
    ):
        await train.wait_connected()
        train.publish(*make.one_of_each())
        for name in EVENT_TOPICS:
            (message, *_) = await consumer.wait_for(f"{ROOT}/{name}")
            assert mqtt_messages.read(bytes(message.payload)).kind == name
        (picture, *_) = await consumer.wait_for(f"{ROOT}/image")
    assert bytes(picture.payload).startswith(b"\xff\xd8"), "images have no envelope"


async def test_sequence_grows_by_one_an_event_and_across_restarts(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as consumer:
        for _ in range(2):
            consumer.clear()
            async with rig(settings(broker.port)) as train:
                await train.wait_connected()
                train.publish(*(make.fault(f"f{number}") for number in range(5)))
                await consumer.wait_for(f"{ROOT}/fault", 5)
            numbers = [int(envelope(message).sequence or "") for message in consumer.on(f"{ROOT}/fault")]
            assert [b - a for a, b in itertools.pairwise(numbers)] == [1, 1, 1, 1]
            first, last = locals().get("last", 0), numbers[-1]
            assert numbers[0] > first


async def test_qualities_of_service_are_as_documented(broker: Mosquitto) -> None:
    qualities = {"state": 1, "decision": 1, "fault": 1, "telemetry": 1, "availability": 1, "answer": 1}
    qualities |= {"prediction": 0, "command": 0, "image": 0}
    async with subscriber(broker.port) as consumer, rig(settings(broker.port, images=True)) as train:
        await train.wait_connected()
        train.publish(*make.one_of_each())
        for name, qos in qualities.items():
            (message, *_) = await consumer.wait_for(f"{ROOT}/{name}")
            assert message.qos == qos, name


async def test_new_subscriber_gets_availability_state_and_decision_at_once(broker: Mosquitto) -> None:
    async with rig(settings(broker.port)) as train:
        await train.wait_connected()
        train.publish(*make.one_of_each())
        async with subscriber(broker.port) as first:
            await first.wait_for(f"{ROOT}/state")
            await first.wait_for(f"{ROOT}/decision")
        async with subscriber(broker.port) as second:
            for name in ("availability", "state", "decision"):
                (message, *_) = await second.wait_for(f"{ROOT}/{name}")
                assert message.retain, name


async def test_connect_is_followed_by_online_and_then_the_newest_state(broker: Mosquitto) -> None:
    old, new = make.state(GuardState.DISARMED), make.state(GuardState.RUNNING, at_s=1.0)
    async with subscriber(broker.port) as consumer, rig(settings(broker.port), before=[old, new]) as train:
        await train.wait_connected()
        train.publish(make.fault())
        await consumer.wait_for(f"{ROOT}/fault")
    others = (f"{ROOT}/telemetry", f"{ROOT}/echo/set")
    topics = [message.topic.value for message in consumer.received if message.topic.value not in others]
    assert topics[:3] == [f"{ROOT}/availability", f"{ROOT}/state", f"{ROOT}/fault"]
    assert [state["guard"] for state in documents(consumer, "state")] == ["running"]


async def test_end_of_the_run_publishes_what_waits_and_then_offline(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as consumer:
        async with rig(settings(broker.port)) as train:
            await train.wait_connected()
            train.publish(*(make.fault(f"f{number}") for number in range(20)))
        await consumer.until(lambda it: b"offline" in it.payloads(f"{ROOT}/availability"), "offline")
    faults = [envelope(message) for message in consumer.on(f"{ROOT}/fault")]
    assert len({fault.id for fault in faults}) == 20, "what is sent twice has the same id"
    assert consumer.received[-1].topic.value == f"{ROOT}/availability"


async def test_states_that_differ_in_nothing_lasting_are_published_once(broker: Mosquitto) -> None:
    state = make.state()
    flickering = [
        replace(state, at_s=number, hub=replace(state.hub, voltage_mv=7000 + number, rssi_dbm=-number))
        for number in range(10)
    ]
    stopped = replace(state, guard=GuardState.STOPPING)
    async with subscriber(broker.port) as consumer, rig(settings(broker.port)) as train:
        await train.wait_connected()
        train.publish(*flickering, stopped)
        await consumer.wait_for(f"{ROOT}/state", 2)
        telemetry = await consumer.wait_for(f"{ROOT}/telemetry")
    assert [state["guard"] for state in documents(consumer, "state")] == ["running", "stopping"]
    assert telemetry
    assert documents(consumer, "telemetry")[-1]["voltage_mv"] in range(7000, 7513)


async def test_telemetry_adds_up_the_last_second(broker: Mosquitto) -> None:
    frames = [make.frame(number, at_s=number / 10) for number in range(8)]
    predictions = [make.prediction(frame) for frame in frames[:5]]
    async with subscriber(broker.port) as consumer, rig(settings(broker.port)) as train:
        await train.wait_connected()
        train.publish(*frames, *predictions, make.state())
        await consumer.until(
            lambda it: any(data["predictions_per_s"] for data in documents(it, "telemetry")), "telemetry"
        )
    (data,) = [data for data in documents(consumer, "telemetry") if data["predictions_per_s"]]
    assert (data["frames_per_s"], data["predictions_per_s"]) == (8.0, 5.0)
    assert (data["inference_ms"], data["latency_ms"]) == (14.25, 30.0)
    assert (data["guard"], data["battery_percent"], data["speed_mm_s"]) == ("running", 81, 412.3)


async def test_image_is_the_jpeg_itself_with_the_frames_id(broker: Mosquitto) -> None:
    frame = make.frame()
    async with subscriber(broker.port) as consumer, rig(settings(broker.port, images=True)) as train:
        await train.wait_connected()
        train.publish(frame)
        (message, *_) = await consumer.wait_for(f"{ROOT}/image")
    read = envelope(message)
    picture = from_cloudevent(read)
    assert isinstance(picture, EncodedImage)
    assert (read.id, picture.content_type) == (frame.frame_id, "image/jpeg")
    image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == frame.image.shape


async def test_slow_link_gets_the_newest_picture_and_the_others_are_counted(broker: Mosquitto) -> None:
    frames = [make.frame(number) for number in range(4)]
    async with subscriber(broker.port) as consumer, rig(settings(broker.port, images=True), before=frames) as train:
        await train.wait_connected()
        (message, *_) = await consumer.wait_for(f"{ROOT}/image")
        assert envelope(message).id == frames[-1].frame_id
        assert train.mirror.stats().images_dropped == 3
        assert train.mirror.stats().dropped == 0


def original(frame: Frame) -> list[Event]:
    return [frame, make.prediction(frame, make.sighting("danger"), make.sighting("traffic_light"))]


async def test_original_consumers_get_their_topics_and_payloads(broker: Mosquitto) -> None:
    frame = make.frame()
    async with subscriber(broker.port) as consumer, rig(settings(broker.port), compat=True) as train:
        await train.wait_connected()
        train.publish(*original(frame))
        (result, *_) = await consumer.wait_for("train-model-result")
        (command, *_) = await consumer.wait_for("train-command")
        await consumer.wait_for(f"{ROOT}/prediction")
    data = json.loads(bytes(result.payload))
    assert list(data) == [
        "id",
        "image",
        "detections",
        "pre-process",
        "inference",
        "post-process",
        "total",
        "scale",
    ]
    assert data["id"] == round(frame.taken_unix_s * 1000)
    assert base64.b64decode(data["image"])[8:12] == b"WEBP"
    assert data["detections"] == [
        {"class_id": 1, "class_name": "DangerAhead", "confidence": "0.91", "box": ["106.71", "53.33", "42.62", "42.67"]}
    ]
    assert data["scale"] == 1.0
    assert command.payload == b"1"
    assert not consumer.on(f"{ROOT}/image"), "the original's image is on its own topic only"


async def test_original_topics_are_not_used_unless_enabled(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as consumer, rig(settings(broker.port)) as train:
        await train.wait_connected()
        train.publish(*original(make.frame()))
        await consumer.wait_for(f"{ROOT}/prediction")
        await consumer.wait_for(f"{ROOT}/telemetry")
    assert not [message for message in consumer.received if message.topic.value.startswith("train-")]


async def test_message_that_is_too_large_for_the_broker_costs_one_reconnect_and_is_reported(tmp_path: Path) -> None:
    """The broker closes the connection; nothing as large is sent again."""
    with Mosquitto(tmp_path, "allow_anonymous true", "max_packet_size 3000") as broker:
        async with subscriber(broker.port) as consumer, rig(settings(broker.port, images=True)) as train:
            await train.wait_connected()
            train.publish(make.frame())
            await until(lambda: "mqtt_denied" in train.codes(), "reported")
            await train.wait_connected()
            train.publish(make.frame(), make.fault())
            await consumer.wait_for(f"{ROOT}/fault")
            await until(lambda: train.mirror.stats().link.too_large == 2, "the second is not tried")
            stats = train.mirror.stats().link
            assert (stats.failures, stats.attempts) == (1, 2)
    assert any("max_packet_size" in fault.remedy for fault in train.faults)


async def test_broker_too_small_for_the_discovery_gets_a_remedy_of_its_own(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "allow_anonymous true", "max_packet_size 2000") as broker:
        async with (
            subscriber(broker.port) as consumer,
            rig(settings(broker.port, home_assistant={"enabled": True})) as train,
        ):
            await until(lambda: "mqtt_denied" in train.codes(), "reported")
            await train.wait_connected()
            train.publish(make.fault())
            await consumer.wait_for(f"{ROOT}/fault")
    (told,) = [fault for fault in train.faults if fault.code == "mqtt_denied"]
    assert "announces the train to Home Assistant" in told.message
    assert "mqtt.home_assistant.enabled" in told.remedy


async def test_prediction_arrives_unchanged(broker: Mosquitto) -> None:
    frame = make.frame()
    async with subscriber(broker.port) as consumer, rig(settings(broker.port)) as train:
        await train.wait_connected()
        train.publish(make.prediction(frame, make.sighting()))
        (message, *_) = await consumer.wait_for(f"{ROOT}/prediction")
    data = from_cloudevent(envelope(message))
    assert isinstance(data, PredictionData)
    assert (data.frame_id, data.detections[0].label) == (frame.frame_id, "stop")


def test_rig_events_are_of_the_kinds_that_are_routed() -> None:
    kinds = {type(event) for event in make.one_of_each()}
    assert {Fault, TrainState, Frame} <= kinds


async def test_event_that_cannot_be_encoded_does_not_stop_the_others(broker: Mosquitto) -> None:
    unwritable = replace(make.fault("broken"), at_s=float("nan"))
    async with subscriber(broker.port) as consumer, rig(settings(broker.port)) as train:
        await train.wait_connected()
        train.publish(make.fault("before"), unwritable, make.fault("after"))
        await consumer.wait_for(f"{ROOT}/fault", 2)
        assert dict(train.mirror.stats().link.dropped) == {"fault": 1}
    assert [fault["code"] for fault in documents(consumer, "fault")] == ["before", "after"]


async def test_defect_of_the_mirror_is_reported_and_it_tries_again(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, defects = MqttSession.run, [LookupError("a defect")]

    async def sometimes(session: MqttSession) -> None:
        if defects:
            raise defects.pop()
        await run(session)

    monkeypatch.setattr(MqttSession, "run", sometimes)
    async with rig(settings(broker.port)) as train:
        await train.wait_connected()
        await until(lambda: train.codes(active=False) == ["mqtt_failed"], "reported as over")
    assert train.codes() == ["mqtt_failed"]


async def test_figures_are_those_of_all_mirrors(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as consumer, rig(settings(broker.port)) as train:
        await train.wait_connected()
        train.publish(*make.one_of_each())
        await consumer.client.publish(f"{ROOT}/stop/set", b"", qos=1)
        await consumer.wait_for(f"{ROOT}/stop/reply")
        await consumer.wait_for(f"{ROOT}/state")
        figures = train.mirror.figures()
    assert (figures.connected, figures.attempts, figures.failures) == (True, 1, 0)
    assert figures.published >= 6
    assert (figures.commands_accepted, figures.dropped, figures.denied) == (1, 0, 0)
