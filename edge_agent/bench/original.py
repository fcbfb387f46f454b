"""The pipeline that the agent replaces, rewritten to measure against: five processes that communicate over MQTT.

`python -m edge_agent.bench.original ROLE ...` runs one of capture, inference, mapping, controller and streamer.
Pictures are base64 WebP inside JSON, results JSON with the picture in it, commands text, as in the original demo. The
code is ours, and never waits on purpose. One change: a command carries its picture's number, to measure its latency.
"""

import argparse
import base64
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paho.mqtt.client as mqtt
from numpy.typing import NDArray
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.bench.scene import StubDetector
from edge_agent.events import Detection
from edge_agent.perception.detector import OnnxDetector
from edge_agent.ports import Detector
from edge_agent.signs import Sign

IMAGE, RESULT, COMMAND, MONITORING = "train-image", "train-model-result", "train-command", "train-monitoring"
ROLES = ("streamer", "controller", "mapping", "inference", "capture")
QUALITY_PERCENT = 80
_SIZE = (600, 400)
_SIDE = 640
_SLOW = frozenset(sign.value for sign in Sign if sign.facts.original_class == 0)

Image = NDArray[np.uint8]


def encode(image: Image) -> str:
    """Return a (height, width, 3) uint8 BGR picture as base64 of a WebP."""
    buffer = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY_PERCENT])[1]
    return base64.b64encode(buffer.tobytes()).decode()


def decode(text: str) -> Image:
    """Return the picture in such a text."""
    return np.asarray(cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR), np.uint8)


def padded(image: Image) -> tuple[Image, float]:
    """Pad a picture to a square and resize it to 640; return it with the scale of its boxes."""
    height, width = image.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 3), np.uint8)
    square[:height, :width] = image
    return np.asarray(cv2.resize(square, (_SIDE, _SIDE)), np.uint8), side / _SIDE


def infer(payload: bytes, detector: Detector) -> str:
    """Return the result message of an image message."""
    message = json.loads(payload)
    began_s = time.perf_counter()
    square, scale = padded(decode(message["image"]))
    ready_s = time.perf_counter()
    found = detector.infer(square)
    done_s = time.perf_counter()
    result = {
        "id": message["id"],
        "image": message["image"],
        "detections": [_plain(one) for one in found],
        "pre-process": f"{ready_s - began_s:.2f}s",
        "inference": f"{done_s - ready_s:.2f}s",
        "total": f"{done_s - began_s:.2f}s",
        "scale": scale,
    }
    return json.dumps(result)


def _plain(found: Detection) -> dict[str, Any]:
    box = found.box
    sides = (box.x1, box.y1, box.width, box.height)
    return {
        "class_id": 0 if found.label in _SLOW else 1,
        "class_name": found.label,
        "confidence": f"{found.score:.2f}",
        "box": [f"{side:.1f}" for side in sides],
    }


def command(result: dict[str, Any]) -> str:
    """Return the command of a result: the first detection's class, or -1, and the picture's number."""
    found = result["detections"]
    return f"{found[0]['class_id'] if found else -1} {result['id']}"


def monitoring(result: dict[str, Any]) -> str:
    """Draw the boxes and return the picture as a CloudEvent with a data URL."""
    image, scale = decode(result["image"]), result["scale"]
    for found in result["detections"]:
        x, y, width, height = (round(float(side) * scale) for side in found["box"])
        cv2.rectangle(image, (x, y), (x + width, y + height), (0, 255, 0), 2)
        cv2.putText(image, found["class_name"], (x, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 0))
    event = {
        "id": str(result["id"]),
        "specversion": "1.0",
        "source": "train",
        "type": "result",
        "subject": "result-message",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "datacontenttype": "application/json",
        "data": {**result, "image": f"data:image/webp;base64,{encode(image)}"},
    }
    return json.dumps(event)


def connect(port: int, topic: str | None, handle: Callable[[mqtt.Client, bytes], None] | None) -> mqtt.Client:
    """Connect to the broker; `handle` is called with each message on `topic`."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def ready(*_: Any) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    def connected(client: mqtt.Client, *_: Any) -> None:
        if topic is None:
            ready()
        else:
            client.subscribe(topic)

    client.on_connect = connected
    client.on_subscribe = ready
    if handle is not None:
        client.on_message = lambda client, _, message: handle(client, bytes(message.payload))
    client.connect("127.0.0.1", port)
    return client


def capture(port: int, pictures: Path, fps: float) -> None:
    """Publish a picture at each tick; stdin gives the monotonic time of the first one."""
    images = np.load(pictures)
    client = connect(port, None, None)
    client.loop_start()
    start_s, tick = float(sys.stdin.readline()), 0
    while True:
        if (wait_s := start_s + tick / fps - time.monotonic()) > 0:
            time.sleep(wait_s)
        image = np.asarray(cv2.resize(images[tick % len(images)], _SIZE), np.uint8)
        client.publish(IMAGE, json.dumps({"id": tick, "image": encode(image)}))
        tick = max(tick + 1, int((time.monotonic() - start_s) * fps))


def _map(client: mqtt.Client, payload: bytes) -> None:
    result = json.loads(payload)
    client.publish(COMMAND, command(result))
    client.publish(MONITORING, monitoring(result))


def _drive(client: mqtt.Client, payload: bytes) -> None:
    del client
    sys.stdout.write(f"{payload.decode().split()[1]} {time.monotonic()!r}\n")
    sys.stdout.flush()


def _stream(client: mqtt.Client, payload: bytes) -> None:
    """Extract the picture as a server-sent event, as the original console does."""
    del client
    url = json.loads(payload)["data"]["image"]
    f"data: {url}\n\n".encode()


def main() -> None:
    """Run one of the five."""
    parser = argparse.ArgumentParser(description="Run one process of the five.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.role == "capture":
        capture(options.port, options.pictures, options.fps)
    elif options.role == "inference":
        detector = OnnxDetector(options.model, threads=options.threads) if options.model else StubDetector()

        def answer(client: mqtt.Client, payload: bytes) -> None:
            client.publish(RESULT, infer(payload, detector))

        connect(options.port, IMAGE, answer).loop_forever()
    elif options.role == "mapping":
        connect(options.port, RESULT, _map).loop_forever()
    elif options.role == "controller":
        connect(options.port, COMMAND, _drive).loop_forever()
    else:
        connect(options.port, MONITORING, _stream).loop_forever()


if __name__ == "__main__":
    main()
