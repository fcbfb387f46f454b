"""Sends commands by all channels at once, none of which is a stop, in a process of its own (see `channels`).

They are what a stranger can send: damaged, without a token or with a wrong one. At the end it prints how many it sent.
"""

import argparse
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable

import confluent_kafka

from edge_agent.observers.crazy_train.payloads import CAPTURE_TOPIC
from tests.observers.kafka.listener import TOPIC, order
from tests.observers.mqtt.rig import ROOT

PERIOD_S = 0.02
BODIES = (b"{}", b'{"token":"guess"}', b"\xff[", b'{"power_percent":9e99}', b'{"value":"maybe"}')
NAMES = ("drive", "arm", "rearm", "power", "capture")
CAPTURES = (b'{"command":"', b'{"command":"halt"}', b"[]", b"\xff")


def by_mqtt(port: int) -> Callable[[int], None]:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01f")
    sock.recv(4)

    def send(number: int) -> None:
        topic, body = f"{ROOT}/{NAMES[number % 5]}/set".encode(), BODIES[number // 5 % 5]
        sock.sendall(bytes((0x30, len(topic) + len(body) + 2, 0, len(topic))) + topic + body)

    return send


def by_kafka(producer: confluent_kafka.Producer) -> Callable[[int], None]:
    def send(number: int) -> None:
        message = order(f"flood-{number}", NAMES[number % 5], f"train-{number % 2 + 1}")
        producer.produce(TOPIC, message.value, message.key, headers=list(message.headers))
        producer.poll(0)

    return send


def by_original(producer: confluent_kafka.Producer) -> Callable[[int], None]:
    return lambda number: producer.produce(CAPTURE_TOPIC, CAPTURES[number % len(CAPTURES)])


def by_console(port: int) -> Callable[[int], None]:
    sock = socket.create_connection(("127.0.0.1", port))
    head = f"POST /api/trains/train-1/commands HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer guess\r\n"

    def send(number: int) -> None:
        body = BODIES[number % len(BODIES)]
        sock.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        assert sock.recv(65536)

    return send


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mqtt", type=int)
    parser.add_argument("kafka")
    parser.add_argument("console", type=int)
    parser.add_argument("--per-second", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    producer = confluent_kafka.Producer({"bootstrap.servers": options.kafka, "linger.ms": 0, "log_level": 0})
    ways = (by_mqtt(options.mqtt), by_kafka(producer), by_original(producer), by_console(options.console))
    sent, until_s = [0] * len(ways), time.monotonic() + options.seconds

    def work(way: int) -> None:
        due_s, count = time.monotonic(), options.per_second * PERIOD_S / len(ways)
        for tick in itertools.count():
            while sent[way] < (tick + 1) * count:
                ways[way](sent[way])
                sent[way] += 1
                if time.monotonic() > until_s:
                    return
            time.sleep(max(0.0, due_s + tick * PERIOD_S - time.monotonic()))

    threads = [threading.Thread(target=work, args=(way,), daemon=True) for way in range(len(ways))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    producer.flush(5)
    print(json.dumps(dict(zip(("mqtt", "kafka", "original", "console"), sent, strict=True))))


if __name__ == "__main__":
    main()
