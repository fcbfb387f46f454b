#!/usr/bin/env bash
# aiomqtt 2.5.1 on paho-mqtt 2.2.0: a publish at QoS 1 that the broker refuses returns like one that it took.
#
# Expected: MQTT 5 answers a publish with a PUBACK that bears a reason code; 0x87 is "not authorized" (section 3.4.2.1).
# `await client.publish(..., qos=1)` waits for that PUBACK, so it should raise, or return the code as subscribe() does.
# Seen: it returns None and raises nothing, whether the code is 0x00 or 0x87. A refused subscription is reported.
# It matters to us since a train whose access rules are wrong looks to itself as if all its messages arrived.
#
# Output seen:
#   publish answered with 0x00: None
#   publish answered with 0x87: None
#   subscribe answered with 0x87: [ReasonCode(Suback, 'Not authorized')]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aiomqtt==2.5.1 paho-mqtt==2.2.0
cat > "$work/try.py" <<'PY'
import asyncio

from aiomqtt import Client, ProtocolVersion

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8


async def packet(reader):
    """Return the type and the body of the next packet; all of ours are shorter than 128 bytes."""
    head, length = await reader.readexactly(2)
    return head >> 4, await reader.readexactly(length)


def broker(reason):
    """Return a broker that accepts connections and answers publishes and subscriptions with a reason code."""

    async def serve(reader, writer):
        try:
            while True:
                kind, body = await packet(reader)
                if kind == CONNECT:
                    writer.write(bytes([0x20, 3, 0, 0, 0]))
                elif kind == PUBLISH:
                    topic = int.from_bytes(body[:2], "big")
                    writer.write(bytes([0x40, 4, *body[2 + topic : 4 + topic], reason, 0]))
                elif kind == SUBSCRIBE:
                    writer.write(bytes([0x90, 4, *body[:2], 0, reason]))
        except asyncio.IncompleteReadError:
            writer.close()

    return serve


async def answer(reason, call):
    server = await asyncio.start_server(broker(reason), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with Client("127.0.0.1", port, protocol=ProtocolVersion.V5) as client:
            return await call(client)


async def main():
    for reason in (0x00, 0x87):
        made = await answer(reason, lambda client: client.publish("topic", b"x", qos=1))
        print(f"publish answered with 0x{reason:02x}: {made}")
    made = await answer(0x87, lambda client: client.subscribe("topic"))
    print(f"subscribe answered with 0x87: {made}")


asyncio.run(main())
PY
"$work/venv/bin/python" "$work/try.py" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
publish answered with 0x00: None
publish answered with 0x87: None
subscribe answered with 0x87: [ReasonCode(Suback, 'Not authorized')]
SEEN
