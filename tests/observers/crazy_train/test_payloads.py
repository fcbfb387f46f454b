"""The original's consumers find what they always found."""

import base64
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_agent.events import Box, Detection
from edge_agent.observers.cloudevents import EncodedImage
from edge_agent.observers.crazy_train import payloads as compat
from edge_agent.observers.crazy_train.pictures import plain_webp
from edge_agent.perception.vision import CameraPicture
from tests.support import events as make

JPEG = EncodedImage(b"\x01\x02\x03", "image/webp")


def test_model_result_has_the_originals_keys_and_texts() -> None:
    seen = make.frame()
    found = Detection("danger", 0.8671, Box(93.75, 46.875, 187.5, 140.625))  # 600 px become 640
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
    assert document["scale"] == 1.0
    assert document["detections"] == [
        {
            "class_id": 1,
            "class_name": "DangerAhead",
            "confidence": "0.87",
            "box": ["100.00", "50.00", "100.00", "100.00"],
        }
    ]
    assert (document["inference"], document["total"]) == ("0.01s", "0.03s")


@pytest.mark.parametrize("published", [None, (600, 400), (533, 400), (300, 400)])
def test_box_fits_the_picture_that_is_sent_without_scaling(published: tuple[int, int] | None) -> None:
    """The original's consumers draw the box into the picture as it is, whatever `scale` says."""
    image = np.zeros((600, 800, 3), np.uint8)
    image[50:90, 100:140] = 255
    seen = replace(make.frame(), picture=CameraPicture(image, published))
    found = Detection("danger", 0.9, Box(100, 50, 140, 90))
    prediction = replace(make.prediction(seen, found), published_size=published)
    document = json.loads(compat.model_result(prediction, plain_webp(seen)))
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(document["image"]), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert max(picture.shape) == 640
    rows, columns = np.nonzero(picture > 128)
    left, top, width, height = (float(edge) for edge in document["detections"][0]["box"])
    assert (left, top) == pytest.approx((columns.min(), rows.min()), abs=1.5)
    assert (left + width, top + height) == pytest.approx((columns.max() + 1, rows.max() + 1), abs=1.5)
    assert document["scale"] == 1.0


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
