"""The original's consumers find what they always found."""

import base64
import json

import pytest

from edge_agent.events import Box, Detection
from edge_agent.observers.cloudevents import EncodedImage
from edge_agent.observers.crazy_train import payloads as compat
from tests.support import events as make

JPEG = EncodedImage(b"\x01\x02\x03", "image/webp")


def test_model_result_has_the_originals_keys_and_texts() -> None:
    seen = make.frame()
    found = Detection("danger", 0.8671, Box(93.75, 46.875, 187.5, 140.625))
    document = json.loads(compat.model_result(make.prediction(seen, found), JPEG))
    assert list(document) == [
        "id",
        "image",
        "detections",
        "pre-process",
        "inference",
        "post-process",
        "total",
        "scale",
    ]
    assert document["id"] == 1_795_285_200_250
    assert base64.b64decode(document["image"]) == JPEG.data
    assert document["scale"] == 0.9375
    assert document["detections"] == [
        {
            "class_id": 1,
            "class_name": "DangerAhead",
            "confidence": "0.87",
            "box": ["100.00", "50.00", "100.00", "100.00"],
        }
    ]
    assert (document["inference"], document["total"]) == ("0.01s", "0.03s")


def test_box_times_scale_is_the_box_in_the_frame() -> None:
    """What the original's consumers do with it."""
    seen = make.frame(width=800, height=600)
    document = json.loads(compat.model_result(make.prediction(seen, make.sighting()), JPEG))
    left, top, width, height = (float(edge) * document["scale"] for edge in document["detections"][0]["box"])
    assert (left, top, width, height) == pytest.approx((100.04, 50, 39.96, 40), abs=0.02)


def test_monitoring_event_carries_the_result_with_a_data_url() -> None:
    document = json.loads(compat.monitoring(make.prediction(make.frame(), make.sighting()), JPEG, "train-1"))
    data = document.pop("data")
    assert document.pop("id")
    assert document == {
        "specversion": "1.0",
        "source": "/trains/train-1",
        "type": "result",
        "subject": "result-message",
        "time": "2026-11-21T18:20:00.250Z",
        "datacontenttype": "application/json",
    }
    assert data["image"] == "data:image/webp;base64," + base64.b64encode(JPEG.data).decode()
    assert data["detections"][0]["class_name"] == "DangerAhead"


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([], b"-1"),
        (["speed_limit_30"], b"0"),
        (["danger", "speed_limit_30"], b"1"),
        (["other_sign"], b"-1"),
        (["a foreign model's label", "stop"], b"1"),
    ],
)
def test_train_command_is_the_first_known_sign(labels: list[str], text: bytes) -> None:
    found = [make.sighting(label) for label in labels]
    assert compat.train_command(make.prediction(make.frame(), *found)) == text
