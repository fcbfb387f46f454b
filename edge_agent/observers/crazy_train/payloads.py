"""The original demo's payloads (`compat: crazy-train`), so that its consumers keep working.

Some numbers are strings there, and boxes are those of a frame that was padded to a square and scaled to 640 pixels. Its
consumers draw them into the picture without scaling, so the picture is sent in that size: 640 pixels along its longer
side, and a scale of 1. The original's model had two classes; labels of ours that correspond to neither are omitted.
"""

import base64
import json
from dataclasses import replace
from typing import Any

import uuid_utils

from edge_agent.control.commands import Channel, CommandMessage
from edge_agent.events import Detection, Prediction, new_id
from edge_agent.observers.cloudevents import names
from edge_agent.observers.cloudevents.envelope import EncodedImage
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from edge_agent.signs import Sign

RESULT_TOPIC = "train-model-result"
COMMAND_TOPIC = "train-command"
MONITORING_TOPIC = "train-monitoring"
CAPTURE_TOPIC = "train-command-capture"

SIDE_PX = 640
"""Side of the square that the original's boxes are measured in."""

_CLASSES = ("SpeedLimit", "DangerAhead")
_CLASS_OF = {sign.value: sign.facts.original_class for sign in Sign if sign.facts.original_class is not None}


def model_result(prediction: Prediction, picture: EncodedImage) -> bytes:
    """Return the JSON of MQTT topic `train-model-result`; the image is base64 without a prefix."""
    return _json(_result(prediction, base64.b64encode(picture.data).decode()))


def train_command(prediction: Prediction) -> bytes:
    """Return the text of MQTT topic `train-command`: the first sign's class, or -1 if there is none."""
    known = (_CLASS_OF[found.label] for found in prediction.detections if found.label in _CLASS_OF)
    return str(next(known, -1)).encode()


def monitoring(prediction: Prediction, picture: EncodedImage, train_id: str) -> bytes:
    """Return the JSON of Kafka topic `train-monitoring`: the result in a CloudEvent, the image as a data URL."""
    url = f"data:{picture.content_type};base64,{base64.b64encode(picture.data).decode()}"
    event = {
        "id": str(uuid_utils.uuid7()),
        "specversion": names.SPEC_VERSION,
        "source": names.source_of(train_id),
        "type": "result",
        "subject": "result-message",
        "time": to_rfc3339(prediction.taken_unix_s),
        "datacontenttype": names.JSON,
        "data": _result(prediction, url),
    }
    return _json(event)


def read_capture_command(value: bytes | None, sent_unix_s: float) -> CommandMessage:
    """Read a message of Kafka topic `train-command-capture`, as `{"command": "stop"}`; it was sent at `sent_unix_s`.

    The original's console sends neither token nor id: `compat` vouches for whoever can write to the topic.
    """
    return CommandMessage(
        Channel.CRAZY_TRAIN, "capture", value or b"", vouched=True, message_id=new_id(), issued_at=sent_unix_s
    )


def picture_size(published_size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height, in pixels, in which the original's consumers get a published picture of that size."""
    scale = SIDE_PX / max(published_size)
    return max(1, round(published_size[0] * scale)), max(1, round(published_size[1] * scale))


def known_detections(prediction: Prediction) -> tuple[tuple[str, Detection], ...]:
    """Return the original's class name and the detection of each sign that it knows, best score first.

    Boxes are in pixels of a picture of `picture_size`.
    """
    seen = prediction.published()
    scale = SIDE_PX / max(seen.width, seen.height)
    pairs = ((one, _CLASS_OF.get(one.label)) for one in seen.detections)
    return tuple(
        (_CLASSES[class_id], replace(found, box=found.box.scaled(scale, scale)))
        for found, class_id in pairs
        if class_id is not None
    )


def _result(prediction: Prediction, image: str) -> dict[str, Any]:
    inference_s = prediction.inference_ms / 1000
    total_s = max(prediction.done_s - prediction.taken_s, inference_s)
    return {
        "id": round(prediction.taken_unix_s * 1000),
        "image": image,
        "detections": [
            {
                "class_id": _CLASSES.index(name),
                "class_name": name,
                "confidence": f"{found.score:.2f}",
                "box": _box(found),
            }
            for name, found in known_detections(prediction)
        ],
        "pre-process": _seconds(0.0),
        "inference": _seconds(inference_s),
        "post-process": _seconds(0.0),
        "total": _seconds(total_s),
        "scale": 1.0,
    }


def _box(found: Detection) -> list[str]:
    box = found.box
    return [f"{edge:.2f}" for edge in (box.x1, box.y1, box.width, box.height)]


def _seconds(value_s: float) -> str:
    return f"{value_s:.2f}s"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
