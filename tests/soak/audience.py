"""Many console viewers in one process: `python -m tests.soak.audience PORT QUERY...`, one viewer per query.

Reads `on`, `off` and `end` on stdin and answers each with one line of JSON. Measures the age of every frame on arrival,
and handles frames as the page does, except for drawing them.
"""

import asyncio
import json
import sys
import time
from typing import Any

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


class Viewer:
    """One viewer; `ages_ms` are those of all frames but the first."""

    def __init__(self, port: int, query: str) -> None:
        self.ages_ms: list[float] = []
        self.skipped = 0
        self._url = f"ws://127.0.0.1:{port}/api/live?{query}"

    async def watch(self) -> None:
        try:
            async with connect(self._url, compression=None, max_size=None) as page:
                first = True
                async for message in page:
                    if isinstance(message, str):
                        if '"t":"ping"' in message or '"t": "ping"' in message:
                            await page.send('{"t":"pong","n":0}')
                        continue
                    header = json.loads(message[4 : 4 + int.from_bytes(message[:4], "big")])
                    if not first:  # the first one is the newest stored one
                        self.ages_ms.append(time.time() * 1000 - header["at_ms"])
                        self.skipped += header["skipped"]
                    first = False
                    word = {"t": "shown", "train": header["train"], "frame_id": header["frame_id"]}
                    await page.send(json.dumps(word))
        except ConnectionClosed:
            return


def summary(viewers: list[Viewer]) -> dict[str, Any]:
    """Return the percentiles of all viewers together, and the worst viewer's p95."""
    ages = [age for viewer in viewers for age in viewer.ages_ms]
    if not ages:
        return {"n": 0}
    figures: dict[str, Any] = {f"p{rank}": round(float(np.percentile(ages, rank)), 1) for rank in (50, 95, 99)}
    worst = max(float(np.percentile(viewer.ages_ms, 95)) for viewer in viewers if viewer.ages_ms)
    return figures | {
        "max": round(max(ages), 1),
        "worst_viewer_p95": round(worst, 1),
        "n": len(ages),
        "skipped": sum(viewer.skipped for viewer in viewers),
        "viewers": len(viewers),
    }


async def main() -> None:
    viewers = [Viewer(int(sys.argv[1]), query) for query in sys.argv[2:]]
    tasks: list[asyncio.Task[None]] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "on" and not tasks:
            for viewer in viewers:
                tasks.append(asyncio.create_task(viewer.watch()))
                await asyncio.sleep(0.01)
        elif line.strip() != "on":
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            tasks.clear()
        print(json.dumps(summary(viewers) if line.strip() == "end" else {}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
