#!/usr/bin/env bash
# paho-mqtt 2.2.0: two of the limits that a broker names in its CONNACK are not kept, a third one is.
#
# Expected: MQTT 5 lets a broker say how much it takes: Receive Maximum (unanswered messages at QoS 1, section
# 3.2.2.3.3), Maximum Packet Size (3.2.2.3.6), Server Keep Alive (3.2.2.3.14). A client must keep to all three; a library
# that has the packets in hand should.
# Seen: with Receive Maximum 1 three publishes at QoS 1 are on the wire before the first is answered; with Maximum
# Packet Size 100 one of more than 500 bytes is sent, and publish() reports success. Server Keep Alive is kept.
# A broker may end the connection for either. Whoever publishes has to count and to measure for themselves.
#
# Output seen:
#   receive maximum 1: 3 publishes before the first answer
#   maximum packet size 100: publish() returned MQTT_ERR_SUCCESS and sent more than 500 bytes
#   server keep alive 1 s instead of 60: pings sent
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check paho-mqtt==2.2.0
cat > "$work/try.py" <<'PY'
import socket
import threading
import time

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.enums import MQTTErrorCode


class Broker:
    """Accepts one connection with the properties given, answers nothing else, and keeps what came."""

    def __init__(self, properties):
        self.packets = []
        self._properties = properties
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def count(self, kind):
        return sum(each == kind for each, _ in self.packets)

    def _serve(self):
        connection, _ = self._socket.accept()
        stream = connection.makefile("rb")
        while head := stream.read(1):
            length, shift = 0, 0
            while True:
                byte = stream.read(1)[0]
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            stream.read(length)
            self.packets.append((head[0] >> 4, length))
            if head[0] >> 4 == 1:
                connected = bytes([0, 0, len(self._properties)]) + self._properties
                connection.sendall(bytes([0x20, len(connected)]) + connected)


def connected(properties):
    broker = Broker(properties)
    ready = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.on_connect = lambda *_: ready.set()
    client.connect("127.0.0.1", broker.port, keepalive=60)
    client.loop_start()
    ready.wait(5)
    return broker, client


PUBLISH, PINGREQ = 3, 12

broker, client = connected(bytes([0x21, 0, 1]))
for _ in range(3):
    client.publish("topic", b"x", qos=1)
time.sleep(1)
print(f"receive maximum 1: {broker.count(PUBLISH)} publishes before the first answer")
client.loop_stop()

broker, client = connected(bytes([0x27, 0, 0, 0, 100]))
made = client.publish("topic", b"x" * 500)
time.sleep(1)
sent = max(length for kind, length in broker.packets if kind == PUBLISH)
words = "more than 500" if sent > 500 else f"{sent}"
print(f"maximum packet size 100: publish() returned {MQTTErrorCode(made.rc).name} and sent {words} bytes")
client.loop_stop()

broker, client = connected(bytes([0x13, 0, 1]))
time.sleep(3.5)
print(f"server keep alive 1 s instead of 60: {'pings sent' if broker.count(PINGREQ) else 'no ping'}")
client.loop_stop()
PY
"$work/venv/bin/python" "$work/try.py" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
receive maximum 1: 3 publishes before the first answer
maximum packet size 100: publish() returned MQTT_ERR_SUCCESS and sent more than 500 bytes
server keep alive 1 s instead of 60: pings sent
SEEN
