"""Sends a train a thousand valid commands a second, and a stop every half second.

`python -m tests.soak.mqtt_flood PORT`. The reason of a stop is the time at which it was sent, in seconds since 1970.
"""

import asyncio
import contextlib
import json
import sys
import time

from aiomqtt import Client, MqttError

from tests.observers.mqtt.rig import ROOT, body

PER_S = 1000
BURST_S = 0.02
STOP_EVERY_S = 0.5


async def flood(port: int) -> None:
    """Send until killed."""
    stop_s = time.monotonic() + STOP_EVERY_S
    async with Client("127.0.0.1", port) as client:
        while True:
            for number in range(round(PER_S * BURST_S)):
                await client.publish(f"{ROOT}/drive/set", body(f"{time.monotonic()}-{number}"))
            if time.monotonic() >= stop_s:
                stop_s += STOP_EVERY_S
                await client.publish(f"{ROOT}/stop/set", json.dumps({"reason": str(time.time())}), qos=1)
            await asyncio.sleep(BURST_S)


if __name__ == "__main__":
    with contextlib.suppress(MqttError, KeyboardInterrupt):
        asyncio.run(flood(int(sys.argv[1])))
