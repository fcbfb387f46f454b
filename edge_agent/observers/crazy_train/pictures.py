"""Pictures as the original demo's consumers expect them (`compat: crazy-train`), with or without boxes drawn in."""

from collections import OrderedDict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Event, Frame, Prediction
from edge_agent.observers.cloudevents import EncodedImage
from edge_agent.observers.cloudevents.images import encode_webp
from edge_agent.observers.crazy_train import payloads as compat
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind
from edge_agent.perception.vision import resize

_GREEN = (0, 255, 0)  # BGR


class FrameMatcher:
    """Matches each prediction with its frame."""

    def __init__(self) -> None:
        self._frames: OrderedDict[str, Frame] = OrderedDict()

    def match(self, event: Event) -> tuple[Prediction, Frame] | None:
        """Return a prediction with its frame; None for any other event, or when the frame was already dropped."""
        match event:
            case Frame():
                self._frames[event.frame_id] = event
                # A prediction follows its frame at once; frames that were never looked at must not pile up.
                if len(self._frames) > 4:
                    self._frames.popitem(last=False)
            case Prediction():
                frame = self._frames.pop(event.frame_id, None)
                return None if frame is None else (event, frame)
            case _:
                pass
        return None


class MonitoringEncoder:
    """Encodes predictions as messages of the Kafka topic `train-monitoring`."""

    def __init__(self, train_id: str) -> None:
        self._train_id = train_id
        self._pairs = FrameMatcher()

    def records(self, event: Event) -> Sequence[OutboxRecord]:
        """Return the message of a prediction whose frame came before it, nothing for any other event."""
        pair = self._pairs.match(event)
        if pair is None:
            return ()
        prediction, frame = pair
        value = compat.monitoring(prediction, annotated_webp(prediction, frame), self._train_id)
        at_ms = round(prediction.taken_unix_s * 1000)
        return (OutboxRecord(RecordKind.IMAGE, compat.MONITORING_TOPIC, self._train_id.encode(), (), value, at_ms),)


def plain_webp(frame: Frame) -> EncodedImage:
    """Return a frame's picture as WebP, in the size that the original's boxes are measured in."""
    return encode_webp(_picture(frame))


def annotated_webp(prediction: Prediction, frame: Frame) -> EncodedImage:
    """Return the same with the signs that the original knows drawn in."""
    canvas = _picture(frame).copy()
    for name, found in compat.known_detections(prediction):
        left, top, right, bottom = (round(edge) for edge in (found.box.x1, found.box.y1, found.box.x2, found.box.y2))
        cv2.rectangle(canvas, (left, top), (right, bottom), _GREEN, 2)
        label = f"{name} ({found.score:.2f})"
        cv2.putText(canvas, label, (left, max(12, top - 6)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _GREEN, 1, cv2.LINE_AA)
    return encode_webp(canvas)


def _picture(frame: Frame) -> NDArray[np.uint8]:
    """Return (height, width, 3) uint8 BGR, made of the camera's pixels: the published ones are fewer."""
    return resize(frame.picture.pixels(), *compat.picture_size(frame.picture.published_size))
