#!/usr/bin/env bash
# aiomqtt 2.5.1 on paho-mqtt 2.2.0: why the broker ended the connection stands on the error's cause, not on the error.
#
# Expected: a broker that takes a connection over sends DISCONNECT with reason code 0x8e (MQTT 5, section 3.14.2.1).
# Iterating over `client.messages` then raises; that error should be an MqttCodeError with the code in `rc`, as
# aiomqtt's other errors are.
# Seen: it is a plain MqttError without `rc`, with one text for every reason; the code is on `__cause__`, an
# MqttCodeError. Whoever looks at the error alone cannot tell a second client of the same name from a network that broke.
#
# Output seen:
#   error: MqttError, rc: none, text: Disconnected during message iteration
#   its cause: MqttCodeError, rc: 142
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aiomqtt==2.5.1 paho-mqtt==2.2.0
cat > "$work/try.py" <<'PY'
import asyncio

from aiomqtt import Client, MqttError, ProtocolVersion


async def serve(reader, writer):
    """Accept the connection, then end it as a broker does that has a newer client of the same name."""
    _, length = await reader.readexactly(2)
    await reader.readexactly(length)
    writer.write(bytes([0x20, 3, 0, 0, 0]))
    await asyncio.sleep(0.3)
    writer.write(bytes([0xE0, 2, 0x8E, 0]))
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client("127.0.0.1", port, protocol=ProtocolVersion.V5)
    try:
        async with client:
            async for _ in client.messages:
                pass
    except MqttError as error:
        print(f"error: {type(error).__name__}, rc: {getattr(error, 'rc', 'none')}, text: {error}")
        cause = error.__cause__
        print(f"its cause: {type(cause).__name__}, rc: {cause.rc.value}")


asyncio.run(main())
PY
"$work/venv/bin/python" "$work/try.py" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
error: MqttError, rc: none, text: Disconnected during message iteration
its cause: MqttCodeError, rc: 142
SEEN
