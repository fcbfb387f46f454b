"""A camera of grey pictures for an agent that serves HTTP, and an HTTP client for it."""

import asyncio

import numpy as np

from edge_agent.ports import Shot


class Camera:
    """Grabs grey pictures until stopped, or until `last`."""

    source, live = "test", False

    def __init__(self, last: int = 10**9) -> None:
        self.over = False
        self._last, self._taken = last, 0

    async def __aenter__(self) -> "Camera":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def grab(self) -> Shot | None:
        if self.over or self._taken == self._last:
            return None
        self._taken += 1
        return Shot(np.full((400, 600, 3), 128, np.uint8), asyncio.get_running_loop().time(), self._taken)


async def get(port: int, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: train\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body.decode()


async def answered(port: int, path: str, *wanted: int) -> str:
    """Ask until one of the `wanted` answers comes, any where none is named; return it with its body."""
    async with asyncio.timeout(60):
        while True:
            try:
                status, body = await get(port, path)
            except (OSError, IndexError):  # not open yet
                status, body = 0, ""
            if status and (not wanted or status in wanted):
                return f"{status} {body}"
            await asyncio.sleep(0.05)
