"""paho's packets go into the socket at once; only one that takes no more is watched."""

import asyncio
import threading
from typing import Any

from edge_agent.observers.mqtt.client import SocketWriter


class Paho:
    """A client of paho's with packets to write, and a socket with so much room."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.waiting = 0
        self.calls: list[str] = []
        self.fails = False
        self._registered = False
        self.on_socket_register_write: Any = lambda paho, data, sock: self.calls.append("watch")
        self.on_publish: Any = lambda: self.calls.append("published")
        self.on_socket_unregister_write: Any = lambda paho, data, sock: self.calls.append("leave")

    def publish(self) -> None:
        self.waiting += 1
        self._register()

    def loop_write(self) -> None:
        if self.fails:
            raise RuntimeError
        written = min(self.waiting, self.room)
        self.waiting, self.room = self.waiting - written, self.room - written
        if written and self.on_publish:
            self.on_publish()
        if self.waiting:
            self._register()
        elif self._registered:
            self._registered = False
            self.on_socket_unregister_write(self, None, "socket")

    def want_write(self) -> bool:
        return self.waiting > 0

    def socket(self) -> str:
        return "socket"

    def _register(self) -> None:
        if not self._registered:
            self._registered = True
            self.on_socket_register_write(self, None, "socket")


async def test_packet_is_written_without_watching_the_socket() -> None:
    paho = Paho(room=9)
    writes = SocketWriter(paho)
    paho.publish()
    writes.write()
    assert paho.waiting == 0
    paho.publish()  # by paho itself, an acknowledgement say
    await asyncio.sleep(0)
    assert (paho.waiting, paho.calls) == (0, ["published"] * 2)


async def test_socket_that_takes_no_more_is_watched_until_all_is_written() -> None:
    paho = Paho(room=1)
    writes = SocketWriter(paho)
    for _ in range(3):
        paho.publish()
        writes.write()
    assert (paho.waiting, paho.calls) == (2, ["published", "watch"])
    paho.room = 9
    paho.loop_write()
    assert (paho.waiting, paho.calls) == (0, ["published", "watch", "published", "leave"])


async def test_packet_of_another_thread_is_left_to_aiomqtt() -> None:
    paho = Paho(room=9)
    SocketWriter(paho)
    thread = threading.Thread(target=paho.publish)
    thread.start()
    thread.join()
    assert (paho.waiting, paho.calls) == (1, ["watch"])


async def test_failure_to_write_is_left_to_aiomqtt() -> None:
    paho = Paho(room=9)
    writes = SocketWriter(paho)
    paho.fails = True
    paho.publish()
    writes.write()
    assert paho.calls == ["watch"]


async def test_nobody_is_told_of_what_is_written_unheard() -> None:
    paho = Paho(room=9)
    writes = SocketWriter(paho)
    paho.publish()
    writes.write_unheard()
    assert (paho.waiting, paho.calls) == (0, [])
    paho.publish()
    writes.write()
    assert (paho.waiting, paho.calls) == (0, ["published"])
