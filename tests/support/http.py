"""The smallest HTTP client: one request, one answer, every header as it was sent."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status, headers by their names in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(port: int, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """Send a request; underscores in names of headers stand for hyphens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = {"Host": f"127.0.0.1:{port}", "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    if body:
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    raw = await reader.read()
    writer.close()
    head, _, rest = raw.partition(b"\r\n\r\n")
    status, *pairs = head.decode().split("\r\n")
    found = {name.lower(): value for name, _, value in (pair.partition(": ") for pair in pairs)}
    return Answer(int(status.split()[1]), found, rest)
