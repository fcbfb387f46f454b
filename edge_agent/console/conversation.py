"""One viewer's WebSocket: sends what its queue gives, reads what it says.

Knows ASGI's WebSocket events and the page's messages. Knows nothing of what is sent, or of who may look: that is judged
before it gets here.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Send

from edge_agent.console.live import Guest, Live

PING_S = 2.0
DEAF_S = 10.0
"""A viewer that answered no ping for this long is not there any more."""

MAX_WORDS_PER_S = 500
"""More messages than any page has reason to send."""

MAX_WORD_BYTES = 4096
SLOW, RUDE, DEAF = 1013, 1008, 1001


class Conversation:
    """Talks with one viewer until either side ends it.

    Args:
        live: who else is there, and what there is to see.
        guest: the viewer's queue.
        receive, send: ASGI's.
        now_ms: our clock, in milliseconds since 1970.
    """

    def __init__(self, live: Live, guest: Guest, receive: Receive, send: Send, now_ms: Callable[[], int]) -> None:
        self._live = live
        self._guest = guest
        self._receive = receive
        self._send = send
        self._now_ms = now_ms
        self._clock = asyncio.get_running_loop().time
        self._heard_s = self._clock()

    async def run(self) -> None:
        """Talk; closes the socket with a code that says why where it is us who end it."""
        parts = (self._tell(), self._hear(), self._ping())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next(iter(done)).result()
        except OSError:  # the other side has gone in the middle of a message
            return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if code is not None:
            with contextlib.suppress(OSError):
                await self._send({"type": "websocket.close", "code": code})

    async def _tell(self) -> int:
        queue, wake = self._guest.queue, self._guest.wake
        while True:
            await wake.wait()
            wake.clear()
            while (message := queue.take(self._now_ms())) is not None:
                key = "text" if isinstance(message, str) else "bytes"
                await self._send({"type": "websocket.send", key: message})
            if queue.overflown:
                return SLOW

    async def _ping(self) -> int:
        number = 0
        while self._clock() - self._heard_s < DEAF_S:
            number += 1
            self._say({"t": "ping", "n": number, "now_ms": self._now_ms()})
            await asyncio.sleep(PING_S)
        return DEAF

    async def _hear(self) -> int | None:
        second_s, words = self._clock(), 0
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return None
            now_s = self._clock()
            if now_s - second_s >= 1:
                second_s, words = now_s, 0
            words += 1
            if words > MAX_WORDS_PER_S or not self._understand(event.get("text")):
                return RUDE

    def _understand(self, text: str | None) -> bool:
        """Do what the page says; False for what no page of ours says."""
        if text is None or len(text) > MAX_WORD_BYTES:
            return False
        try:
            word = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(word, dict):
            return False
        train_id, queue = word.get("train"), self._guest.queue
        match word.get("t"):
            case "shown" if isinstance(train_id, str) and isinstance(word.get("frame_id"), str):
                queue.shown(train_id, word["frame_id"])
                self._guest.wake.set()
            case "pong":
                self._heard_s = self._clock()
            case "clock":
                number = word.get("n")
                self._say({"t": "clock", "n": number if isinstance(number, int) else 0, "now_ms": self._now_ms()})
            case "watch" if train_id is None or isinstance(train_id, str):
                queue.watch(train_id)
                self._live.look(self._guest)
            case _:
                pass  # a newer page may say more
        return True

    def _say(self, word: dict[str, Any]) -> None:
        self._guest.queue.tell(json.dumps(word))
        self._guest.wake.set()
